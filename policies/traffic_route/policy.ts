// TrafficRoute: where the connections and requests for a service go.

import { definePolicy } from "../policy.ts";
import { destinationsOf, loadBalancerOf, routesOf } from "./apply.ts";
import { trafficRoute, type TrafficRouteSpec } from "./spec.ts";

export default definePolicy<TrafficRouteSpec>({
  resource: {
    name: "TrafficRoute",
    plural: "traffic-routes",
    args: ["traffic-route", "traffic-routes"],
    scope: "Mesh",
    kds: "global",
    message: "kuma.mesh.v1alpha1.TrafficRoute",
  },
  phase: "route",
  after: [],
  matches: "connection",
  shape: trafficRoute,
  apply(draft, matched) {
    for (const outbound of draft.outbounds) {
      const route = matched.outbound(outbound);
      if (!route) continue;
      outbound.routes = routesOf(route.spec, outbound.tags);
      outbound.loadBalancer = loadBalancerOf(route.spec);
      outbound.tellsTags = true;
    }
  },
  destinations: destinationsOf,
});
