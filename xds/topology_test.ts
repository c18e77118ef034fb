import assert from "node:assert/strict";
import fc from "fast-check";
import type { MeshView, ViewKey } from "../core/mesh_view.ts";
import type { DataplaneSpec } from "../core/dataplane.ts";
import type { MeshSpec } from "../core/mesh.ts";
import type { Resource, ResourceKey } from "../core/resource.ts";
import type { ZoneIngressSpec } from "../core/zone.ts";
import * as example from "./example_mesh.ts";
import { type Generated, generateDataplane, generateIngress } from "./generate.ts";
import type { Snapshot } from "./snapshot.ts";
import { availableServices, buildMeshView, type MeshInput, updateMeshView } from "./topology.ts";

const WEB = example.workload("web", { address: "10.0.0.1", tags: { "kuma.io/protocol": "http" } });

Deno.test("buildMeshView() knows where each service is, sorted", () => {
  const view = buildMeshView(example.input({
    dataplanes: [
      example.workload("b-2", { address: "10.0.0.3", service: "b" }),
      example.workload("b-1", { address: "10.0.0.2", service: "b", port: 9 }),
      WEB,
    ],
  }));
  assert.deepEqual([...view.services.keys()], ["b", "web"]);
  const { endpoints, protocol } = view.services.get("b")!;
  assert.deepEqual(endpoints.map(({ address, port }) => `${address}:${port}`), [
    "10.0.0.2:9",
    "10.0.0.3:8080",
  ]);
  assert.equal(protocol, "unknown");
  assert.equal(view.services.get("web")!.protocol, "http");
});

Deno.test("buildMeshView() takes what is advertised, and leaves out what is not ready", () => {
  const tags = { "kuma.io/service": "a" };
  const view = buildMeshView(example.input({
    dataplanes: [example.dataplane("a", {
      address: "10.0.0.1",
      advertisedAddress: "192.0.2.1",
      inbound: [
        { port: 1, tags },
        { port: 2, tags, state: "NotReady" },
        { port: 3, tags, health: { ready: false } },
        { port: 4, tags, state: "Ignored" },
      ],
    })],
  }));
  const endpoints = view.services.get("a")!.endpoints;
  assert.deepEqual(endpoints.map(({ address, port }) => `${address}:${port}`), ["192.0.2.1:1"]);
});

const REMOTE = example.zoneIngress("west", {
  address: "192.0.2.9",
  services: [
    { tags: { "kuma.io/service": "b", "kuma.io/zone": "west" }, instances: 3, mesh: example.MESH },
    { tags: { "kuma.io/service": "other" }, instances: 1, mesh: "other" },
  ],
});
const LOCAL = example.workload("b", { address: "10.0.0.2", tags: { "kuma.io/zone": "east" } });

Deno.test("buildMeshView() offers other zones' instances only with mutual TLS", () => {
  const parts = { dataplanes: [LOCAL], zoneIngresses: [REMOTE] };
  const without = buildMeshView(example.input(parts));
  assert.equal(without.services.get("b")!.endpoints.length, 1);
  const view = buildMeshView(example.input({ ...parts, mesh: example.mesh(example.MTLS) }));
  const { endpoints, local } = view.services.get("b")!;
  assert.deepEqual(endpoints.map(({ zone, weight, priority }) => [zone, weight, priority]), [
    ["east", 1, 0],
    ["west", 3, 0],
  ]);
  assert.deepEqual(local.map(({ address }) => address), ["10.0.0.2"]);
  assert.equal(view.services.has("other"), false);
});

Deno.test("buildMeshView() ranks other zones behind its own when the mesh prefers it", () => {
  const spec = { ...example.MTLS, routing: { localityAwareLoadBalancing: true } };
  const view = buildMeshView(
    example.input({ mesh: example.mesh(spec), dataplanes: [LOCAL], zoneIngresses: [REMOTE] }),
  );
  assert.deepEqual(view.services.get("b")!.endpoints.map(({ priority }) => priority), [0, 1]);
});

Deno.test("buildMeshView() weighs an own instance once for each way into other zones", () => {
  const { spec } = REMOTE;
  const behind = (name: string, address: string) => ({
    ...REMOTE,
    name,
    spec: { ...spec, networking: { ...spec.networking, advertisedAddress: address } },
  });
  const zoneIngresses = [
    behind("one", "192.0.2.1"),
    behind("two", "192.0.2.2"),
    // Behind the same load balancer as "two".
    behind("three", "192.0.2.2"),
  ];
  const view = buildMeshView(
    example.input({ mesh: example.mesh(example.MTLS), dataplanes: [LOCAL], zoneIngresses }),
  );
  assert.deepEqual(view.services.get("b")!.endpoints.map(({ weight }) => weight), [2, 3, 3]);
});

