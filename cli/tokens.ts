// Tokens in a running control plane: keys as the store has them now, verification, issuing.

import type { TokenCheck } from "../api/access.ts";
import type { IssueAnswer } from "../api/ports.ts";
import type { ResourceView } from "../api/ports.ts";
import { InvalidError } from "../core/errors.ts";
import type { TokenKind, TokenOrder } from "../core/token.ts";
import { issueToken, newestSigningKey } from "../identity/tokens/issue.ts";
import {
  type Keyring,
  keyringOf,
  type PublicKey,
  type TokenSecret,
} from "../identity/tokens/keyring.ts";
import { readPublicKey } from "../core/rsa_key.ts";
import { verifyToken } from "../identity/tokens/verify.ts";
import { readNamed } from "./named_file.ts";
import { type ControlPlaneConfig, flagOf, type KeyFile } from "./settings.ts";

export interface Tokens {
  /** What tokens of a kind are held against at this moment. `mesh`: "" but for dataplane tokens. */
  keyring(kind: TokenKind, mesh: string): Keyring;
  verifyUser(jwt: string, nowMs: number): TokenCheck;
  issue(order: TokenOrder, at: { readonly id: string; readonly nowMs: number }): IssueAnswer;
}

export type PublicKeys = Readonly<Record<TokenKind, readonly PublicKey[]>>;

/** Reads the files that settings name. Throws InvalidError for what is no public key. */
export async function readPublicKeys({ userTokenKeys }: ControlPlaneConfig): Promise<PublicKeys> {
  return { dataplane: [], zone: [], user: await readKeys("userTokenKeys", userTokenKeys) };
}

async function readKeys(
  setting: "userTokenKeys",
  files: readonly KeyFile[],
): Promise<readonly PublicKey[]> {
  return await Promise.all(files.map(async ({ keyId, path }) => {
    const pem = await readNamed(flagOf(setting), path);
    const found = readPublicKey(new TextEncoder().encode(pem));
    if (!found.ok) throw new InvalidError(`${flagOf(setting)}: ${path} ${found.reason}`);
    return { keyId, pem };
  }));
}

export function openTokens(
  { config, resources, publicKeys }: {
    readonly config: ControlPlaneConfig;
    readonly resources: ResourceView;
    readonly publicKeys: PublicKeys;
  },
): Tokens {
  const rings = new Map<string, Keyring>();
  let ofRevision = -1;

  function keyring(kind: TokenKind, mesh: string): Keyring {
    if (ofRevision !== resources.revision) rings.clear();
    ofRevision = resources.revision;
    const known = rings.get(`${kind}/${mesh}`);
    if (known) return known;
    const ring = keyringOf({
      kind,
      mesh,
      secrets: [...secretsOf(resources, mesh), ...secretsOf(resources, "")],
      federated: config.global !== null,
      publicKeys: publicKeys[kind],
      useSecrets: kind !== "user" || config.userTokenSecrets,
    });
    rings.set(`${kind}/${mesh}`, ring);
    return ring;
  }

  return {
    keyring,
    verifyUser(jwt, nowMs) {
      const verdict = verifyToken("user", jwt, keyring("user", ""), nowMs);
      return verdict.ok ? { ok: true, user: verdict.token.claims } : verdict;
    },
    issue(order, at) {
      if (!issues(order.kind, config)) {
        const message = `this control plane issues no ${order.kind} tokens: it was told so`;
        return { ok: false, reason: "disabled", message };
      }
      const mesh = order.kind === "dataplane" ? order.claims.mesh : "";
      const found = newestSigningKey(order.kind, mesh, secretsOf(resources, mesh));
      if (found.ok) return { ok: true, token: issueToken({ ...order, ...at }, found.signingKey) };
      const reason = found.missing ? "no_key" : "broken_key";
      return { ok: false, reason, message: found.message };
    },
  };
}

function secretsOf(resources: ResourceView, mesh: string): readonly TokenSecret[] {
  return mesh === ""
    ? resources.list("GlobalSecret") as readonly TokenSecret[]
    : resources.list("Secret", mesh) as readonly TokenSecret[];
}

function issues(kind: TokenKind, config: ControlPlaneConfig): boolean {
  switch (kind) {
    case "dataplane":
      return config.dpTokenIssuer;
    case "zone":
      return config.zoneTokenIssuer;
    case "user":
      return config.userTokenIssuer;
  }
}
