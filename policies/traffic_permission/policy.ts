// TrafficPermission: who may connect to whom under mutual TLS.

import { anySelectors } from "../../core/selectors.ts";
import { object } from "../../core/shape.ts";
import type { ConnectionSpec } from "../match/connection.ts";
import { definePolicy } from "../policy.ts";

export type TrafficPermissionSpec = ConnectionSpec;

export default definePolicy<TrafficPermissionSpec>({
  resource: {
    name: "TrafficPermission",
    plural: "traffic-permissions",
    args: ["traffic-permission", "traffic-permissions"],
    scope: "Mesh",
    kds: "global",
    message: "kuma.mesh.v1alpha1.TrafficPermission",
  },
  phase: "secure",
  after: [],
  matches: "connection",
  shape: object({ sources: anySelectors, destinations: anySelectors }, {
    required: ["sources", "destinations"],
  }),
  apply(draft, matched) {
    for (const inbound of draft.inbounds) {
      const permission = matched.inbound(inbound);
      if (!permission) continue;
      inbound.permission = {
        name: permission.name,
        sources: permission.spec.sources.map(({ match }) => match),
      };
    }
  },
});
