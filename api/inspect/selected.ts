// The proxies that a policy or a MeshService selects, whoever wins in the end. kuma@v2.13.10:pkg/api-server/resource_endpoints.go (matchingDataplanesForFilter).

import { selectsDataplane } from "../../core/mesh_service.ts";
import type { Resource } from "../../core/resource.ts";
import { type ApiAnswer, json } from "../exchange.ts";
import { cut, readPage } from "../listing.ts";
import { PAGE_NOT_FOUND } from "../problem.ts";
import { renderIdentity } from "../render.ts";
import { type Call, get, type Route } from "../route.ts";
import { find, isAnswer, policyKind } from "./lookup.ts";

export const SELECTED_ROUTES: readonly Route[] = [
  get("/meshes/{mesh}/{plural}/{name}/_resources/dataplanes", ofPolicy),
  // kumactl's `--new-api` asks there, and gets nothing from Kuma.
  get("/meshes/{mesh}/{plural}/{name}/-resources/dataplanes", ofPolicy),
  get("/meshes/{mesh}/meshservices/{name}/_resources/dataplanes", ofService),
  get("/meshes/{mesh}/meshservices/{name}/_dataplanes", ofService),
];

const TITLE = "Could not retrieve policy";

function ofPolicy(call: Call): ApiAnswer {
  const kind = policyKind(call);
  if (!kind) return PAGE_NOT_FOUND;
  const { inspection } = call.view;
  return selected(call, kind.name, (policy, dataplane) => inspection.concerns(policy, dataplane));
}

function ofService(call: Call): ApiAnswer {
  return selected(call, "MeshService", selectsDataplane);
}

function selected(
  call: Call,
  type: string,
  selects: (resource: Resource, dataplane: Resource) => boolean,
): ApiAnswer {
  const { request, view: { resources }, params: { mesh = "" } } = call;
  const page = readPage(request.query, TITLE);
  if ("status" in page) return page;
  const resource = find(call, type, { mesh: "Failed to retrieve Mesh", item: TITLE });
  if (isAnswer(resource)) return resource;
  const part = request.query.get("name") ?? "";
  const dataplanes = resources.list("Dataplane", mesh)
    .filter((dataplane) => dataplane.name.includes(part) && selects(resource, dataplane));
  const { next, ...envelope } = cut(dataplanes, { request, page, render: renderIdentity });
  return json({ ...envelope, ...(next !== null && { next }) });
}
