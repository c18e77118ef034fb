import assert from "node:assert/strict";
import { parseAllDocuments } from "yaml";
import { specOf } from "../api/admission.ts";
import { readSpec } from "../proto/spec.ts";
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

Deno.test("what Kuma accepts is accepted", () => {
  for (const { name, validate, notes } of STORED_KINDS.filter(({ name }) => SAMPLES.has(name))) {
    assert.deepEqual(validate(sampleOf(name)), [], name);
    assert.deepEqual(notes?.(sampleOf(name)), [], name);
  }
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
