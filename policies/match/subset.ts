// Sets of proxies described by tags they have and tags they do not. kuma@v2.13.10:pkg/plugins/policies/core/rules/subsetutils.

import { compareText } from "../../core/resource.ts";
import type { Tags } from "../../core/tags.ts";

export interface SubsetTag {
  readonly key: string;
  readonly value: string;
  /** Any other value, or none. */
  readonly not: boolean;
}

export type Subset = readonly SubsetTag[];

/** A product of more sets than this explains nothing to anybody. */
export const SUBSETS_MAX = 4096;

export function subsetOf(tags: Tags): Subset {
  return Object.entries(tags).sort(([a], [b]) => compareText(a, b))
    .map(([key, value]) => ({ key, value, not: false }));
}

/** Whether everything in `inner` is also in `outer`; the empty one has everything. */
export function includes(outer: Subset, inner: Subset): boolean {
  return outer.every((tag) => {
    const same = inner.filter(({ key }) => key === tag.key);
    return same.length > 0 && same.every((one) => implies(one, tag));
  });
}

function implies(one: SubsetTag, tag: SubsetTag): boolean {
  if (one.not === tag.not) return one.value === tag.value;
  return tag.not && one.value !== tag.value;
}

/** Whether some proxy can be in both. */
export function intersect(a: Subset, b: Subset): boolean {
  return a.every((tag) => b.every(({ key, value }) => key !== tag.key || value === tag.value));
}

/** Whether what has these tags is in the set. */
export function contains(subset: Subset, tags: Tags): boolean {
  if (subset.length === 0) return true;
  if (Object.keys(tags).length === 0) return false;
  const fits = subset.every(({ key, value, not }) => {
    const own = tags[key];
    return own === undefined ? not : (own === value) !== not;
  });
  const known = subset.some(({ key }) => tags[key] !== undefined);
  return fits && (known || subset.every(({ not }) => not));
}

/**
 * Disjoint sets that together are everything, told apart by these tags: for each key one of its
 * values, or none of them. In Kuma's order, for what is sorted by less than all of a set.
 */
export function partition(tags: Subset): readonly Subset[] {
  const values = new Map<string, string[]>();
  for (const { key, value } of tags) {
    const known = values.get(key) ?? [];
    if (!known.includes(value)) values.set(key, [...known, value]);
  }
  let sets: readonly Subset[] = [[]];
  for (const [key, all] of [...values].reverse()) {
    const choices: readonly Subset[] = [
      ...all.map((value) => [{ key, value, not: false }]).reverse(),
      all.map((value) => ({ key, value, not: true })),
    ];
    if (sets.length * choices.length > SUBSETS_MAX) {
      throw new RangeError(`more than ${SUBSETS_MAX} combinations of tags`);
    }
    sets = sets.flatMap((set) => choices.map((choice) => [...choice, ...set]));
  }
  return [...sets.slice(1), ...sets.slice(0, 1)];
}

/** Maximal groups of which every two intersect; each as indices, in order. Bron and Kerbosch's algorithm. */
export function cliques(subsets: readonly Subset[]): readonly (readonly number[])[] {
  const found: number[][] = [];
  const neighbours = subsets.map((subset, index) =>
    new Set(subsets.flatMap((other, at) => at !== index && intersect(subset, other) ? [at] : []))
  );
  const grow = (group: readonly number[], candidates: Set<number>, seen: Set<number>): void => {
    if (found.length > SUBSETS_MAX) throw new RangeError(`more than ${SUBSETS_MAX} groups of tags`);
    if (candidates.size === 0 && seen.size === 0) found.push([...group].sort((a, b) => a - b));
    const pivot = [...candidates, ...seen][0];
    const skipped = pivot === undefined ? new Set<number>() : neighbours[pivot]!;
    for (const one of [...candidates]) {
      if (skipped.has(one)) continue;
      const near = neighbours[one]!;
      grow([...group, one], candidates.intersection(near), seen.intersection(near));
      candidates.delete(one);
      seen.add(one);
    }
  };
  if (subsets.length > 0) grow([], new Set(subsets.keys()), new Set());
  return found;
}
