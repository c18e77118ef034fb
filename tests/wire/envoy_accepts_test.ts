// A real Envoy takes every configuration that we generate, without a word about deprecated fields.

import assert from "node:assert/strict";
import forge from "node-forge";
import type { IdentityMaterial, ProxyNode } from "../../core/proxy.ts";
import type { JsonObject } from "../../core/resource.ts";
import type { MeshSpec } from "../../core/mesh.ts";
import { findEnvoy } from "../../dataplane/io/envoy_binary.ts";
import { decode } from "../../proto/mod.ts";
import * as example from "../../xds/example_mesh.ts";
import { generateDataplane, generateIngress } from "../../xds/generate.ts";
import { type Snapshot, TYPES } from "../../xds/snapshot.ts";
import { buildMeshView } from "../../xds/topology.ts";

const ENVOY = await findEnvoy({ cacheDir: ".ursa/cache/envoy", log: console.log });
const HTTP = { "kuma.io/protocol": "http" };

const DATAPLANES = [
  example.dataplane("web", {
    address: "127.0.0.2",
    inbound: [
      { port: 8080, servicePort: 80, tags: { "kuma.io/service": "web", ...HTTP } },
      { port: 8081, tags: { "kuma.io/service": "web-grpc", "kuma.io/protocol": "grpc" } },
      { port: 8082, tags: { "kuma.io/service": "web-tcp" } },
    ],
    outbound: [
      { port: 20080, tags: { "kuma.io/service": "backend" } },
      { port: 20081, tags: { "kuma.io/service": "redis" } },
      { port: 20082, tags: { "kuma.io/service": "backend", version: "v1" } },
      { port: 20083, tags: { "kuma.io/service": "nobody" } },
      { port: 20084, tags: { "kuma.io/service": "web-grpc" } },
    ],
  }),
  example.dataplane("gateway", {
    address: "127.0.0.3",
    gateway: { tags: { "kuma.io/service": "gateway" } },
    outbound: [{ port: 20080, tags: { "kuma.io/service": "backend" } }],
  }),
  example.dataplane("transparent", {
    address: "127.0.0.4",
    inbound: [{ port: 8080, tags: { "kuma.io/service": "transparent", ...HTTP } }],
    transparentProxying: { redirectPortInbound: 15006, redirectPortOutbound: 15001 },
  }),
  example.workload("backend-1", {
    address: "127.0.0.5",
    service: "backend",
    tags: { ...HTTP, version: "v1", "kuma.io/zone": "east" },
  }),
  example.workload("redis", { address: "127.0.0.6", port: 6379 }),
];

const INGRESS = example.zoneIngress("west", {
  address: "127.0.0.9",
  services: [{
    tags: { "kuma.io/service": "backend", "kuma.io/zone": "west", version: "v2", ...HTTP },
    instances: 2,
    mesh: example.MESH,
  }],
});

const ROUTE = example.route("backend", "backend", {
  http: [{
    match: {
      method: { exact: "GET" },
      path: { prefix: "/v2" },
      headers: { "x-canary": { exact: "on" }, "x-user": { regex: "a.*" }, "x-b": { prefix: "c" } },
    },
    modify: {
      path: { rewritePrefix: "/" },
      host: { value: "canary.internal" },
      requestHeaders: {
        add: [{ name: "x-seen", value: "1" }, { name: "x-more", value: "2", append: true }],
        remove: [{ name: "x-drop" }],
      },
      responseHeaders: { add: [{ name: "x-from", value: "canary" }], remove: [{ name: "server" }] },
    },
    destination: { "kuma.io/service": "backend", version: "v2" },
  }, {
    match: { path: { regex: "/a.*" } },
    modify: {
      path: { regex: { pattern: "^/a/(.*)", substitution: "/b/\\1" } },
      host: { fromPath: { pattern: "^/a/(.*)", substitution: "\\1.internal" } },
    },
    split: [
      { weight: 1, destination: { "kuma.io/service": "backend", version: "v1" } },
      { weight: 3, destination: { "kuma.io/service": "backend", version: "v2" } },
    ],
  }, {
    match: { path: { exact: "/health" } },
    destination: { "kuma.io/service": "redis" },
  }],
  loadBalancer: { ringHash: { hashFunction: "MURMUR_HASH_2", minRingSize: "64" } },
  split: [
    { weight: 80, destination: { "kuma.io/service": "*", "kuma.io/zone": "east" } },
    { weight: 20, destination: { "kuma.io/service": "*", "kuma.io/zone": "west" } },
  ],
});

const PERMISSION = example.permission(
  "web-to-all",
  { "kuma.io/service": "web", team: "a" },
  example.ANY_SERVICE,
);

const VIPS = new Map([["backend", "127.128.0.2"], ["redis", "127.128.0.3"]]);
const KUMA_FEATURES = ["feature-reuse-port", "feature-strict-inbound-ports"];

function viewOf(spec: MeshSpec, policies = [ROUTE, PERMISSION]) {
  return buildMeshView(example.input({
    mesh: example.mesh(spec),
    dataplanes: DATAPLANES,
    zoneIngresses: [INGRESS],
    policies,
    vips: VIPS,
  }));
}

const LOCAL_FIRST: MeshSpec = { ...example.MTLS, routing: { localityAwareLoadBalancing: true } };

