// Builtin gateways: which MeshGateways and routes a proxy has.

import type { DataplaneSpec } from "../../core/dataplane.ts";
import type { Resource } from "../../core/resource.ts";
import { matchesTags } from "../../core/tags.ts";
import { matchDataplane, type SelectorSpec } from "../../policies/match/connection.ts";
import { gatewayOf, type GatewaySpec, listenerTags } from "../../policies/match/target_ref.ts";

export function servesGateway(
  { spec: { networking: { gateway: own } } }: Resource<DataplaneSpec>,
  gateway: Resource<GatewaySpec>,
): boolean {
  return own?.type === "BUILTIN" && matchDataplane([gateway], [own.tags]) !== undefined;
}

/** A route is for the listeners whose tags, the proxy's and its gateway's among them, it selects. */
export function servesRoute(
  dataplane: Resource<DataplaneSpec>,
  route: Resource,
  gateways: readonly Resource<GatewaySpec>[],
): boolean {
  const gateway = gatewayOf(dataplane, gateways);
  const { tags = {} } = dataplane.spec.networking.gateway ?? {};
  const { selectors = [] } = route.spec as unknown as Partial<SelectorSpec>;
  return (gateway?.spec.conf?.listeners ?? []).some((listener) =>
    gateway &&
    selectors.some(({ match }) => matchesTags(match, listenerTags(listener, gateway, tags)))
  );
}
