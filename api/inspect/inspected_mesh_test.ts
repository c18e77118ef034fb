// A mesh with policies of every kind of matching, written the same way into both control planes.

import type { JsonObject } from "../../core/resource.ts";

export const MESH = "shop";

const service = (name: string) => ({ "kuma.io/service": name });
const connection = (source: string, destination: string) => ({
  sources: [{ match: service(source) }],
  destinations: [{ match: service(destination) }],
});

function dataplane(name: string, networking: JsonObject, labels: Record<string, string> = {}) {
  return { type: "Dataplane", mesh: MESH, name, labels, networking };
}

const http = (name: string, version = "v1") => ({
  ...service(name),
  "kuma.io/protocol": "http",
  version,
});

const meshTimeout = (name: string, targetRef: JsonObject, conf: JsonObject, labels = {}) => ({
  type: "MeshTimeout",
  mesh: MESH,
  name,
  labels,
  spec: { targetRef, ...conf },
});

const to = (kind: JsonObject, conf: JsonObject) => ({ to: [{ targetRef: kind, default: conf }] });

export const RESOURCES: readonly JsonObject[] = [
  {
    type: "Mesh",
    name: MESH,
    skipCreatingInitialPolicies: ["*"],
  },
  dataplane("web-1", {
    address: "10.0.0.1",
    inbound: [
      { port: 8080, servicePort: 18080, tags: http("web") },
      {
        port: 8081,
        servicePort: 18081,
        name: "admin",
        tags: { ...service("admin"), version: "v2" },
      },
    ],
    outbound: [{ port: 10001, tags: service("api") }, { port: 10002, tags: service("db") }],
  }, { team: "a" }),
  dataplane("api-1", {
    address: "10.0.0.2",
    inbound: [{ port: 8080, servicePort: 18080, serviceAddress: "127.0.0.1", tags: http("api") }],
    outbound: [{ port: 10001, tags: service("db") }],
  }),
  dataplane("db-1", {
    address: "10.0.0.3",
    inbound: [{ port: 5432, servicePort: 15432, tags: service("db"), state: "NotReady" }],
  }),
  dataplane("edge", {
    address: "10.0.0.4",
    gateway: { tags: service("edge") },
    outbound: [{ port: 10001, tags: service("web") }],
  }),
  {
    type: "MeshGateway",
    mesh: MESH,
    name: "door",
    selectors: [{ match: service("door") }],
    conf: { listeners: [{ port: 8080, protocol: "HTTP", tags: { port: "8080" } }] },
  },
  {
    type: "MeshGateway",
    mesh: MESH,
    name: "window",
    selectors: [{ match: service("window") }],
    conf: { listeners: [{ port: 8080, protocol: "HTTP" }] },
  },
  {
    type: "MeshGatewayRoute",
    mesh: MESH,
    name: "to-web",
    selectors: [{ match: { ...service("door"), port: "8080" } }],
    conf: {
      http: {
        rules: [{
          matches: [{ path: { match: "PREFIX", value: "/" } }],
          backends: [{ weight: 1, destination: service("web") }],
        }],
      },
    },
  },
  { type: "TrafficPermission", mesh: MESH, name: "all", ...connection("*", "*") },
  { type: "TrafficPermission", mesh: MESH, name: "web-to-api", ...connection("web", "api") },
  {
    type: "TrafficRoute",
    mesh: MESH,
    name: "all",
    ...connection("*", "*"),
    conf: { destination: service("*") },
  },
  {
    type: "TrafficRoute",
    mesh: MESH,
    name: "web-to-api",
    ...connection("web", "api"),
    conf: { destination: service("api") },
  },
  {
    type: "Timeout",
    mesh: MESH,
    name: "all",
    ...connection("*", "*"),
    conf: { connectTimeout: "5s" },
  },
  {
    type: "HealthCheck",
    mesh: MESH,
    name: "to-api",
    ...connection("*", "api"),
    conf: { interval: "10s", timeout: "2s", unhealthyThreshold: 3, healthyThreshold: 1, tcp: {} },
  },
  {
    type: "CircuitBreaker",
    mesh: MESH,
    name: "to-db",
    ...connection("*", "db"),
    conf: { detectors: { totalErrors: {} } },
  },
  {
    type: "Retry",
    mesh: MESH,
    name: "from-web",
    ...connection("web", "*"),
    conf: { http: { numRetries: 3 } },
  },
  { type: "TrafficLog", mesh: MESH, name: "all", ...connection("*", "*"), conf: { backend: "f1" } },
  {
    type: "TrafficTrace",
    mesh: MESH,
    name: "web",
    selectors: [{ match: service("web") }],
    conf: { backend: "z1" },
  },
  {
    type: "ProxyTemplate",
    mesh: MESH,
    name: "all",
    selectors: [{ match: service("*") }],
    conf: { imports: ["default-proxy"] },
  },
  {
    type: "FaultInjection",
    mesh: MESH,
    name: "api",
    sources: [{ match: service("web") }],
    destinations: [{ match: { ...service("api"), "kuma.io/protocol": "http" } }],
    conf: { delay: { percentage: 50, value: "1s" } },
  },
  {
    type: "FaultInjection",
    mesh: MESH,
    name: "any",
    sources: [{ match: service("*") }],
    destinations: [{ match: { ...service("*"), "kuma.io/protocol": "http" } }],
    conf: { delay: { percentage: 50, value: "1s" } },
  },
  {
    type: "RateLimit",
    mesh: MESH,
    name: "api",
    ...connection("web", "api"),
    conf: { http: { requests: 5, interval: "10s" } },
  },
  meshTimeout("all", { kind: "Mesh" }, {
    ...to({ kind: "Mesh" }, { connectionTimeout: "5s", http: { requestTimeout: "15s" } }),
    from: [{ targetRef: { kind: "Mesh" }, default: { idleTimeout: "1h0m0s" } }],
  }),
  meshTimeout("to-api", { kind: "MeshSubset", tags: { version: "v1" } }, {
    ...to({ kind: "MeshService", name: "api" }, { http: { requestTimeout: "3s" } }),
  }),
  meshTimeout("web", { kind: "MeshService", name: "web" }, {
    ...to({ kind: "Mesh" }, { idleTimeout: "20m0s" }),
  }),
  meshTimeout("admin", { kind: "Dataplane", labels: { team: "a" }, sectionName: "admin" }, {
    rules: [{ default: { idleTimeout: "7s" } }],
  }),
  meshTimeout("shadow", { kind: "Mesh" }, {
    ...to({ kind: "Mesh" }, { connectionTimeout: "9s" }),
  }, { "kuma.io/effect": "shadow" }),
  meshTimeout("gateways", { kind: "Mesh", proxyTypes: ["Gateway"] }, {
    ...to({ kind: "Mesh" }, { connectionTimeout: "8s" }),
  }),
  {
    type: "MeshTrafficPermission",
    mesh: MESH,
    name: "web",
    spec: {
      targetRef: { kind: "MeshService", name: "api" },
      from: [
        { targetRef: { kind: "Mesh" }, default: { action: "Deny" } },
        { targetRef: { kind: "MeshSubset", tags: service("web") }, default: { action: "Allow" } },
      ],
    },
  },
  {
    type: "MeshTrafficPermission",
    mesh: MESH,
    name: "versions",
    spec: {
      targetRef: { kind: "MeshService", name: "db" },
      from: [
        {
          targetRef: { kind: "MeshSubset", tags: { version: "v1" } },
          default: { action: "Allow" },
        },
        {
          targetRef: { kind: "MeshSubset", tags: { version: "v2", "kuma.io/zone": "z" } },
          default: { action: "AllowWithShadowDeny" },
        },
        { targetRef: { kind: "MeshSubset", tags: service("web") }, default: { action: "Deny" } },
        {
          targetRef: { kind: "MeshServiceSubset", name: "api", tags: { version: "v2" } },
          default: { action: "Allow" },
        },
      ],
    },
  },
  {
    type: "MeshMetric",
    mesh: MESH,
    name: "all",
    spec: {
      targetRef: { kind: "Mesh" },
      default: { applications: [{ path: "/m", port: 8888 }] },
    },
  },
  {
    type: "MeshMetric",
    mesh: MESH,
    name: "web",
    spec: {
      targetRef: { kind: "MeshSubset", tags: service("web") },
      default: { sidecar: { includeUnused: true } },
    },
  },
  {
    type: "MeshHTTPRoute",
    mesh: MESH,
    name: "api-canary",
    spec: {
      targetRef: { kind: "MeshService", name: "web" },
      to: [{
        targetRef: { kind: "MeshService", name: "api" },
        rules: [{
          matches: [{ path: { type: "PathPrefix", value: "/v2" } }],
          default: {
            backendRefs: [
              { kind: "MeshServiceSubset", name: "api", tags: { version: "v2" }, weight: 1 },
            ],
          },
        }],
      }],
    },
  },
  {
    type: "MeshTimeout",
    mesh: MESH,
    name: "route",
    spec: {
      targetRef: { kind: "MeshHTTPRoute", name: "api-canary" },
      ...to({ kind: "Mesh" }, { http: { requestTimeout: "1s" } }),
    },
  },
  {
    type: "ExternalService",
    mesh: MESH,
    name: "pay",
    tags: { ...service("pay"), "kuma.io/protocol": "http" },
    networking: { address: "pay.example:443" },
  },
];
