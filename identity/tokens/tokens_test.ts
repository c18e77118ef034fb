import assert from "node:assert/strict";
import {
  createHmac,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  sign,
} from "node:crypto";
import fc from "fast-check";
import type { Json } from "../../core/resource.ts";
import type { ClaimsOf, DataplaneClaims } from "../../core/token.ts";
import { newSigningKey } from "../io/signing_key.ts";
import { admitsDataplane, admitsZoneProxy } from "./admission.ts";
import { issueToken, newestSigningKey } from "./issue.ts";
import { keyringOf, type KeyringOptions, type TokenSecret } from "./keyring.ts";
import kumactl from "./kumactl_tokens.golden.json" with { type: "json" };
import { publicKeyPem, readPrivateKey } from "../../core/rsa_key.ts";
import { recheckToken, verifyToken } from "./verify.ts";

const NOW = Date.parse("2026-01-01T00:00:00Z");
const HOUR = 3_600_000;
const PEM = await newSigningKey();
const OTHER_PEM = await newSigningKey();

function secret(name: string, content: string | Uint8Array, mesh = "default"): TokenSecret {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  return {
    type: mesh === "" ? "GlobalSecret" : "Secret",
    mesh,
    name,
    spec: { data: bytes.toBase64() },
  };
}

const KEY_1 = secret("dataplane-token-signing-key-default-1", PEM);
const WEB: DataplaneClaims = {
  name: "web-1",
  mesh: "default",
  tags: { "kuma.io/service": ["web"] },
  type: "dataplane",
  workload: "",
};

function ringOf(options: Partial<KeyringOptions> = {}) {
  return keyringOf({ kind: "dataplane", mesh: "default", secrets: [KEY_1], ...options });
}

function privateKey(pem: string) {
  const found = readPrivateKey(new TextEncoder().encode(pem));
  assert.ok(found.ok);
  return found.key;
}

function issued(
  { pem = PEM, keyId = "1", id = "id-1", validForMs = HOUR, claims = WEB } = {},
): string {
  return issueToken({ kind: "dataplane", claims, validForMs, nowMs: NOW, id }, {
    keyId,
    key: privateKey(pem),
  });
}

function part(value: Json): string {
  return new TextEncoder().encode(JSON.stringify(value))
    .toBase64({ alphabet: "base64url", omitPadding: true });
}

function signed(header: Json, payload: Json, pem = PEM): string {
  const content = `${part(header)}.${part(payload)}`;
  const signature = sign("sha256", new TextEncoder().encode(content), createPrivateKey(pem));
  return `${content}.${signature.toString("base64url")}`;
}

function refusal(jwt: string, ring = ringOf(), nowMs = NOW): string {
  const verdict = verifyToken("dataplane", jwt, ring, nowMs);
  return verdict.ok ? "accepted" : `${verdict.reason}: ${verdict.message}`;
}

const RS256 = { alg: "RS256", kid: "1" };

Deno.test("verifyToken() gives back what issueToken() was given", () => {
  const verdict = verifyToken("dataplane", issued(), ringOf(), NOW);
  assert.ok(verdict.ok);
  const { claims, id, keyId, expiresAtMs } = verdict.token;
  assert.deepEqual(claims, WEB);
  assert.deepEqual({ id, keyId, expiresAtMs }, {
    id: "id-1",
    keyId: "1",
    expiresAtMs: NOW + HOUR,
  });
});

Deno.test("verifyToken() accepts the tokens of kumactl 2.13.10", () => {
  const publicKeys = [{ keyId: "7", pem: kumactl.publicKey }];
  const wanted: ClaimsOf = {
    dataplane: {
      name: "web-1",
      mesh: "default",
      tags: { "kuma.io/service": ["web", "web-api"], version: ["v1"] },
      type: "dataplane",
      workload: "w",
    },
    zone: { zone: "east", scope: ["ingress"] },
    user: { name: "jane", groups: ["team-a", "team-b"] },
  };
  for (const kind of ["dataplane", "zone", "user"] as const) {
    const mesh = kind === "dataplane" ? "default" : "";
    const ring = keyringOf({ kind, mesh, secrets: [], publicKeys });
    const verdict = verifyToken(kind, kumactl[kind], ring, Date.parse("2027-01-01T00:00:00Z"));
    assert.ok(verdict.ok, kind);
    assert.deepEqual(verdict.token.claims, wanted[kind]);
    assert.match(verdict.token.id, /^[0-9a-f-]{36}$/);
  }
});

