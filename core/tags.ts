// Tag sets and selectors: how policies choose proxies and services.

import { compareText } from "./resource.ts";

export type Tags = Readonly<Record<string, string>>;

export const SERVICE_TAG = "kuma.io/service";
export const PROTOCOL_TAG = "kuma.io/protocol";
export const ZONE_TAG = "kuma.io/zone";
export const MESH_TAG = "kuma.io/mesh";
export const ANY = "*";

/** What Kuma takes as tags. kuma@v2.13.10:pkg/core/resources/apis/mesh/validators.go. */
export const TAG_NAME = /^[a-zA-Z0-9.\-_:/]+$/;
export const TAG_VALUE = /^[a-zA-Z0-9.\-_:]+$/;
/** Beside `*`. */
export const SELECTOR_VALUE = /^[a-zA-Z0-9.\-_:/]+$/;

/** Whether every key of the selector exists with an equal value; `*` takes any value. */
export function matchesTags(selector: Tags, tags: Tags): boolean {
  for (const key in selector) {
    const wanted = selector[key];
    const actual = tags[key];
    if (actual === undefined || (wanted !== ANY && wanted !== actual)) return false;
  }
  return true;
}

/** How specific a selector is: kuma@v2.13.10:api/mesh/v1alpha1/dataplane_helpers.go (TagSelectorRank). */
export interface Rank {
  readonly exact: number;
  readonly wildcard: number;
}

export function rankOf(selector: Tags): Rank {
  let exact = 0;
  let wildcard = 0;
  for (const key in selector) selector[key] === ANY ? wildcard++ : exact++;
  return { exact, wildcard };
}

export function addRanks(a: Rank, b: Rank): Rank {
  return { exact: a.exact + b.exact, wildcard: a.wildcard + b.wildcard };
}

/** Positive when `a` is more specific: more tags first, then more exact ones. */
export function compareRanks(a: Rank, b: Rank): number {
  return (a.exact + a.wildcard) - (b.exact + b.wildcard) || a.exact - b.exact;
}

/** Keys in byte order, for every place where the order of tags reaches a wire or a hash. */
export function sortedEntries(tags: Tags): readonly (readonly [string, string])[] {
  return Object.entries(tags).sort(([a], [b]) => compareText(a, b));
}

/** Text form of a tag set, equal for equal sets. */
export function tagsText(tags: Tags): string {
  return sortedEntries(tags).map(([key, value]) => `${key}=${value}`).join(",");
}

export function withoutTag(tags: Tags, key: string): Tags {
  const { [key]: _, ...rest } = tags;
  return rest;
}
