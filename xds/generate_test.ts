import assert from "node:assert/strict";
import fc from "fast-check";
import type { MeshSpec } from "../core/mesh.ts";
import type { ProxyNode } from "../core/proxy.ts";
import type { JsonObject } from "../core/resource.ts";
import { decode } from "../proto/mod.ts";
import * as example from "./example_mesh.ts";
import { generateDataplane, generateIngress } from "./generate.ts";
import { FEATURE_BIND_OUTBOUNDS } from "./node.ts";
import { type Snapshot, TYPES, type TypeUrl } from "./snapshot.ts";
import { buildMeshView, type MeshInput } from "./topology.ts";

const HTTP = { "kuma.io/protocol": "http" };
const BACKEND = { "kuma.io/service": "backend" };

const WEB = example.dataplane("web", {
  address: "10.0.0.1",
  inbound: [{ port: 8080, servicePort: 80, tags: { "kuma.io/service": "web", ...HTTP } }],
  outbound: [{ port: 20080, tags: BACKEND }],
});
const BACKEND_1 = example.workload("backend-1", {
  address: "10.0.0.2",
  port: 7070,
  service: "backend",
  tags: { ...HTTP, version: "v1" },
});
const BINDING: ProxyNode = { ...example.NODE, features: [FEATURE_BIND_OUTBOUNDS] };

function web(parts: Partial<MeshInput> = {}, node = example.NODE): Resources {
  const view = buildMeshView(example.input({ dataplanes: [WEB, BACKEND_1], ...parts }));
  const identity = view.mtls ? example.IDENTITY : null;
  return resourcesOf(generateDataplane(view, "web", { node, identity }).snapshot);
}

type Resources = (type: keyof typeof TYPES) => ReadonlyMap<string, JsonObject>;

function resourcesOf(snapshot: Snapshot): Resources {
  return (type) =>
    new Map(
      [...snapshot.resources.get(TYPES[type] as TypeUrl)?.values() ?? []].map(({ name, any }) =>
        [name, decode("google.protobuf.Any", any, { snake: true })] as const
      ),
    );
}

/** The value at a path of keys; anything may be there. */
// deno-lint-ignore no-explicit-any
function at(value: any, ...keys: readonly (string | number)[]): any {
  return keys.reduce((inner, key) => inner?.[key], value);
}

const MTLS = { mesh: example.mesh(example.MTLS) };

Deno.test("a sidecar has the names that operators know", () => {
  const of = web(MTLS);
  assert.deepEqual([...of("cluster").keys()], ["kuma:envoy:admin", "localhost:80", "backend"]);
  assert.deepEqual([...of("endpoint").keys()], ["backend"]);
  assert.deepEqual([...of("listener").keys()], [
    "inbound:10.0.0.1:8080",
    "outbound:127.0.0.1:20080",
  ]);
  assert.deepEqual([...of("secret").keys()], [
    "identity_cert:secret:default",
    "mesh_ca:secret:default",
  ]);
});

Deno.test("an upstream is told by SNI which service, and proves to be it", () => {
  const context = at(web(MTLS)("cluster").get("backend"), "transport_socket", "typed_config");
  assert.equal(context.sni, "backend{mesh=default}");
  const validation = context.common_tls_context.combined_validation_context;
  assert.deepEqual(validation.default_validation_context.match_typed_subject_alt_names, [
    { san_type: "URI", matcher: { exact: "spiffe://default/backend" } },
  ]);
  assert.deepEqual(context.common_tls_context.alpn_protocols, ["kuma"]);
});

Deno.test("an inbound refuses everybody without a permission", () => {
  const rbac = rbacOf(web(MTLS));
  assert.deepEqual(rbac.rules, {});
});

Deno.test("a permission becomes one principal for each source", () => {
  const permission = example.resource("TrafficPermission", "some", {
    sources: [
      { match: { "kuma.io/service": "a" } },
      { match: { "kuma.io/service": "b", team: "x", version: "*" } },
      { match: { "kuma.io/service": "*" } },
    ],
    destinations: [{ match: { "kuma.io/service": "web" } }],
  });
  const id = (exact: string) => ({ authenticated: { principal_name: { exact } } });
  assert.deepEqual(rbacOf(web({ ...MTLS, policies: [permission] })).rules.policies, {
    some: {
      permissions: [{ any: true }],
      principals: [
        id("spiffe://default/a"),
        { and_ids: { ids: [id("spiffe://default/b"), id("kuma://team/x")] } },
        { any: true },
      ],
    },
  });
});

function rbacOf(of: Resources) {
  const listener = of("listener").get("inbound:10.0.0.1:8080");
  const filter = at(listener, "filter_chains", 0, "filters", 0);
  assert.equal(filter.name, "envoy.filters.network.rbac");
  return filter.typed_config;
}

