// One proxy in a whole zone, without time: what it is told, and what others are told of it.

import assert from "node:assert/strict";
import type { MeshView } from "../../core/mesh_view.ts";
import type { JsonObject } from "../../core/resource.ts";
import type { FakeEnvoy, FakeEnvoyOptions } from "../../tests/system/fake_envoy.ts";
import {
  draftOf,
  ingressResource,
  mesh,
  mtls,
  permission,
  sidecar,
} from "../../tests/system/zone_edits.ts";
import { ZoneWorld } from "../../tests/system/zone_world.ts";
import { decode } from "../../proto/mod.ts";
import { TYPES } from "../../xds/snapshot.ts";

const WEB = { type: "dataplane", mesh: "default", name: "web" } as const;
const CLIENT = { type: "dataplane", mesh: "default", name: "client" } as const;

function world(spec: JsonObject = {}): ZoneWorld {
  const at = new ZoneWorld({ seed: 1 });
  at.put(mesh("default", spec));
  at.settle();
  return at;
}

function web(at: ZoneWorld, options: Partial<FakeEnvoyOptions> = {}): FakeEnvoy {
  const resource = sidecar(WEB, { address: "10.0.0.1" });
  return at.envoy({ key: WEB, dialect: "delta", resource, ...options });
}

/** One that calls web. */
function client(at: ZoneWorld): FakeEnvoy {
  const outbound = [{ port: 20_000, tags: { "kuma.io/service": "web" } }];
  const resource = sidecar(CLIENT, { address: "10.0.0.2", outbound });
  const envoy = at.envoy({ key: CLIENT, dialect: "sotw", resource });
  envoy.connect();
  at.settle();
  return envoy;
}

function webSeenBy(envoy: FakeEnvoy): readonly string[] {
  const cluster = [...envoy.wants(TYPES.endpoint)].find((name) => name.startsWith("web"));
  return cluster === undefined ? [] : envoy.endpoints(cluster);
}

function insight(at: ZoneWorld, name = "web"): JsonObject {
  at.pass(10_100);
  const stored = at.store.get({ type: "DataplaneInsight", mesh: "default", name });
  assert(stored, `no insight of ${name}`);
  return stored.spec;
}

function remarks(at: ZoneWorld): JsonObject {
  return ((insight(at)["metadata"] as JsonObject)["ursa"] ?? {}) as JsonObject;
}

for (const dialect of ["sotw", "delta"] as const) {
  Deno.test(`a proxy registers, and has its first configuration before time passes (${dialect})`, () => {
    const at = world(mtls("ca-1", "ca-1"));
    const startMs = at.nowMs;
    const envoy = web(at, { dialect });
    envoy.connect();
    at.settle();
    assert.equal(at.nowMs, startMs);
    assert(envoy.running(TYPES.listener).has("inbound:10.0.0.1:8080"));
    assert.equal(envoy.running(TYPES.secret).size, 2);
    at.check();
  });
}

Deno.test("a proxy whose registration is not valid is refused with the reason", () => {
  const at = world();
  const tags = { "kuma.io/zone": "west" };
  const envoy = web(at, { resource: sidecar(WEB, { tags }) });
  envoy.connect();
  at.settle();
  assert.equal(envoy.ended?.code, 3);
  assert.match(envoy.ended.message, /kuma\.io\/zone.*must be "east"/);
  assert.equal(at.counters.get("ursa_xds_streams_refused_total"), 1);
  assert.deepEqual(at.store.list("Dataplane"), []);
});

Deno.test("a proxy that cannot be registered now is told to come back", () => {
  const at = world();
  at.failingCommits = 1;
  const envoy = web(at);
  envoy.connect();
  at.settle();
  assert.equal(envoy.ended?.code, 14);
  at.pass(30_000);
  assert(envoy.stream);
  at.check();
});

Deno.test("a refused registration does not end a later stream of the proxy", () => {
  const at = world();
  const bad = web(at, { resource: sidecar(WEB, { tags: { "kuma.io/zone": "west" } }) });
  const good = web(at);
  at.storeHeld = true;
  // Registrations are decided after the commit that is under way.
  at.put(mesh("other"));
  at.settle();
  bad.connect();
  at.settle();
  good.connect();
  at.settle();
  at.storeHeld = false;
  at.settle();
  assert.equal(bad.stream, null);
  assert(good.running(TYPES.listener).has("inbound:10.0.0.1:8080"));
});

