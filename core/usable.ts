// What may reach a data plane. Resources that come from peers are kept and passed on as they are;
// what our own rules would have refused has no effect here.

import type { Resource, ResourceDescriptor } from "./resource.ts";
import type { Violation } from "./violation.ts";

/** Resources are never mutated, so each is judged once, and the verdict forgotten with it. */
const verdicts = new WeakMap<object, readonly Violation[]>();

/** Empty when it is usable. */
export function whyUnusable(
  { spec }: Pick<Resource<object>, "spec">,
  { validate }: Pick<ResourceDescriptor, "validate">,
): readonly Violation[] {
  let verdict = verdicts.get(spec);
  if (!verdict) verdicts.set(spec, verdict = validate(spec));
  return verdict;
}
