// `/_kri/…`: a resource by its identifier, whatever its kind.

import { refuseKind } from "./access.ts";
import type { ApiAnswer, ApiRequest } from "./exchange.ts";
import type { ResourceDescriptor } from "../core/resource.ts";
import type { ApiView, Kinds } from "./ports.ts";
import { badRequest, notFound } from "./problem.ts";
import { kriOf } from "./render.ts";
import { renderInFormat } from "./resources.ts";
import { get, type Route } from "./route.ts";

export const KRI_ROUTES: readonly Route[] = [
  get("/_kri/{kri}", ({ request, view, params }) => byKri(params["kri"] ?? "", request, view)),
];

/** kri, short name, mesh, zone, namespace, name, section; kuma@v2.13.10:pkg/core/kri. */
const PARTS = 7;

export interface Kri {
  readonly kind: ResourceDescriptor;
  readonly mesh: string;
  /** Without the section. */
  readonly resource: string;
  /** Such as the name of a port; "" is all of the resource. */
  readonly section: string;
}

export function parseKri(text: string, kinds: Kinds): Kri | ApiAnswer {
  const parts = text.split("_");
  const [prefix, shortName, mesh = ""] = parts;
  if (prefix !== "kri" || parts.length < PARTS) {
    return badRequest(
      `${
        JSON.stringify(text)
      } is no KRI: it has the form kri_SHORTNAME_MESH_ZONE_NAMESPACE_NAME_SECTION`,
    );
  }
  const kind = [...kinds.all()].find((one) => one.shortName && one.shortName === shortName);
  if (!kind) return badRequest(`no kind has the short name ${JSON.stringify(shortName)}`);
  const at = PARTS - 1;
  return {
    kind,
    mesh,
    resource: `${parts.slice(0, at).join("_")}_`,
    section: parts.slice(at).join(""),
  };
}

function byKri(text: string, request: ApiRequest, view: ApiView): ApiAnswer {
  const kri = parseKri(text, view.kinds);
  if ("status" in kri) return kri;
  const { kind, mesh } = kri;
  const denied = refuseKind(kind, { request, view });
  if (denied) return denied;
  const found = view.resources.list(kind.name, kind.scope === "Mesh" ? mesh : undefined)
    .find((resource) => kriOf(resource, kind) === kri.resource);
  return found
    ? renderInFormat(found, kind, request.query)
    : notFound("Could not retrieve a resource");
}