Deno.test("a new stream takes over at once, and nothing changes for others", () => {
  const at = world();
  const old = web(at);
  old.connect();
  const caller = client(at);
  caller.seen.splice(0);
  const next = web(at);
  next.connect();
  at.settle();
  assert.equal(old.stream, null);
  assert.match(old.ended!.message, /took over/);
  assert(next.running(TYPES.cluster).size > 0);
  assert.deepEqual(caller.seen, []);
  assert.deepEqual(webSeenBy(caller), ["10.0.0.1:8080"]);
});

Deno.test("a superseded run that comes back is refused with the reason", () => {
  const at = world();
  const [first, second] = [web(at, { instance: "run-1" }), web(at, { instance: "run-2" })];
  first.connect();
  at.settle();
  second.connect();
  at.settle();
  const { stream } = second;
  at.pass(60_000);
  assert.equal(second.stream, stream, "it is never disturbed");
  assert.equal(first.stream, null);
  assert.match(first.ended!.message, /run-1 was superseded by run-2/);
});

Deno.test("three takeovers without ids within ten seconds raise an alarm in insight and log", () => {
  const at = world();
  const [one, two] = [web(at), web(at)];
  for (const envoy of [one, two, one, two]) {
    envoy.connect();
    at.settle();
  }
  const alarms = at.logged.filter(({ message }) => message === "two proxies under one name");
  assert.equal(alarms.length, 1);
  assert.equal(at.counters.get("ursa_xds_takeover_alarms_total"), 1);
  at.pass(100);
  assert.match(String(remarks(at)["alarm"]), /two proxies run under this name/);
});

Deno.test("a NACK is kept in the insight with Envoy's words, and nothing is sent again", () => {
  const at = world();
  const words = "cannot bind '10.0.0.1:8080': Cannot assign requested address";
  const judge: FakeEnvoyOptions["judge"] = ({ typeUrl }) =>
    typeUrl === TYPES.listener ? words : null;
  const envoy = web(at, { judge });
  envoy.connect();
  at.settle();
  const sent = envoy.seen.filter((line) => line.startsWith("LDS"));
  assert.equal(sent.length, 1);
  assert.deepEqual(remarks(at)["rejected"], { typeUrl: TYPES.listener, message: words });
  assert.equal(envoy.seen.filter((line) => line.startsWith("LDS")).length, 1);
  assert.equal(at.counters.get("ursa_xds_nacks_total"), 1);
  assert(envoy.stream);
});

Deno.test("a NACK is in the receipt of the change that brought it", () => {
  const at = world();
  let bad = false;
  const envoy = web(at, { judge: () => bad ? "no" : null });
  envoy.connect();
  at.pass(60_000);
  bad = true;
  const written = at.put(mesh("default", mtls("ca-1", "ca-1")));
  at.settle();
  const answer = written()!;
  assert(answer.ok);
  const receipt = at.receipt(answer.revision)!;
  assert.equal(receipt.complete, true);
  assert.deepEqual(receipt.nacks.map(({ proxy, message }) => [proxy, message]), [
    ["dataplane/default/web", "no"],
  ]);
});

Deno.test("a proxy leaves others' endpoints after the delay, and not when its stream returned", () => {
  const at = world();
  const envoy = web(at);
  envoy.connect();
  const caller = client(at);
  envoy.disconnect();
  at.pass(9_900);
  assert.deepEqual(webSeenBy(caller), ["10.0.0.1:8080"]);
  envoy.connect();
  at.pass(60_000);
  assert.deepEqual(webSeenBy(caller), ["10.0.0.1:8080"]);
  envoy.disconnect();
  at.pass(10_100);
  assert.deepEqual(webSeenBy(caller), []);
  assert.equal(at.store.get({ type: "Dataplane", mesh: "default", name: "web" }), undefined);
  assert.equal(at.store.get({ type: "DataplaneInsight", mesh: "default", name: "web" }), undefined);
});

