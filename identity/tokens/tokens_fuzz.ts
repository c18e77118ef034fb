// Fuzzes tokens: nothing is accepted that our keys did not sign, byte by byte, by textbook RSA; what
// is accepted says what was signed, and is looked at again with the same result.

import assert from "node:assert/strict";
import { createHash, createHmac, type KeyObject, sign } from "node:crypto";
import forge from "node-forge";
import { readPrivateKey } from "../../core/rsa_key.ts";
import { signingKeyAt } from "../../core/token_secrets.ts";
import type { ClaimsOf, TokenKind } from "../../core/token.ts";
import { concat, Dice, type Fuzzer, shapeOf, utf8 } from "../../tools/fuzz/fuzzer.ts";
import { mutateJson } from "../../tools/fuzz/json_mutations.ts";
import { admitsDataplane, admitsZoneProxy } from "./admission.ts";
import { issueToken } from "./issue.ts";
import { type Keyring, keyringOf, type TokenSecret } from "./keyring.ts";
import { recheckToken, type VerifiedToken, verifyToken } from "./verify.ts";

const NOW = Date.parse("2026-01-01T00:00:00Z");
const HOUR = 3_600_000;
const KEY_BITS = 1_024;
const KINDS: readonly TokenKind[] = ["dataplane", "zone", "user"];

/** From a seed, so that an input means the same in every run; worth nothing anywhere else. */
function keyOf(seed: number): KeyObject {
  const dice = new Dice(seed);
  const prng = {
    getBytesSync: (count: number) =>
      String.fromCharCode(...Array.from({ length: count }, () => dice.below(256))),
  };
  const { privateKey } = forge.pki.rsa.generateKeyPair({
    bits: KEY_BITS,
    prng,
    algorithm: "PRIMEINC",
  });
  const found = readPrivateKey(utf8(forge.pki.privateKeyToPem(privateKey)));
  assert(found.ok);
  return found.key;
}

const OURS = new Map([["1", keyOf(1)], ["2", keyOf(2)]]);
const THEIRS = keyOf(3);
/** An HMAC key, as Kuma had them once. */
const LEGACY = utf8("a secret of thirty-two bytes ....");

function secretsOf(kind: TokenKind, keys: ReadonlyMap<string, KeyObject>, revoked: string) {
  const secret = (keyId: string, bytes: Uint8Array): TokenSecret => {
    const { type, mesh, name } = signingKeyAt(kind, "default", keyId);
    return { type, mesh, name, spec: { data: bytes.toBase64() } };
  };
  const revocations = kind === "dataplane"
    ? "dataplane-token-revocations-default"
    : `${kind}-token-revocations`;
  return [
    ...[...keys].map(([keyId, key]) =>
      secret(keyId, utf8(key.export({ type: "pkcs1", format: "pem" }).toString()))
    ),
    secret("0", LEGACY),
    secret("broken", utf8("no key at all")),
    {
      ...secret("", utf8("")),
      name: revocations,
      spec: { data: utf8(revoked).toBase64() },
    },
  ];
}

function ringOf(kind: TokenKind, keys = OURS, revoked = "revoked-1, revoked-2"): Keyring {
  const mesh = kind === "dataplane" ? "default" : "";
  return keyringOf({ kind, mesh, secrets: secretsOf(kind, keys, revoked) });
}

const RINGS: Readonly<Record<TokenKind, Keyring>> = {
  dataplane: ringOf("dataplane"),
  zone: ringOf("zone"),
  user: ringOf("user"),
};
/** What may change while a token is in use. */
const LATER: readonly ((kind: TokenKind) => Keyring)[] = [
  remembered((kind) => ringOf(kind, new Map([["1", THEIRS]]))),
  remembered((kind) => ringOf(kind, new Map())),
  remembered((kind) => ringOf(kind, OURS, "id-1,id-2,revoked-1,revoked-2")),
];

function remembered(make: (kind: TokenKind) => Keyring): (kind: TokenKind) => Keyring {
  const made = new Map(KINDS.map((kind) => [kind, make(kind)]));
  return (kind) => made.get(kind)!;
}

// --- Properties ---------------------------------------------------------------------------------

