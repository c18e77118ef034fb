// Tokens in a running control plane: keys as the store has them now, verification, issuing.

import type { TokenCheck } from "../api/access.ts";
import type { IssueAnswer, ResourceView } from "../api/ports.ts";
import { InvalidError } from "../core/errors.ts";
import type { TokenKind, TokenOrder } from "../core/token.ts";
import { issueToken, newestSigningKey } from "../identity/tokens/issue.ts";
import {
  type Keyring,
  keyringOf,
  type KeySources,
  type PublicKey,
} from "../identity/tokens/keyring.ts";
import { readPublicKey } from "../core/rsa_key.ts";
import { verifyToken } from "../identity/tokens/verify.ts";
import { readNamed } from "./named_file.ts";
import { type ControlPlaneConfig, flagOf, type KeyFile } from "./settings.ts";
import { secretsOf } from "./signing_keys.ts";

export interface Tokens {
  verifyUser(jwt: string, nowMs: number): TokenCheck;
  issue(order: TokenOrder, at: { readonly id: string; readonly nowMs: number }): IssueAnswer;
}

export type TokenKeySources = Readonly<Record<TokenKind, KeySources>>;

/** Reads the files that settings name. Throws InvalidError for what is no public key. */
export async function readKeySources(config: ControlPlaneConfig): Promise<TokenKeySources> {
  return {
    dataplane: {
      publicKeys: await readKeys("dpTokenKeys", config.dpTokenKeys),
      useSecrets: config.dpTokenSecrets,
    },
    zone: {
      publicKeys: await readKeys("zoneTokenKeys", config.zoneTokenKeys),
      useSecrets: config.zoneTokenSecrets,
    },
    user: {
      publicKeys: await readKeys("userTokenKeys", config.userTokenKeys),
      useSecrets: config.userTokenSecrets,
    },
  };
}

async function readKeys(
  setting: "dpTokenKeys" | "zoneTokenKeys" | "userTokenKeys",
  files: readonly KeyFile[],
): Promise<readonly PublicKey[]> {
  return await Promise.all(files.map(async ({ path, ...key }) => {
    const pem = await readNamed(flagOf(setting), path);
    const found = readPublicKey(new TextEncoder().encode(pem));
    if (!found.ok) throw new InvalidError(`${flagOf(setting)}: ${path} ${found.reason}`);
    return { ...key, pem };
  }));
}

export function openTokens(
  { config, resources, keys }: {
    readonly config: ControlPlaneConfig;
    readonly resources: ResourceView;
    readonly keys: TokenKeySources;
  },
): Tokens {
  let users: { readonly revision: number; readonly keyring: Keyring } | null = null;

  /** Of this moment: a commit may have brought a key, or a revocation. */
  function userKeyring(): Keyring {
    const { revision } = resources;
    if (users?.revision !== revision) {
      const secrets = secretsOf(resources, "");
      users = { revision, keyring: keyringOf({ ...keys.user, kind: "user", mesh: "", secrets }) };
    }
    return users.keyring;
  }

  /** What is nearer than a key that is not there. */
  function whyKeyless(kind: TokenKind, mesh: string): string | null {
    if (kind === "zone" && config.global !== null) {
      return `zone tokens are issued at global: ${config.global} keeps their signing keys`;
    }
    const isThere = kind !== "dataplane" || resources.get({ type: "Mesh", mesh: "", name: mesh });
    return isThere ? null : `there is no mesh "${mesh}", and so no signing key`;
  }

  return {
    verifyUser(jwt, nowMs) {
      const verdict = verifyToken("user", jwt, userKeyring(), nowMs);
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
      if (!found.missing) return { ok: false, reason: "broken_key", message: found.message };
      const message = whyKeyless(order.kind, mesh) ?? found.message;
      return { ok: false, reason: "no_key", message };
    },
  };
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
