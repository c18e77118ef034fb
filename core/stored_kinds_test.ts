import assert from "node:assert/strict";
import { parseAllDocuments } from "yaml";
import { specOf } from "../api/admission.ts";
import { readSpec } from "../proto/spec.ts";
import { MODERN_SAMPLES } from "./stored/modern_samples_test.ts";
import { EVERY_KIND } from "../tests/interop/every_kind.ts";
import type { Json, JsonObject, ResourceDescriptor } from "./resource.ts";
import { STORED_KINDS } from "./stored_kinds.ts";
import { renderViolation } from "./violation.ts";

/** What kuma-cp 2.13.10 accepts. */
const SAMPLES: ReadonlyMap<string, JsonObject> = new Map(
  parseAllDocuments(EVERY_KIND).map((document) => document.toJS())
    .map((resource) => [resource.type, resource]),
);

function kind(name: string): ResourceDescriptor {
  return STORED_KINDS.find((one) => one.name === name)!;
}

function sampleOf(name: string): JsonObject {
  const { known } = readSpec(kind(name), specOf(kind(name), SAMPLES.get(name)!).spec);
  return structuredClone(known) as JsonObject;
}

Deno.test("what Kuma accepts is accepted, and no field of it is unknown", () => {
  const modern = parseAllDocuments(MODERN_SAMPLES).map((document) => document.toJS());
  const all = [...SAMPLES.values(), ...modern];
  for (const { name, validate, notes } of STORED_KINDS) {
    const own = all.filter(({ type }) => type === name);
    assert.ok(own.length > 0, name);
    for (const sample of own) {
      const { known, notes: unknown } = readSpec(kind(name), specOf(kind(name), sample).spec);
      assert.deepEqual([...validate(known), ...unknown, ...notes!(known)], [], sample.name);
    }
  }
});

/** Each: a spec's part, and where kuma-cp 2.13.10 too finds it wrong. */
const REFUSED_MODERN: readonly (readonly [string, JsonObject, string])[] = [
  ["MeshTimeout", {}, ""],
  ["MeshTimeout", { rules: [{ default: { idleTimeout: "1h" } }], to: [{}] }, ""],
  ["MeshTimeout", to("Mesh", { idleTimeout: "1 hour" }), "to[0].default.idleTimeout"],
  ["MeshTimeout", to("Mesh", { connectionTimeout: "0s" }), "to[0].default.connectionTimeout"],
  ["MeshTimeout", to("Dataplane", { idleTimeout: "1h" }), "to[0].targetRef.kind"],
  ["MeshTimeout", to("MeshService", { idleTimeout: "1h" }), "to[0].targetRef.name"],
  ["MeshTimeout", { targetRef: { kind: "Mesh", name: "x" } }, "targetRef.name"],
  ["MeshTimeout", { targetRef: { kind: "Nonsense" } }, "targetRef.kind"],
  ["MeshTimeout", { targetRef: { kind: "Mesh", proxyTypes: [] } }, "targetRef.proxyTypes"],
  ["MeshTimeout", { targetRef: { kind: "Dataplane", sectionName: "a" } }, "targetRef.sectionName"],
  [
    "MeshTimeout",
    { targetRef: { kind: "Dataplane", name: "a", labels: { a: "b" } } },
    "targetRef.labels",
  ],
  ["MeshRetry", to("Mesh", { tcp: {} }), "to[0].default.tcp.maxConnectAttempt"],
  ["MeshRetry", to("Mesh", { http: { retryOn: ["often"] } }), "to[0].default.http.retryOn[0]"],
  ["MeshHealthCheck", to("Mesh", { interval: "1s" }), "to[0].default"],
  [
    "MeshCircuitBreaker",
    to("Mesh", { outlierDetection: {} }),
    "to[0].default.outlierDetection.detectors",
  ],
  ["MeshRateLimit", { from: [{ targetRef: { kind: "Mesh" }, default: {} }] }, "from"],
  ["MeshFaultInjection", { targetRef: { kind: "Dataplane" }, to: [{}] }, "to"],
  ["MeshLoadBalancingStrategy", { to: [] }, "to"],
  ["MeshTrafficPermission", { rules: [{ default: {} }] }, "rules[0].default"],
  ["MeshTrafficPermission", { targetRef: { kind: "MeshGateway", name: "a" } }, "targetRef.kind"],
  ["MeshTLS", { rules: [{ default: { mode: "Sometimes" } }] }, "rules[0].default.mode"],
  ["MeshAccessLog", to("Mesh", { backends: [{ type: "File" }] }), "to[0].default.backends[0].file"],
  ["MeshMetric", { default: { applications: [{ port: "80" }] } }, "default.applications[0].port"],
  ["MeshTrace", { default: {} }, "default.backends"],
  [
    "MeshPassthrough",
    { default: { appendMatch: [{ type: "IP", value: "a" }] } },
    "default.appendMatch[0].value",
  ],
  ["MeshProxyPatch", { default: { appendModifications: [{}] } }, "default.appendModifications[0]"],
  ["MeshHTTPRoute", { to: [{ targetRef: { kind: "Mesh" }, rules: [] }] }, "to[0].targetRef.kind"],
  ["MeshTCPRoute", { to: [] }, "to"],
  ["MeshService", { state: "Lost" }, "state"],
  ["MeshMultiZoneService", { selector: { meshService: {} }, ports: [] }, "ports"],
  ["MeshExternalService", { match: { port: 0 } }, "match.port"],
  ["HostnameGenerator", { selector: {}, template: "a" }, "selector"],
  ["MeshIdentity", { provider: { type: "Bundled" } }, "provider.bundled"],
  [
    "MeshTrust",
    { trustDomain: "a", caBundles: [{ type: "Pem", pem: { value: "x" } }] },
    "caBundles[0].pem.value",
  ],
];

