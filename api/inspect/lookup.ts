// What inspection is about, found by its path, or why it is not.

import { objectOf } from "../../core/json.ts";
import type { Resource, ResourceDescriptor } from "../../core/resource.ts";
import type { ApiAnswer } from "../exchange.ts";
import type { ApiView } from "../ports.ts";
import { notFound } from "../problem.ts";
import type { Call } from "../route.ts";

/** Kuma's title differs with what is missing, and where. */
export interface Titles {
  readonly mesh: string;
  readonly item: string;
}

/** The resource of a type in the mesh of the path; 404 for whichever is not there. */
export function find(
  { view: { resources }, params: { mesh = "", name = "" } }: Call,
  type: string,
  titles: Titles,
): Resource | ApiAnswer {
  if (!resources.get({ type: "Mesh", mesh: "", name: mesh })) return notFound(titles.mesh);
  return resources.get({ type, mesh, name }) ?? notFound(titles.item);
}

export function isAnswer(found: Resource | ApiAnswer): found is ApiAnswer {
  return "status" in found && typeof found.status === "number";
}

/** The policy whose collection is in the path. */
export function policyKind(
  { view, params: { plural = "" } }: Call,
): ResourceDescriptor | undefined {
  const kind = view.kinds.byPlural(plural);
  return kind?.policy ? kind : undefined;
}

/** Whether services of the mesh are resources alone, and no tags. */
export function isExclusive(mesh: string, { resources }: ApiView): boolean {
  const spec = resources.get({ type: "Mesh", mesh: "", name: mesh })?.spec;
  return objectOf(spec?.["meshServices"])["mode"] === "Exclusive";
}
