// A keyring: everything that tokens of one kind are verified against.

import { createHmac, type KeyObject, timingSafeEqual } from "node:crypto";
import type { SecretSpec } from "../../core/mesh.ts";
import type { Resource } from "../../core/resource.ts";
import type { TokenKind } from "../../core/token.ts";
import {
  keyIdOf,
  revocationsName,
  signingKeyName,
  signingKeyPrefix,
  ZONE_PUBLIC_KEY_PREFIX,
} from "../../core/token_secrets.ts";
import { sha256Hex } from "../../core/version.ts";
import { publicHalf, readPrivateKey, readPublicKey } from "../../core/rsa_key.ts";

export type TokenSecret = Pick<Resource<SecretSpec>, "type" | "mesh" | "name" | "spec">;

/** A public key from settings, for tokens that were signed elsewhere. */
export interface PublicKey {
  readonly keyId: string;
  readonly pem: string;
  /** For dataplane tokens of one mesh alone; absent: of every mesh. */
  readonly mesh?: string;
}

/** What settings say of the keys of one kind. */
export interface KeySources {
  readonly publicKeys: readonly PublicKey[];
  /** false: only `publicKeys` verify, whatever secrets say; they still revoke. */
  readonly useSecrets: boolean;
}

export interface KeyringOptions extends Partial<KeySources> {
  readonly kind: TokenKind;
  /** The mesh of dataplane tokens; "" for the other kinds. */
  readonly mesh: string;
  /** Secrets and GlobalSecrets, whichever there are; those of other meshes and names are left out. */
  readonly secrets: Iterable<TokenSecret>;
  /** A zone under a global: it knows the public halves of zone token keys alone. */
  readonly federated?: boolean;
}

/** A key that verifies, or a secret that should hold one. */
export type KeyEntry =
  | { readonly key: KeyObject; readonly fingerprint: string }
  | { readonly broken: string };

export interface Keyring {
  readonly keys: ReadonlyMap<string, KeyEntry>;
  /** Bytes that sign with HMAC, as Kuma did before 1.4. */
  readonly legacy: Uint8Array | null;
  /** Ids of tokens that are good no more. */
  readonly revoked: ReadonlySet<string>;
  /** Where a key would be, for whoever misses it. */
  whereabouts(keyId: string): string;
}

/** Never throws: what is wrong with a secret is told to those whose token needs it. */
export function keyringOf(options: KeyringOptions): Keyring {
  const { kind, mesh, useSecrets = true } = options;
  const scope = scopeOf(options);
  const own = [...options.secrets].filter((secret) => secret.mesh === "" || secret.mesh === mesh);
  const signing = useSecrets ? own.filter(({ type }) => type === scope.type) : [];
  const revocations = revocationsName(kind, mesh);
  return {
    keys: new Map([
      ...signing.flatMap((secret) => entryOf(secret, scope)),
      ...(options.publicKeys ?? []).flatMap((key) => staticEntry(key, mesh)),
    ]),
    legacy: scope.holds === "private"
      ? legacyOf(signing.find(({ name }) => name === scope.prefix))
      : null,
    revoked: new Set(
      own.filter(({ name }) => name === revocations).flatMap((secret) => revokedIds(secret)),
    ),
    whereabouts(keyId) {
      if (!useSecrets) return "among the public keys of the settings";
      const at = `${scope.type} "${signingKeyName(scope.prefix, keyId.slice(0, 60))}"`;
      return scope.type === "Secret" ? `in ${at} of mesh "${mesh}"` : `in ${at}`;
    },
  };
}

export function hmacMatches(
  { secret, content, signature }: {
    readonly secret: Uint8Array;
    readonly content: Uint8Array;
    readonly signature: Uint8Array;
  },
): boolean {
  const digest = createHmac("sha256", secret).update(content).digest();
  return digest.length === signature.length && timingSafeEqual(digest, signature);
}

interface SecretScope {
  readonly type: "Secret" | "GlobalSecret";
  readonly prefix: string;
  readonly holds: "private" | "public";
}

function scopeOf({ kind, mesh, federated = false }: KeyringOptions): SecretScope {
  if (kind === "zone" && federated) {
    return { type: "GlobalSecret", prefix: ZONE_PUBLIC_KEY_PREFIX, holds: "public" };
  }
  const type = kind === "dataplane" ? "Secret" : "GlobalSecret";
  return { type, prefix: signingKeyPrefix(kind, mesh), holds: "private" };
}

function entryOf(
  secret: TokenSecret,
  scope: SecretScope,
): readonly (readonly [string, KeyEntry])[] {
  const keyId = keyIdOf(secret.name, scope.prefix);
  if (keyId === null) return [];
  const bytes = bytesOf(secret);
  const found = scope.holds === "private" ? readPrivateKey(bytes) : readPublicKey(bytes);
  if (!found.ok) return [[keyId, { broken: `${secret.type} "${secret.name}" ${found.reason}` }]];
  const key = scope.holds === "private" ? publicHalf(found.key) : found.key;
  return [[keyId, { key, fingerprint: sha256Hex(bytes) }]];
}

function staticEntry(
  { keyId, pem, mesh: only }: PublicKey,
  mesh: string,
): readonly (readonly [string, KeyEntry])[] {
  if (only !== undefined && only !== mesh) return [];
  const bytes = new TextEncoder().encode(pem);
  const found = readPublicKey(bytes);
  return [[
    keyId,
    found.ok
      ? { key: found.key, fingerprint: sha256Hex(bytes) }
      : { broken: `the public key of the settings ${found.reason}` },
  ]];
}

/** An empty key, or one that others may read, would let everybody sign. */
function legacyOf(secret: TokenSecret | undefined): Uint8Array | null {
  if (!secret) return null;
  const bytes = bytesOf(secret);
  return bytes.length === 0 || readPublicKey(bytes).ok ? null : bytes;
}

function revokedIds(secret: TokenSecret): readonly string[] {
  const text = new TextDecoder().decode(bytesOf(secret));
  return text.split(",").map((id) => id.trim()).filter((id) => id !== "");
}

/** Validation has refused what is no base64; a peer's copy may not have seen it. */
export function bytesOf(secret: TokenSecret): Uint8Array {
  try {
    return Uint8Array.fromBase64(secret.spec.data ?? "");
  } catch {
    return new Uint8Array();
  }
}
