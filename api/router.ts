// From a path to its handler. Static segments win over names; no name begins with `_`.

import * as about from "./control_plane.ts";
import { answer, type ApiAnswer, type ApiOutcome, type ApiRequest, text } from "./exchange.ts";
import type { ApiView } from "./ports.ts";
import { PAGE_NOT_FOUND, wrongMethod } from "./problem.ts";
import { handleCollection, handleItem, insightKindOf, type Target } from "./resources.ts";

const METRICS_TYPE = "text/plain; version=0.0.4";

/** One call, decided: pure, so that the same request and view give the same outcome. */
export function handle(request: ApiRequest, view: ApiView): ApiOutcome {
  if (!acceptsJson(request)) return answer(text("406: Not Acceptable", 406));
  return fixed(request, view) ?? resource(request, view) ?? answer(PAGE_NOT_FOUND);
}

/** What /metrics calls a request: the route's first word, never a name that a client made up. */
export function routeOf(path: readonly string[], view: ApiView): string {
  const target = targetOf(path, view);
  if (target) return target.kind.plural;
  return FIXED.has(path[0] ?? "") ? path[0] ?? "" : "unknown";
}

type Handler = (request: ApiRequest, view: ApiView) => ApiOutcome;

const get = (handler: (request: ApiRequest, view: ApiView) => ApiAnswer): Route => ({
  method: "GET",
  handler: (request, view) => answer(handler(request, view)),
});

interface Route {
  readonly method: "GET" | "POST";
  readonly handler: Handler;
}

const ROUTES: ReadonlyMap<string, Route> = new Map([
  ["", get((_, view) => about.index(view.control))],
  ["config", get((_, view) => about.config(view.control))],
  ["policies", get((_, view) => about.policies(view.kinds))],
  ["_resources", get((_, view) => about.kindList(view.kinds))],
  ["who-am-i", get((request) => about.identity(request))],
  ["healthy", get(() => text("healthy\n"))],
  ["ready", get((_, view) => about.ready(view))],
  ["metrics", get((_, view) => text(view.metrics(), 200, METRICS_TYPE))],
  ["debug/actors", get((request, view) => about.actors(request, view))],
  ["uplink/accept-global", { method: "POST", handler: about.acceptGlobal }],
]);

const FIXED = new Set(
  [...ROUTES.keys()].map((path) => path.split("/")[0] ?? "").concat("receipts"),
);

function fixed(request: ApiRequest, view: ApiView): ApiOutcome | null {
  const { path } = request;
  const [first, revision] = path;
  const route = first === "receipts" && revision !== undefined && path.length === 2
    ? { method: "GET", handler: () => about.receipt(revision, request) }
    : ROUTES.get(path.join("/"));
  if (!route) return null;
  return request.method === route.method
    ? route.handler(request, view)
    : answer(wrongMethod(route.method));
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

/**
 * `/{plural}[/{name}]` and `/meshes/{mesh}/{plural}[/{name}]`; `_overview` after either, or
 * `+insights` at the end of the plural, joins in what is reported about the resource.
 */
function targetOf(path: readonly string[], view: ApiView): Target | null {
  const inMesh = path[0] === "meshes" && path.length > 2 && path[2] !== "_overview";
  const [collection = "", ...after] = inMesh ? path.slice(2) : path;
  const overview = after.at(-1) === "_overview" || collection.endsWith("+insights");
  const names = after.at(-1) === "_overview" ? after.slice(0, -1) : after;
  const kind = view.kinds.byPlural(collection.replace(/\+insights$/, ""));
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
function acceptsJson({ headers, path }: ApiRequest): boolean {
  const accept = headers.get("accept");
  return accept === null || ["metrics", "healthy", "ready"].includes(path[0] ?? "") ||
    accept.split(",").some((part) =>
      ["application/json", "application/*", "*/*", "text/html"].includes(
        part.split(";")[0]?.trim() ?? "",
      )
    );
}
