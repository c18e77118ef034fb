// The signing keys that a control plane and its meshes begin with, and the administrator's token.

import { ADMIN } from "../api/access.ts";
import type { Draft } from "../core/resource.ts";
import type { TokenKind } from "../core/token.ts";
import { keyIdOf, signingKeyAt, signingKeyPrefix } from "../core/token_secrets.ts";
import { newSigningKey } from "../identity/io/signing_key.ts";
import { issueToken, newestSigningKey } from "../identity/tokens/issue.ts";
import type { TokenSecret } from "../identity/tokens/keyring.ts";
import type { Op, Store } from "../store/store.ts";
import type { ControlPlaneConfig } from "./settings.ts";

const ADMIN_TOKEN = { type: "GlobalSecret", mesh: "", name: "admin-user-token" } as const;
/** kuma@v2.13.10:pkg/plugins/authn/api-server/tokens/admin_token_bootstrap.go. */
const ADMIN_TOKEN_VALID_MS = 10 * 365 * 24 * 3_600_000;
const FIRST_KEY = "1";

type Reader = Pick<Store, "get" | "list">;

/**
 * Keys that are missing, as Kuma makes them at its start: zones have global's zone and dataplane
 * token keys, but their own for the users of their API.
 */
export async function missingTokenSecrets(
  { config, store, meshes }: {
    readonly config: ControlPlaneConfig;
    readonly store: Reader;
    readonly meshes: readonly string[];
  },
): Promise<readonly Draft[]> {
  const scopes: readonly (readonly [TokenKind, string])[] = config.global === null
    ? [["user", ""], ["zone", ""], ...meshes.map((mesh) => ["dataplane", mesh] as const)]
    : [["user", ""]];
  const keys = await Promise.all(
    scopes.filter(([kind, mesh]) => !hasKey(store, kind, mesh)).map(([kind, mesh]) =>
      newKey(kind, mesh)
    ),
  );
  return [...keys, ...missingAdminToken(config, store, keys)];
}

/** A mesh and its signing key come in one commit: tokens can be had as soon as the mesh is there. */
export async function withSigningKeys(ops: readonly Op[], store: Reader): Promise<readonly Op[]> {
  const meshes = ops.flatMap((op) =>
    op.op === "put" && op.resource.type === "Mesh" && !store.get(op.resource)
      ? [op.resource.name]
      : []
  ).filter((mesh) => !hasKey(store, "dataplane", mesh));
  const keys = await Promise.all(meshes.map((mesh) => newKey("dataplane", mesh)));
  return [...ops, ...keys.map((resource) => ({ op: "put", resource }) as const)];
}

function hasKey(store: Reader, kind: TokenKind, mesh: string): boolean {
  const prefix = signingKeyPrefix(kind, mesh);
  return secretsOf(store, mesh).some(({ name }) => keyIdOf(name, prefix) !== null);
}

async function newKey(kind: TokenKind, mesh: string): Promise<Draft> {
  return secret(signingKeyAt(kind, mesh, FIRST_KEY), await newSigningKey());
}

function missingAdminToken(
  { adminToken, userTokenIssuer }: ControlPlaneConfig,
  store: Reader,
  newKeys: readonly Draft[],
): readonly Draft[] {
  if (!adminToken || !userTokenIssuer || store.get(ADMIN_TOKEN)) return [];
  const secrets = [...secretsOf(store, ""), ...newKeys] as readonly TokenSecret[];
  const found = newestSigningKey("user", "", secrets);
  if (!found.ok) return [];
  const order = { kind: "user", claims: ADMIN, validForMs: ADMIN_TOKEN_VALID_MS } as const;
  const at = { id: crypto.randomUUID(), nowMs: Date.now() };
  return [secret(ADMIN_TOKEN, issueToken({ ...order, ...at }, found.signingKey))];
}

/** Those of a mesh; "" for what belongs to none. */
export function secretsOf(store: Pick<Store, "list">, mesh: string): readonly TokenSecret[] {
  return (mesh === ""
    ? store.list("GlobalSecret")
    : store.list("Secret", mesh)) as readonly TokenSecret[];
}

function secret(key: Pick<Draft, "type" | "mesh" | "name">, content: string): Draft {
  const labels = key.mesh === "" ? {} : { "kuma.io/mesh": key.mesh };
  return { ...key, labels, spec: { data: btoa(content) } };
}