Deno.test("verifyToken() refuses what is wrong, and says what to do", () => {
  const hs256 = (key: string | Uint8Array) => {
    const content = `${part({ alg: "HS256", kid: "1" })}.${part({})}`;
    return `${content}.${createHmac("sha256", key).update(content).digest("base64url")}`;
  };
  const publicPem = publicKeyPem(createPrivateKey(PEM));
  const cases: readonly (readonly [string, string, RegExp])[] = [
    ["empty", "", /^malformed.*empty/],
    ["no JWT", "secret", /^malformed.*3 parts/],
    ["header no JSON", "e30x.e30.e30", /^malformed.*header/],
    ["claims a list", signed(RS256, []), /^malformed.*claims/],
    ["signature no base64url", `${part(RS256)}.e30.+`, /^malformed.*signature/],
    ["too long", "a".repeat(70_000), /^malformed.*longer/],
    ["no key id", signed({ alg: "RS256" }, {}), /^malformed.*has no key id/],
    ["key id a number", signed({ alg: "RS256", kid: 1 }, {}), /^malformed.*no string/],
    ["no algorithm", signed({ kid: "1" }, {}), /^algorithm/],
    ["none", `${part({ alg: "none", kid: "1" })}.${part({})}.`, /^algorithm.*"none"/],
    ["other algorithm", signed({ alg: "RS512", kid: "1" }, {}), /^algorithm.*"RS512"/],
    ["in lower case", signed({ alg: "rs256", kid: "1" }, {}), /^algorithm/],
    ["critical extension", signed({ ...RS256, crit: ["b64"] }, {}), /^malformed.*crit/],
    ["other key", issued({ pem: OTHER_PEM }), /^signature.*key id "1", expiry 2026-01-01T01/],
    ["cut signature", issued().slice(0, -6), /^signature/],
    ["no signature", issued().replace(/[^.]*$/, ""), /^signature/],
    ["key gone", issued({ keyId: "2" }), /^unknown_key.*in Secret "data.*-default-2" of mesh/],
    ["HMAC without a key of old", hs256("x"), /^unknown_key.*Secret "data.*-default" of mesh/],
    ["HMAC with the public key", hs256(publicPem), /^unknown_key/],
    ["tags no lists", signed(RS256, { Tags: { a: "b" } }), /^malformed.*Tags\["a"\]/],
    ["name a number", signed(RS256, { Name: 1 }), /^malformed.*Name must be a string/],
    ["mesh twice", signed(RS256, { Mesh: "a", mesh: "b" }), /^malformed.*more than once/],
    ["expiry a text", signed(RS256, { exp: "never" }), /^malformed.*exp/],
    ["early", signed(RS256, { nbf: NOW / 1000 + 1 }), /^not_yet_valid.*clocks/],
    ["issuer named", signed(RS256, { exp: 1, iss: "hr" }), /^expired.*issuer "hr", expiry 1970/],
  ];
  for (const [name, jwt, wanted] of cases) assert.match(refusal(jwt), wanted, name);
  assert.match(refusal(issued({ keyId: "2" })), /new one: ursa ctl generate dataplane-token$/);
});

Deno.test("verifyToken() ends a token at its expiry, not later", () => {
  assert.equal(refusal(issued(), ringOf(), NOW + HOUR - 1), "accepted");
  assert.match(
    refusal(issued(), ringOf(), NOW + HOUR),
    /^expired.*expiry 2026-01-01T01:00:00.000Z/,
  );
  assert.equal(refusal(signed(RS256, { exp: 1e300 })), "accepted");
  assert.equal(refusal(signed(RS256, {})), "accepted");
});

