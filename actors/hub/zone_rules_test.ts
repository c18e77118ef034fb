import assert from "node:assert/strict";
import type { JsonObject } from "../../core/resource.ts";
import { openMemoryStore } from "../../store/memory.ts";
import { Overlay } from "./batch.ts";
import { admitInZone } from "./zone_rules.ts";

Deno.test("a dataplane joins a mesh that takes it in, by the tags of each of its inbounds", async () => {
  const store = openMemoryStore();
  const requirements = [{ tags: { env: "prod", "kuma.io/zone": "east" } }];
  const spec = { constraints: { dataplaneProxy: { requirements } } };
  const mesh = { type: "Mesh", mesh: "", name: "shop", labels: {}, spec };
  await store.commit([{ op: "put", resource: mesh }], 0);
  const admitted = (mesh: string, ...envs: readonly string[]) => {
    const inbound = envs.map((env) => ({ port: 80, tags: { "kuma.io/service": "web", env } }));
    const spec = { networking: { address: "10.0.0.1", inbound } } as JsonObject;
    const draft = { type: "Dataplane", mesh, name: "web-1", labels: {}, spec };
    const admission = admitInZone("east")(draft, new Overlay(store));
    return Array.isArray(admission) ? admission.map(({ path }) => path) : [];
  };
  assert.deepEqual(admitted("shop", "prod", "prod"), []);
  assert.deepEqual(admitted("shop", "prod", "dev"), ["networking.inbound[1].tags"]);
  assert.deepEqual(admitted("other", "dev"), []);
});
