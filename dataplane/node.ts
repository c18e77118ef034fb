// What `ursa dp` adds to its node metadata, and how a control plane reads it back.

import type { JsonObject } from "../core/resource.ts";

/** Key in `dynamicMetadata`: one value per run of a dp process, so that two owners of a name differ. */
export const INSTANCE_KEY = "ursa.instance";

/** The instance id in an Envoy node's metadata; "" for proxies that `ursa dp` did not start. */
export function instanceOf(metadata: JsonObject): string {
  const dynamic = metadata["dynamicMetadata"];
  if (typeof dynamic !== "object" || dynamic === null || Array.isArray(dynamic)) return "";
  const id = (dynamic as JsonObject)[INSTANCE_KEY];
  return typeof id === "string" ? id : "";
}