Deno.test("availableServices() counts ready instances by tag set", () => {
  const view = buildMeshView(example.input({
    dataplanes: [
      example.workload("b-1", { address: "10.0.0.1", service: "b", tags: { version: "1" } }),
      example.workload("b-2", { address: "10.0.0.2", service: "b", tags: { version: "1" } }),
      example.workload("b-3", { address: "10.0.0.3", service: "b", tags: { version: "2" } }),
    ],
  }));
  assert.deepEqual(
    availableServices(view).map(({ tags, instances }) => [tags["version"], instances]),
    [["1", 2], ["2", 1]],
  );
});

Deno.test("updateMeshView() names what differs, and keeps the rest", () => {
  const before = buildMeshView(example.input({ dataplanes: [LOCAL, WEB] }));
  const moved = example.workload("b", { address: "10.0.0.77", tags: { "kuma.io/zone": "east" } });
  const { view, touched } = updateMeshView(
    before,
    example.input({ dataplanes: [moved, WEB], revision: 2 }),
    [moved],
  );
  assert.deepEqual([...touched].sort(), ["dataplane/b", "service/b"]);
  assert.equal(view.services.get("web"), before.services.get("web"));
  assert.equal(view.revision, 2);
});

// What follows is the central promise: however a view came about, proxies are told the same.

interface World {
  mesh: Resource<MeshSpec>;
  readonly dataplanes: Map<string, Resource<DataplaneSpec>>;
  readonly zoneIngresses: Map<string, Resource<ZoneIngressSpec>>;
  readonly policies: Map<string, Resource>;
  vips: Map<string, string>;
}

type Step = (world: World) => ResourceKey;

const name = fc.constantFrom("a", "b", "c");
const protocol = fc.constantFrom("http", "tcp", "grpc");
const zone = fc.constantFrom("east", "west");
const tags = fc.record({
  "kuma.io/service": name,
  "kuma.io/protocol": protocol,
  "kuma.io/zone": zone,
  version: fc.constantFrom("v1", "v2"),
}, { requiredKeys: ["kuma.io/service"], noNullPrototype: true });

const dataplaneStep: fc.Arbitrary<Step> = fc.record({
  id: fc.constantFrom("p1", "p2", "p3", "p4"),
  host: fc.integer({ min: 1, max: 5 }),
  port: fc.constantFrom(80, 8080),
  tags,
  ready: fc.boolean(),
  kind: fc.constantFrom("inbound", "gateway", "transparent", "gone"),
}).map(({ id, host, port, tags, ready, kind }) => ({ dataplanes }) => {
  const address = `10.0.0.${host}`;
  const outbound = [{ port: 20000, tags: { "kuma.io/service": "a" } }];
  const inbound = [{ port, tags, state: ready ? "Ready" as const : "NotReady" as const }];
  const transparentProxying = { redirectPortInbound: 15006, redirectPortOutbound: 15001 };
  const networking: DataplaneSpec["networking"] = kind === "gateway"
    ? { address, gateway: { tags }, outbound }
    : { address, inbound, outbound, ...(kind === "transparent" && { transparentProxying }) };
  const resource = example.dataplane(id, networking);
  if (kind === "gone") dataplanes.delete(id);
  else dataplanes.set(id, resource);
  return resource;
});

const ingressStep: fc.Arbitrary<Step> = fc.record({
  zone,
  host: fc.integer({ min: 1, max: 2 }),
  services: fc.array(fc.record({ tags, instances: fc.integer({ min: 0, max: 3 }) }), {
    maxLength: 3,
  }),
  gone: fc.boolean(),
}).map(({ zone, host, services, gone }) => ({ zoneIngresses }) => {
  const offered = services.map((service) => ({ ...service, mesh: example.MESH }));
  const resource = example.zoneIngress(zone, { address: `192.0.2.${host}`, services: offered });
  if (gone) zoneIngresses.delete(zone);
  else zoneIngresses.set(zone, resource);
  return resource;
});

const policyStep: fc.Arbitrary<Step> = fc.record({
  id: fc.constantFrom("x", "y"),
  service: name,
  weights: fc.tuple(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 1, max: 3 })),
  loadBalancer: fc.constantFrom({}, { random: {} }, { leastRequest: { choiceCount: 3 } }),
  kind: fc.constantFrom("permission", "route", "gone"),
}).map(({ id, service, weights: [first, second], loadBalancer, kind }) => ({ policies }) => {
  const any = { "kuma.io/service": "*" };
  const resource = kind === "permission"
    ? example.permission(id, { "kuma.io/service": service }, any)
    : example.route(id, service, {
      split: [
        { weight: first, destination: { "kuma.io/service": service, version: "v1" } },
        { weight: second, destination: { "kuma.io/service": "c" } },
      ],
      loadBalancer,
    });
  const key = `${resource.type}/${id}`;
  if (kind === "gone") policies.delete(key);
  else policies.set(key, resource);
  return resource;
});

