// What the proxy serves of itself: whether it is ready, and Envoy's admin API to its control plane.
// kuma@v2.13.10:pkg/xds/generator/admin_proxy_generator.go.

import { isUnspecified } from "../core/address.ts";
import { ADMIN_CLIENT, type AdminTls } from "../core/envoy_admin.ts";
import type { ProxyNode } from "../core/proxy.ts";
import type { JsonObject } from "../core/resource.ts";
import { readinessSocket } from "../core/sockets.ts";
import { staticCluster } from "./envoy/cluster.ts";
import { listener, systemHttp } from "./envoy/listener.ts";
import { ADMIN, READINESS, type SocketAddress } from "./envoy/names.ts";
import { prefixRoutes } from "./envoy/route.ts";
import { adminSocket } from "./envoy/tls.ts";
import { FEATURE_READINESS_SOCKET, FEATURE_REUSE_PORT } from "./node.ts";
import { encodeResource, Latest, type SnapshotBuilder } from "./resources.ts";
import { type EncodedResource, TYPES } from "./snapshot.ts";

export interface AdminContext {
  readonly node: ProxyNode;
  /** Of the proxy. */
  readonly address: string;
  /** Where else the proxy listens. */
  readonly taken: readonly SocketAddress[];
  /** Without it nobody but the proxy's own host reaches the admin API. */
  readonly tls: AdminTls | null;
}

/** Nothing without an admin port. */
export function addAdmin(snapshot: SnapshotBuilder, context: AdminContext): void {
  const { node } = context;
  if (node.adminPort === 0) return;
  for (const cluster of clusters.get(node, [], () => ownClusters(node))) {
    snapshot.put(TYPES.cluster, cluster);
  }
  if (!isFree(context) || (node.readinessPort === 0 && !context.tls)) return;
  const parts = [context.address, context.tls];
  snapshot.put(TYPES.listener, listeners.get(node, parts, () => adminListener(context)));
}

/** They stay the same for as long as the proxy's stream, whatever else changes. */
const clusters = new Latest<readonly EncodedResource[]>();
const listeners = new Latest<EncodedResource>();

function ownClusters(node: ProxyNode): readonly EncodedResource[] {
  const { adminAddress: address, adminPort: port } = node;
  const found = [staticCluster(ADMIN, { address, port })];
  if (node.readinessPort !== 0) found.push(staticCluster(READINESS, readinessAddress(node)));
  return found.map((cluster) => encodeResource(TYPES.cluster, cluster));
}

function adminListener(context: AdminContext): EncodedResource {
  const { node, address, tls } = context;
  return encodeResource(
    TYPES.listener,
    listener({
      name: ADMIN,
      address: { address, port: node.adminPort },
      direction: "INBOUND",
      filterChains: chains(context),
      inspectsTls: tls !== null,
      reusePort: node.features.includes(FEATURE_REUSE_PORT),
    }),
  );
}

/** Envoy itself has the port on its own address, and an inbound may have it on the proxy's. */
function isFree({ node, address, taken }: AdminContext): boolean {
  return address !== node.adminAddress && !isUnspecified(address) &&
    !taken.some((other) => other.address === address && other.port === node.adminPort);
}

/** Readiness for everybody; behind TLS the rest, for the control plane alone. */
function chains({ node, tls }: AdminContext): readonly JsonObject[] {
  const ready = node.readinessPort !== 0 ? [["/ready", READINESS]] as const : [];
  const http = (routes: readonly (readonly [string, string])[]) => [
    systemHttp(ADMIN, prefixRoutes(ADMIN, routes)),
  ];
  return [
    ...(ready.length > 0 ? [{ filters: http(ready) }] : []),
    ...(tls
      ? [{
        filter_chain_match: { transport_protocol: "tls" },
        filters: http([...ready, ["/", ADMIN]]),
        transport_socket: adminSocket(tls, ADMIN_CLIENT),
      }]
      : []),
  ];
}

function readinessAddress({ adminAddress, readinessPort, workdir, features }: ProxyNode) {
  return features.includes(FEATURE_READINESS_SOCKET)
    ? { path: readinessSocket(workdir) }
    : { address: adminAddress, port: readinessPort };
}
