// The proxies behind MeshGateways and their routes. kuma@v2.13.10:pkg/api-server/inspect_endpoints.go.

import type { Resource } from "../../core/resource.ts";
import { type ApiAnswer, json } from "../exchange.ts";
import { type Call, get, type Route } from "../route.ts";
import { find, isAnswer } from "./lookup.ts";

export const GATEWAY_ROUTES: readonly Route[] = [
  get(
    "/meshes/{mesh}/meshgateways/{name}/dataplanes",
    (call) =>
      proxiesWith(
        call,
        "MeshGateway",
        (gateway, dataplane) => call.view.inspection.servesGateway(dataplane, gateway),
      ),
  ),
  get(
    "/meshes/{mesh}/meshgatewayroutes/{name}/dataplanes",
    (call) =>
      proxiesWith(
        call,
        "MeshGatewayRoute",
        (route, dataplane) => call.view.inspection.servesRoute(dataplane, route),
      ),
  ),
];

function proxiesWith(
  call: Call,
  type: "MeshGateway" | "MeshGatewayRoute",
  serves: (resource: Resource, dataplane: Resource) => boolean,
): ApiAnswer {
  const { view: { resources }, params: { mesh: of = "" } } = call;
  const resource = find(call, type, {
    mesh: "Could not build mesh context",
    item: `Could not find ${type}`,
  });
  if (isAnswer(resource)) return resource;
  const items = resources.list("Dataplane", of)
    .filter((dataplane) => serves(resource, dataplane))
    .map(({ mesh, name }) => ({ dataplane: { mesh, name } }));
  return json({ total: items.length, items });
}
