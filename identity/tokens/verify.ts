// Whether a token is genuine, in time and not revoked; and if not, why, in words that help.

import { verify } from "node:crypto";
import { isObject } from "../../core/json.ts";
import type { JsonObject } from "../../core/resource.ts";
import { show } from "../../core/shape.ts";
import type { ClaimsOf, TokenKind } from "../../core/token.ts";
import { UNNUMBERED } from "../../core/token_secrets.ts";
import { ClaimError, readClaims, readRegistered, type RegisteredClaims } from "./claims.ts";
import { hmacMatches, type Keyring } from "./keyring.ts";

/** Larger than any that is made, and small enough to be looked at for everybody who asks. */
const TOKEN_LENGTH_MAX = 64 * 1024;

export interface VerifiedToken<Kind extends TokenKind = TokenKind> {
  readonly kind: Kind;
  readonly claims: ClaimsOf[Kind];
  /** What revocation lists name; "" when the token has no id. */
  readonly id: string;
  readonly issuer: string;
  readonly keyId: string;
  /** Tells whether the key of that id is still the one that signed. */
  readonly fingerprint: string;
  /** null: never. */
  readonly expiresAtMs: number | null;
}

export type RefusalReason =
  | "malformed"
  | "algorithm"
  | "unknown_key"
  | "signature"
  | "expired"
  | "not_yet_valid"
  | "revoked";

export interface Refusal {
  readonly ok: false;
  readonly reason: RefusalReason;
  /** One or two sentences: what is wrong, which key, issuer and expiry, and what to do. */
  readonly message: string;
}

export type Verdict<Kind extends TokenKind> =
  | { readonly ok: true; readonly token: VerifiedToken<Kind> }
  | Refusal;

/** Never throws, whatever the text. */
export function verifyToken<Kind extends TokenKind>(
  kind: Kind,
  jwt: string,
  keyring: Keyring,
  nowMs: number,
): Verdict<Kind> {
  const parsed = parse(kind, jwt);
  if ("ok" in parsed) return parsed;
  const { header, registered } = parsed;
  const about = { kind, keyId: header.keyId, ...registered };
  const signed = checkSignature(parsed, keyring, about);
  if ("ok" in signed) return signed;
  const token = {
    kind,
    claims: parsed.claims,
    id: registered.id,
    issuer: registered.issuer,
    keyId: header.keyId,
    fingerprint: signed.fingerprint,
    expiresAtMs: registered.expiresAtMs,
  };
  const { notBeforeMs } = registered;
  if (notBeforeMs !== null && nowMs < notBeforeMs) {
    const from = timeText(notBeforeMs);
    return refuse("not_yet_valid", `is valid from ${from} on: do the clocks agree?`, about);
  }
  return timely(token, keyring, nowMs) ?? { ok: true, token };
}

/**
 * The same for a token that was found good before, after keys, revocations or the time have
 * changed: null while it still is. Cheap, for there is no signature to compute.
 */
export function recheckToken(
  token: VerifiedToken,
  keyring: Keyring,
  nowMs: number,
): Refusal | null {
  const entry = token.fingerprint === LEGACY ? keyring.legacy : keyring.keys.get(token.keyId);
  if (!entry) return unknownKey(keyring, token);
  if (token.fingerprint !== LEGACY && "broken" in entry) return brokenKey(entry.broken, token);
  if ("fingerprint" in entry && entry.fingerprint !== token.fingerprint) {
    return refuse("signature", "was signed with a key that has been replaced", token);
  }
  return timely(token, keyring, nowMs);
}

function timely(token: VerifiedToken, keyring: Keyring, nowMs: number): Refusal | null {
  if (token.expiresAtMs !== null && nowMs >= token.expiresAtMs) {
    return refuse("expired", "has expired", token);
  }
  if (token.id !== "" && keyring.revoked.has(token.id)) {
    return refuse("revoked", `is revoked: its id is ${show(token.id)}`, token);
  }
  return null;
}

interface Header {
  readonly algorithm: "RS256" | "HS256";
  readonly keyId: string;
}

interface Parsed<Kind extends TokenKind> {
  readonly header: Header;
  readonly claims: ClaimsOf[Kind];
  readonly registered: RegisteredClaims;
  readonly content: Uint8Array;
  readonly signature: Uint8Array;
}

