// From a path to its handler. Static segments win over names; no name begins with `_`.

import { whoAsks } from "./access.ts";
import { CONTROL_PLANE_ROUTES } from "./control_plane.ts";
import { ENVOY_ADMIN_ROUTES } from "./envoy_admin.ts";
import { answer, type ApiOutcome, type ApiRequest, type IncomingRequest } from "./exchange.ts";
import { withInsights } from "./insights/computed.ts";
import { INSIGHT_ROUTES } from "./insights/routes.ts";
import { INSPECT_ROUTES } from "./inspect/routes.ts";
import { overUsable } from "./inspect/usable_view.ts";
import { KRI_ROUTES } from "./kri.ts";
import type { ApiView } from "./ports.ts";
import { NOT_ACCEPTABLE, PAGE_NOT_FOUND, wrongMethod } from "./problem.ts";
import { handleCollection, handleItem, insightKindOf, type Target } from "./resources.ts";
import { RouteTable } from "./route.ts";
import { TOKEN_ROUTES } from "./tokens.ts";

/** One call, decided: pure, so that the same request and view give the same outcome. */
export function handle(incoming: IncomingRequest, view: ApiView): ApiOutcome {
  if (!acceptsJson(incoming)) return answer(NOT_ACCEPTABLE);
  const user = whoAsks(incoming, view);
  if ("status" in user) return answer(user);
  const request = { ...incoming, user };
  // Nobody writes insights that are computed, so only reads see them.
  const seen = request.method === "GET" ? { ...view, resources: withInsights(view) } : view;
  return fixed(request, seen) ?? resource(request, seen) ?? answer(PAGE_NOT_FOUND);
}

/** What /metrics calls a request: the route's own words, never a name that a client made up. */
export function routeOf(path: readonly string[], view: ApiView): string {
  const [found] = ROUTES.find(path);
  if (found) return found.route.path.slice(1);
  return targetOf(path, view)?.kind.plural ?? "unknown";
}

const ROUTES = new RouteTable([
  ...CONTROL_PLANE_ROUTES,
  ...ENVOY_ADMIN_ROUTES,
  ...INSIGHT_ROUTES,
  ...INSPECT_ROUTES.map(overUsable),
  ...KRI_ROUTES,
  ...TOKEN_ROUTES,
]);

function fixed(request: ApiRequest, view: ApiView): ApiOutcome | null {
  const found = ROUTES.find(request.path);
  if (found.length === 0) return null;
  const called = found.find(({ route }) => route.method === request.method);
  if (!called) return answer(wrongMethod(found.map(({ route }) => route.method).join(", ")));
  return called.route.handler({ request, view, params: called.params });
}

function resource(request: ApiRequest, view: ApiView): ApiOutcome | null {
  const target = targetOf(request.path, view);
  if (!target) return null;
  const { name } = target;
  const allowed = name === undefined || target.overview ? ["GET"] : ["GET", "PUT", "DELETE"];
  if (!allowed.includes(request.method)) return answer(wrongMethod(allowed.join(", ")));
  return name === undefined
    ? answer(handleCollection(target, request, view))
    : handleItem({ ...target, name }, request, view);
}

/** What overviews were called before there was `_overview`: kumactl still asks for some. */
const LEGACY_OVERVIEWS: ReadonlyMap<string, string> = new Map([
  ["dataplanes+insights", "dataplanes"],
  ["zones+insights", "zones"],
  ["zoneingresses+insights", "zoneingresses"],
  ["zoneegressoverviews", "zoneegresses"],
]);

/**
 * `/{plural}[/{name}]` and `/meshes/{mesh}/{plural}[/{name}]`; `_overview` after either, or an old
 * name of the collection, joins in what is reported about the resource.
 */
function targetOf(path: readonly string[], view: ApiView): Target | null {
  const inMesh = path[0] === "meshes" && path.length > 2 && path[2] !== "_overview";
  const [collection = "", ...after] = inMesh ? path.slice(2) : path;
  const ofOverview = LEGACY_OVERVIEWS.get(collection);
  const overview = after.at(-1) === "_overview" || ofOverview !== undefined;
  const names = after.at(-1) === "_overview" ? after.slice(0, -1) : after;
  const kind = view.kinds.byPlural(ofOverview ?? collection);
  if (!kind || kind.internal || names.length > 1) return null;
  if (overview && !insightKindOf(kind, view)) return null;
  if (inMesh !== (kind.scope === "Mesh") && (inMesh || names.length > 0)) return null;
  const [mesh] = inMesh ? path.slice(1) : [];
  const [name] = names;
  return {
    kind,
    overview,
    ...(mesh !== undefined && { mesh }),
    ...(name !== undefined && { name }),
  };
}

/** Plain texts go to whoever asks; the rest of the API speaks JSON only. */
function acceptsJson({ headers, path }: IncomingRequest): boolean {
  const accept = headers.get("accept");
  return accept === null || ["metrics", "healthy", "ready"].includes(path[0] ?? "") ||
    accept.split(",").some((part) =>
      ["application/json", "application/*", "*/*", "text/html"].includes(
        part.split(";")[0]?.trim() ?? "",
      )
    );
}
