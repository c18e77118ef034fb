// New tokens: claims, signed with the newest key.

import { type KeyObject, sign } from "node:crypto";
import type { JsonObject } from "../../core/resource.ts";
import type { TokenKind, TokenOrder } from "../../core/token.ts";
import { keyIdOf, signingKeyPrefix } from "../../core/token_secrets.ts";
import { payloadOf } from "./claims.ts";
import { bytesOf, type TokenSecret } from "./keyring.ts";
import { readPrivateKey } from "../../core/rsa_key.ts";

export interface SigningKey {
  readonly keyId: string;
  readonly key: KeyObject;
}

export type NewToken = TokenOrder & {
  readonly nowMs: number;
  /** What revocation lists will name. */
  readonly id: string;
};

/** Verifiers' clocks may be behind ours. kuma@v2.13.10:pkg/core/tokens/issuer.go. */
const BACKDATED_MS = 5_000;

export function issueToken(wanted: NewToken, { keyId, key }: SigningKey): string {
  const { validForMs, nowMs, id } = wanted;
  const from = seconds(nowMs - BACKDATED_MS);
  const payload = {
    ...payloadOf(wanted),
    exp: seconds(nowMs + validForMs),
    nbf: from,
    iat: from,
    jti: id,
  };
  const content = `${part({ alg: "RS256", kid: keyId, typ: "JWT" })}.${part(payload)}`;
  const signature = sign("sha256", new TextEncoder().encode(content), key);
  return `${content}.${base64Url(signature)}`;
}

export type SigningKeyFinding =
  | { readonly ok: true; readonly signingKey: SigningKey }
  /** `missing`: there is none; otherwise the newest cannot be read. */
  | { readonly ok: false; readonly missing: boolean; readonly message: string };

/** The key with the highest serial number signs; `secrets` are those of the mesh, or the global ones. */
export function newestSigningKey(
  kind: TokenKind,
  mesh: string,
  secrets: Iterable<TokenSecret>,
): SigningKeyFinding {
  const newest = newestNumbered(secrets, signingKeyPrefix(kind, mesh), mesh);
  if (!newest) {
    const where = mesh === "" ? "a GlobalSecret" : `a Secret of mesh "${mesh}"`;
    const message = `there is no signing key for ${kind} tokens: it would be ${where} named ` +
      `"${signingKeyPrefix(kind, mesh)}-1". Create one: ursa ctl generate signing-key`;
    return { ok: false, missing: true, message };
  }
  const found = readPrivateKey(bytesOf(newest.secret));
  if (found.ok) return { ok: true, signingKey: { keyId: newest.keyId, key: found.key } };
  const message = `${newest.secret.type} "${newest.secret.name}" ${found.reason}`;
  return { ok: false, missing: false, message };
}

interface Numbered {
  readonly serial: number;
  /** As in the secret's name, leading zeros included: verifiers look for that very name. */
  readonly keyId: string;
  readonly secret: TokenSecret;
}

function newestNumbered(
  secrets: Iterable<TokenSecret>,
  prefix: string,
  mesh: string,
): Numbered | null {
  let newest: Numbered | null = null;
  for (const secret of secrets) {
    const keyId = secret.mesh === mesh ? keyIdOf(secret.name, prefix) : null;
    if (keyId === null || !/^\d{1,15}$/.test(keyId)) continue;
    const serial = Number(keyId);
    if (!newest || serial > newest.serial) newest = { serial, keyId, secret };
  }
  return newest;
}

function seconds(ms: number): number {
  return Math.floor(ms / 1000);
}

function part(value: JsonObject): string {
  return base64Url(new TextEncoder().encode(JSON.stringify(value)));
}

function base64Url(bytes: Uint8Array): string {
  return bytes.toBase64({ alphabet: "base64url", omitPadding: true });
}
