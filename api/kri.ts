// `/_kri/…`: a resource by its identifier, whatever its kind.

import { refuseKind } from "./access.ts";
import type { ApiAnswer, ApiRequest } from "./exchange.ts";
import type { ApiView } from "./ports.ts";
import { badRequest, notFound } from "./problem.ts";
import { kriOf } from "./render.ts";
import { renderInFormat } from "./resources.ts";
import { get, type Route } from "./route.ts";

export const KRI_ROUTES: readonly Route[] = [
  get("/_kri/{kri}", ({ request, view, params }) => byKri(params["kri"] ?? "", request, view)),
];

/** kri, short name, mesh, zone, namespace, name, section; kuma@v2.13.10:pkg/core/kri. */
const PARTS = 7;

function byKri(kri: string, request: ApiRequest, view: ApiView): ApiAnswer {
  const parts = kri.split("_");
  const [prefix, shortName, mesh] = parts;
  if (prefix !== "kri" || parts.length < PARTS) {
    return badRequest(
      `${
        JSON.stringify(kri)
      } is no KRI: it has the form kri_SHORTNAME_MESH_ZONE_NAMESPACE_NAME_SECTION`,
    );
  }
  const kind = [...view.kinds.all()].find((one) => one.shortName && one.shortName === shortName);
  if (!kind) return badRequest(`no kind has the short name ${JSON.stringify(shortName)}`);
  const denied = refuseKind(kind, { request, view });
  if (denied) return denied;
  // A section, such as the name of a port, is a part of the resource.
  const wanted = `${parts.slice(0, PARTS - 1).join("_")}_`;
  const found = view.resources.list(kind.name, kind.scope === "Mesh" ? mesh : undefined)
    .find((resource) => kriOf(resource, kind) === wanted);
  return found
    ? renderInFormat(found, kind, request.query)
    : notFound("Could not retrieve a resource");
}
