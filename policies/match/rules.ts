// What policies with a targetRef say together, about whom: rules, from their items. kuma@v2.13.10:pkg/plugins/policies/core/rules.

import { sha256Base64 } from "../../core/version.ts";
import { listOf, objectOf } from "../../core/json.ts";
import { compareText, type Json, type JsonObject, type Resource } from "../../core/resource.ts";
import { SERVICE_TAG, type Tags } from "../../core/tags.ts";
import { mergeConfs, mergeRoutes } from "./merge.ts";
import {
  cliques,
  includes,
  partition,
  type Subset,
  subsetOf,
  SUBSETS_MAX,
  type SubsetTag,
} from "./subset.ts";
import { nameOf, readTargetRef, type TargetRef, targetRefOf } from "./target_ref.ts";

/** A tag that stands for the requests that a route matches. */
export const MATCHES_TAG = "__rule-matches-hash__";

/** One of a policy's `to`, `from` or `rules`; or its `default`, as the only one. */
export interface Item {
  readonly policy: Resource;
  /** Its place in the list. */
  readonly index: number;
  readonly targetRef: TargetRef;
  readonly conf: JsonObject;
}

/** What holds for a set of clients or destinations. */
export interface Rule {
  readonly subset: Subset;
  readonly conf: JsonObject;
  /** In order of precedence, the weakest first. */
  readonly origin: readonly Resource[];
}

export type Part = "to" | "from" | "rules";

/** Items of policies, which are in order of precedence already. */
export function itemsOf(policies: readonly Resource[], part: Part): readonly Item[] {
  return policies.flatMap((policy) =>
    listOf(policy.spec[part]).map(objectOf).map((item, index) => ({
      policy,
      index,
      targetRef: readTargetRef(item["targetRef"]),
      conf: confOf(policy.type, item),
    }))
  );
}

/** The configurations of routes are their rules. */
function confOf(type: string, item: JsonObject): JsonObject {
  const { targetRef = {}, hostnames, default: conf } = item;
  const rules = listOf(item["rules"]).map(objectOf);
  if (type === "MeshHTTPRoute") {
    return { rules, ...(hostnames !== undefined && { hostnames: listOf(hostnames) }) };
  }
  if (type !== "MeshTCPRoute") return objectOf(conf);
  const [first] = rules;
  return first ?? { default: { backendRefs: [{ ...objectOf(targetRef), weight: 1 }] } };
}

/** Policies that say one thing about a whole proxy: their `default`. */
export function singleRule(policies: readonly Resource[]): Rule | undefined {
  const items = policies.map((policy) => ({
    policy,
    index: 0,
    targetRef: { kind: "Mesh" } as const,
    conf: objectOf(policy.spec["default"]),
  }));
  return ruleFor([], items)[0];
}

/**
 * For each set of clients or destinations that some items tell apart, what holds there; those with
 * most tags first. `negations`: sets are told apart also by tags that they do not have.
 */
export function buildRules(
  given: readonly Item[],
  { negations }: { readonly negations: boolean },
): readonly Rule[] {
  const items = given.filter(({ targetRef: { kind } }) => BY_TAGS.has(kind));
  const subsets = items.map(({ targetRef }) => subsetOf(tagsOf(targetRef)));
  const keys = new Set(subsets.flat().map(({ key }) => key));
  const sets = !negations && keys.size <= 1
    ? distinct(subsets).sort((a, b) => b.length - a.length)
    : told(subsets).sort((a, b) => positives(b) - positives(a));
  return sets.flatMap((subset) => ruleFor(subset, items));
}

/** What can be told apart by these sets: by each group of those that meet, on its own. */
function told(subsets: readonly Subset[]): Subset[] {
  const groups = cliques(subsets).map((group) => ({ group, text: group.join(":") }))
    .sort((a, b) => compareText(b.text, a.text));
  const sets: Subset[] = [];
  for (const { group } of groups) {
    sets.push(...partition(sorted(group.flatMap((index) => subsets[index] ?? []))));
    if (sets.length > SUBSETS_MAX) throw new RangeError(`more than ${SUBSETS_MAX} sets of tags`);
  }
  return sets;
}

