import assert from "node:assert/strict";
import fc from "fast-check";
import type { CaBackend, MeshSpec, SecretSpec } from "../core/mesh.ts";
import type { Draft, Resource } from "../core/resource.ts";
import { foreignMessage } from "../proto/foreign_message_test.ts";
import {
  caLifetimeMs,
  caSecrets,
  caStates,
  identityUris,
  leafLifetimeMs,
  parseLifetime,
  renewalAtMs,
  signerOf,
  trustedRoots,
} from "./ca.ts";

const CERT = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
const KEY = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";

function stored<Spec>(draft: Draft): Resource<Spec> {
  const time = "2026-01-01T00:00:00Z";
  return { ...draft, version: 1, creationTime: time, modificationTime: time } as Resource<Spec>;
}

function mesh(spec: MeshSpec): Resource<MeshSpec> {
  return stored({ type: "Mesh", mesh: "", name: "default", labels: {}, spec: spec as never });
}

const backend = (name: string) => ({ name, type: "builtin" });

const twoBackends = (enabledBackend: string) =>
  mesh({ mtls: { enabledBackend, backends: [backend("ca-1"), backend("ca-2")] } });

function secretsOf(...backends: readonly string[]): Map<string, Resource<SecretSpec>> {
  const cert = (name: string) => CERT.replace("AAAA", name);
  return new Map(
    backends.flatMap((name) => caSecrets("default", name, { cert: cert(name), key: KEY }))
      .map((draft) => [draft.name, stored<SecretSpec>(draft)]),
  );
}

Deno.test("parseLifetime() knows every unit and refuses the rest", () => {
  const cases: readonly (readonly [string, number | null])[] = [
    ["1y", 31_536_000_000],
    ["2w", 1_209_600_000],
    ["30d", 2_592_000_000],
    ["24h", 86_400_000],
    ["5m", 300_000],
    ["10s", 10_000],
    ["1500ms", 1_500],
    ["0s", null],
    ["", null],
    ["10", null],
    ["1.5h", null],
    ["-1h", null],
    ["1h30m", null],
    ["99999999999999999y", null],
  ];
  for (const [text, expected] of cases) assert.equal(parseLifetime(text), expected, text);
});

Deno.test("lifetimes are the backend's, or a day and ten years", () => {
  assert.equal(leafLifetimeMs(backend("a")), 86_400_000);
  assert.equal(caLifetimeMs(backend("a")), 315_360_000_000);
  const own = {
    ...backend("a"),
    dpCert: { rotation: { expiration: "1h" } },
    conf: { caCert: { expiration: "2y" } },
  };
  assert.equal(leafLifetimeMs(own), 3_600_000);
  assert.equal(caLifetimeMs(own), 63_072_000_000);
});

Deno.test("renewalAtMs() is always inside the last fifth", () => {
  fc.assert(fc.property(
    fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
    fc.integer({ min: 1_000, max: 31_536_000_000 }),
    (random, lifetimeMs) => {
      const at = renewalAtMs({ issuedAtMs: 1_000, expiresAtMs: 1_000 + lifetimeMs }, random) -
        1_000;
      assert.ok(at >= Math.floor(lifetimeMs * 0.8) && at < lifetimeMs);
    },
  ));
});

Deno.test("identityUris() names services first, then each tag and value once, in byte order", () => {
  const uris = identityUris("default", [
    { "kuma.io/service": "web", version: "v2", "kuma.io/zone": "east" },
    { "kuma.io/service": "admin", version: "v1", "kuma.io/zone": "east" },
  ]);
  assert.deepEqual(uris, [
    "spiffe://default/admin",
    "spiffe://default/web",
    "kuma://kuma.io/service/admin",
    "kuma://kuma.io/service/web",
    "kuma://kuma.io/zone/east",
    "kuma://version/v1",
    "kuma://version/v2",
  ]);
});

Deno.test("caStates() tells absent from broken, so that no half of a CA is ever replaced", () => {
  const states = (secrets: Map<string, Resource<SecretSpec>>) =>
    caStates(twoBackends("ca-1"), secrets).map(({ state }) => state);
  assert.deepEqual(states(new Map()), ["absent", "absent"]);
  assert.deepEqual(states(secretsOf("ca-1")), ["ready", "absent"]);
  for (const half of ["cert", "key"]) {
    const secrets = secretsOf("ca-1");
    secrets.delete(`default.ca-builtin-${half}-ca-1`);
    assert.deepEqual(states(secrets), ["broken", "absent"]);
  }
  for (const data of ["no base64!", btoa("no PEM"), ""]) {
    const secrets = secretsOf("ca-1");
    const name = "default.ca-builtin-cert-ca-1";
    const spec = { data };
    secrets.set(name, stored({ type: "Secret", mesh: "default", name, labels: {}, spec }));
    assert.deepEqual(states(secrets), ["broken", "absent"]);
  }
});

