import assert from "node:assert/strict";
import { createPrivateKey } from "node:crypto";
import { everyKind } from "../../cli/kinds.ts";
import type { Draft } from "../../core/resource.ts";
import { publicKeyPem } from "../../core/rsa_key.ts";
import { newSigningKey } from "../../identity/io/signing_key.ts";
import type { ClaimsOf } from "../../core/token.ts";
import type { KeySources } from "../../identity/tokens/keyring.ts";
import { issueToken } from "../../identity/tokens/issue.ts";
import type { FakeEnvoy } from "../../tests/system/fake_envoy.ts";
import { draftOf, ingressResource, mesh, sidecar } from "../../tests/system/zone_edits.ts";
import { ZONE, ZoneWorld } from "../../tests/system/zone_world.ts";
import { TYPES } from "../../xds/snapshot.ts";
import { emptyVault, vouch } from "./credentials.ts";
import type { ProxiesMsg } from "./messages.ts";
import { proxies } from "./proxies.ts";

const PEM = await newSigningKey();
const KEY = createPrivateKey(PEM);
const OTHER = await newSigningKey();
const HOUR_MS = 3_600_000;
const WEB = { type: "dataplane", mesh: "default", name: "web-1" } as const;
const ANY = { name: "", mesh: "", tags: {}, type: "", workload: "" };

function secret(type: "Secret" | "GlobalSecret", name: string, text: string): Draft {
  const mesh = type === "Secret" ? "default" : "";
  return { type, mesh, name, labels: {}, spec: { data: btoa(text) } };
}

const DATAPLANE_KEY = "dataplane-token-signing-key-default-1";
const ZONE_KEY = "zone-token-signing-key-1";

function world(): ZoneWorld {
  const at = new ZoneWorld({ seed: 1, dpAuth: "token" });
  at.put(
    mesh("default"),
    secret("Secret", DATAPLANE_KEY, PEM),
    secret("GlobalSecret", ZONE_KEY, OTHER),
  );
  at.settle();
  return at;
}

/** The actor alone. */
function door() {
  const at = { nowMs: Date.parse("2026-01-01"), self: "proxies", random: () => 0.5 };
  const [state] = proxies.init({
    kinds: everyKind(),
    zone: ZONE,
    settings: {} as never,
    auth: "token",
    federated: false,
  }, at);
  return { state, tell: (msg: ProxiesMsg) => proxies.receive(state, msg, at)[1] };
}

interface Wish {
  readonly id?: string;
  readonly validForMs?: number;
}

function token(
  at: Pick<ZoneWorld, "nowMs">,
  claims: Partial<ClaimsOf["dataplane"]>,
  wish: Wish = {},
): string {
  const { id = "id-1", validForMs = HOUR_MS } = wish;
  return issueToken({
    kind: "dataplane",
    claims: { ...ANY, mesh: "default", ...claims },
    validForMs,
    nowMs: at.nowMs,
    id,
  }, { keyId: "1", key: KEY });
}

function zoneToken(at: ZoneWorld, claims: ClaimsOf["zone"]): string {
  const wish = { validForMs: HOUR_MS, nowMs: at.nowMs, id: "zone-1" };
  return issueToken({ kind: "zone", claims, ...wish }, {
    keyId: "1",
    key: createPrivateKey(OTHER),
  });
}

const ofService = (service: string) => ({ tags: { "kuma.io/service": [service] } });

function proxy(at: ZoneWorld, service: string, credential: string | null): FakeEnvoy {
  const resource = sidecar(WEB, { service });
  return at.envoy({
    key: WEB,
    dialect: "delta",
    resource,
    ...(credential !== null && { token: credential }),
  });
}

function connected(at: ZoneWorld, envoy: FakeEnvoy): boolean {
  envoy.connect();
  at.pass(100);
  return envoy.stream !== null;
}

function reasonOf(at: ZoneWorld, envoy: FakeEnvoy): string {
  assert(!connected(at, envoy), "it should have been refused");
  return `${envoy.ended!.code} ${envoy.ended!.message}`;
}