Deno.test("a proxy that comes back while its end is on its way to the disk stays registered", () => {
  const at = world();
  const envoy = web(at, { instance: "run-1" });
  envoy.connect();
  at.settle();
  at.storeHeld = true;
  at.leave(WEB, "deregister", { instance: "run-1" });
  at.settle();
  envoy.connect();
  at.settle();
  envoy.disconnect();
  at.settle();
  at.storeHeld = false;
  at.settle();
  assert(at.store.get({ type: "Dataplane", mesh: "default", name: "web" }));
  at.pass(10_100);
  assert.equal(at.store.get({ type: "Dataplane", mesh: "default", name: "web" }), undefined);
});

Deno.test("a proxy that leaves is drained first, then deregistered at once", () => {
  const at = world();
  const envoy = web(at, { instance: "run-1" });
  envoy.connect();
  const caller = client(at);
  assert.deepEqual(webSeenBy(caller), ["10.0.0.1:8080"]);
  const drained = at.leave(WEB, "drain", { instance: "run-1" });
  at.settle();
  assert.equal((drained() as { ok: boolean }).ok, true);
  assert.deepEqual(webSeenBy(caller), []);
  assert(envoy.stream);
  const stranger = at.leave(WEB, "deregister", { instance: "run-0" });
  at.settle();
  assert.deepEqual(stranger(), { ok: false, reason: "superseded" });
  const left = at.leave(WEB, "deregister", { instance: "run-1" });
  at.settle();
  assert.equal((left() as { ok: boolean }).ok, true);
  assert.equal(at.store.get({ type: "Dataplane", mesh: "default", name: "web" }), undefined);
});

Deno.test("a run without an id that was drained does not keep the next one out", () => {
  const at = world();
  const envoy = web(at);
  envoy.connect();
  const caller = client(at);
  at.leave(WEB, "drain");
  at.settle();
  assert.deepEqual(webSeenBy(caller), []);
  envoy.disconnect();
  at.settle();
  envoy.connect();
  at.settle();
  assert.deepEqual(webSeenBy(caller), ["10.0.0.1:8080"]);
});

Deno.test("a proxy neither drains nor deletes a Dataplane that somebody else wrote", () => {
  const at = world();
  at.put(draftOf(sidecar(WEB)));
  const envoy = web(at, { resource: null });
  envoy.connect();
  at.settle();
  assert(envoy.running(TYPES.listener).size > 0);
  const before = at.store.get({ type: "Dataplane", mesh: "default", name: "web" });
  const answers = [at.leave(WEB, "drain"), at.leave(WEB, "deregister")];
  at.settle();
  envoy.disconnect();
  at.pass(60_000);
  assert.deepEqual(answers.map((answer) => (answer() as { ok: boolean }).ok), [true, true]);
  assert.equal(at.store.get({ type: "Dataplane", mesh: "default", name: "web" }), before);
});

Deno.test("a proxy without a Dataplane waits for it, visibly", () => {
  const at = world();
  const envoy = web(at, { resource: null });
  envoy.connect();
  at.settle();
  assert.match(String(remarks(at)["waiting"]), /Dataplane is not stored yet/);
  at.put(draftOf(sidecar(WEB)));
  at.settle();
  assert(envoy.running(TYPES.listener).has("inbound:10.0.0.1:8080"));
  at.pass(10_100);
  assert.equal(remarks(at)["waiting"], undefined);
});

Deno.test("a proxy whose registration somebody deletes registers again", () => {
  const at = world();
  const envoy = web(at);
  envoy.connect();
  at.settle();
  at.delete({ type: "Dataplane", mesh: "default", name: "web" });
  at.settle();
  assert.match(envoy.ended!.message, /registration was deleted/);
  at.pass(2_000);
  at.check();
  assert(envoy.stream);
});

Deno.test("a mesh that is deleted and made again has its proxies back", () => {
  const at = world();
  const [envoy, gate] = [
    web(at),
    at.envoy({
      key: { type: "ingress", mesh: "", name: "gate" },
      dialect: "delta",
      resource: ingressResource("gate"),
    }),
  ];
  envoy.connect();
  gate.connect();
  at.settle();
  at.delete({ type: "Mesh", mesh: "", name: "default" });
  at.settle();
  assert.match(envoy.ended!.message, /mesh "default" was deleted/);
  assert.deepEqual(
    [...gate.running(TYPES.cluster).keys()].filter((name) => name.includes("web")),
    [],
  );
  at.put(mesh("default"));
  at.pass(5_000);
  assert(envoy.stream);
  at.check();
  assert(gate.running(TYPES.cluster).has("default:web"));
});

