// The configuration that a proxy would get, and what policies that are only looked at would change. kuma@v2.13.10:pkg/api-server/resource_endpoints.go (configForProxy).

import { objectOf } from "../../core/json.ts";
import type { JsonObject } from "../../core/resource.ts";
import { refuse } from "../access.ts";
import { diff } from "../diff.ts";
import { type ApiAnswer, json } from "../exchange.ts";
import { badRequest, notAllowed, notFound } from "../problem.ts";
import { readBool } from "../query.ts";
import { type Call, get, type Route } from "../route.ts";

export const CONFIG_ROUTES: readonly Route[] = ["dataplanes", "meshgateways"].map((plural) =>
  get(`/meshes/{mesh}/${plural}/{name}/_config`, config)
);

/** As secret as what its Envoy says of itself; Kuma lets everybody see it. */
function config(call: Call): ApiAnswer {
  const denied = refuse("viewConfigDump", "view the configuration of an Envoy", call);
  if (denied) return denied;
  const { request: { query }, view, params: { mesh = "", name = "" } } = call;
  const { control, inspection, resources } = view;
  if (control.mode === "global") return notAllowed("Not allowed on global CP");
  if (!resources.get({ type: "Mesh", mesh: "", name: mesh })) {
    return notFound("Failed to retrieve Mesh");
  }
  const shadow = readBool(query.get("shadow") || "false");
  if (shadow === undefined) {
    return badRequest("unsupported value for query parameter 'shadow': must be true or false");
  }
  const include = (query.get("include") || "").split(",").filter((part) => part !== "");
  if (include.some((part) => part !== "diff")) {
    return badRequest("unsupported value for query parameter 'include': must be diff");
  }
  const insight = resources.get({ type: "DataplaneInsight", mesh, name });
  if (!insight) return notFound("Failed to fetch dataplane insight");
  const dataplane = resources.get({ type: "Dataplane", mesh, name });
  if (!dataplane) return notFound("Failed to inspect proxy config");
  const metadata = objectOf(insight.spec["metadata"]);
  const at = (shadow: boolean) => inspection.config(dataplane, { metadata, shadow });
  const xds = at(shadow);
  return json({ xds, ...(include.length > 0 && { diff: steps(at(false), xds) }) });
}

/** JSON Patch alone. */
function steps(before: JsonObject, after: JsonObject): readonly JsonObject[] {
  return diff(before, after).map(({ op, path, value }) => ({
    op,
    path,
    ...(value !== undefined && { value }),
  }));
}