Deno.test("a proxy comes in with a token that is for it, and is refused with any other", () => {
  const at = world();
  const refusals: readonly (readonly [string | null, RegExp])[] = [
    [null, /^16 a dataplane token is needed: .*--mesh default --name web-1/],
    ["nonsense", /^16 the dataplane token cannot be read: a JWT has 3 parts/],
    [`Bearer ${token(at, {})}`, /^16 the dataplane token cannot be read/],
    [`${token(at, {}).slice(0, -4)}AAAA`, /^16 .*signature that is not its key's \(key id "1"/],
    [token(at, {}, { validForMs: -HOUR_MS }), /^16 .*has expired \(key id "1", expiry 2025-/],
    [token(at, { mesh: "other" }), /^7 the token is for mesh "other".*key id "1".*expiry 2026/],
    [token(at, { name: "web-2" }), /^7 the token is for dataplane "web-2", this is "web-1"/],
    [token(at, { type: "ingress" }), /^7 the token is for a proxy of type "ingress"/],
    [token(at, ofService("db")), /^7 the token allows tag "kuma.io\/service" only the values "db"/],
    [zoneToken(at, { zone: ZONE, scope: ["ingress"] }), /^16 .*signature that is not its key's/],
  ];
  for (const [credential, wanted] of refusals) {
    assert.match(reasonOf(at, proxy(at, "web", credential)), wanted);
    assert.deepEqual(at.store.list("Dataplane"), []);
  }
  assert(connected(at, proxy(at, "web", token(at, { ...ofService("web"), name: "web-1" }))));
  assert.equal(at.store.list("Dataplane").length, 1);
});

Deno.test("an ingress needs a zone token of this zone that has ingress in its scope", () => {
  const at = world();
  const key = { type: "ingress", mesh: "", name: "gate" } as const;
  const gate = (credential: string) =>
    at.envoy({ key, dialect: "delta", resource: ingressResource("gate"), token: credential });
  const refused: readonly (readonly [ClaimsOf["zone"], RegExp])[] = [
    [{ zone: "west", scope: ["ingress"] }, /is for zone "west", this is zone "east"/],
    [{ zone: ZONE, scope: ["egress"] }, /is for "egress", not for ingress/],
    [{ zone: ZONE, scope: ["cp"] }, /is for "cp", not for ingress/],
  ];
  for (const [claims, wanted] of refused) {
    assert.match(reasonOf(at, gate(zoneToken(at, claims))), wanted);
  }
  assert(connected(at, gate(zoneToken(at, { zone: ZONE, scope: ["cp", "ingress"] }))));
});

Deno.test("a token for one service does not take over the name of another, live or stored", () => {
  const at = world();
  const owner = proxy(at, "web", token(at, ofService("web")));
  assert(connected(at, owner));
  const stored = JSON.stringify(at.store.list("Dataplane")[0]!.spec);
  const intruder = proxy(at, "db", token(at, ofService("db"), { id: "id-2" }));
  const wanted = /^7 Dataplane default\/web-1 is somebody else's: .* has "web" .*id "id-2"/;
  assert.match(reasonOf(at, intruder), wanted);
  assert(owner.stream, "the owner keeps its stream");
  owner.disconnect();
  assert.match(reasonOf(at, intruder), wanted);
  assert.equal(JSON.stringify(at.store.list("Dataplane")[0]!.spec), stored);
  // A restarted owner comes in while its old stream looks alive; the name is free once it is gone.
  assert(connected(at, proxy(at, "web", token(at, ofService("web")))));
  at.envoys.at(-1)!.disconnect();
  at.pass(60_000);
  assert(connected(at, intruder));
});

Deno.test("a token fits the resource that an operator wrote, or the proxy stays out", () => {
  const at = world();
  at.put(draftOf(sidecar(WEB, { service: "web" })));
  at.settle();
  const plain = (credential: string) =>
    at.envoy({ key: WEB, dialect: "delta", resource: null, token: credential });
  assert.match(reasonOf(at, plain(token(at, ofService("db")))), /is somebody else's/);
  const web = plain(token(at, ofService("web")));
  assert(connected(at, web));
  // It becomes another service's while the stream is open.
  at.put(draftOf(sidecar(WEB, { service: "db" })));
  at.settle();
  assert.equal(web.ended?.code, 7);
  assert.match(web.ended!.message, /has "db"/);
});

Deno.test("a proxy whose resource nobody wrote yet waits with a token of its name", () => {
  const at = world();
  const plain = (credential: string) =>
    at.envoy({ key: WEB, dialect: "delta", resource: null, token: credential });
  assert.match(reasonOf(at, plain(token(at, { name: "web-2" }))), /is for dataplane "web-2"/);
  const web = plain(token(at, ofService("web")));
  assert(connected(at, web));
  at.put(draftOf(sidecar(WEB, { service: "web" })));
  at.pass(1_000);
  assert(web.running(TYPES.listener).size > 0);
});

Deno.test("a revoked token ends its stream at once, and its proxy is nobody's endpoint", () => {
  const at = world();
  const web = proxy(at, "web", token(at, {}, { id: "id-1" }));
  const other = { type: "dataplane", mesh: "default", name: "other" } as const;
  const stays = at.envoy({
    key: other,
    dialect: "delta",
    resource: sidecar(other),
    token: token(at, {}, { id: "id-2" }),
  });
  assert(connected(at, web) && connected(at, stays));
  at.put(secret("Secret", "dataplane-token-revocations-default", "id-0,id-1\n"));
  at.settle();
  assert.equal(web.ended?.code, 16);
  assert.match(web.ended!.message, /is revoked: its id is "id-1" \(key id "1", expiry .*\)/);
  assert.deepEqual(at.store.list("Dataplane").map(({ name }) => name), ["other"]);
  assert.deepEqual(at.store.list("DataplaneInsight").map(({ name }) => name), ["other"]);
  assert(stays.stream);
  // Its Envoy tries for minutes: refused each time, said once.
  at.pass(120_000);
  assert.equal(web.stream, null);
  const said = at.logged.filter(({ message }) => message === "stream refused");
  assert.equal(said.length, 1);
  assert((at.counters.get("ursa_xds_streams_refused_total") ?? 0) > 10);
  assert.equal(at.counters.get("ursa_xds_tokens_withdrawn_total"), 1);
  web.token = token(at, {}, { id: "id-3" });
  at.pass(2_000);
  assert(web.stream, "a new token lets it in");
  at.check();
});

Deno.test("a revocation in a GlobalSecret, where Kuma since 2.10 looks, counts too", () => {
  const at = world();
  const web = proxy(at, "web", token(at, {}));
  assert(connected(at, web));
  at.put(secret("GlobalSecret", "dataplane-token-revocations-default", "id-1"));
  at.settle();
  assert.match(web.ended!.message, /is revoked/);
});

for (const how of ["removed", "replaced"] as const) {
  Deno.test(`a key that is ${how} ends the streams of its tokens; the proxy may bring another`, () => {
    const at = world();
    const web = proxy(at, "web", token(at, {}));
    assert(connected(at, web));
    if (how === "removed") at.delete({ type: "Secret", mesh: "default", name: DATAPLANE_KEY });
    else at.put(secret("Secret", DATAPLANE_KEY, OTHER));
    at.settle();
    assert.equal(web.ended?.code, 16);
    // It has the usual grace: its workload did nothing wrong.
    assert.equal(at.store.list("Dataplane").length, 1);
    at.pass(5_000);
    assert.equal(web.stream, null);
    at.put(secret("Secret", DATAPLANE_KEY, PEM));
    at.pass(2_000);
    assert(web.stream);
  });
}

Deno.test("a stream outlives its token, as Kuma's do; the next one is refused", () => {
  const at = world();
  const web = proxy(at, "web", token(at, {}, { validForMs: 60_000 }));
  assert(connected(at, web));
  at.pass(120_000);
  // Also when keys are looked at again meanwhile.
  at.put(secret("Secret", "dataplane-token-signing-key-default-2", OTHER));
  at.settle();
  assert(web.stream);
  web.disconnect();
  at.settle();
  assert.match(reasonOf(at, web), /has expired \(key id "1", expiry 2026-01-01T00:01/);
});

Deno.test("an expired token can still be revoked", () => {
  const at = world();
  const web = proxy(at, "web", token(at, {}, { validForMs: 60_000 }));
  assert(connected(at, web));
  at.pass(120_000);
  at.put(secret("Secret", "dataplane-token-revocations-default", "id-1"));
  at.settle();
  assert.match(web.ended!.message, /is revoked/);
});

Deno.test("draining and deregistering need a token for the proxy as well", () => {
  const at = world();
  const credential = token(at, ofService("web"));
  assert(connected(at, proxy(at, "web", credential)));
  for (const wrong of [null, "nonsense", token(at, ofService("db"))]) {
    const answer = at.leave(WEB, "deregister", { credential: wrong });
    at.settle();
    assert.equal((answer() as { reason: string }).reason, "unauthorized");
  }
  assert.equal(at.store.list("Dataplane").length, 1);
  const answer = at.leave(WEB, "deregister", { credential });
  at.settle();
  assert.equal((answer() as { ok: boolean }).ok, true);
  assert.deepEqual(at.store.list("Dataplane"), []);
});

Deno.test("vouch says of a token whether it is good for a name, before a stream is opened", () => {
  const at = world();
  const ask = (credential: string | null) => {
    const answer = at.ask<{ ok: boolean; passing?: boolean; message?: string }>(
      "proxies",
      (reply) => ({ tag: "vouch", proxy: WEB, credential, reply }) as never,
    );
    at.settle();
    return answer()!;
  };
  assert(ask(token(at, ofService("db"))).ok, "tags are looked at with the resource");
  assert.equal(ask(token(at, { name: "web-2" })).passing, false);
  assert.match(ask(null).message!, /a dataplane token is needed/);
  at.delete({ type: "Secret", mesh: "default", name: DATAPLANE_KEY });
  at.settle();
  assert.equal(ask(token(at, {})).passing, true, "keys may be on their way from global");
});

Deno.test("vouch() holds tokens against the public keys of settings, alone when told so", () => {
  const nowMs = Date.parse("2026-01-01");
  const pem = publicKeyPem(KEY);
  const offline = (kind: "dataplane" | "zone") => {
    const at = { validForMs: HOUR_MS, nowMs, id: "id-1" };
    const order = kind === "dataplane"
      ? { kind, claims: { ...ANY, mesh: "default" } }
      : { kind, claims: { zone: ZONE, scope: ["ingress"] } };
    return issueToken({ ...order, ...at }, { keyId: "hr", key: KEY });
  };
  const outcome = (kind: "dataplane" | "zone", sources: Partial<KeySources>) => {
    const keys = { publicKeys: [], useSecrets: true, ...sources };
    const vault = emptyVault({
      zone: ZONE,
      federated: true,
      keys: { dataplane: keys, zone: keys },
    });
    const key = kind === "dataplane" ? WEB : { type: "ingress", mesh: "", name: "in" } as const;
    const found = vouch(vault, { key, credential: offline(kind), claimed: [], nowMs });
    return found.ok ? "good" : found.reason;
  };
  for (const kind of ["dataplane", "zone"] as const) {
    const publicKeys = [{ keyId: "hr", pem }];
    assert.equal(outcome(kind, { publicKeys }), "good");
    assert.equal(outcome(kind, { publicKeys, useSecrets: false }), "good");
    assert.equal(outcome(kind, {}), "token_unknown_key");
  }
  const elsewhere = [{ keyId: "hr", pem, mesh: "other" }];
  assert.equal(outcome("dataplane", { publicKeys: elsewhere }), "token_unknown_key");
});

Deno.test("a revoked token ends a stream of health also where none of configuration has it", () => {
  const { state, tell } = door();
  const key = secret("Secret", DATAPLANE_KEY, PEM);
  const revoked = secret("Secret", "dataplane-token-revocations-default", "id-1");
  const times = { creationTime: "", modificationTime: "", version: 1 };
  const change = (full: boolean, drafts: readonly Draft[]) =>
    tell({
      tag: "resources_changed",
      revision: 1,
      full,
      changes: drafts.map((draft) => ({
        revision: 1,
        key: draft,
        resource: { ...draft, ...times },
        previous: null,
      })),
    });
  change(true, [mesh("default"), key]);
  const credential = token({ nowMs: Date.parse("2026-01-01") }, {});
  const node = { id: "default.web-1", metadata: {} };
  tell({ tag: "health_opened", stream: "h-1", node, credential });
  assert.equal(state.probes.size, 1);
  assert.match(JSON.stringify(change(false, [revoked])), /"do":"end","stream":"h-1","code":16/);
});

Deno.test("nothing is kept of what strangers make up: neither names of meshes nor long ids", () => {
  const { state, tell } = door();
  for (let i = 0; i < 10; i++) {
    const proxy = { ...WEB, mesh: `m-${i}` };
    const [said] = tell({ tag: "vouch", proxy, credential: "a.b.c", reply: {} as never });
    assert.match(JSON.stringify(said), /mesh \\"m-\d\\" is not here: create it/);
  }
  assert.equal(state.vault!.keyrings.size, 0);
  for (const id of ["x".repeat(1_000_000), "default.web-1"]) {
    const metadata = { "dataplane.resource": JSON.stringify({ type: "x".repeat(200_000) }) };
    const request = { typeUrl: TYPES.cluster } as never;
    const effects = tell({
      tag: "stream_opened",
      stream: "s",
      node: { id, metadata },
      dialect: "delta",
      request,
      credential: null,
    });
    assert(JSON.stringify(effects).length < 10_000);
  }
  assert(JSON.stringify([...state.refusals]).length < 10_000);
});