Deno.test("verifyToken() reads claims in any case, as Go does", () => {
  const verdict = verifyToken("dataplane", signed(RS256, { mesh: "m", NAME: "n" }), ringOf(), NOW);
  assert.ok(verdict.ok);
  assert.deepEqual([verdict.token.claims.mesh, verdict.token.claims.name], ["m", "n"]);
});

Deno.test("verifyToken() refuses a revoked token, wherever the list is", () => {
  const lists = [
    secret("dataplane-token-revocations-default", "id-0,id-1\n"),
    secret("dataplane-token-revocations-default", "id-1", ""),
    secret("dataplane-token-revocations-default", " id-0 ,\n id-1,"),
  ];
  for (const list of lists) {
    assert.match(refusal(issued(), ringOf({ secrets: [KEY_1, list] })), /^revoked.*"id-1"/);
  }
  const others = [
    secret("dataplane-token-revocations-default", "id-10,,id"),
    secret("dataplane-token-revocations-default", "id-1", "other"),
    secret("zone-token-revocations", "id-1", ""),
  ];
  assert.equal(refusal(issued(), ringOf({ secrets: [KEY_1, ...others] })), "accepted");
  const emptyId = issued({ id: "" });
  assert.equal(refusal(emptyId, ringOf({ secrets: [KEY_1, ...others] })), "accepted");
});

Deno.test("keyringOf() takes every key of the mesh, and no other's", () => {
  const second = secret("dataplane-token-signing-key-default-2", OTHER_PEM);
  const both = ringOf({ secrets: [KEY_1, second] });
  assert.equal(refusal(issued(), both), "accepted");
  assert.equal(refusal(issued({ pem: OTHER_PEM, keyId: "2" }), both), "accepted");
  assert.match(refusal(issued(), ringOf({ secrets: [second] })), /^unknown_key/);
  const elsewhere = { ...KEY_1, mesh: "other" };
  assert.match(refusal(issued(), ringOf({ secrets: [elsewhere] })), /^unknown_key/);
});

Deno.test("keyringOf() reads keys as Kuma's versions wrote them", () => {
  const key = createPrivateKey(PEM);
  const der = new Uint8Array(key.export({ type: "pkcs1", format: "der" }));
  const bare = secret(KEY_1.name, der);
  assert.equal(refusal(issued(), ringOf({ secrets: [bare] })), "accepted");
  const unnumbered = secret("dataplane-token-signing-key-default", der);
  const old = ringOf({ secrets: [unnumbered] });
  assert.equal(refusal(issued({ keyId: "0" }), old), "accepted");
  const content = `${part({ alg: "HS256", kid: "any" })}.${part({ Name: "web" })}`;
  const hmac = createHmac("sha256", der).update(content).digest("base64url");
  assert.equal(refusal(`${content}.${hmac}`, old), "accepted");
  assert.match(refusal(`${content}.${hmac.replace(/^./, "-")}`, old), /^signature/);
});

Deno.test("keyringOf() gives a federated zone the public halves of zone token keys alone", () => {
  const key = createPrivateKey(PEM);
  const request = { validForMs: HOUR, nowMs: NOW, id: "z", claims: { zone: "", scope: [] } };
  const jwt = issueToken({ kind: "zone", ...request }, { keyId: "1", key });
  const outcome = (name: string, content: string, federated = true) => {
    const secrets = [secret(name, content, "")];
    const ring = keyringOf({ kind: "zone", mesh: "", secrets, federated });
    const verdict = verifyToken("zone", jwt, ring, NOW);
    return verdict.ok ? "accepted" : verdict.message;
  };
  const pkix = createPublicKey(PEM).export({ type: "spki", format: "pem" }).toString();
  assert.equal(outcome("zone-token-signing-public-key-1", pkix), "accepted");
  assert.equal(outcome("zone-token-signing-public-key-1", publicKeyPem(key)), "accepted");
  assert.equal(outcome("zone-token-signing-key-1", PEM, false), "accepted");
  assert.match(outcome("zone-token-signing-key-1", PEM), /public-key-1/);
  assert.match(outcome("zone-token-signing-public-key-1", PEM), /holds a RSA PRIVATE KEY/);
});

