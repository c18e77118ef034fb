// Names of the secrets that tokens hang on: signing keys with their serial numbers, revocation lists.

import type { ResourceKey } from "./resource.ts";
import type { TokenKind } from "./token.ts";

/** What a signing key is called before its serial number. kuma@v2.13.10:pkg/core/resources/apis/system/constants.go. */
export function signingKeyPrefix(kind: TokenKind, mesh: string): string {
  return kind === "dataplane" ? `dataplane-token-signing-key-${mesh}` : `${kind}-token-signing-key`;
}

/** What zones know instead of global's zone token signing keys. */
export const ZONE_PUBLIC_KEY_PREFIX = "zone-token-signing-public-key";

/** The key id of the one secret without a serial number: the key of tokens from before Kuma 1.4. */
export const UNNUMBERED = "0";

/** The key that `name` holds, by the id in tokens' headers; null for other names. */
export function keyIdOf(name: string, prefix: string): string | null {
  if (name === prefix) return UNNUMBERED;
  return name.startsWith(`${prefix}-`) ? name.slice(prefix.length + 1) : null;
}

export function signingKeyName(prefix: string, keyId: string): string {
  return keyId === UNNUMBERED ? prefix : `${prefix}-${keyId}`;
}

/** The name under which zones get the public half; null for what is no zone token's signing key. */
export function zonePublicKeyName(name: string): string | null {
  const keyId = keyIdOf(name, signingKeyPrefix("zone", ""));
  return keyId === null ? null : signingKeyName(ZONE_PUBLIC_KEY_PREFIX, keyId);
}

/** Where a token's keys are kept: dataplane tokens are a mesh's, the others the control plane's. */
export function signingKeyAt(kind: TokenKind, mesh: string, keyId: string): ResourceKey {
  const name = signingKeyName(signingKeyPrefix(kind, mesh), keyId);
  return kind === "dataplane"
    ? { type: "Secret", mesh, name }
    : { type: "GlobalSecret", mesh: "", name };
}

/**
 * The secret that lists revoked tokens, in whatever scope it is found: Kuma documents a Secret of
 * the mesh for dataplane tokens, and since 2.10 reads a GlobalSecret of that name.
 */
export function revocationsName(kind: TokenKind, mesh: string): string {
  return kind === "dataplane" ? `dataplane-token-revocations-${mesh}` : `${kind}-token-revocations`;
}