function to(kind: string, conf: JsonObject): JsonObject {
  return { to: [{ targetRef: { kind }, default: conf }] };
}

Deno.test("modern kinds are refused where they are wrong", () => {
  for (const [name, spec, where] of REFUSED_MODERN) {
    const found = kind(name).validate(spec);
    assert.ok(
      found.some(({ path }) => path === where),
      `${name} ${JSON.stringify(spec)}: ${found.map(renderViolation).join("; ")}`,
    );
  }
});

Deno.test("unknown fields of modern kinds are noted, and no violation", () => {
  const spec = to("Mesh", { idleTimeout: "1h", idle_timeout: "2h", http2: {} });
  assert.deepEqual(kind("MeshTimeout").validate(spec), []);
  assert.deepEqual(kind("MeshTimeout").notes!(spec).map(({ path }) => path), [
    "to[0].default.idle_timeout",
    "to[0].default.http2",
  ]);
});

/** The sample with another value at a path; undefined takes it away. */
function edited(name: string, path: string, value: Json | undefined): JsonObject {
  const spec = sampleOf(name);
  const keys = path.split(".");
  const last = keys.pop()!;
  // deno-lint-ignore no-explicit-any
  const owner = keys.reduce((at, key) => at[key] ??= {}, spec as Record<string, any>);
  if (value === undefined) delete owner[last];
  else owner[last] = value;
  return spec;
}