Deno.test("keyringOf() tells of broken keys when a token needs them", () => {
  const ec = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey
    .export({ type: "pkcs8", format: "pem" }).toString();
  for (const content of ["", "no key", ec, PEM.replace(/\n[^\n]{9}/, "\n")]) {
    const ring = ringOf({ secrets: [secret(KEY_1.name, content)] });
    assert.match(refusal(issued(), ring), /^unknown_key.*Secret "data.*-default-1" holds/);
  }
  const noBase64 = { ...KEY_1, spec: { data: "%" } };
  assert.match(refusal(issued(), ringOf({ secrets: [noBase64] })), /^unknown_key/);
});

Deno.test("keyringOf() lets the settings' public keys stand alone", () => {
  const pem = publicKeyPem(createPrivateKey(OTHER_PEM));
  const offline = issued({ pem: OTHER_PEM, keyId: "hr" });
  for (const mesh of [undefined, "default"]) {
    const publicKeys = [{ keyId: "hr", pem, ...(mesh !== undefined && { mesh }) }];
    const alone = ringOf({ publicKeys, useSecrets: false });
    assert.equal(refusal(offline, alone), "accepted");
    assert.match(refusal(issued(), alone), /^unknown_key.*among the public keys of the settings/);
    assert.equal(refusal(issued(), ringOf({ publicKeys })), "accepted");
  }
  const publicKeys = [{ keyId: "hr", pem, mesh: "other" }];
  assert.match(refusal(offline, ringOf({ publicKeys })), /^unknown_key/);
  const list = secret("dataplane-token-revocations-default", "id-1");
  const revoking = ringOf({
    publicKeys: [{ keyId: "hr", pem }],
    useSecrets: false,
    secrets: [list],
  });
  assert.match(refusal(offline, revoking), /^revoked/);
});

Deno.test("recheckToken() sees what has changed since", () => {
  const verdict = verifyToken("dataplane", issued(), ringOf(), NOW);
  assert.ok(verdict.ok);
  const again = (secrets: readonly TokenSecret[], nowMs = NOW) =>
    recheckToken(verdict.token, ringOf({ secrets }), nowMs)?.reason ?? "good";
  assert.equal(again([KEY_1]), "good");
  assert.equal(again([KEY_1], NOW + HOUR), "expired");
  assert.equal(again([]), "unknown_key");
  assert.equal(again([secret(KEY_1.name, OTHER_PEM)]), "signature");
  assert.equal(again([secret(KEY_1.name, "")]), "unknown_key");
  const list = secret("dataplane-token-revocations-default", "id-1");
  assert.equal(again([KEY_1, list]), "revoked");
});

Deno.test("newestSigningKey() is the one with the highest number", () => {
  const newest = (...names: readonly string[]) => {
    const found = newestSigningKey("user", "", names.map((name) => secret(name, PEM, "")));
    return found.ok ? found.signingKey.keyId : found.message;
  };
  const prefix = "user-token-signing-key";
  assert.equal(newest(`${prefix}-9`, `${prefix}-10`, `${prefix}-2`, prefix), "10");
  assert.equal(newest(`${prefix}-1`, `${prefix}-0002`, `${prefix}-x`), "0002");
  assert.equal(newest(prefix), "0");
  assert.match(newest("zone-token-signing-key-1"), /no signing key for user.*"user-token.*-1"/);
  const broken = newestSigningKey("user", "", [secret(`${prefix}-1`, "?", "")]);
  assert.ok(!broken.ok && !broken.missing && broken.message.includes("holds no readable"));
});

