// The proxies of a mesh with their status: what insights are computed from.

import { dataplaneOf, type DataplaneSpec } from "../../core/dataplane.ts";
import type { ProxyInsightSpec } from "../../core/insights.ts";
import { dataplaneStatus, type ProxyStatus } from "../../core/proxy_status.ts";
import { SERVICE_TAG, type Tags, ZONE_TAG } from "../../core/tags.ts";
import type { ResourceView } from "../ports.ts";

export type ServiceType = "internal" | "external" | "gateway_delegated" | "gateway_builtin";

export interface Proxy {
  readonly spec: DataplaneSpec;
  readonly insight: ProxyInsightSpec | undefined;
  readonly status: ProxyStatus;
}

export function proxiesOf(mesh: string, resources: ResourceView): readonly Proxy[] {
  return resources.list("Dataplane", mesh).map(({ name, spec: given }) => {
    const spec = dataplaneOf(given);
    const insight = resources.get({ type: "DataplaneInsight", mesh, name })?.spec as
      | ProxyInsightSpec
      | undefined;
    return { spec, insight, status: dataplaneStatus(spec, insight) };
  });
}

export interface Offer {
  readonly service: string;
  readonly zone: string | undefined;
  readonly type: ServiceType;
}

/** The services that a proxy stands for: its gateway's, and each inbound's that is not ignored. */
export function offersOf(
  { networking: { gateway, inbound = [] } }: DataplaneSpec,
): readonly Offer[] {
  const offer = (tags: Tags, type: ServiceType): Offer => ({
    service: tags[SERVICE_TAG] ?? "",
    zone: tags[ZONE_TAG],
    type,
  });
  return [
    ...(gateway ? [offer(gateway.tags, gatewayType(gateway.type))] : []),
    ...inbound.filter(({ state }) => state !== "Ignored").map(({ tags }) =>
      offer(tags, "internal")
    ),
  ];
}

export function gatewayType(type: string | undefined): "gateway_builtin" | "gateway_delegated" {
  return type === "BUILTIN" ? "gateway_builtin" : "gateway_delegated";
}
