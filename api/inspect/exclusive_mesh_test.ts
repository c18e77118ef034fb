// A mesh whose services are resources, with policies about a service, a port and a route of one.

import type { JsonObject } from "../../core/resource.ts";

export const MESH = "x";

const timeout = (name: string, spec: JsonObject) => ({
  type: "MeshTimeout",
  mesh: MESH,
  name,
  spec,
});
const everywhere = { targetRef: { kind: "Mesh" } };
const service = (name: string, sectionName?: string) => ({
  kind: "MeshService",
  name,
  ...(sectionName !== undefined && { sectionName }),
});

export const RESOURCES: readonly JsonObject[] = [
  {
    type: "Mesh",
    name: MESH,
    skipCreatingInitialPolicies: ["*"],
    meshServices: { mode: "Exclusive" },
  },
  {
    type: "MeshService",
    mesh: MESH,
    name: "api",
    labels: { team: "a" },
    spec: {
      selector: { dataplaneTags: { "kuma.io/service": "web" } },
      ports: [
        { name: "http", port: 80, targetPort: 8080, appProtocol: "http" },
        { port: 81, targetPort: 8081 },
      ],
    },
  },
  {
    type: "MeshService",
    mesh: MESH,
    name: "db",
    spec: {
      selector: { dataplaneTags: { "kuma.io/service": "db" } },
      ports: [{ port: 5432, targetPort: 5432, appProtocol: "tcp" }],
    },
  },
  {
    type: "Dataplane",
    mesh: MESH,
    name: "web-1",
    networking: {
      address: "10.0.0.1",
      inbound: [
        {
          port: 8080,
          name: "main",
          tags: { "kuma.io/service": "web", "kuma.io/protocol": "http", "kuma.io/zone": "z" },
        },
        { port: 8081, tags: { "kuma.io/service": "admin", "kuma.io/zone": "z" } },
      ],
      outbound: [
        { port: 10001, backendRef: { kind: "MeshService", name: "api", port: 80 } },
      ],
    },
  },
  {
    type: "Dataplane",
    mesh: MESH,
    name: "any-1",
    networking: {
      address: "10.0.0.2",
      inbound: [{ port: 8080, tags: { "kuma.io/service": "any", "kuma.io/zone": "z" } }],
    },
  },
  {
    type: "HostnameGenerator",
    name: "svc",
    spec: {
      selector: { meshService: { matchLabels: { team: "a" } } },
      template: '{{ .DisplayName }}.{{ .Mesh }}.{{ label "team" }}.svc',
    },
  },
  timeout("all", {
    ...everywhere,
    to: [
      { targetRef: { kind: "Mesh" }, default: { connectionTimeout: "5s" } },
      { targetRef: service("api", "http"), default: { idleTimeout: "1s" } },
    ],
  }),
  timeout("api", {
    ...everywhere,
    to: [{ targetRef: service("api"), default: { connectionTimeout: "7s" } }],
  }),
  timeout("inbound", { ...everywhere, rules: [{ default: { idleTimeout: "9s" } }] }),
  timeout("main", {
    targetRef: { kind: "Dataplane", sectionName: "main" },
    rules: [{ default: { idleTimeout: "11s" } }],
  }),
  {
    type: "MeshMetric",
    mesh: MESH,
    name: "all",
    spec: { ...everywhere, default: { sidecar: { includeUnused: true } } },
  },
  {
    type: "MeshHTTPRoute",
    mesh: MESH,
    name: "route",
    spec: {
      ...everywhere,
      to: [{
        targetRef: service("api", "http"),
        rules: [{
          matches: [{ path: { value: "/v2", type: "PathPrefix" } }],
          default: { backendRefs: [{ ...service("db"), weight: 1, port: 5432 }] },
        }],
      }],
    },
  },
  {
    type: "MeshTCPRoute",
    mesh: MESH,
    name: "route",
    spec: {
      ...everywhere,
      to: [{
        targetRef: service("db"),
        rules: [{ default: { backendRefs: [{ ...service("api"), weight: 1, port: 80 }] } }],
      }],
    },
  },
  timeout("route", {
    ...everywhere,
    to: [{
      targetRef: { kind: "MeshHTTPRoute", name: "route" },
      default: { http: { requestTimeout: "2s" } },
    }],
  }),
];
