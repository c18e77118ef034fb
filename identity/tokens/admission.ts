// What a genuine token lets its holder be.

import type { DataplaneSpec } from "../../core/dataplane.ts";
import { WORKLOAD_LABEL } from "../../core/names.ts";
import type { Resource } from "../../core/resource.ts";
import { show } from "../../core/shape.ts";
import type { DataplaneClaims, ZoneClaims } from "../../core/token.ts";

export type Admission = { readonly ok: true } | { readonly ok: false; readonly message: string };

export type ZoneScope = "ingress" | "egress";

const ADMITTED: Admission = { ok: true };

/**
 * Claims that are empty do not bind. Every tag of the token must be on the dataplane, on all its
 * inbounds together with no other values. kuma@v2.13.10:pkg/xds/auth/universal/authenticator.go.
 */
export function admitsDataplane(
  claims: DataplaneClaims,
  dataplane: Pick<Resource<DataplaneSpec>, "mesh" | "name" | "labels" | "spec">,
): Admission {
  if (claims.type !== "" && claims.type !== "dataplane") {
    return refused(`is for a proxy of type ${show(claims.type)}, this is a dataplane`);
  }
  if (claims.mesh !== "" && claims.mesh !== dataplane.mesh) {
    return refused(`is for mesh ${show(claims.mesh)}, this is mesh ${show(dataplane.mesh)}`);
  }
  if (claims.name !== "" && claims.name !== dataplane.name) {
    return refused(`is for dataplane ${show(claims.name)}, this is ${show(dataplane.name)}`);
  }
  const tags = tagsRefusal(claims, valuesOf(dataplane.spec));
  if (tags !== null) return refused(tags);
  const workload = dataplane.labels[WORKLOAD_LABEL];
  if (claims.workload !== "" && claims.workload !== workload) {
    const actual = workload === undefined ? `has no label ${WORKLOAD_LABEL}` : show(workload);
    return refused(`is for workload ${show(claims.workload)}, this dataplane's: ${actual}`);
  }
  return ADMITTED;
}

/** For zone ingresses and egresses: the scope must name them; a zone, where there is one, must be this. */
export function admitsZoneProxy(
  claims: ZoneClaims,
  { zone, scope }: { readonly zone: string; readonly scope: ZoneScope },
): Admission {
  if (!claims.scope.includes(scope)) {
    return refused(`is for ${claims.scope.map(show).join(", ") || "no scope"}, not for ${scope}`);
  }
  if (claims.zone !== "" && claims.zone !== zone) {
    return refused(`is for zone ${show(claims.zone)}, this is zone ${show(zone)}`);
  }
  return ADMITTED;
}

function tagsRefusal(
  { tags }: DataplaneClaims,
  values: ReadonlyMap<string, ReadonlySet<string>>,
): string | null {
  for (const [tag, allowed] of Object.entries(tags)) {
    const actual = values.get(tag);
    if (!actual) return `requires tag ${show(tag)}, which the dataplane does not have`;
    for (const value of actual) {
      if (allowed.includes(value)) continue;
      const list = allowed.map(show).join(", ");
      return `allows tag ${show(tag)} only the values ${list}, the dataplane has ${show(value)}`;
    }
  }
  return null;
}

/** All values of every tag, over inbounds and gateway. */
function valuesOf({ networking }: DataplaneSpec): ReadonlyMap<string, ReadonlySet<string>> {
  const values = new Map<string, Set<string>>();
  const tagSets = [...networking?.inbound ?? [], ...networking?.gateway ? [networking.gateway] : []]
    .map(({ tags }) => tags ?? {});
  for (const [tag, value] of tagSets.flatMap((tags) => Object.entries(tags))) {
    const known = values.get(tag);
    if (known) known.add(value);
    else values.set(tag, new Set([value]));
  }
  return values;
}

function refused(what: string): Admission {
  return { ok: false, message: `the token ${what}` };
}