const DATAPLANE = {
  mesh: "default",
  name: "web-1",
  labels: { "kuma.io/workload": "shop" },
  spec: {
    networking: {
      address: "10.0.0.1",
      inbound: [
        { port: 1, tags: { "kuma.io/service": "web", version: "v1" } },
        { port: 2, tags: { "kuma.io/service": "api" } },
      ],
    },
  },
};

Deno.test("admitsDataplane() holds a dataplane to every claim there is", () => {
  const none: DataplaneClaims = { name: "", mesh: "", tags: {}, type: "", workload: "" };
  const cases: readonly (readonly [Partial<DataplaneClaims>, RegExp | null])[] = [
    [{}, null],
    [{ name: "web-1", mesh: "default", type: "dataplane", workload: "shop" }, null],
    [{ name: "web-2" }, /for dataplane "web-2", this is "web-1"/],
    [{ mesh: "other" }, /mesh "other"/],
    [{ type: "ingress" }, /type "ingress"/],
    [{ workload: "bank" }, /workload "bank".*"shop"/],
    [{ tags: { "kuma.io/service": ["web", "api", "more"] } }, null],
    [{ tags: { version: ["v1"] } }, null],
    [{ tags: { "kuma.io/service": ["web"] } }, /only the values "web", the dataplane has "api"/],
    [{ tags: { region: ["eu"] } }, /requires tag "region"/],
    [{ tags: { version: [] } }, /the dataplane has "v1"/],
  ];
  for (const [claims, wanted] of cases) {
    const admission = admitsDataplane({ ...none, ...claims }, DATAPLANE);
    if (wanted === null) assert.deepEqual(admission, { ok: true });
    else assert.match(admission.ok ? "" : admission.message, wanted);
  }
  const gateway = {
    ...DATAPLANE,
    labels: {},
    spec: { networking: { address: "1.1.1.1", gateway: { tags: { "kuma.io/service": "edge" } } } },
  };
  const edge = { ...none, tags: { "kuma.io/service": ["edge"] } };
  assert.ok(admitsDataplane(edge, gateway).ok);
  const unlabelled = admitsDataplane({ ...none, workload: "shop" }, gateway);
  assert.match(unlabelled.ok ? "" : unlabelled.message, /has no label kuma.io\/workload/);
});

Deno.test("admitsZoneProxy() wants the scope, and the zone if there is one", () => {
  const east = { zone: "east", scope: "ingress" } as const;
  assert.ok(admitsZoneProxy({ zone: "", scope: ["egress", "ingress"] }, east).ok);
  assert.ok(admitsZoneProxy({ zone: "east", scope: ["ingress"] }, east).ok);
  assert.ok(!admitsZoneProxy({ zone: "west", scope: ["ingress"] }, east).ok);
  assert.ok(!admitsZoneProxy({ zone: "east", scope: ["egress"] }, east).ok);
  assert.ok(!admitsZoneProxy({ zone: "east", scope: [] }, east).ok);
});

Deno.test("verifyToken() never throws, and takes nothing that was changed", () => {
  const ring = ringOf();
  const good = issued();
  const header = fc.record({
    alg: fc.oneof(fc.constantFrom("RS256", "HS256", "none"), fc.jsonValue()),
    kid: fc.oneof(fc.constantFrom("1", "0", "__proto__"), fc.jsonValue()),
  }, { requiredKeys: [] });
  const made = fc.tuple(header, fc.jsonValue(), fc.base64String())
    .map(([head, body, tail]) => `${part(head as Json)}.${part(body as Json)}.${tail}`);
  // The last character has bits that say nothing.
  const changed = fc.tuple(fc.nat(good.length - 2), fc.constantFrom("A", "_", ".", "é", ""))
    .map(([at, char]) => good.slice(0, at) + char + good.slice(at + 1));
  fc.assert(
    fc.property(fc.oneof(fc.string(), made, changed), (jwt) => {
      const verdict = verifyToken("dataplane", jwt, ring, NOW);
      if (jwt === good) return verdict.ok;
      return !verdict.ok && verdict.message.length < 600;
    }),
    { numRuns: 2_000 },
  );
});