Deno.test("a delegated gateway has outbounds and an identity, and no inbound", () => {
  const gateway = example.dataplane("web", {
    address: "10.0.0.1",
    gateway: { tags: { "kuma.io/service": "gateway" } },
    outbound: [{ port: 20080, tags: BACKEND }],
  });
  const of = web({ ...MTLS, dataplanes: [gateway, BACKEND_1] });
  assert.deepEqual([...of("listener").keys()], ["outbound:127.0.0.1:20080"]);
  assert.equal(of("secret").size, 2);
});

Deno.test("a virtual address listens on the virtual port and on the instances' ports", () => {
  const vips = new Map([["backend", "240.0.0.1"], ["gone", "240.0.0.2"]]);
  const names = (of: Resources) =>
    [...of("listener").keys()].filter((name) => name.startsWith("outbound:240"));
  const expected = ["outbound:240.0.0.1:80", "outbound:240.0.0.1:7070", "outbound:240.0.0.2:80"];
  const of = web({ vips }, BINDING);
  assert.deepEqual(names(of), expected);
  assert.equal(of("listener").get("outbound:240.0.0.1:80")!["bind_to_port"], undefined);
  assert.deepEqual(at(of("endpoint").get("gone"), "endpoints"), undefined);
  assert.deepEqual(names(web({ vips })), []);
});

Deno.test("redirected connections need no ports of their own", () => {
  const { spec: { networking } } = WEB;
  const transparent = example.dataplane("web", {
    ...networking,
    transparentProxying: {
      redirectPortInbound: 15006,
      redirectPortOutbound: 15001,
      ipFamilyMode: "IPv4",
    },
  });
  const vips = new Map([["backend", "240.0.0.1"]]);
  const of = web({ dataplanes: [transparent, BACKEND_1], vips });
  assert.equal(of("listener").get("outbound:240.0.0.1:80")!["bind_to_port"], false);
  assert.equal(of("listener").get("inbound:10.0.0.1:8080")!["bind_to_port"], false);
  assert.equal(of("listener").get("outbound:127.0.0.1:20080")!["bind_to_port"], undefined);
  assert.equal(of("listener").has("outbound:passthrough:ipv4"), true);
  assert.equal(of("listener").has("outbound:passthrough:ipv6"), false);
  const closed: MeshSpec = { networking: { outbound: { passthrough: false } } };
  const shut = web({ dataplanes: [transparent], mesh: example.mesh(closed) });
  assert.equal(shut("cluster").has("outbound:passthrough:ipv4"), false);
  assert.equal(shut("cluster").has("inbound:passthrough:ipv4"), true);
});

Deno.test("endpoints of one address count together", () => {
  const service = (version: string, instances: number) => ({
    tags: { ...BACKEND, ...HTTP, version, "kuma.io/zone": "west" },
    instances,
    mesh: example.MESH,
  });
  const ingress = example.zoneIngress("west", {
    address: "192.0.2.9",
    services: [service("v1", 2), service("v2", 3)],
  });
  const of = web({ ...MTLS, dataplanes: [WEB], zoneIngresses: [ingress] });
  const [{ lb_endpoints: endpoints }] = at(of("endpoint").get("backend"), "endpoints");
  assert.equal(endpoints.length, 1);
  assert.equal(endpoints[0].load_balancing_weight, 5);
  assert.deepEqual(endpoints[0].metadata.filter_metadata["envoy.lb"], {
    "kuma.io/protocol": "http",
    "kuma.io/zone": "west",
  });
});

Deno.test("two workloads on one port are told apart", () => {
  const tags = (name: string) => ({ "kuma.io/service": name });
  const dataplane = example.dataplane("web", {
    address: "10.0.0.1",
    inbound: [
      { port: 1, servicePort: 80, serviceAddress: "10.0.0.7", tags: tags("a") },
      { port: 2, servicePort: 80, serviceAddress: "10.0.0.8", tags: tags("b") },
      { port: 3, servicePort: 80, serviceAddress: "10.0.0.7", tags: tags("c") },
    ],
  });
  const of = web({ dataplanes: [dataplane] });
  assert.deepEqual([...of("cluster").keys()], [
    "kuma:envoy:admin",
    "localhost:80",
    "localhost:80:2",
  ]);
});

Deno.test("equal resources of two proxies are one object", () => {
  const other = { ...WEB, name: "web-2" };
  const view = buildMeshView(example.input({ ...MTLS, dataplanes: [WEB, other, BACKEND_1] }));
  const parts = { node: example.NODE, identity: example.IDENTITY };
  const [a, b] = ["web", "web-2"].map((name) => generateDataplane(view, name, parts).snapshot);
  for (const [type, ofType] of a!.resources) {
    for (const [name, resource] of ofType) {
      assert.equal(b!.resources.get(type)!.get(name), resource, name);
    }
  }
});

