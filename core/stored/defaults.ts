// What control planes write into modern resources where their writers left it out.

import { isObject } from "../json.ts";
import type { Json, JsonObject } from "../resource.ts";

/** By path; `[]` is every element, and what leads to the field must be there. */
export type Defaults = Readonly<Record<string, Json>>;

const everySide = (sides: readonly string[], path: string, value: Json): Defaults =>
  Object.fromEntries(sides.map((side) => [`${side}[].default.${path}`, value]));
const ALL = ["to", "from", "rules"];
const INBOUND = ["from", "rules"];

/** kuma@v2.13.10:pkg (schemas of the resources); seen in what kuma-cp gives back. */
export const DEFAULTS: Readonly<Record<string, Defaults>> = {
  MeshAccessLog: {
    ...everySide(ALL, "backends[].tcp.format.omitEmptyValues", false),
    ...everySide(ALL, "backends[].file.format.omitEmptyValues", false),
  },
  MeshRetry: {
    "to[].default.http.hostSelection[].updateFrequency": 2,
    "to[].default.http.retriableRequestHeaders[].type": "Exact",
    "to[].default.http.retriableResponseHeaders[].type": "Exact",
  },
  MeshTLS: {
    ...everySide(INBOUND, "tlsVersion.min", "TLSAuto"),
    ...everySide(INBOUND, "tlsVersion.max", "TLSAuto"),
  },
  MeshHTTPRoute: {
    "to[].rules[].matches[].headers[].type": "Exact",
    "to[].rules[].default.backendRefs[].weight": 1,
    "to[].rules[].default.filters[].requestMirror.backendRef.weight": 1,
    "to[].rules[].default.filters[].requestRedirect.statusCode": 302,
  },
  MeshTCPRoute: { "to[].rules[].default.backendRefs[].weight": 1 },
  MeshMetric: {
    "default.applications[].path": "/metrics",
    "default.backends[].prometheus.path": "/metrics",
    "default.backends[].prometheus.port": 5670,
    "default.backends[].prometheus.tls.mode": "Disabled",
  },
  MeshPassthrough: { "default.appendMatch[].protocol": "tcp" },
  MeshTrace: {
    "default.backends[].datadog.splitService": false,
    "default.backends[].zipkin.apiVersion": "httpJson",
    "default.backends[].zipkin.sharedSpanContext": true,
    "default.backends[].zipkin.traceId128bit": false,
  },
  MeshService: { "ports[].appProtocol": "tcp", state: "Unavailable" },
  MeshMultiZoneService: { "ports[].appProtocol": "tcp" },
  MeshExternalService: {
    "match.protocol": "tcp",
    "match.type": "HostnameGenerator",
    "tls.allowRenegotiation": false,
    "tls.enabled": false,
    "tls.version.min": "TLSAuto",
    "tls.version.max": "TLSAuto",
    "tls.verification.mode": "Secured",
    "tls.verification.subjectAltNames[].type": "Exact",
  },
};

/** The same object where nothing is left out. */
export function withDefaults(spec: JsonObject, defaults: Defaults): JsonObject {
  return Object.entries(defaults).reduce(
    (done, [path, value]) => complete(done, path.split(/\.|(?=\[\])/), value) as JsonObject,
    spec,
  );
}

function complete(at: Json, [key = "", ...rest]: readonly string[], value: Json): Json {
  if (key === "[]") {
    if (!Array.isArray(at)) return at;
    const items = at.map((item: Json) => complete(item, rest, value));
    return items.every((item, index) => item === at[index]) ? at : items;
  }
  if (!isObject(at)) return at;
  const own = at[key];
  if (rest.length === 0) return own === undefined || own === null ? { ...at, [key]: value } : at;
  if (own === undefined) return at;
  const inner = complete(own, rest, value);
  return inner === own ? at : { ...at, [key]: inner };
}
