// Which proxies a MeshService stands for. kuma@v2.13.10:pkg/core/resources/apis/meshservice/match.go.

import { objectOf } from "./json.ts";
import type { Resource } from "./resource.ts";
import { matchesTags, type Tags } from "./tags.ts";

/** Any of the proxy's tag sets has to fit, or its name. */
export function selectsDataplane({ spec }: Resource, { name, spec: proxy }: Resource): boolean {
  const { dataplaneRef, dataplaneTags } = objectOf(spec["selector"]);
  if (dataplaneRef !== undefined) return objectOf(dataplaneRef)["name"] === name;
  if (dataplaneTags === undefined) return false;
  const { inbound = [], gateway } = objectOf(proxy["networking"]);
  const owners = [...Array.isArray(inbound) ? inbound : [], gateway];
  return owners.some((owner) =>
    matchesTags(objectOf(dataplaneTags) as Tags, objectOf(objectOf(owner)["tags"]) as Tags)
  );
}