Deno.test("caStates() takes a provided CA from secrets or from the spec, and never makes one", () => {
  const provided = (conf: NonNullable<CaBackend["conf"]>) =>
    mesh({ mtls: { backends: [{ name: "corp", type: "provided", conf }] } });
  const secrets = secretsOf("ca-1");
  const [cert, key] = [...secrets.keys()].map((secret) => ({ secret }));
  const [fromSecrets] = caStates(provided({ cert: cert!, key: key! }), secrets);
  assert.equal(fromSecrets?.state, "ready");
  const inline = provided({ cert: { inlineString: CERT }, key: { inline: btoa(KEY) } });
  const [fromSpec] = caStates(inline, new Map());
  assert.deepEqual(fromSpec?.state === "ready" && fromSpec.pair, { cert: CERT, key: KEY });
  const [waiting] = caStates(provided({ cert: { secret: "corp-cert" }, key: key! }), new Map());
  assert.match(waiting?.state === "broken" ? waiting.reason : "", /"corp-cert".* is missing/);
});

Deno.test("trustedRoots() joins the roots of all backends that have one", () => {
  const roots = trustedRoots(caStates(twoBackends("ca-2"), secretsOf("ca-1", "ca-2")));
  assert.equal(roots.match(/BEGIN CERTIFICATE/g)?.length, 2);
  assert.ok(roots.endsWith("-----END CERTIFICATE-----\n"));
});

function choose(
  spec: Resource<MeshSpec>,
  secrets: Map<string, Resource<SecretSpec>>,
  options: { current?: string; nowMs?: number; mayCreate?: boolean } = {},
): string {
  const { signer, switchAtMs } = signerOf(spec, caStates(spec, secrets), {
    mayCreate: options.mayCreate ?? true,
    current: options.current ?? null,
    nowMs: options.nowMs ?? 10_000,
    leadMs: 5_000,
    since: () => 10_000,
  });
  const who = signer === null ? "none" : "waiting" in signer ? signer.waiting : signer.backend.name;
  return switchAtMs === null ? who : `${who} until ${switchAtMs}`;
}

Deno.test("signerOf() lets a new root reach everybody before it signs", () => {
  const both = secretsOf("ca-1", "ca-2");
  assert.equal(choose(twoBackends("ca-2"), both), "ca-2");
  const current = "ca-1";
  assert.equal(choose(twoBackends("ca-2"), both, { current, nowMs: 14_999 }), "ca-1 until 15000");
  assert.equal(choose(twoBackends("ca-2"), both, { current, nowMs: 15_000 }), "ca-2");
  assert.equal(choose(twoBackends("ca-2"), secretsOf("ca-1"), { current }), "ca-1");
  // A clock that was set back must not make it wait as long.
  assert.equal(choose(twoBackends("ca-2"), both, { current, nowMs: 9_999 }), "ca-2");
});

Deno.test("signerOf() says why nobody signs", () => {
  assert.equal(choose(mesh({}), new Map()), "none");
  assert.match(choose(twoBackends("ca-1"), new Map()), /is being made/);
  const federated = choose(twoBackends("ca-1"), new Map(), { mayCreate: false });
  assert.equal(
    federated,
    'Secret "default.ca-builtin-cert-ca-1" of mesh "default" has not arrived from global',
  );
  const half = secretsOf("ca-1");
  half.delete("default.ca-builtin-key-ca-1");
  assert.match(choose(twoBackends("ca-1"), half), /key-ca-1" of mesh "default" is missing/);
});

Deno.test("a backend that only a peer could have accepted signs nothing, and says why", () => {
  const enabled = (backend: object) =>
    mesh({ mtls: { enabledBackend: "ca-1", backends: [backend] } } as MeshSpec);
  const why = (backend: object) => choose(enabled(backend), secretsOf("ca-1"));
  assert.match(why({ name: "ca-1", type: "vault" }), /"ca-1" cannot be used here: type: must be/);
  assert.match(why({ name: "other", type: "builtin" }), /"ca-1" is enabled and not there/);
  assert.match(why({}), /"ca-1" is enabled and not there/);
  const conf = { cert: { inlineString: 5 }, key: null };
  assert.match(why({ name: "ca-1", type: "provided", conf }), /conf\.cert\.inlineString: must be/);
  assert.match(why({ name: "ca-1", type: "builtin", conf: { caCert: "x" } }), /conf\.caCert: /);
  assert.equal(why({ name: "ca-1", type: "builtin", mode: "PERMISSIVE" }), "ca-1");
});

Deno.test("whatever a peer's Mesh says, it has CA states and a signer, or a reason", () => {
  const specs = foreignMessage("kuma.mesh.v1alpha1.Mesh");
  fc.assert(fc.property(specs, (spec) => {
    const one = mesh(spec as MeshSpec);
    const enabled = (spec as MeshSpec).mtls?.enabledBackend;
    assert.equal(choose(one, secretsOf("ca-1")) === "none", !enabled);
  }));
});
