// Leases: when a proxy that is not heard of leaves everybody's endpoints, and when it may not.

import assert from "node:assert/strict";
import type { FakeEnvoy } from "../../tests/system/fake_envoy.ts";
import { draftOf, ingressResource, mesh, sidecar } from "../../tests/system/zone_edits.ts";
import { ZoneWorld } from "../../tests/system/zone_world.ts";
import { TYPES } from "../../xds/snapshot.ts";
import { due, lost, renewed, unleased } from "./lease.ts";

const LEASE_MS = 10_000;
const WEB = { type: "dataplane", mesh: "default", name: "web" } as const;
const WEB_KEY = { type: "Dataplane", mesh: "default", name: "web" } as const;
const CLIENT = { type: "dataplane", mesh: "default", name: "client" } as const;

Deno.test("due(): counts the lease that runs, and says nothing to any other", () => {
  const [lease] = lost(unleased, { leaseMs: LEASE_MS, because: "gone", nowMs: 0 });
  const [again] = lost(renewed(lease)[0], { leaseMs: LEASE_MS, because: "gone", nowMs: 0 });
  assert.equal(due(again, lease.serial), "old");
  assert.equal(due(renewed(lease)[0], lease.serial), "old");
  let steps = 0;
  for (let now = lease;; steps++) {
    const next = due(now, lease.serial);
    if (typeof next === "string") {
      assert.equal(next, "over");
      break;
    }
    now = next[0];
  }
  assert.equal(steps, 4, "the fifth part ends it");
});

function world(): { at: ZoneWorld; web: FakeEnvoy; seen: () => readonly string[] } {
  const at = new ZoneWorld({ seed: 1, leaseMs: LEASE_MS });
  at.put(mesh("default"));
  at.settle();
  const web = at.envoy({
    key: WEB,
    dialect: "delta",
    resource: sidecar(WEB, { address: "10.0.0.1" }),
  });
  web.connect();
  const outbound = [{ port: 20_000, tags: { "kuma.io/service": "web" } }];
  const resource = sidecar(CLIENT, { address: "10.0.0.2", outbound });
  const client = at.envoy({ key: CLIENT, dialect: "sotw", resource });
  client.connect();
  at.settle();
  const seen = () => {
    const cluster = [...client.wants(TYPES.endpoint)].find((name) => name.startsWith("web"));
    return cluster === undefined ? [] : client.endpoints(cluster);
  };
  assert.deepEqual(seen(), ["10.0.0.1:8080"]);
  return { at, web, seen };
}

Deno.test("a proxy that a ping did not find has what is left of its lease", () => {
  const { at, web, seen } = world();
  web.disconnect(8_000);
  at.pass(1_900);
  assert.deepEqual(seen(), ["10.0.0.1:8080"]);
  at.pass(200);
  assert.deepEqual(seen(), []);
});

Deno.test("a proxy leaves with one commit, and those who call it are told once", () => {
  const { at, web, seen } = world();
  at.pass(30_000);
  const { revision } = at.store;
  const [, client] = at.envoys;
  client!.seen.splice(0);
  web.disconnect();
  at.pass(20_000);
  assert.deepEqual(seen(), []);
  const since = at.store.changesSince(revision);
  assert(since !== "gone");
  assert.equal(since.filter(({ key }) => key.type === "Dataplane").length, 1);
  assert.equal(client!.seen.filter((text) => text.startsWith("EDS")).length, 1);
});

Deno.test("its insight says until when it is leased, and the door why it left", () => {
  const { at, web } = world();
  web.disconnect(8_000);
  at.pass(100);
  const insight = at.store.get({ ...WEB_KEY, type: "DataplaneInsight" });
  const { ursa } = insight!.spec["metadata"] as { ursa: Record<string, string> };
  assert.equal(Date.parse(ursa["leasedUntil"]!), at.nowMs - 100 + 2_000);
  assert.equal(ursa["lost"], "nothing was heard of it for 8 s");
  at.pass(10_000);
  const door = at.kernel.actors().find(({ path }) => path === "proxies")!.summary;
  const [left] = door["left"] as { proxy: string; because: string }[];
  assert.deepEqual([left!.proxy, left!.because], [
    "dataplane/default/web",
    "nothing was heard of it for 8 s, and its lease of 10 s is over",
  ]);
});