/** Each: what is changed in the sample, and where that is wrong. As kuma-cp 2.13.10 says it, but for `*`. */
const REFUSED: Readonly<Record<string, readonly (readonly [string, Json | undefined, string])[]>> =
  {
    TrafficLog: [
      ["sources", [], "sources"],
      ["sources.0.match", {}, "sources[0].match"],
      ["destinations.0.match", { a: "b" }, "destinations[0].match"],
      [
        "destinations.0.match",
        { "kuma.io/service": "a b" },
        'destinations[0].match["kuma.io/service"]',
      ],
    ],
    TrafficTrace: [["selectors", undefined, "selectors"]],
    HealthCheck: [
      ["conf", undefined, "conf"],
      ["conf.interval", "0s", "conf.interval"],
      ["conf.healthyThreshold", 0, "conf.healthyThreshold"],
      ["conf.healthyPanicThreshold", 101, "conf.healthyPanicThreshold"],
      ["conf.tcp", {}, "conf"],
      ["conf.http.expectedStatuses.0", 99, "conf.http.expectedStatuses[0]"],
    ],
    CircuitBreaker: [
      ["conf.maxEjectionPercent", 101, "conf.maxEjectionPercent"],
      ["conf.detectors", {}, "conf.detectors"],
      ["conf", {}, "conf"],
    ],
    FaultInjection: [
      ["conf.delay.percentage", 101, "conf.delay.percentage"],
      ["conf.delay", {}, "conf"],
      ["conf.abort", { percentage: 1 }, "conf.abort.httpStatus"],
      [
        "conf.responseBandwidth",
        { percentage: 1, limit: "5 apples" },
        "conf.responseBandwidth.limit",
      ],
      ["destinations.0.match", { "kuma.io/service": "x" }, "destinations[0].match"],
      [
        "destinations.0.match",
        { "kuma.io/service": "x", "kuma.io/protocol": "tcp" },
        'destinations[0].match["kuma.io/protocol"]',
      ],
    ],
    Retry: [
      ["conf", {}, "conf"],
      ["conf.http", {}, "conf.http"],
      ["conf.http.numRetries", 0, "conf.http.numRetries"],
      ["conf.http.backOff", {}, "conf.http.backOff.baseInterval"],
      ["conf.http.retriableMethods", ["NONE"], "conf.http.retriableMethods[0]"],
      ["conf.grpc", { retryOn: ["internal", "internal"] }, "conf.grpc.retryOn"],
      ["conf.tcp", {}, "conf.tcp.maxConnectAttempts"],
    ],
    Timeout: [
      ["conf.http", {}, "conf.http"],
      ["conf.http.requestTimeout", "0s", "conf.http.requestTimeout"],
      ["conf.grpc", { maxStreamDuration: "0s" }, "conf.grpc.maxStreamDuration"],
    ],
    RateLimit: [
      ["conf.http.requests", 0, "conf.http.requests"],
      ["conf.http.interval", undefined, "conf.http.interval"],
    ],
    ProxyTemplate: [
      ["conf.imports.0", "nobody's", "conf.imports[0]"],
      ["conf.modifications", [{}], "conf.modifications[0]"],
      [
        "conf.modifications",
        [{ cluster: { operation: "add", match: { name: "a" }, value: "name: b" } }],
        "conf.modifications[0].cluster.match",
      ],
      [
        "conf.modifications",
        [{ httpFilter: { operation: "addAfter", value: "name: b" } }],
        "conf.modifications[0].httpFilter.match.name",
      ],
      [
        "conf.modifications",
        [{ virtualHost: { operation: "addFirst", value: "name: b" } }],
        "conf.modifications[0].virtualHost.operation",
      ],
    ],
    VirtualOutbound: [
      ["conf.host", "{{.service}}..mesh", "conf.host"],
      ["conf.host", "{{.nobody}}.mesh", "conf.host"],
      ["conf.port", "http", "conf.port"],
      ["conf.parameters.1.name", "service", "conf.parameters[1].name"],
      ["conf.parameters.0.tagKey", "other", "conf.parameters"],
    ],
    ExternalService: [
      ["networking.address", "postcodes.example", "networking.address"],
      ["networking.address", "postcodes.example:0", "networking.address"],
      ["networking.address", "postcodes:443", 'tags["kuma.io/service"]'],
      ["networking.tls.caCert", {}, "networking.tls.caCert"],
      ["networking.tls.serverName", "", "networking.tls.serverName"],
    ],
    MeshGateway: [
      ["conf.listeners", [], "conf.listeners"],
      ["conf.listeners.0.protocol", "HTTPS", "conf.listeners[0].tls"],
      ["conf.listeners.0.tls", { mode: "TERMINATE" }, "conf.listeners[0].tls.certificates"],
      ["conf.listeners.1", { port: 8080, protocol: "TCP" }, "conf.listeners[0]"],
      ["tags", { "kuma.io/zone": "east" }, 'tags["kuma.io/zone"]'],
    ],
    MeshGatewayRoute: [
      ["conf", {}, "conf"],
      ["conf.http.rules.0.matches", [], "conf.http.rules[0].matches"],
      ["conf.http.rules.0.backends", [], "conf.http.rules[0].backends"],
      [
        "conf.http.rules.0.filters",
        [{ redirect: { statusCode: 301 } }],
        "conf.http.rules[0].backends",
      ],
      [
        "conf.http.rules.0.filters",
        [{ requestHeader: {} }],
        "conf.http.rules[0].filters[0].requestHeader",
      ],
    ],
    ZoneEgress: [
      ["networking.port", 0, "networking.port"],
      ["networking.admin", { port: 10011 }, "networking.admin.port"],
    ],
  };

for (const [name, cases] of Object.entries(REFUSED)) {
  Deno.test(`${name} is refused where it is wrong`, () => {
    for (const [path, value, where] of cases) {
      const found = kind(name).validate(edited(name, path, value)).map(renderViolation);
      assert.ok(
        found.some((line) => line.startsWith(`${where}: `)),
        `${path}=${JSON.stringify(value)}: ${found.join("; ")}`,
      );
    }
  });
}
