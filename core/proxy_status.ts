// Whether proxies and zones are there, and proxies ready, from what control planes report of them.

import type { DataplaneSpec } from "./dataplane.ts";

export type ProxyStatus = "online" | "offline" | "partially_degraded";

interface Insight {
  readonly subscriptions?: readonly {
    readonly connectTime?: string;
    readonly disconnectTime?: string;
  }[];
}

/** Online while any stream is open. kuma@v2.13.10:api/mesh/v1alpha1/dataplane_insight_helpers.go. */
export function isOnline(insight: Insight | undefined): boolean {
  return (insight?.subscriptions ?? []).some(({ connectTime, disconnectTime }) =>
    connectTime !== undefined && disconnectTime === undefined
  );
}

/** kuma@v2.13.10:pkg/core/resources/apis/mesh/dataplane_overview_helpers.go; a gateway has no inbounds to degrade it. */
export function dataplaneStatus(
  { networking: { inbound = [], gateway } }: DataplaneSpec,
  insight: Insight | undefined,
): ProxyStatus {
  if (!isOnline(insight)) return "offline";
  if (gateway) return "online";
  const down =
    inbound.filter(({ state, health }) =>
      state === "NotReady" || (health !== undefined && health.ready !== true)
    ).length;
  if (down === inbound.length) return "offline";
  return down === 0 ? "online" : "partially_degraded";
}
