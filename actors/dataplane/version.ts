// What a proxy says of its versions, as its insight shows them: in the shape that every peer reads.

import { objectOf } from "../../core/json.ts";
import { isCompatible, KUMA_VERSION } from "../../core/kuma.ts";
import type { JsonObject } from "../../core/resource.ts";
import { instanceOf } from "../../dataplane/mod.ts";

const DP_FIELDS = ["version", "gitTag", "gitCommit", "buildDate"];
const ENVOY_FIELDS = ["version", "build"];
/** Keys of dynamic metadata that begin so are versions, too. kuma@v2.13.10:pkg/core/xds/metadata.go. */
const DEPENDENCY = "version.dependencies.";

/** kuma.mesh.v1alpha1.Version; `metadata` is hostile, and what makes no sense is left out. */
export function versionOf(metadata: JsonObject): JsonObject {
  const { kumaDp, envoy, dependencies } = objectOf(metadata["version"]);
  const dp = texts(kumaDp, DP_FIELDS);
  const of = texts(envoy, ENVOY_FIELDS);
  const others = {
    ...texts(dependencies),
    ...Object.fromEntries(
      Object.entries(texts(metadata["dynamicMetadata"]))
        .filter(([key]) => key.startsWith(DEPENDENCY))
        .map(([key, version]) => [key.slice(DEPENDENCY.length), version]),
    ),
  };
  // Our own dp process counts by itself.
  const fits = instanceOf(metadata) !== "" || isCompatible(KUMA_VERSION, dp["version"] ?? "");
  return {
    ...(Object.keys(dp).length > 0 && { kumaDp: { ...dp, kumaCpCompatible: fits } }),
    ...(Object.keys(of).length > 0 && {
      envoy: { ...of, kumaDpCompatible: objectOf(envoy)["kumaDpCompatible"] === true },
    }),
    ...(Object.keys(others).length > 0 && { dependencies: others }),
  };
}

/** Those fields that are texts; all when no names are given. */
function texts(value: unknown, names?: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(objectOf(value)).filter((entry): entry is [string, string] =>
      typeof entry[1] === "string" && (!names || names.includes(entry[0]))
    ),
  );
}