Deno.test("a change reaches the proxies that read it and nobody else", () => {
  const at = world(mtls("ca-1", "ca-1"));
  const envoy = web(at);
  envoy.connect();
  const caller = client(at);
  at.pass(60_000);
  envoy.seen.splice(0);
  caller.seen.splice(0);
  const written = at.put(permission("default", "one", "client", "web"));
  at.settle();
  assert.deepEqual(envoy.seen, ["LDS inbound:10.0.0.1:8080"]);
  assert.deepEqual(caller.seen, []);
  const answer = written()!;
  assert(answer.ok);
  const { complete, proxies } = at.receipt(answer.revision)!;
  assert.deepEqual([complete, proxies.acked, proxies.pending], [true, 1, 0]);
});

const PROBED: JsonObject = {
  type: "Dataplane",
  mesh: "default",
  name: "web",
  networking: {
    address: "10.0.0.1",
    inbound: [{ port: 8080, tags: { "kuma.io/service": "web" }, serviceProbe: { tcp: {} } }],
  },
};
const UP = { envoy: true, workloads: { "localhost:8080": true } };
const DOWN = { envoy: true, workloads: { "localhost:8080": false } };

Deno.test("a probed workload takes traffic while it answers, and not before", () => {
  const at = world();
  const envoy = web(at, { resource: PROBED });
  // Envoy opens both streams at once: either may come first.
  at.openHealth("health-1", envoy.options);
  envoy.connect();
  const caller = client(at);
  assert.ok(at.probes.get("health-1"), "it is asked to probe");
  assert.deepEqual(webSeenBy(caller), []);
  for (
    const [report, seen] of [[UP, ["10.0.0.1:8080"]], [DOWN, []], [UP, ["10.0.0.1:8080"]]] as const
  ) {
    at.reportHealth("health-1", report);
    at.settle();
    assert.deepEqual(webSeenBy(caller), seen);
  }
  // Who does not report changes nothing.
  at.closeHealth("health-1");
  at.reportHealth("health-1", DOWN);
  at.settle();
  assert.deepEqual(webSeenBy(caller), ["10.0.0.1:8080"]);
  at.check();
});

Deno.test("a workload that answers takes no traffic before its proxy listens", () => {
  const at = world();
  const envoy = web(at, { resource: PROBED });
  envoy.connect();
  at.openHealth("health-1", envoy.options);
  const caller = client(at);
  at.reportHealth("health-1", DOWN);
  envoy.disconnect();
  at.reportHealth("health-1", UP);
  at.settle();
  assert.deepEqual(webSeenBy(caller), []);
  envoy.connect();
  at.settle();
  assert.deepEqual(webSeenBy(caller), ["10.0.0.1:8080"], "it was told before, and counts now");
  at.check();
});

Deno.test("who is not well is asked after more often", () => {
  const at = world();
  const envoy = web(at, { resource: PROBED });
  envoy.connect();
  at.openHealth("health-1", envoy.options);
  const interval = () => {
    at.settle();
    const checks = at.probes.get("health-1")!;
    return decode("envoy.service.health.v3.HealthCheckSpecifier", checks)["interval"];
  };
  assert.equal(interval(), "0.500s");
  at.reportHealth("health-1", UP);
  assert.equal(interval(), "5s");
  at.reportHealth("health-1", DOWN);
  assert.equal(interval(), "0.500s");
});

Deno.test("a proxy that drains leaves the endpoints of others before its stream ends", () => {
  const at = world();
  const envoy = web(at);
  envoy.connect();
  at.openHealth("health-1", envoy.options);
  const caller = client(at);
  // Envoy takes its listeners a moment before it serves.
  at.reportHealth("health-1", { envoy: false, workloads: {} });
  at.settle();
  assert.deepEqual(webSeenBy(caller), []);
  at.reportHealth("health-1", { envoy: true, workloads: {} });
  at.settle();
  assert.deepEqual(webSeenBy(caller), ["10.0.0.1:8080"]);
  at.reportHealth("health-1", { envoy: false, workloads: {} });
  at.settle();
  assert.deepEqual(webSeenBy(caller), []);
  at.check();
});