/** The first byte names the kind; the rest is the token. */
function check(input: Uint8Array): string {
  const kind = KINDS[(input[0] ?? 0) % KINDS.length]!;
  const jwt = new TextDecoder().decode(input.subarray(1));
  const verdict = verifyToken(kind, jwt, RINGS[kind], NOW);
  if (!verdict.ok) {
    const { reason, message } = verdict;
    assert(message.length < 500, `a message of ${message.length}`);
    assert(message.includes(`ursa ctl generate ${kind}-token`), message);
    return `${kind} ${reason}: ${shapeOf(message).slice(0, 60)}`;
  }
  const { token } = verdict;
  const payload = checkGenuine(jwt, token);
  checkClaims(token, payload);
  checkAgain(kind, jwt, token);
  return `${kind} accepted, ${checkAdmission(token)}`;
}

/** Signed by us, as it stands: RFC 7515, with the arithmetic of RFC 8017 §8.2.2 done here. */
function checkGenuine(jwt: string, token: VerifiedToken): Record<string, unknown> {
  const parts = jwt.split(".");
  assert.equal(parts.length, 3);
  const [head, body, tail] = parts as [string, string, string];
  const header = JSON.parse(textOfPart(head));
  const signature = bytesOfPart(tail);
  const content = utf8(`${head}.${body}`);
  assert.equal(header.kid, token.keyId);
  assert.equal(header.crit, undefined);
  if (header.alg === "HS256") {
    const digest = createHmac("sha256", LEGACY).update(content).digest("hex");
    assert.equal(signature.toHex(), digest, "HMAC");
  } else {
    assert.equal(header.alg, "RS256");
    const key = OURS.get(header.kid);
    assert(key, `accepted with key ${header.kid}`);
    assert.equal(opened(signature, key), padded(content), "RSA");
  }
  return JSON.parse(textOfPart(body));
}

/** The signature to the power of e, in hex. */
function opened(signature: Uint8Array, key: KeyObject): string {
  const { n = "", e = "" } = key.export({ format: "jwk" });
  const modulus = BigInt(`0x${bytesOfPart(n).toHex()}`);
  assert.equal(bytesOfPart(e).toHex(), "010001");
  const base = BigInt(`0x${signature.toHex() || "0"}`);
  let power = base;
  for (let squarings = 0; squarings < 16; squarings++) power = power * power % modulus;
  return (power * base % modulus).toString(16).padStart(KEY_BITS / 4, "0");
}

/** EMSA-PKCS1-v1_5 with SHA-256. */
function padded(content: Uint8Array): string {
  const digest = createHash("sha256").update(content).digest("hex");
  const info = `3031300d060960864801650304020105000420${digest}`;
  return `0001${"ff".repeat(KEY_BITS / 8 - 3 - info.length / 2)}00${info}`;
}

/** Every claim that is there binds, however its name is written. */
function checkClaims(token: VerifiedToken, payload: Record<string, unknown>): void {
  const claim = (name: string, none: unknown) => {
    const found = Object.keys(payload).filter((key) => key.toLowerCase() === name.toLowerCase());
    assert(found.length <= 1, `${name} is there twice`);
    return found.length === 0 ? none : payload[found[0]!] ?? none;
  };
  const wanted: { readonly [Kind in TokenKind]: () => ClaimsOf[Kind] } = {
    dataplane: () => ({
      name: claim("Name", "") as string,
      mesh: claim("Mesh", "") as string,
      tags: listsOf(claim("Tags", {})),
      type: claim("Type", "") as string,
      workload: claim("Workload", "") as string,
    }),
    zone: () => ({ zone: claim("Zone", "") as string, scope: claim("Scope", []) as string[] }),
    user: () => ({ name: claim("Name", "") as string, groups: claim("Groups", []) as string[] }),
  };
  assert.deepEqual(token.claims, wanted[token.kind]());
  assert.equal(token.id, claim("jti", ""));
  assert(!["revoked-1", "revoked-2"].includes(token.id), "it is revoked");
  const [expires, from] = [claim("exp", null), claim("nbf", null)] as (number | null)[];
  assert(expires === null || expires! * 1_000 > NOW, "it has expired");
  assert(from === null || from! * 1_000 <= NOW, "it is not valid yet");
}

