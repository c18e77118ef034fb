// Health discovery: what a proxy's Envoy is to probe, and what it says of it.
//
// kuma@v2.13.10:pkg/hds/tracker. Envoy probes itself, too: one that drains is not ready any more.

import type { DataplaneSpec, Inbound, ServiceProbe } from "../core/dataplane.ts";
import type { ProxyNode } from "../core/proxy.ts";
import type { JsonObject } from "../core/resource.ts";
import { decode, encode } from "../proto/mod.ts";
import { passthroughSource } from "./envoy/cluster.ts";
import { ADMIN, isLoopback, workloadClusterName } from "./envoy/names.ts";
import { transparencyOf } from "./transparent.ts";

const MESSAGE = "envoy.service.health.v3.HealthCheckRequestOrEndpointHealthResponse";
const SPECIFIER = "envoy.service.health.v3.HealthCheckSpecifier";

/** kuma@v2.13.10:pkg/config/dp-server (hds.checkDefaults). */
const TIMEOUT = "2s";
const INTERVAL = "1s";
const THRESHOLD = 1;
const NO_TRAFFIC_INTERVAL = "1s";
/** Envoy asks itself too early, always; others wait for the next time. */
const STARTING_INTERVAL = "0.250s";

/** By the names of what is probed; what is not named was not told. */
export interface HealthReport {
  readonly envoy: boolean;
  readonly workloads: Readonly<Record<string, boolean>>;
}

export type HealthMessage =
  /** The first of a stream. */
  | { readonly says: "node"; readonly node: JsonObject }
  | { readonly says: "health"; readonly report: HealthReport };

/** Throws a TypeError when the bytes are no such message. */
export function readHealthMessage(bytes: Uint8Array): HealthMessage {
  const { healthCheckRequest, endpointHealthResponse } = decode(MESSAGE, bytes) as WireMessage;
  if (healthCheckRequest?.node) return { says: "node", node: healthCheckRequest.node };
  if (!endpointHealthResponse) throw new TypeError("health: must carry a node or a report");
  return { says: "health", report: reportOf(endpointHealthResponse.clusterEndpointsHealth ?? []) };
}

/** proto3 JSON: default values are left out. */
interface WireMessage {
  readonly healthCheckRequest?: { readonly node?: JsonObject };
  readonly endpointHealthResponse?: { readonly clusterEndpointsHealth?: readonly WireCluster[] };
}

interface WireCluster {
  readonly clusterName?: string;
  readonly localityEndpointsHealth?: readonly {
    readonly endpointsHealth?: readonly { readonly healthStatus?: string }[];
  }[];
}

function reportOf(clusters: readonly WireCluster[]): HealthReport {
  const told = clusters.flatMap(({ clusterName = "", localityEndpointsHealth = [] }) => {
    const [endpoint] = localityEndpointsHealth[0]?.endpointsHealth ?? [];
    // The default, UNKNOWN, is no complaint.
    return endpoint
      ? [
        [clusterName, ["UNKNOWN", "HEALTHY"].includes(endpoint.healthStatus ?? "UNKNOWN")] as const,
      ]
      : [];
  });
  const all = new Map(told);
  const envoy = all.get(ADMIN) ?? true;
  all.delete(ADMIN);
  return { envoy, workloads: Object.fromEntries(all) };
}

/** What each inbound is probed as; null for one without a probe. */
export function probeNames({ networking }: DataplaneSpec): readonly (string | null)[] {
  const seen = new Map<string, string>();
  return (networking.inbound ?? []).map((inbound) => {
    if (!inbound.serviceProbe || inbound.state === "Ignored") return null;
    const { address, port } = workloadOf(inbound, networking.address);
    const name = workloadClusterName(port);
    // Two workloads may have one port on different addresses.
    const owner = seen.get(name) ?? address;
    seen.set(name, owner);
    return owner === address ? name : `${name}:${inbound.port}`;
  });
}

function workloadOf(inbound: Inbound, own: string) {
  return {
    address: inbound.serviceAddress || inbound.address || own,
    port: inbound.servicePort || inbound.port,
  };
}

/** The HealthCheckSpecifier for one proxy, as bytes. */
export function healthChecks(
  spec: DataplaneSpec,
  { node, reportMs }: { readonly node: ProxyNode; readonly reportMs: number },
): Uint8Array {
  const redirected = transparencyOf(spec, node).redirection !== null;
  const names = probeNames(spec);
  const checks = new Map<string, JsonObject>();
  (spec.networking.inbound ?? []).forEach((inbound, index) => {
    const name = names[index];
    if (!name || !inbound.serviceProbe || checks.has(name)) return;
    const workload = workloadOf(inbound, spec.networking.address);
    checks.set(name, {
      ...clusterCheck(name, workload, { ...timing(inbound.serviceProbe), tcpHealthCheck: {} }),
      ...(redirected && !isLoopback(workload.address) && {
        upstreamBindConfig: {
          sourceAddress: { address: passthroughSource(workload.address), portValue: 0 },
        },
      }),
    });
  });
  const admin = { address: node.adminAddress, port: node.adminPort };
  return encode(SPECIFIER, {
    clusterHealthChecks: [
      clusterCheck(ADMIN, admin, {
        ...timing({}),
        unhealthyInterval: STARTING_INTERVAL,
        httpHealthCheck: { path: "/ready" },
      }),
      ...checks.values(),
    ],
    interval: `${reportMs / 1_000}s`,
  });
}

/** Each value has its own default, whatever the others are. */
function timing(probe: ServiceProbe): JsonObject {
  return {
    timeout: probe.timeout ?? TIMEOUT,
    interval: probe.interval ?? INTERVAL,
    healthyThreshold: probe.healthyThreshold ?? THRESHOLD,
    unhealthyThreshold: probe.unhealthyThreshold ?? THRESHOLD,
    noTrafficInterval: NO_TRAFFIC_INTERVAL,
  };
}

function clusterCheck(
  clusterName: string,
  { address, port }: { readonly address: string; readonly port: number },
  check: JsonObject,
): JsonObject {
  return {
    clusterName,
    localityEndpoints: [{
      endpoints: [{ address: { socketAddress: { address, portValue: port } } }],
    }],
    healthChecks: [check],
  };
}
