// What a zone does when a part of it fails, one failure at a time.

import assert from "node:assert/strict";
import type { WriteResult } from "../../actors/hub/messages.ts";
import type { Path } from "../../actors/runtime/actor.ts";
import { meshPath } from "../../actors/mesh/messages.ts";
import type { FakeEnvoy } from "./fake_envoy.ts";
import { draftOf, ingressResource, mesh, permission, sidecar } from "./zone_edits.ts";
import { ZoneWorld } from "./zone_world.ts";

/** More than any delay after which a part mends itself. */
const QUIET_MS = 60_000;

function zone(): ZoneWorld {
  const world = new ZoneWorld({ seed: 1 });
  world.put(mesh("default"));
  world.settle();
  return world;
}

function connected(world: ZoneWorld, name: string): FakeEnvoy {
  const envoy = world.envoy({
    key: { type: "dataplane", mesh: "default", name },
    dialect: "delta",
    instance: `run-of-${name}`,
    resource: sidecar({ name }),
  });
  envoy.connect();
  world.settle();
  return envoy;
}

/** A turn throws: the message makes no sense to anybody. */
function crash(world: ZoneWorld, path: Path): void {
  world.kernel.send(path, { tag: "nonsense" });
  world.settle();
}

/** One crash more than are forgiven; proxies are back before it. */
function park(world: ZoneWorld, path: Path): void {
  for (let times = 0; times < 5; times++) crash(world, path);
  world.pass(2_000);
  crash(world, path);
  assert(world.logged.some(({ message }) => message === "actor parked after repeated crashes"));
}

function assertComplete(world: ZoneWorld, result: WriteResult | undefined): void {
  assert(result?.ok);
  assert(world.receipt(result.revision)!.complete);
}

Deno.test("a mesh actor that restarted knows again who reads what", () => {
  const world = zone();
  connected(world, "web-1");
  crash(world, meshPath("default"));
  const { subscribers } = world.kernel.peek(meshPath("default")) as {
    readonly subscribers: ReadonlyMap<Path, { readonly reads: ReadonlySet<unknown> | null }>;
  };
  assert.equal(subscribers.size, 1);
  for (const { reads } of subscribers.values()) assert(reads !== null);
  world.check();
});

Deno.test("a zone ingress may have the name of a mesh", () => {
  const world = zone();
  world.envoy({
    key: { type: "ingress", mesh: "", name: "default" },
    dialect: "sotw",
    resource: null,
  }).connect();
  world.put(draftOf(ingressResource("default", "10.0.9.1")));
  world.pass(QUIET_MS);
  world.put(
    mesh("default", { routing: { localityAwareLoadBalancing: true } }),
    draftOf(ingressResource("default", "10.0.9.2")),
  );
  world.pass(QUIET_MS);
  world.check();
});

Deno.test("a commit that was durable after all reaches the proxies, though nobody writes again", () => {
  const world = zone();
  world.put(permission("default", "all"));
  connected(world, "web-1");
  world.pass(QUIET_MS);
  world.doubtfulCommits = 1;
  const removed = world.delete({ type: "TrafficPermission", mesh: "default", name: "all" });
  world.settle();
  assert.deepEqual(removed(), { ok: false, reason: "unavailable", error: "no answer" });
  world.pass(QUIET_MS);
  assert.deepEqual(world.store.list("TrafficPermission"), []);
  world.check();
});

Deno.test("a proxy whose actor crashes too often keeps what it has, and is back after a while", () => {
  const world = zone();
  const envoy = connected(world, "web-1");
  park(world, "dataplanes/dataplane/default/web-1");
  const written = world.put(permission("default", "all"));
  world.pass(100);
  assert(envoy.stream !== null);
  assertComplete(world, written());
  const insight = world.store.get({ type: "DataplaneInsight", mesh: "default", name: "web-1" })!;
  assert.match(JSON.stringify(insight.spec["metadata"]), /"parked":"TypeError: /);
  envoy.disconnect();
  envoy.connect();
  world.settle();
  assert.deepEqual(envoy.ended?.code, 14);
  assert.match(envoy.ended.message, /crashed too often: TypeError/);
  world.pass(QUIET_MS);
  assert(envoy.stream !== null);
  world.check();
});

Deno.test("a proxy that goes while its actor is parked is deregistered all the same", () => {
  const world = zone();
  const envoy = connected(world, "web-1");
  park(world, "dataplanes/dataplane/default/web-1");
  envoy.disconnect();
  world.pass(QUIET_MS);
  assert.deepEqual(world.store.list("Dataplane"), []);
  assert.deepEqual(world.store.list("DataplaneInsight"), []);
});

Deno.test("a stream that outlives the time its actor is parked gives way to a newer one", () => {
  const world = zone();
  const envoy = connected(world, "web-1");
  park(world, "dataplanes/dataplane/default/web-1");
  world.put(permission("default", "all"));
  world.pass(QUIET_MS);
  const before = envoy.stream;
  assert(before !== null);
  envoy.connect();
  world.settle();
  assert(envoy.stream !== null && envoy.stream !== before);
  world.pass(QUIET_MS);
  world.check();
});

Deno.test("a mesh whose actor crashes too often is back after a while", () => {
  const world = zone();
  connected(world, "web-1");
  park(world, meshPath("default"));
  const written = world.put(permission("default", "all"));
  world.settle();
  assertComplete(world, written());
  world.pass(QUIET_MS);
  world.check();
});

Deno.test("a policy whose mesh is deleted by the write before it is refused", () => {
  const world = zone();
  world.delete({ type: "Mesh", mesh: "", name: "default" });
  const late = world.put(permission("default", "all"));
  world.settle();
  const violations = [{ path: "mesh", message: 'mesh "default" does not exist' }];
  assert.deepEqual(late(), { ok: false, reason: "invalid", violations });
});
