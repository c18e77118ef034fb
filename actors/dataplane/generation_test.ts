import assert from "node:assert/strict";
import type { ProxyKey } from "../../core/proxy.ts";
import * as example from "../../xds/example_mesh.ts";
import { buildMeshView } from "../../xds/topology.ts";
import { generate, type Generation, type Sources } from "./generation.ts";

const WEB: ProxyKey = { type: "dataplane", mesh: example.MESH, name: "web" };
const GATE: ProxyKey = { type: "ingress", mesh: "", name: "gate" };

function sources(key: ProxyKey): Sources {
  const workload = example.workload("web", { address: "10.0.0.1" });
  const view = buildMeshView(example.input({ dataplanes: [workload] }));
  const settings = {
    instanceId: "cp",
    vipPort: 80,
    admin: null,
    healthReportMs: 0,
    leaseMs: 0,
    firstLeaseMs: 0,
  };
  return {
    args: { key, settings, registered: false },
    node: example.NODE,
    views: new Map([[example.MESH, view]]),
    identity: null,
    ingress: example.zoneIngress("east", { address: "10.0.0.9", services: [] }),
  };
}

function made(from: Sources, before: Generation | null = null): Generation {
  const generation = generate(from, { before, identityWaits: "" });
  assert("snapshot" in generation);
  return generation;
}

Deno.test("generate() makes nothing anew from the same sources", () => {
  for (const key of [WEB, GATE]) {
    const from = sources(key);
    const before = made(from);
    assert.equal(made({ ...from, views: new Map(from.views) }, before), before);
  }
});

Deno.test("generate() makes an ingress anew for what it listens on, not for what it offers", () => {
  const from = sources(GATE);
  const before = made(from);
  const { ingress } = from;
  assert(ingress);
  const { spec } = ingress;
  const availableServices = [{ tags: { "kuma.io/service": "web" }, instances: 1, mesh: "default" }];
  const offering = { ...ingress, spec: { ...spec, availableServices } };
  assert.equal(made({ ...from, ingress: offering }, before), before);
  const moved = { ...ingress, spec: { ...spec, networking: { ...spec.networking, port: 7 } } };
  const after = made({ ...from, ingress: moved }, before);
  assert.notDeepEqual(after.snapshot, before.snapshot);
  assert.deepEqual(after.snapshot, made({ ...from, ingress: moved }).snapshot);
});

Deno.test("generate() makes everything anew for another view, node or certificate", () => {
  const from = sources(WEB);
  const before = made(from);
  const others: Partial<Sources>[] = [
    { views: sources(WEB).views },
    { node: { ...example.NODE } },
    { identity: example.IDENTITY },
  ];
  for (const other of others) assert.notEqual(made({ ...from, ...other }, before), before);
});