Deno.test("an ingress has a chain for each destination, and one more for what nothing routes", () => {
  const split = [
    { weight: 1, destination: { ...BACKEND, version: "v1" } },
    { weight: 0, destination: { ...BACKEND, version: "v2" } },
  ];
  const view = buildMeshView(example.input({
    ...MTLS,
    dataplanes: [WEB, BACKEND_1],
    policies: [example.route("backend", "backend", { split })],
  }));
  const ingress = example.zoneIngress("east", { address: "10.0.0.9", services: [] });
  const views = new Map([[view.mesh, view]]);
  const { snapshot, reads } = generateIngress(ingress, views, { node: example.NODE });
  const listener = resourcesOf(snapshot)("listener").get("inbound:10.0.0.9:10001");
  const chains = at(listener, "filter_chains") as readonly JsonObject[];
  assert.deepEqual(
    chains.map((chain) => [
      at(chain, "filter_chain_match", "server_names", 0),
      at(chain, "filters", 0, "typed_config", "cluster"),
      at(chain, "filters", 0, "typed_config", "metadata_match", "filter_metadata", "envoy.lb"),
    ]),
    [
      ["backend{mesh=default,version=v1}", "default:backend", undefined],
      ["backend{mesh=default,version=v2}", "default:backend", { version: "v2" }],
      ["web{mesh=default}", "default:web", undefined],
    ],
  );
  assert.deepEqual([...reads.get("default")!].sort(), [
    "policy/TrafficRoute",
    "service/backend",
    "service/web",
    "services",
  ]);
});

Deno.test("meshes are apart at an ingress", () => {
  const views = new Map(["a", "b"].map((mesh) => {
    const base = example.input({ dataplanes: [BACKEND_1] });
    return [mesh, buildMeshView({ ...base, mesh: { ...base.mesh, name: mesh } })];
  }));
  const ingress = example.zoneIngress("east", { address: "10.0.0.9", services: [] });
  const of = resourcesOf(generateIngress(ingress, views, { node: example.NODE }).snapshot);
  assert.deepEqual([...of("cluster").keys()], ["kuma:envoy:admin", "a:backend", "b:backend"]);
  const chains = at(of("listener").get("inbound:10.0.0.9:10001"), "filter_chains");
  assert.deepEqual(
    chains.map((chain: unknown) => at(chain, "filter_chain_match", "server_names", 0)),
    ["backend{mesh=a}", "backend{mesh=b}"],
  );
});

const anyNetworking = fc.record({
  protocol: fc.constantFrom("http", "grpc", "tcp", "kafka", "nonsense"),
  transparent: fc.boolean(),
  binding: fc.boolean(),
  routed: fc.boolean(),
  permitted: fc.boolean(),
  zone: fc.constantFrom("east", "west"),
});

Deno.test("with mutual TLS nothing of the mesh is plaintext", () => {
  fc.assert(fc.property(anyNetworking, ({ protocol, transparent, binding, ...parts }) => {
    const tags = { "kuma.io/service": "web", "kuma.io/protocol": protocol };
    const transparentProxying = { redirectPortInbound: 15006, redirectPortOutbound: 15001 };
    const dataplane = example.dataplane("web", {
      address: "10.0.0.1",
      inbound: [{ port: 8080, tags }],
      outbound: [{ port: 1, tags: BACKEND }, { port: 2, tags: { "kuma.io/service": "gone" } }],
      ...(transparent && { transparentProxying }),
    });
    const split = [{ weight: 1, destination: { ...BACKEND, "kuma.io/zone": parts.zone } }];
    const of = web({
      ...MTLS,
      dataplanes: [dataplane, BACKEND_1],
      policies: [
        ...(parts.routed ? [example.route("r", "backend", { split })] : []),
        ...(parts.permitted ? [example.permission("p", BACKEND, example.ANY_SERVICE)] : []),
      ],
      vips: new Map([["backend", "240.0.0.1"]]),
    }, binding ? BINDING : example.NODE);
    for (const [name, cluster] of of("cluster")) {
      if (cluster["type"] === "EDS") assert.ok(cluster["transport_socket"], name);
    }
    for (const [name, listener] of of("listener")) {
      if (!name.startsWith("inbound:10.")) continue;
      for (const chain of listener["filter_chains"] as readonly JsonObject[]) {
        const context = at(chain, "transport_socket", "typed_config");
        assert.equal(context.require_client_certificate, true, name);
        assert.equal(at(chain, "filters", 0, "name"), "envoy.filters.network.rbac", name);
      }
    }
  }));
});

Deno.test("without an identity there is no snapshot of a mesh with mutual TLS", () => {
  const view = buildMeshView(example.input({ ...MTLS, dataplanes: [WEB] }));
  assert.throws(
    () => generateDataplane(view, "web", { node: example.NODE, identity: null }),
    /no identity/,
  );
});
