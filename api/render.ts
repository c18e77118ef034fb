// How a resource looks over REST: meta fields and spec in one flat object.

import { DISPLAY_NAME_LABEL, NAMESPACE_LABEL, ZONE_LABEL } from "../core/names.ts";
import { withoutBytes } from "../proto/split.ts";
import type { JsonObject, Resource, ResourceDescriptor } from "../core/resource.ts";

export function renderResource(resource: Resource, kind: ResourceDescriptor): JsonObject {
  const kri = kriOf(resource, kind);
  return {
    ...renderMeta(resource, kind, kind.name),
    ...(kri && { kri }),
    ...renderSpec(resource, kind),
  };
}

/** Flat beside the meta fields, or under a key of its own where it is no message. */
function renderSpec({ spec, status }: Resource, { message }: ResourceDescriptor): JsonObject {
  return message === undefined ? { spec, ...(status && { status }) } : withoutBytes(spec);
}

/** A resource beside what is reported about it. Kuma leaves the KRI out here. */
export function renderOverview(
  resource: Resource,
  kind: ResourceDescriptor,
  { insight, insightKind }: {
    readonly insight: Resource | undefined;
    readonly insightKind: ResourceDescriptor;
  },
): JsonObject {
  return {
    ...renderMeta(resource, kind, `${kind.name}Overview`),
    [fieldName(kind)]: withoutBytes(resource.spec),
    ...(insight && { [fieldName(insightKind)]: withoutBytes(insight.spec) }),
  };
}

/** All of a resource but its contents, as lists of what matched have it. */
export function renderReference(resource: Resource, kind: ResourceDescriptor): JsonObject {
  const kri = kriOf(resource, kind);
  return { ...renderMeta(resource, kind, kind.name), ...(kri && { kri }) };
}

/** What newer answers call a resource's meta. kuma@v2.13.10:pkg/api-server/oapi-helpers. */
export function renderIdentity({ type, mesh, name, labels }: Resource): JsonObject {
  return { type, mesh, name, labels };
}

/** `kri_{short}_{mesh}_{zone}_{namespace}_{name}_{section}`; undefined for kinds without a short name. */
export function kriOf(resource: Resource, kind: ResourceDescriptor): string | undefined {
  if (!kind.shortName) return undefined;
  const { labels } = resource;
  const parts = [
    kind.shortName,
    resource.mesh,
    labels[ZONE_LABEL] ?? "",
    labels[NAMESPACE_LABEL] ?? "",
    labels[DISPLAY_NAME_LABEL] ?? resource.name,
    "",
  ];
  return `kri_${parts.join("_")}`;
}

/** "Traffic Permission" from "TrafficPermission", "Mesh HTTP Route" from "MeshHTTPRoute". */
export function displayName(type: string): string {
  return type.replace(/([a-z])([A-Z])/g, "$1 $2").replace(/([A-Z]+)([A-Z][a-z])/g, "$1 $2");
}

export function pluralDisplayName(type: string): string {
  const name = displayName(type);
  if (/(s|x|ch|sh)$/i.test(name)) return `${name}es`;
  return /[^aeiou]y$/.test(name) ? `${name.slice(0, -1)}ies` : `${name}s`;
}

function renderMeta(resource: Resource, kind: ResourceDescriptor, type: string): JsonObject {
  return {
    type,
    ...(kind.scope === "Mesh" && { mesh: resource.mesh }),
    name: resource.name,
    creationTime: resource.creationTime,
    modificationTime: resource.modificationTime,
    ...(Object.keys(resource.labels).length > 0 && { labels: resource.labels }),
  };
}

/** Where an overview has the spec of this kind. */
export function fieldName(kind: ResourceDescriptor): string {
  return kind.name.charAt(0).toLowerCase() + kind.name.slice(1);
}