const meshStep: fc.Arbitrary<Step> = fc.record({
  mtls: fc.boolean(),
  localityAwareLoadBalancing: fc.boolean(),
  passthrough: fc.boolean(),
}).map(({ mtls, localityAwareLoadBalancing, passthrough }) => (world) => {
  return world.mesh = example.mesh({
    ...(mtls && example.MTLS),
    routing: { localityAwareLoadBalancing },
    networking: { outbound: { passthrough } },
  });
});

const vipStep: fc.Arbitrary<Step> = fc.subarray(["a", "b", "c"]).map((names) => (world) => {
  world.vips = new Map(names.map((name, index) => [name, `240.0.0.${index}`]));
  return { type: "Config", mesh: "", name: "kuma-default-dns-vips" };
});

const steps = fc.array(
  fc.array(
    fc.oneof(
      { weight: 4, arbitrary: dataplaneStep },
      { weight: 2, arbitrary: ingressStep },
      { weight: 3, arbitrary: policyStep },
      { weight: 1, arbitrary: meshStep },
      { weight: 1, arbitrary: vipStep },
    ),
    { minLength: 1, maxLength: 3 },
  ),
  { maxLength: 12 },
);

function inputOf(world: World, revision: number): MeshInput {
  return example.input({
    mesh: world.mesh,
    dataplanes: [...world.dataplanes.values()],
    zoneIngresses: [...world.zoneIngresses.values()],
    policies: [...world.policies.values()],
    vips: world.vips,
    revision,
  });
}

Deno.test("an updated view equals the one from scratch, and so does all that is generated", () => {
  fc.assert(
    fc.property(steps, (rounds) => {
      const world: World = {
        mesh: example.mesh(),
        dataplanes: new Map(),
        zoneIngresses: new Map(),
        policies: new Map(),
        vips: new Map(),
      };
      let view = buildMeshView(inputOf(world, 0));
      let told = generateAll(view);
      rounds.forEach((round, index) => {
        const changed = round.map((step) => step(world));
        const input = inputOf(world, index + 1);
        const next = updateMeshView(view, input, changed);
        // A copy shares no object with what was there before: nothing is found in a cache by identity.
        const scratch = buildMeshView(structuredClone(input));
        assert.deepEqual(next.view, scratch);
        const now = generateAll(next.view);
        assert.deepEqual(textOfAll(now), textOfAll(generateAll(scratch)));
        for (const [proxy, before] of told) {
          const after = now.get(proxy);
          if (!after || [...before.reads].some((key) => next.touched.has(key))) continue;
          assert.equal(textOf(after.snapshot), textOf(before.snapshot), `${proxy} was not asked`);
        }
        checkParts(view, next);
        [view, told] = [next.view, now];
      });
    }),
    { numRuns: 150 },
  );
});

function generateAll(view: MeshView): ReadonlyMap<string, Generated> {
  const identity = view.mtls ? example.IDENTITY : null;
  const all = new Map<string, Generated>();
  for (const name of view.dataplanes.keys()) {
    all.set(name, generateDataplane(view, name, { node: example.NODE, identity }));
  }
  const ingress = example.zoneIngress("east", { address: "10.0.0.200", services: [] });
  const views = new Map([[view.mesh, view]]);
  const { snapshot, reads } = generateIngress(ingress, views, { node: example.NODE });
  return all.set("an ingress", { snapshot, reads: reads.get(view.mesh) ?? new Set() });
}

function textOfAll(all: ReadonlyMap<string, Generated>): readonly (readonly [string, string])[] {
  return [...all].map(([proxy, { snapshot }]) => [proxy, textOf(snapshot)]);
}

function textOf({ resources }: Snapshot): string {
  return [...resources].flatMap(([type, ofType]) =>
    [...ofType.values()].map(({ name, version }) => `${type} ${name} ${version}`)
  ).join("\n");
}

/** Parts that are not named are the same objects. */
function checkParts(
  before: MeshView,
  { view, touched }: { readonly view: MeshView; readonly touched: ReadonlySet<ViewKey> },
): void {
  if (!touched.has("mesh")) assert.equal(view.spec, before.spec);
  if (!touched.has("vips")) assert.equal(view.vips, before.vips);
  if (!touched.has("services")) {
    assert.deepEqual([...view.services.keys()], [...before.services.keys()]);
  }
  const maps = [
    ["service", before.services, view.services],
    ["dataplane", before.dataplanes, view.dataplanes],
    ["policy", before.policies, view.policies],
  ] as const;
  for (const [kind, old, now] of maps) {
    for (const key of new Set([...old.keys(), ...now.keys()])) {
      if (!touched.has(`${kind}/${key}`)) {
        assert.equal(now.get(key), old.get(key), `${kind}/${key}`);
      }
    }
  }
}
