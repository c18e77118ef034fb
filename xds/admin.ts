// What the proxy serves of itself: whether it is ready. kuma@v2.13.10:pkg/xds/generator/admin_proxy_generator.go.

import type { ProxyNode } from "../core/proxy.ts";
import { staticCluster } from "./envoy/cluster.ts";
import { listener, systemHttp } from "./envoy/listener.ts";
import { ADMIN, READINESS } from "./envoy/names.ts";
import { readinessRoutes } from "./envoy/route.ts";
import { FEATURE_READINESS_SOCKET, FEATURE_REUSE_PORT } from "./node.ts";
import type { SnapshotBuilder } from "./resources.ts";
import { TYPES } from "./snapshot.ts";

/** Nothing without an admin port; no listener without somebody who reports readiness. */
export function addAdmin(
  snapshot: SnapshotBuilder,
  { node, address }: { readonly node: ProxyNode; readonly address: string },
): void {
  const { adminPort, adminAddress, readinessPort } = node;
  if (adminPort === 0) return;
  snapshot.add(TYPES.cluster, staticCluster(ADMIN, { address: adminAddress, port: adminPort }));
  if (readinessPort === 0) return;
  snapshot.add(TYPES.cluster, staticCluster(READINESS, readinessAddress(node)));
  if (address === adminAddress) return;
  snapshot.add(
    TYPES.listener,
    listener({
      name: ADMIN,
      address: { address, port: adminPort },
      direction: "INBOUND",
      filterChains: [{ filters: [systemHttp(ADMIN, readinessRoutes(ADMIN, READINESS))] }],
      reusePort: node.features.includes(FEATURE_REUSE_PORT),
    }),
  );
}

function readinessAddress({ adminAddress, readinessPort, workdir, features }: ProxyNode) {
  return features.includes(FEATURE_READINESS_SOCKET)
    ? { path: `${workdir}/kuma-readiness-reporter.sock` }
    : { address: adminAddress, port: readinessPort };
}