Deno.test("reports about a resource that somebody else wrote are stored in it", () => {
  const at = world();
  at.put(draftOf(PROBED));
  const envoy = web(at, { resource: null });
  envoy.connect();
  at.openHealth("health-1", envoy.options);
  const caller = client(at);
  at.reportHealth("health-1", DOWN);
  at.settle();
  assert.deepEqual(webSeenBy(caller), []);
  at.reportHealth("health-1", UP);
  at.settle();
  assert.deepEqual(webSeenBy(caller), ["10.0.0.1:8080"]);
  at.check();
});

Deno.test("a fresh Envoy of a peer without ids takes traffic when it listens again", () => {
  const at = world();
  const envoy = web(at);
  envoy.connect();
  const caller = client(at);
  caller.seen.splice(0);
  envoy.disconnect();
  at.settle();
  envoy.connect();
  at.settle();
  assert.deepEqual(caller.seen, ["EDS web", "EDS web"], "without it, then with it");
  assert.deepEqual(webSeenBy(caller), ["10.0.0.1:8080"]);
});

Deno.test("a new run with another port is nobody's endpoint before it listens there", () => {
  const at = world();
  const envoy = web(at, { instance: "run-1" });
  envoy.connect();
  const calling = client(at);
  assert.deepEqual(webSeenBy(calling), ["10.0.0.1:8080"]);
  envoy.disconnect();
  const next = web(at, {
    instance: "run-2",
    resource: sidecar(WEB, { address: "10.0.0.1", port: 8081 }),
  });
  // Until its registration is durable it is given what the run before it had, and ACKs that.
  at.storeHeld = true;
  next.connect();
  at.settle();
  assert(next.running(TYPES.listener).has("inbound:10.0.0.1:8080"));
  at.storeHeld = false;
  for (let steps = 0; at.step(); steps++) {
    const listens = next.running(TYPES.listener).has("inbound:10.0.0.1:8081");
    assert(listens || !webSeenBy(calling).includes("10.0.0.1:8081"), `after ${steps} steps`);
  }
  assert.deepEqual(webSeenBy(calling), ["10.0.0.1:8081"]);
  at.check();
});

Deno.test("a proxy that rejected its inbound is nobody's endpoint, whatever it takes after that", () => {
  const at = world();
  const calling = client(at);
  const envoy = web(at, {
    metadata: { features: ["feature-bind-outbounds"] },
    judge: ({ typeUrl, resources }) =>
      typeUrl === TYPES.listener && resources.some(({ name }) => name.startsWith("inbound:"))
        ? "no such port here"
        : null,
  });
  envoy.connect();
  at.settle();
  // Brings a listener of its own, which goes without the inbound that was rejected.
  at.put(draftOf(sidecar({ name: "late" }, { address: "10.0.0.9" })));
  at.settle();
  assert.deepEqual(webSeenBy(calling), []);
});

Deno.test("a proxy for which nothing can be made keeps what it has, alone, until that is mended", () => {
  const at = world();
  const envoy = web(at);
  envoy.connect();
  const other = client(at);
  at.settle();
  const before = envoy.running(TYPES.listener);
  const path = "dataplanes/dataplane/default/web";
  const { views } = at.kernel.peek(path) as { readonly views: ReadonlyMap<string, MeshView> };
  const view = { ...views.get("default")!, revision: at.store.revision };
  Object.defineProperty(view, "policies", {
    get: () => {
      throw new TypeError("nonsense");
    },
  });
  at.kernel.send(path, { tag: "mesh_changed", mesh: "default", view } as never);
  at.kernel.send(path, { tag: "mesh_changed", mesh: "default", view } as never);
  at.kernel.step();
  assert.equal(at.counters.get("ursa_xds_generation_failures_total"), 1);
  // What it is told anew makes sense again.
  at.settle();
  assert.equal(remarks(at)["waiting"], undefined);
  assert.deepEqual(envoy.running(TYPES.listener), before);
  at.put(permission("default", "any"));
  at.settle();
  assert.equal(envoy.ended, null);
  assert.equal(other.ended, null);
  at.check();
});
