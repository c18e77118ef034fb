// Warnings: what is legal, and yet probably not what was meant.

import {
  type CaBackend,
  caBackends,
  caSources,
  enabledBackend,
  type MeshSpec,
} from "../core/mesh.ts";
import type { Draft, Resource, ResourceDescriptor } from "../core/resource.ts";
import type { ZoneIngressSpec } from "../core/zone.ts";
import type { ApiView, ControlPlane, ResourceView } from "./ports.ts";

/** kuma@v2.13.10: a mesh name that is no DNS label cannot be part of a host name. */
const DNS_LABEL = /^[a-z]([-a-z0-9]*[a-z0-9])?$/;

export function withoutEffect({ name }: ResourceDescriptor): string {
  return `${name} has no effect yet: it is kept and passed on, but no proxy behaves differently`;
}

/** `begins`: what the mesh begins with, when it is new. */
export function meshWarnings(
  { name, spec }: Draft,
  begins: readonly Draft[],
  { kinds, resources, control }: Pick<ApiView, "kinds" | "resources" | "control">,
): readonly string[] {
  const warnings = [...kinds.all()]
    .filter((kind) => kind.withoutEffect && begins.some(({ type }) => type === kind.name))
    .map(withoutEffect);
  if (!DNS_LABEL.test(name)) {
    warnings.push(`mesh name "${name}" is not a DNS label: host names with it will not resolve`);
  }
  if (enabledBackend(spec as MeshSpec)) {
    const permissions = [...resources.list("TrafficPermission", name), ...begins];
    if (permissions.every(({ type }) => type !== "TrafficPermission")) {
      warnings.push(nothingAllowed(name));
    }
  } else if (hasOtherZones(resources, control)) {
    warnings.push(
      `mesh "${name}" has no mutual TLS, so endpoints in other zones are not offered: zone ` +
        "ingresses route by the SNI of mutual TLS",
    );
  }
  for (const backend of caBackends(spec as MeshSpec)) {
    if (!hasOpenKey(name, backend)) continue;
    warnings.push(
      `the private key of CA backend "${backend.name}" stands in mesh "${name}", which everybody ` +
        "may read: put it into a Secret",
    );
  }
  return warnings;
}

function hasOpenKey(mesh: string, backend: CaBackend): boolean {
  return caSources(mesh, backend).key.secret === undefined;
}

/** After the last permission went: said by the DELETE that causes it. */
export function permissionGoneWarnings(
  permission: Resource,
  resources: ResourceView,
): readonly string[] {
  const mesh = resources.get({ type: "Mesh", mesh: "", name: permission.mesh });
  if (!mesh || !enabledBackend(mesh.spec as MeshSpec)) return [];
  const others = resources.list("TrafficPermission", permission.mesh)
    .filter(({ name }) => name !== permission.name);
  return others.length === 0 ? [nothingAllowed(permission.mesh)] : [];
}

function nothingAllowed(mesh: string): string {
  return `nothing is allowed: mesh "${mesh}" has mutual TLS and no TrafficPermission, so every ` +
    "request between its services is refused";
}

function hasOtherZones(resources: ResourceView, control: ControlPlane): boolean {
  if (control.mode === "global") return resources.list("Zone").length > 1;
  return resources.list("ZoneIngress").some(({ spec }) => {
    const zone = (spec as unknown as ZoneIngressSpec).zone;
    return zone !== undefined && zone !== "" && zone !== control.zone;
  });
}