for (
  const [state, view] of [
    ["without mutual TLS", viewOf({}, [])],
    ["with mutual TLS", viewOf(example.MTLS, [])],
    ["with mutual TLS, routes and permissions", viewOf(LOCAL_FIRST)],
  ] as const
) {
  const identity = view.mtls ? selfSigned() : null;
  const proxies: readonly (readonly [string, ProxyNode])[] = [
    ["web", { ...example.NODE, readinessPort: 9902 }],
    ["web", { ...example.NODE, features: ["feature-bind-outbounds"] }],
    ["gateway", example.NODE],
    ["transparent", { ...example.NODE, features: KUMA_FEATURES }],
  ];
  proxies.forEach(([name, node], index) => {
    envoyTest(`dataplane ${name} (${index + 1}) ${state}`, () => {
      return generateDataplane(view, name, { node, identity }).snapshot;
    });
  });
  envoyTest(`zone ingress ${state}`, () => {
    const ingress = example.zoneIngress("east", { address: "127.0.0.8", services: [] });
    return generateIngress(ingress, new Map([[view.mesh, view]]), { node: example.NODE }).snapshot;
  });
}

for (const loadBalancer of [{ leastRequest: {} }, { random: {} }, { maglev: {} }]) {
  const [kind] = Object.keys(loadBalancer);
  const destination = { "kuma.io/service": "backend" };
  const policies = [example.route("balanced", "backend", { destination, loadBalancer })];
  envoyTest(`load balancer ${kind}`, () => {
    const view = viewOf({}, policies);
    return generateDataplane(view, "gateway", { node: example.NODE, identity: null }).snapshot;
  });
}

envoyTest("zone ingress without any service", () => {
  const ingress = example.zoneIngress("east", { address: "127.0.0.8", services: [] });
  return generateIngress(ingress, new Map(), { node: example.NODE }).snapshot;
});

function envoyTest(name: string, generate: () => Snapshot): void {
  Deno.test({
    name: `Envoy accepts: ${name}`,
    async fn() {
      const file = await Deno.makeTempFile({ suffix: ".json" });
      try {
        await Deno.writeTextFile(file, JSON.stringify(staticConfig(generate())));
        const { code, stderr } = await new Deno.Command(ENVOY, {
          args: ["--mode", "validate", "-c", file, "--log-level", "warning"],
          stdout: "null",
          stderr: "piped",
        }).output();
        const said = new TextDecoder().decode(stderr);
        assert.equal(code, 0, said);
        assert.doesNotMatch(said, /deprecated/i);
      } finally {
        await Deno.remove(file);
      }
    },
  });
}

/** What comes by discovery, as if it had been there from the start. */
function staticConfig(snapshot: Snapshot): JsonObject {
  const endpoints = new Map(
    resourcesOf(snapshot, TYPES.endpoint).map((one) => [one["cluster_name"], one]),
  );
  const clusters = resourcesOf(snapshot, TYPES.cluster).map((cluster) => {
    if (cluster["type"] !== "EDS") return cluster;
    const { eds_cluster_config: _, ...rest } = cluster;
    const assignment = endpoints.get(cluster["name"]);
    assert.ok(assignment, `no endpoints for ${cluster["name"]}`);
    return { ...rest, type: "STATIC", load_assignment: assignment };
  });
  return withoutDiscovery({
    static_resources: {
      clusters,
      listeners: resourcesOf(snapshot, TYPES.listener),
      secrets: resourcesOf(snapshot, TYPES.secret),
    },
  }) as JsonObject;
}

function resourcesOf(snapshot: Snapshot, typeUrl: typeof TYPES[keyof typeof TYPES]): JsonObject[] {
  return [...snapshot.resources.get(typeUrl)?.values() ?? []].map(({ any }) => {
    const { "@type": type, ...json } = decode("google.protobuf.Any", any, { snake: true });
    assert.equal(type, typeUrl);
    return json as JsonObject;
  });
}

function withoutDiscovery(json: unknown): unknown {
  if (Array.isArray(json)) return json.map(withoutDiscovery);
  if (typeof json !== "object" || json === null) return json;
  return Object.fromEntries(
    Object.entries(json).filter(([key]) => key !== "sds_config")
      .map(([key, value]) => [key, withoutDiscovery(value)]),
  );
}

function selfSigned(): IdentityMaterial {
  const keys = forge.pki.rsa.generateKeyPair(2048);
  const certificate = forge.pki.createCertificate();
  certificate.publicKey = keys.publicKey;
  certificate.serialNumber = "01";
  certificate.validity.notAfter = new Date(Date.now() + 3_600_000);
  // Type 6 is a URI. Envoy wants a name on every certificate that it serves with.
  const altNames = [{ type: 6, value: `spiffe://${example.MESH}/web` }];
  certificate.setExtensions([
    { name: "basicConstraints", cA: true },
    { name: "subjectAltName", altNames },
  ]);
  certificate.sign(keys.privateKey, forge.md.sha256.create());
  const pem = forge.pki.certificateToPem(certificate);
  const privateKey = forge.pki.privateKeyToPem(keys.privateKey);
  return { ...example.IDENTITY, certificateChain: pem, privateKey, trustedCa: pem };
}
