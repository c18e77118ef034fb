// What comes to the workload: one listener and one cluster for each inbound. kuma@v2.13.10:pkg/xds/generator/inbound_proxy_generator.go.

import { type DataplaneSpec, SERVICELESS_PORT } from "../core/dataplane.ts";
import type { InboundDraft } from "../core/proxy_draft.ts";
import type { ProxyNode } from "../core/proxy.ts";
import { SERVICE_TAG } from "../core/tags.ts";
import { isHttp, passthroughSource, workloadCluster } from "./envoy/cluster.ts";
import { inboundHttp, listener, tcpProxy } from "./envoy/listener.ts";
import { inboundListenerName, isLoopback, workloadClusterName } from "./envoy/names.ts";
import { rbacFilter } from "./envoy/rbac.ts";
import { inboundRoutes } from "./envoy/route.ts";
import { INBOUND_IDLE } from "./envoy/timeouts.ts";
import { downstreamSocket } from "./envoy/tls.ts";
import { FEATURE_REUSE_PORT } from "./node.ts";
import { protocolOf } from "./protocol.ts";
import { encodeResource, Latest, type SnapshotBuilder } from "./resources.ts";
import { type EncodedResource, TYPES } from "./snapshot.ts";

export function draftInbounds({ networking }: DataplaneSpec): readonly InboundDraft[] {
  return (networking.inbound ?? [])
    .filter(({ port, state }) => port !== SERVICELESS_PORT && state !== "Ignored")
    .map((inbound) => {
      const address = inbound.address || networking.address;
      return {
        address,
        port: inbound.port,
        workloadAddress: inbound.serviceAddress || address,
        workloadPort: inbound.servicePort || inbound.port,
        tags: inbound.tags,
        protocol: protocolOf(inbound.tags),
        permission: null,
      };
    });
}

export interface InboundContext {
  /** The dataplane's own. */
  readonly spec: DataplaneSpec;
  readonly mesh: string;
  readonly mtls: boolean;
  readonly node: ProxyNode;
  /** Connections come by redirection to a port of the proxy. */
  readonly redirected: boolean;
}

interface Encoded {
  readonly cluster: EncodedResource;
  readonly listener: EncodedResource;
}

/** A proxy's own inbounds seldom change, whatever else does. */
const encoded = new Latest<readonly Encoded[]>();

export function addInbounds(
  snapshot: SnapshotBuilder,
  inbounds: readonly InboundDraft[],
  context: InboundContext,
): void {
  const { spec, mesh, mtls, redirected, node: { features, ipv6Enabled } } = context;
  const reusePort = features.includes(FEATURE_REUSE_PORT);
  const key = JSON.stringify([inbounds, mesh, mtls, redirected, ipv6Enabled, reusePort]);
  for (
    const { cluster, listener } of encoded.get(spec, [key], () => encodeAll(inbounds, context))
  ) {
    snapshot.put(TYPES.cluster, cluster);
    snapshot.put(TYPES.listener, listener);
  }
}

function encodeAll(inbounds: readonly InboundDraft[], context: InboundContext): readonly Encoded[] {
  return inbounds.map((inbound) => {
    const name = clusterNameOf(inbound, inbounds);
    return {
      cluster: encodeResource(TYPES.cluster, renderCluster(inbound, { name, ...context })),
      listener: encodeResource(
        TYPES.listener,
        renderListener(inbound, { cluster: name, ...context }),
      ),
    };
  });
}

/** The workload's port names its cluster, and two workloads on one port are told apart. */
function clusterNameOf(inbound: InboundDraft, all: readonly InboundDraft[]): string {
  const name = workloadClusterName(inbound.workloadPort);
  const first = all.find(({ workloadPort }) => workloadPort === inbound.workloadPort);
  const same = first && first.workloadAddress === inbound.workloadAddress &&
    first.protocol === inbound.protocol;
  return same ? name : `${name}:${inbound.port}`;
}

function renderCluster(
  { workloadAddress, workloadPort, protocol }: InboundDraft,
  { name, redirected }: { readonly name: string; readonly redirected: boolean },
) {
  return workloadCluster({
    name,
    address: { address: workloadAddress, port: workloadPort },
    protocol,
    sourceAddress: redirected && !isLoopback(workloadAddress)
      ? passthroughSource(workloadAddress)
      : null,
  });
}

function renderListener(
  inbound: InboundDraft,
  { cluster, mesh, mtls, node, redirected }: InboundContext & { readonly cluster: string },
) {
  const name = inboundListenerName(inbound);
  const filters = [
    ...(mtls ? [rbacFilter({ mesh, listener: name, permission: inbound.permission })] : []),
    inboundFilter(inbound, { cluster, node }),
  ];
  return listener({
    name,
    address: inbound,
    direction: "INBOUND",
    filterChains: [{ filters, ...(mtls && { transport_socket: downstreamSocket(mesh) }) }],
    tags: inbound.tags,
    bindToPort: !redirected,
    reusePort: node.features.includes(FEATURE_REUSE_PORT),
  });
}

function inboundFilter(
  { tags, protocol }: InboundDraft,
  { cluster, node }: { readonly cluster: string; readonly node: ProxyNode },
) {
  if (!isHttp(protocol)) {
    return tcpProxy({ stat: cluster, target: { cluster }, idleTimeout: INBOUND_IDLE });
  }
  const routes = inboundRoutes(tags[SERVICE_TAG] ?? "", cluster);
  return inboundHttp({ stat: cluster, routes, protocol, ipv6: node.ipv6Enabled });
}
