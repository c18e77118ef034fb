// The host names that generators give a service. kuma@v2.13.10:pkg/api-server/inspect_mesh_service.go.

import { objectOf, textOf } from "../../core/json.ts";
import { SERVICE_KINDS } from "../../core/mesh_service.ts";
import { DISPLAY_NAME_LABEL, NAMESPACE_LABEL, ORIGIN_LABEL, ZONE_LABEL } from "../../core/names.ts";
import type { Resource } from "../../core/resource.ts";
import { matchesTags, type Tags } from "../../core/tags.ts";
import { type ApiAnswer, json } from "../exchange.ts";
import { notFound, problem } from "../problem.ts";
import { type Call, get, type Route } from "../route.ts";

export const HOSTNAME_ROUTES: readonly Route[] = [
  get("/meshes/{mesh}/{plural}/{name}/_hostnames", hostnames),
];

function hostnames({ view, params: { mesh = "", plural = "", name = "" } }: Call): ApiAnswer {
  const { kinds, resources } = view;
  const type = SERVICE_KINDS.find((kind) => kinds.byName(kind)?.plural === plural);
  if (!type) {
    const known = SERVICE_KINDS.map((kind) => kinds.byName(kind)?.plural).join(",");
    return problem({
      status: 400,
      title: `only "${known}" are available for inspection`,
      detail: "Resource is not valid",
    });
  }
  const service = resources.get({ type, mesh, name });
  if (!service) return notFound("could not retrieve service");
  const names = new Set<string>();
  for (const generator of resources.list("HostnameGenerator")) {
    const made = hostnameOf(service, generator);
    if (made === undefined) continue;
    if ("error" in made) {
      return problem({ status: 400, title: "could not generate hostname", detail: made.error });
    }
    names.add(made.hostname);
  }
  const zones = [{ name: service.labels[ZONE_LABEL] ?? "" }];
  const items = [...names].sort().map((hostname) => ({ hostname, zones }));
  return json({ total: items.length, items });
}

type Made = { readonly hostname: string } | { readonly error: string };

/** Undefined: the generator is not for this service. */
function hostnameOf(service: Resource, generator: Resource): Made | undefined {
  const { selector, template } = generator.spec;
  const field = service.type.charAt(0).toLowerCase() + service.type.slice(1);
  const chosen = objectOf(selector)[field];
  if (chosen === undefined) return undefined;
  const labels = objectOf(objectOf(chosen)["matchLabels"]) as Tags;
  // As the zone sees it that has both, or else as any other.
  const near = generator.labels[ORIGIN_LABEL] === "zone" &&
    generator.labels[ZONE_LABEL] === service.labels[ZONE_LABEL];
  const seen = { ...service.labels, [ORIGIN_LABEL]: near ? "zone" : "global" };
  return matchesTags(labels, seen)
    ? render(textOf(template), { ...service, labels: seen })
    : undefined;
}

/** Of Go's templates: fields and labels. */
const PLACE = /\{\{-?\s*(?:\.(\w+)|label\s+"([^"]*)")\s*-?\}\}/g;

function render(template: string, { name, mesh, labels }: Resource): Made {
  const fields: Readonly<Record<string, string>> = {
    Name: name,
    DisplayName: labels[DISPLAY_NAME_LABEL] ?? name,
    Namespace: labels[NAMESPACE_LABEL] ?? "",
    Mesh: mesh,
    Zone: labels[ZONE_LABEL] ?? "",
  };
  const missing: string[] = [];
  const hostname = template.replace(PLACE, (place, field?: string, label?: string) => {
    const value = field === undefined ? labels[label ?? ""] : fields[field];
    if (value === undefined) missing.push(place);
    return value ?? "";
  });
  const left = missing[0] ?? /\{\{.*?\}\}/.exec(hostname)?.[0];
  return left === undefined ? { hostname } : {
    error: `the template "${template}" has ${left}, and there is no such field or label`,
  };
}
