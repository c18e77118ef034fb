// Which dataplanes a mesh takes in, by the tags of each inbound or of the gateway.

import { all, type Check, list, object } from "./shape.ts";
import { selectorTags, someTag } from "./selectors.ts";
import { ANY, sortedEntries, type Tags } from "./tags.ts";

/** kuma.mesh.v1alpha1.Mesh.DataplaneProxyConstraints in JSON. */
export interface MembershipRules {
  /** At least one of them must be met, if there are any. */
  readonly requirements?: readonly { readonly tags?: Tags }[];
  readonly restrictions?: readonly { readonly tags?: Tags }[];
}

const rules = list(object({ tags: all(selectorTags, someTag) }, { required: ["tags"] }));

export const constraints: Check = object({
  dataplaneProxy: object({ requirements: rules, restrictions: rules }),
});

/** In a sentence; null when it may join. kuma@v2.13.10:pkg/core/managers/apis/dataplane/membership_validator.go. */
export function whyNoMember(
  { requirements = [], restrictions = [] }: MembershipRules,
  tags: Tags,
): string | null {
  if (requirements.length > 0 && !requirements.some((one) => meets(tags, one.tags))) {
    return `its tags ${textOf(tags)} fulfill no requirement that the mesh has`;
  }
  const restriction = restrictions.find((one) => meets(tags, one.tags));
  return restriction
    ? `its tags ${textOf(tags)} match the restricted ${textOf(restriction.tags ?? {})} of the mesh`
    : null;
}

/** `*` is any value, but there must be one. */
function meets(tags: Tags, wanted: Tags = {}): boolean {
  return Object.entries(wanted).every(([name, value]) => {
    const own = tags[name] ?? "";
    return value === ANY ? own !== "" : own === value;
  });
}

function textOf(tags: Tags): string {
  return `{${sortedEntries(tags).map(([name, value]) => `${name}=${value}`).join(", ")}}`;
}