Deno.test("while a control plane stands still, one part of a lease at most goes by", () => {
  const { at, web, seen } = world();
  web.disconnect();
  at.pass(1_000);
  at.nowMs += 3_600_000;
  at.pass(7_900);
  assert.deepEqual(seen(), ["10.0.0.1:8080"]);
  at.pass(200);
  assert.deepEqual(seen(), []);
});

Deno.test("a stream that is refused prolongs nothing", () => {
  const { at, web, seen } = world();
  web.disconnect();
  for (let passed = 0; passed < 9; passed++) {
    const resource = sidecar(WEB, { address: "10.0.0.1", tags: { "kuma.io/zone": "west" } });
    const bad = at.envoy({ key: WEB, dialect: "delta", resource });
    bad.connect();
    at.settle();
    bad.disconnect();
    at.pass(1_000);
  }
  assert.deepEqual(seen(), ["10.0.0.1:8080"]);
  at.pass(1_100);
  assert.deepEqual(seen(), []);
});

Deno.test("a Dataplane that somebody wrote anew outlives the lease of its proxy", () => {
  const { at, web, seen } = world();
  web.disconnect();
  at.put(draftOf(sidecar(WEB, { address: "10.0.0.3" })));
  at.pass(60_000);
  assert.deepEqual(seen(), ["10.0.0.3:8080"]);
});

Deno.test("a registration that changed while its end was decided is looked at again", () => {
  const { at, web, seen } = world();
  web.disconnect();
  at.pass(9_900);
  at.storeHeld = true;
  // The write is decided before the end of the lease is, and not told before it is durable.
  at.put(draftOf(sidecar(WEB, { address: "10.0.0.3" })));
  at.pass(200);
  at.storeHeld = false;
  at.pass(60_000);
  assert.deepEqual(seen(), ["10.0.0.3:8080"]);
});

Deno.test("an end that cannot be stored is tried again until it is", () => {
  const { at, web, seen } = world();
  web.disconnect();
  at.pass(9_900);
  at.failingCommits = 2;
  at.pass(200);
  assert.deepEqual(seen(), ["10.0.0.1:8080"]);
  at.pass(5_000);
  assert.deepEqual(seen(), []);
});

Deno.test("a proxy that is registering when its lease is over has come in time", () => {
  const { at, web, seen } = world();
  web.disconnect();
  at.pass(9_900);
  at.storeHeld = true;
  web.connect();
  at.pass(5_000);
  at.storeHeld = false;
  at.pass(60_000);
  assert.deepEqual(seen(), ["10.0.0.1:8080"]);
});

Deno.test("a proxy whose registration the disk does not take has a lease of its own again", () => {
  const { at, web, seen } = world();
  web.disconnect();
  at.pass(9_000);
  at.failingCommits = 1;
  web.connect();
  at.settle();
  assert.equal(web.ended?.code, 14);
  web.disconnect();
  at.pass(100);
  assert.deepEqual(seen(), ["10.0.0.1:8080"]);
});

Deno.test("an ingress leaves as proxies do", () => {
  const { at } = world();
  const key = { type: "ingress", mesh: "", name: "gate" } as const;
  const resource = ingressResource("gate", "10.0.0.9", "192.168.0.9");
  const gate = at.envoy({ key, dialect: "delta", resource });
  gate.connect();
  at.settle();
  gate.disconnect(8_000);
  at.pass(1_900);
  assert.equal(at.store.list("ZoneIngress").length, 1);
  at.pass(200);
  assert.deepEqual(at.store.list("ZoneIngress"), []);
});
