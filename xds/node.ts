// What a proxy says of itself in its node metadata, read with care: anybody can send anything.

import type { ProxyNode } from "../core/proxy.ts";
import type { Json, JsonObject } from "../core/resource.ts";

export const FEATURE_BIND_OUTBOUNDS = "feature-bind-outbounds";
export const FEATURE_READINESS_SOCKET = "feature-readiness-unix-socket";
export const FEATURE_STRICT_INBOUND_PORTS = "feature-strict-inbound-ports";
/** The DNS server in the dp process asks for its table of names. */
export const FEATURE_EMBEDDED_DNS = "feature-embedded-dns";
export const FEATURE_REUSE_PORT = "feature-reuse-port";

/** More than any real proxy lists; the rest is noise. */
const FEATURES_MAX = 64;
/** Envoy's limit for a Unix socket is 108 bytes, so no real folder is longer. */
const WORKDIR_MAX = 4096;

/** Where Envoy's own admin API may listen; others would open it to the network. kuma@v2.13.10:pkg/xds/generator/admin_proxy_generator.go. */
const ADMIN_ADDRESSES: Readonly<Record<string, string>> = {
  "": "127.0.0.1",
  "127.0.0.1": "127.0.0.1",
  "0.0.0.0": "127.0.0.1",
  "::1": "::1",
  "::": "::1",
};

/** Never throws; what is missing or makes no sense is as if it were not there. */
export function parseNode(metadata: JsonObject): ProxyNode {
  const transparentProxy = object(metadata["transparentProxy"]);
  return {
    adminPort: port(metadata["dataplane.admin.port"]),
    adminAddress: adminAddress(metadata["dataplane.admin.address"]),
    dnsPort: port(metadata["dataplane.dns.port"]),
    readinessPort: port(metadata["dataplane.readinessReporter.port"]),
    workdir: text(metadata["workdir"]).slice(0, WORKDIR_MAX),
    features: features(metadata["features"]),
    ipv6Enabled: !["false", false].includes(metadata["ipv6Enabled"] as string | boolean),
    ...(transparentProxy && { transparentProxy }),
  };
}

function port(value: Json | undefined): number {
  const number = typeof value === "string" && /^\d{1,5}$/.test(value) ? Number(value) : value;
  const legal = typeof number === "number" && Number.isInteger(number) && number > 0;
  return legal && number <= 65535 ? number : 0;
}

function adminAddress(value: Json | undefined): string {
  const given = text(value);
  return Object.hasOwn(ADMIN_ADDRESSES, given) ? ADMIN_ADDRESSES[given]! : "127.0.0.1";
}

function features(value: Json | undefined): readonly string[] {
  if (!Array.isArray(value)) return [];
  return value.filter((item) => typeof item === "string").slice(0, FEATURES_MAX);
}

function text(value: Json | undefined): string {
  return typeof value === "string" ? value : "";
}

function object(value: Json | undefined): JsonObject | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? value as JsonObject
    : undefined;
}