function parse<Kind extends TokenKind>(kind: Kind, jwt: string): Parsed<Kind> | Refusal {
  const malformed = (what: string) => refuse("malformed", `cannot be read: ${what}`, { kind });
  if (jwt === "") return malformed("it is empty");
  if (jwt.length > TOKEN_LENGTH_MAX) return malformed(`it is longer than ${TOKEN_LENGTH_MAX}`);
  const parts = jwt.split(".");
  const [head = "", body = "", tail = ""] = parts;
  if (parts.length !== 3) return malformed(`a JWT has 3 parts, this has ${parts.length}`);
  const [head64, payload, signature] = [jsonOf(head), jsonOf(body), bytesOfPart(tail)];
  if (!head64) return malformed("its header is no JSON object");
  if (!payload) return malformed("its claims are no JSON object");
  if (!signature) return malformed("its signature is no base64url");
  const header = readHeader(kind, head64);
  if ("ok" in header) return header;
  try {
    return {
      header,
      claims: readClaims(kind, payload),
      registered: readRegistered(payload),
      content: new TextEncoder().encode(`${head}.${body}`),
      signature,
    };
  } catch (error) {
    if (error instanceof ClaimError) return malformed(`claim ${error.message}`);
    throw error;
  }
}

/** kuma@v2.13.10:pkg/core/tokens/validator.go: a key id that is text, and two algorithms. */
function readHeader(kind: TokenKind, header: JsonObject): Header | Refusal {
  const { alg: algorithm, kid: keyId } = header;
  if (typeof keyId !== "string") {
    const what = keyId === undefined ? "has no key id" : "has a key id that is no string";
    return refuse("malformed", `${what} (kid in its header)`, { kind });
  }
  if (algorithm !== "RS256" && algorithm !== "HS256") {
    const what = `is signed with ${show(algorithm)}, which is not accepted: RS256 is`;
    return refuse("algorithm", what, { kind, keyId });
  }
  // An extension that must be understood, and is not. RFC 7515 §4.1.11.
  if (header["crit"] !== undefined) {
    return refuse("malformed", "has a crit header, which is not understood", { kind, keyId });
  }
  return { algorithm, keyId };
}

/** Stands for the key of old, which is told by its place alone. */
const LEGACY = "";

function checkSignature(
  { header, content, signature }: Parsed<TokenKind>,
  keyring: Keyring,
  about: About,
): { readonly fingerprint: string } | Refusal {
  const forged = () => refuse("signature", "has a signature that is not its key's", about);
  if (header.algorithm === "HS256") {
    // Whatever id it names: there is one such key.
    const { legacy: secret } = keyring;
    if (!secret) return unknownKey(keyring, { ...about, keyId: UNNUMBERED });
    return hmacMatches({ secret, content, signature }) ? { fingerprint: LEGACY } : forged();
  }
  const entry = keyring.keys.get(header.keyId);
  if (!entry) return unknownKey(keyring, about);
  if ("broken" in entry) return brokenKey(entry.broken, about);
  const genuine = verify("sha256", content, entry.key, signature);
  return genuine ? { fingerprint: entry.fingerprint } : forged();
}

/** What can be said about a token, as far as it could be read. */
interface About {
  readonly kind: TokenKind;
  readonly keyId?: string;
  readonly issuer?: string;
  readonly expiresAtMs?: number | null;
}

function unknownKey(keyring: Keyring, about: About): Refusal {
  const at = keyring.whereabouts(about.keyId ?? "");
  return refuse("unknown_key", `is signed with a key that is not there: none is ${at}`, about);
}

function brokenKey(reason: string, about: About): Refusal {
  return refuse("unknown_key", `cannot be verified: ${reason}`, about);
}

function refuse(reason: RefusalReason, what: string, about: About): Refusal {
  const { kind, keyId, issuer, expiresAtMs } = about;
  const facts = [
    ...(keyId === undefined ? [] : [`key id ${show(keyId)}`]),
    ...(issuer ? [`issuer ${show(issuer)}`] : []),
    ...(expiresAtMs == null ? [] : [`expiry ${timeText(expiresAtMs)}`]),
  ];
  const known = facts.length > 0 ? ` (${facts.join(", ")})` : "";
  const message = `the ${kind} token ${what}${known}. ` +
    `Generate a new one: ursa ctl generate ${kind}-token`;
  return { ok: false, reason, message };
}

function timeText(ms: number): string {
  return new Date(ms).toISOString();
}

function jsonOf(part: string): JsonObject | null {
  const bytes = bytesOfPart(part);
  try {
    const value = bytes && JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}

function bytesOfPart(part: string): Uint8Array | null {
  if (!/^[A-Za-z0-9_-]*$/.test(part)) return null;
  try {
    return Uint8Array.fromBase64(part, { alphabet: "base64url" });
  } catch {
    return null;
  }
}