function listsOf(tags: unknown): Record<string, string[]> {
  return Object.fromEntries(
    Object.entries(tags as object).map(([tag, list]) => [tag, list ?? []]),
  );
}

/** Looking again gives what looking for the first time would. */
function checkAgain(kind: TokenKind, jwt: string, token: VerifiedToken): void {
  assert.equal(recheckToken(token, RINGS[kind], NOW), null);
  for (const later of LATER) {
    const fresh = verifyToken(kind, jwt, later(kind), NOW);
    assert.equal(recheckToken(token, later(kind), NOW) === null, fresh.ok, "with other keys");
  }
  const late = NOW + 2 * HOUR;
  const fresh = verifyToken(kind, jwt, RINGS[kind], late);
  assert.equal(recheckToken(token, RINGS[kind], late) === null, fresh.ok, "two hours later");
}

const WEB = {
  mesh: "default",
  name: "web-1",
  labels: {},
  spec: {
    networking: {
      address: "10.0.0.1",
      inbound: [{ port: 80, tags: { "kuma.io/service": "web", version: "v1" } }],
    },
  },
};

function checkAdmission(token: VerifiedToken): string {
  if (token.kind === "user") return "a user";
  if (token.kind === "zone") {
    const claims = token.claims as ClaimsOf["zone"];
    const { ok } = admitsZoneProxy(claims, { zone: "east", scope: "ingress" });
    const fits = claims.scope.includes("ingress") && ["", "east"].includes(claims.zone);
    assert.equal(ok, fits, "an ingress of zone east");
    return ok ? "admitted" : "for another";
  }
  const claims = token.claims as ClaimsOf["dataplane"];
  const { ok } = admitsDataplane(claims, WEB);
  const tags: Record<string, string> = WEB.spec.networking.inbound[0]!.tags;
  const fits = ["", "default"].includes(claims.mesh) && ["", "web-1"].includes(claims.name) &&
    ["", "dataplane"].includes(claims.type) && claims.workload === "" &&
    Object.entries(claims.tags).every(([tag, values]) =>
      Object.hasOwn(tags, tag) && values.includes(tags[tag]!)
    );
  assert.equal(ok, fits, "dataplane web-1");
  return ok ? "admitted" : "for another";
}

function bytesOfPart(part: string): Uint8Array {
  return Uint8Array.fromBase64(part, { alphabet: "base64url" });
}

function textOfPart(part: string): string {
  return new TextDecoder("utf-8", { fatal: true }).decode(bytesOfPart(part));
}

// --- Valid tokens, and mutations that know JWTs -------------------------------------------------

const CLAIMS: ClaimsOf = {
  dataplane: {
    name: "web-1",
    mesh: "default",
    tags: { "kuma.io/service": ["web", "api"], version: ["v1"] },
    type: "dataplane",
    workload: "",
  },
  zone: { zone: "east", scope: ["ingress", "cp"] },
  user: { name: "jane", groups: ["team-a"] },
};

const EXAMPLES = KINDS.flatMap((kind, index) =>
  [["id-1", "1"], ["revoked-1", "1"], ["id-2", "2"]].map(([id = "", keyId = ""]) => {
    const order = { kind, claims: CLAIMS[kind], validForMs: HOUR } as Parameters<
      typeof issueToken
    >[0];
    const key = OURS.get(keyId)!;
    return concat(
      Uint8Array.of(index),
      utf8(issueToken({ ...order, nowMs: NOW, id }, { keyId, key })),
    );
  })
);

interface Jwt {
  readonly kind: Uint8Array;
  readonly header: unknown;
  readonly payload: unknown;
  readonly signature: string;
}

function parse(input: Uint8Array): Jwt | null {
  try {
    const [head = "", body = "", signature = ""] = new TextDecoder().decode(input.subarray(1))
      .split(".");
    const [header, payload] = [JSON.parse(textOfPart(head)), JSON.parse(textOfPart(body))];
    return { kind: input.slice(0, 1), header, payload, signature };
  } catch {
    return null;
  }
}

function part(value: unknown): string {
  return utf8(JSON.stringify(value) ?? "").toBase64({ alphabet: "base64url", omitPadding: true });
}

function write({ kind, header, payload, signature }: Jwt): Uint8Array {
  return concat(kind, utf8(`${part(header)}.${part(payload)}.${signature}`));
}

