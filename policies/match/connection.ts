// Which resource of a policy that selects by tags wins. kuma@v2.13.10:pkg/core/policy.

import { compareText, type Resource } from "../../core/resource.ts";
import {
  addRanks,
  compareRanks,
  matchesTags,
  type Rank,
  rankOf,
  SERVICE_TAG,
  type Tags,
} from "../../core/tags.ts";

export interface Selector {
  readonly match: Tags;
}

export interface ConnectionSpec {
  readonly sources: readonly Selector[];
  readonly destinations: readonly Selector[];
}

export interface SelectorSpec {
  readonly selectors?: readonly Selector[];
}

/** The resource that selects a whole proxy most specifically. */
export function matchDataplane<Spec extends SelectorSpec>(
  resources: readonly Resource<Spec>[],
  tagSets: readonly Tags[],
): Resource<Spec> | undefined {
  return best(resources, ({ selectors = [] }) => bestRank(selectors, tagSets));
}

/** Every resource with a destination that matches, those with the most specific source first. */
export function matchEveryInbound<Spec extends ConnectionSpec>(
  resources: readonly Resource<Spec>[],
  tags: Tags,
): readonly Resource<Spec>[] {
  return resources
    .filter(({ spec: { destinations } }) => bestRank(destinations, [tags]))
    .sort((a, b) => compareRanks(firstRank(b), firstRank(a)) || compareText(a.name, b.name));
}

function firstRank({ spec: { sources: [first] } }: Resource<ConnectionSpec>): Rank {
  return rankOf(first?.match ?? {});
}

/** Whether any selector of the resource, of whatever side, is for one of these tag sets. */
export function concernsTags(
  { spec: { sources = [], destinations = [], selectors = [] } }: Resource<
    Partial<ConnectionSpec & SelectorSpec>
  >,
  tagSets: readonly Tags[],
): boolean {
  return bestRank([...sources, ...destinations, ...selectors], tagSets) !== undefined;
}

/** The resource with the most specific destination; a tie goes to the newest, then the first name. */
export function matchInbound<Spec extends ConnectionSpec>(
  resources: readonly Resource<Spec>[],
  tags: Tags,
): Resource<Spec> | undefined {
  return best(resources, ({ destinations }) => bestRank(destinations, [tags]));
}

/** Winners for one list of resources: a thousand proxies of one service ask the same. */
const winners = new WeakMap<object, Map<string, unknown>>();

function once<Spec>(
  resources: readonly Resource<Spec>[],
  question: string,
  find: () => Resource<Spec> | undefined,
): Resource<Spec> | undefined {
  let known = winners.get(resources);
  if (!known) winners.set(resources, known = new Map());
  if (!known.has(question)) known.set(question, find());
  return known.get(question) as Resource<Spec> | undefined;
}

/**
 * The resource with the most specific pair of source and destination. Destinations are tested
 * against the service alone, so a selector with a further tag never matches.
 */
export function matchOutbound<Spec extends ConnectionSpec>(
  resources: readonly Resource<Spec>[],
  connection: {
    readonly sources: readonly Tags[];
    /** Text of the sources, equal for equal ones. */
    readonly sourcesText: string;
    readonly destination: Tags;
  },
): Resource<Spec> | undefined {
  if (resources.length === 0) return undefined;
  const service = connection.destination[SERVICE_TAG] ?? "";
  return once(resources, `${service}\n${connection.sourcesText}`, () => {
    const tags = { [SERVICE_TAG]: service };
    return best(resources, ({ sources, destinations }) => {
      const source = bestRank(sources, connection.sources);
      const destination = source && bestRank(destinations, [tags]);
      return source && destination && addRanks(source, destination);
    });
  });
}

function best<Spec>(
  resources: readonly Resource<Spec>[],
  rank: (spec: Spec) => Rank | undefined,
): Resource<Spec> | undefined {
  let winner: { readonly resource: Resource<Spec>; readonly rank: Rank } | undefined;
  for (const resource of resources) {
    const own = rank(resource.spec);
    if (!own) continue;
    const order = winner
      ? compareRanks(own, winner.rank) || compareAge(resource, winner.resource) ||
        compareText(winner.resource.name, resource.name)
      : 1;
    if (order > 0) winner = { resource, rank: own };
  }
  return winner?.resource;
}

function bestRank(selectors: readonly Selector[], tagSets: readonly Tags[]): Rank | undefined {
  let winner: Rank | undefined;
  for (const { match } of selectors) {
    if (!tagSets.some((tags) => matchesTags(match, tags))) continue;
    const rank = rankOf(match);
    if (!winner || compareRanks(rank, winner) > 0) winner = rank;
  }
  return winner;
}

/** Without the final Z, fractions of different lengths compare as text. */
function compareAge(a: Resource<unknown>, b: Resource<unknown>): number {
  return compareText(a.creationTime.replace(/Z$/, ""), b.creationTime.replace(/Z$/, ""));
}