const BY_TAGS: ReadonlySet<string> = new Set([
  ...["Mesh", "MeshSubset", "MeshService", "MeshServiceSubset"],
]);

function tagsOf({ kind, name = "", tags = {} }: TargetRef): Tags {
  if (kind === "Mesh") return {};
  return kind === "MeshSubset"
    ? tags
    : { ...(kind === "MeshServiceSubset" && tags), [SERVICE_TAG]: name };
}

function ruleFor(subset: Subset, items: readonly Item[]): readonly Rule[] {
  const relevant = items.filter(({ targetRef }) => includes(subsetOf(tagsOf(targetRef)), subset));
  if (relevant.length === 0) return [];
  const origin = [...new Set(relevant.map(({ policy }) => policy))];
  return mergeItems(relevant).map((conf) => ({ subset, conf, origin }));
}

/** Usually one; of routes, one for each host name. */
export function mergeItems(items: readonly Item[]): readonly JsonObject[] {
  const confs = items.map(({ conf }) => conf);
  return items[0]?.policy.type === "MeshHTTPRoute" ? mergeRoutes(confs) : [mergeConfs(confs)];
}

function distinct(subsets: readonly Subset[]): Subset[] {
  const byText = new Map(subsets.map((subset) => [JSON.stringify(subset), subset]));
  return [...byText.values()];
}

function sorted(tags: Subset): Subset {
  return [...tags].sort((a, b) => compareText(a.key, b.key) || compareText(a.value, b.value));
}

function positives(subset: Subset): number {
  return subset.filter(({ not }: SubsetTag) => !not).length;
}

/**
 * The items under `to`; those of a policy that is for the requests of a MeshHTTPRoute are for what
 * that matches. Routes that are not there are found out where the policy is matched.
 */
export function toItems(
  policies: readonly Resource[],
  httpRoutes: readonly Resource[],
): readonly Item[] {
  return itemsOf(policies, "to").flatMap((item) => {
    const { kind, name } = targetRefOf(item.policy);
    if (item.targetRef.kind === "MeshHTTPRoute") return [];
    if (kind !== "MeshHTTPRoute") return [item];
    const route = httpRoutes.find((one) => nameOf(one) === name);
    return itemsOf(route ? [route] : [], "to").flatMap(({ targetRef, conf }) =>
      (conf["rules"] as readonly JsonObject[]).map(({ matches = [] }) => ({
        ...item,
        targetRef: narrowed(targetRef, matchesHash(matches)),
      }))
    );
  });
}

function narrowed({ kind, name }: TargetRef, hash: string): TargetRef {
  const tags = { [MATCHES_TAG]: hash };
  return kind === "Mesh" || kind === "MeshSubset"
    ? { kind: "MeshSubset", tags }
    : { kind: "MeshServiceSubset", tags, ...(name !== undefined && { name }) };
}

/** Names what a route matches, over field order: Kuma's. */
export function matchesHash(matches: Json): string {
  const all = listOf(matches).map(objectOf);
  const canonical = all.map(({ path, method, queryParams, headers }) => ({
    ...(path !== undefined && { path: inOrder(path, ["value", "type"]) }),
    ...(method !== undefined && { method }),
    ...(queryParams !== undefined && { queryParams: eachInOrder(queryParams) }),
    ...(headers !== undefined && { headers: eachInOrder(headers) }),
  }));
  return sha256Base64(JSON.stringify(canonical));
}

function eachInOrder(list: Json): Json {
  return Array.isArray(list) ? list.map((one) => inOrder(one, ["type", "name", "value"])) : list;
}

function inOrder(value: Json, keys: readonly string[]): JsonObject {
  const fields = objectOf(value);
  return Object.fromEntries(
    keys.flatMap((key) => fields[key] === undefined ? [] : [[key, fields[key]]]),
  );
}
