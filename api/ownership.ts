// What goes with a resource when it is deleted, and what keeps it from being deleted.

import { caBackends, caSources, type MeshSpec } from "../core/mesh.ts";
import { ORIGIN_LABEL, ZONE_LABEL } from "../core/names.ts";
import { isOnline } from "../core/proxy_status.ts";
import type { Resource, ResourceDescriptor, ResourceKey } from "../core/resource.ts";
import type { Violation } from "../core/violation.ts";
import type { Kinds, ResourceView } from "./ports.ts";

/** Keys of everything that a deleted resource owned: its insight, a mesh's or a zone's contents. */
export function ownedBy(
  owner: Resource,
  { kinds, resources }: { readonly kinds: Kinds; readonly resources: ResourceView },
): readonly ResourceKey[] {
  const all = [...kinds.all()];
  const insights = all
    .filter(({ insightOf }) => insightOf === owner.type)
    .map(({ name }) => resources.get({ type: name, mesh: owner.mesh, name: owner.name }));
  const contents = all.flatMap((kind) => contentsOf(owner, kind, resources));
  return [...insights, ...contents].filter((resource) => resource !== undefined)
    .map(({ type, mesh, name }) => ({ type, mesh, name }));
}

function contentsOf(
  owner: Resource,
  kind: ResourceDescriptor,
  resources: ResourceView,
): readonly Resource[] {
  if (owner.type === "Mesh") {
    return kind.scope === "Mesh" ? resources.list(kind.name, owner.name) : [];
  }
  if (owner.type !== "Zone") return [];
  return resources.list(kind.name).filter(({ labels }) =>
    labels[ORIGIN_LABEL] === "zone" && labels[ZONE_LABEL] === owner.name
  );
}

/** Why the resource must stay. */
export function checkDeletable(resource: Resource, resources: ResourceView): readonly Violation[] {
  switch (resource.type) {
    case "Mesh":
      return resources.list("Dataplane", resource.name).length === 0 ? [] : [{
        path: "mesh",
        message: "unable to delete mesh, there are still some dataplanes attached",
      }];
    case "Zone":
      return !isOnline(resources.get({ type: "ZoneInsight", mesh: "", name: resource.name })?.spec)
        ? []
        : [{
          path: "zone",
          message: "unable to delete Zone, Zone CP is still connected, please shut it down first",
        }];
    case "Secret":
      return secretUsers(resource, resources).map((backend) => ({
        path: "name",
        message: `the secret is in use by mTLS backend "${backend}" of mesh "${resource.mesh}": ` +
          "remove the backend first",
      }));
    default:
      return [];
  }
}

function secretUsers(secret: Resource, resources: ResourceView): readonly string[] {
  const mesh = resources.get({ type: "Mesh", mesh: "", name: secret.mesh });
  return caBackends((mesh?.spec ?? {}) as MeshSpec).filter((backend) => {
    const { cert, key } = caSources(secret.mesh, backend);
    return cert.secret === secret.name || key.secret === secret.name;
  }).map(({ name }) => name);
}
