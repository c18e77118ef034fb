// What a proxy listens on and where it may go, in meshes whose services are resources. kuma@v2.13.10:pkg/api-server/dataplane_layout_endpoint.go.

import { objectOf, textOf, wordOf } from "../../core/json.ts";
import { portsOf, SERVICE_KINDS, type ServicePort } from "../../core/mesh_service.ts";
import { DISPLAY_NAME_LABEL, ZONE_LABEL } from "../../core/names.ts";
import { compareText, type JsonObject, type Resource } from "../../core/resource.ts";
import { matchesTags, PROTOCOL_TAG, type Tags } from "../../core/tags.ts";
import { type ApiAnswer, json } from "../exchange.ts";
import type { ApiView } from "../ports.ts";
import { notFound } from "../problem.ts";
import { type Call, get, type Route } from "../route.ts";
import { kriText, notExclusive } from "./exclusive.ts";
import { isExclusive } from "./lookup.ts";

export const LAYOUT_ROUTES: readonly Route[] = [
  get("/meshes/{mesh}/dataplanes/{name}/_layout", layout),
];

function layout({ view, params: { mesh = "", name = "" } }: Call): ApiAnswer {
  const { resources } = view;
  if (!resources.get({ type: "Mesh", mesh: "", name: mesh })) {
    return notFound("Failed to build MeshContext");
  }
  if (!isExclusive(mesh, view)) return notExclusive("_layout");
  const dataplane = resources.get({ type: "Dataplane", mesh, name });
  if (!dataplane) return notFound("Failed to retrieve Dataplane");
  return json({
    kri: kriText(dataplane, view),
    labels: dataplane.labels,
    inbounds: inbounds(dataplane, view),
    outbounds: outbounds(dataplane, view).sort((a, b) => compareText(a.kri, b.kri)),
  });
}

function inbounds(dataplane: Resource, view: ApiView): readonly JsonObject[] {
  const { inbound = [] } = objectOf(dataplane.spec["networking"]);
  return (inbound as readonly JsonObject[]).map(({ name, port = 0, tags }) => {
    const section = wordOf(name || port);
    return {
      kri: `${kriText(dataplane, view)}${section}`,
      port,
      protocol: objectOf(tags)[PROTOCOL_TAG] ?? "",
      proxyResourceName: `self_inbound_dp_${section}`,
    };
  });
}

/** What a proxy names is what it has; one that names nothing may reach everything. */
function outbounds(dataplane: Resource, view: ApiView) {
  const { outbound = [], transparentProxying } = objectOf(dataplane.spec["networking"]);
  const named = (outbound as readonly JsonObject[]).flatMap(({ backendRef }) =>
    backendRef === undefined ? [] : [objectOf(backendRef)]
  );
  const { reachableBackends } = objectOf(transparentProxying);
  const reachable = reachableBackends === undefined
    ? undefined
    : (objectOf(reachableBackends)["refs"] ?? []) as readonly JsonObject[];
  const refs = named.length > 0 ? named : reachable ?? SERVICE_KINDS.map((kind) => ({ kind }));
  const found = refs.flatMap((ref: JsonObject) =>
    view.resources.list(textOf(ref["kind"]), dataplane.mesh)
      .filter((service) => isMeant(service, ref, dataplane))
      .flatMap((service) => sectionsOf(service, ref, view))
  );
  return [...new Map(found.map((one) => [one.kri, one])).values()];
}

function isMeant(service: Resource, { name, labels }: JsonObject, dataplane: Resource): boolean {
  if (labels !== undefined) return matchesTags(objectOf(labels) as Tags, service.labels);
  if (name === undefined) return true;
  return (service.labels[DISPLAY_NAME_LABEL] ?? service.name) === name &&
    service.labels[ZONE_LABEL] === dataplane.labels[ZONE_LABEL];
}

function sectionsOf(service: Resource, { port: wanted }: JsonObject, view: ApiView) {
  const all = portsOf(service);
  const meant = all.filter(({ port }) => wanted === undefined || port === wanted);
  return meant.map(({ name, port, protocol }: ServicePort) => {
    const kri = `${kriText(service, view)}${name}`;
    return { kri, port, protocol, proxyResourceName: kri };
  });
}