/** Signed anew: by us, by somebody else, or with a secret that everybody knows. */
function signed({ kind, header, payload }: Jwt, dice: Dice): Uint8Array {
  const content = utf8(`${part(header)}.${part(payload)}`);
  const secret = dice.pick([LEGACY, utf8(""), PUBLIC_PEM]);
  const signature = dice.oneIn(3)
    ? createHmac("sha256", secret).update(content).digest()
    : sign("sha256", content, dice.oneIn(6) ? THEIRS : OURS.get(dice.oneIn(3) ? "2" : "1")!);
  const tail = new Uint8Array(signature).toBase64({ alphabet: "base64url", omitPadding: true });
  return concat(kind, content, utf8(`.${tail}`));
}

const PUBLIC_PEM = utf8(
  OURS.get("1")!.export({ type: "pkcs1", format: "pem" }).toString().replaceAll(
    "PRIVATE",
    "PUBLIC",
  ),
);
const VALUES = [
  ...["RS256", "HS256", "none", "RS512", "ES256", "1", "2", "0", "broken", "revoked-2", "id-9"],
  ...["default", "web-1", "web", "dataplane", "ingress", "cp", "east", ["ingress"], ["web"]],
  ...[NOW / 1_000, NOW / 1_000 - 1, NOW / 1_000 + 1, 1e300, -1e300, { "__proto__": [] }],
  ...[{ "kuma.io/service": ["web"] }, { "kuma.io/service": null }, { "": [""] }],
];
const CLAIM_NAMES = ["Name", "Mesh", "Tags", "Type", "Workload", "Zone", "Scope", "Groups", "exp"];

function changeHeader(input: Uint8Array, dice: Dice): Uint8Array {
  const jwt = parse(input);
  return jwt ? write({ ...jwt, header: mutateJson(jwt.header, dice, VALUES) }) : input;
}

function changePayload(input: Uint8Array, dice: Dice): Uint8Array {
  const jwt = parse(input);
  return jwt ? write({ ...jwt, payload: mutateJson(jwt.payload, dice, VALUES) }) : input;
}

function signAgain(input: Uint8Array, dice: Dice): Uint8Array {
  const jwt = parse(input);
  if (!jwt) return input;
  const payload = dice.oneIn(3) ? jwt.payload : mutateJson(jwt.payload, dice, VALUES);
  const header = dice.oneIn(3) ? mutateJson(jwt.header, dice, VALUES) : jwt.header;
  return signed({ ...jwt, header, payload }, dice);
}

/** A claim in another case, or of another kind of token. */
function addClaim(input: Uint8Array, dice: Dice): Uint8Array {
  const jwt = parse(input);
  if (!jwt || typeof jwt.payload !== "object") return input;
  const name = dice.pick(CLAIM_NAMES);
  const key = dice.pick([name, name.toLowerCase(), name.toUpperCase()]);
  return signed({ ...jwt, payload: { ...jwt.payload, [key]: dice.pick(VALUES) } }, dice);
}

/** The last bits of base64 that stand for nothing, padding, and the other alphabet. */
function changeSignature(input: Uint8Array, dice: Dice): Uint8Array {
  const jwt = parse(input);
  if (!jwt) return input;
  const { signature } = jwt;
  const bytes = dice.pick(["A", "B", "=", "+", "-", "_", " ", "\n"]);
  const changed = dice.pick([
    signature.slice(0, -1) + bytes,
    signature + bytes,
    `AA${signature}`,
    signature.replaceAll("-", "+").replaceAll("_", "/"),
    "",
  ]);
  return write({ ...jwt, signature: changed });
}

function changeKind(input: Uint8Array, dice: Dice): Uint8Array {
  return concat(Uint8Array.of(dice.below(3)), input.subarray(1));
}

export const fuzzer: Fuzzer = {
  about: "tokens of proxies, zones and users",
  corpus: EXAMPLES,
  words: [".", "..", "e30", "eyJ", "=", part({ alg: "none", kid: "1" })].map(utf8),
  mutations: [
    changeHeader,
    changePayload,
    signAgain,
    signAgain,
    addClaim,
    changeSignature,
    changeKind,
  ],
  bytesMax: 4_096,
  check,
};
