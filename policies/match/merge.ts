// Several configurations for one thing as one: what comes later has more right. kuma@v2.13.10:pkg/plugins/policies/core/rules/merge.

import { isObject, objectOf, sameJson } from "../../core/json.ts";
import type { Json, JsonObject } from "../../core/resource.ts";

/** RFC 7396, but that lists called `append…` grow. */
export function mergeConfs(confs: readonly JsonObject[]): JsonObject {
  return confs.reduce((merged, conf) => patch(merged, objectOf(conf)), {});
}

function patch(target: JsonObject, change: JsonObject): JsonObject {
  const result: Record<string, Json> = { ...target };
  for (const [key, value] of Object.entries(change)) {
    const before = result[key];
    if (value === null) delete result[key];
    else if (isObject(value)) result[key] = patch(isObject(before) ? before : {}, value);
    else if (key.startsWith("append") && Array.isArray(value) && Array.isArray(before)) {
      result[key] = [...before, ...value];
    } else result[key] = value;
  }
  return result;
}

/** What a MeshHTTPRoute has under `to`: rules, for all hosts or for some. */
interface Routes {
  readonly rules: readonly RouteRule[];
  readonly hostnames: readonly string[];
}

interface RouteRule {
  readonly matches?: Json;
  readonly default?: JsonObject;
}

/**
 * One configuration for each host name that is named, and one for those without. Rules with equal
 * matches are one; the rules of what comes later stand first, since there the first one wins.
 */
export function mergeRoutes(confs: readonly JsonObject[]): readonly JsonObject[] {
  const byHost = new Map<string, Routes[]>();
  for (const conf of confs as unknown as readonly Partial<Routes>[]) {
    const { rules = [], hostnames = [] } = conf;
    for (const host of hostnames.length > 0 ? hostnames : [""]) {
      byHost.set(host, [...byHost.get(host) ?? [], { rules, hostnames: [host] }]);
    }
  }
  return [...byHost].map(([host, routes]) => ({
    rules: mergeRules(routes.flatMap(({ rules }) => [...rules].reverse())),
    ...(host !== "" && { hostnames: [host] }),
  }));
}

function mergeRules(rules: readonly RouteRule[]): readonly JsonObject[] {
  const merged: { matches: Json; defaults: JsonObject[] }[] = [];
  for (const { matches = [], default: conf = {} } of rules) {
    const before = merged.findIndex((one) => sameJson(one.matches, matches));
    const [known] = before < 0 ? [] : merged.splice(before, 1);
    merged.push({ matches, defaults: [...known?.defaults ?? [], conf] });
  }
  return merged.reverse()
    .map(({ matches, defaults }) => ({ matches, default: mergeConfs(defaults) }));
}
