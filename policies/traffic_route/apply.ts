// What a TrafficRoute makes of an outbound, and which destinations it makes reachable.

import {
  type LoadBalancer,
  ROUND_ROBIN,
  type RouteDraft,
  type WeightedDestination,
} from "../../core/proxy_draft.ts";
import type { Resource } from "../../core/resource.ts";
import { ANY, matchesTags, SERVICE_TAG, type Tags, tagsText } from "../../core/tags.ts";
import type { Destinations, TrafficRouteSpec } from "./spec.ts";

/** Envoy's own default, and Kuma's. */
const CHOICE_COUNT = 2;

/** Routes by spec and outbound tags: equal for all proxies, so each is made once. */
const made = new WeakMap<TrafficRouteSpec, Map<string, readonly RouteDraft[]>>();

export function routesOf(spec: TrafficRouteSpec, outbound: Tags): readonly RouteDraft[] {
  let known = made.get(spec);
  if (!known) made.set(spec, known = new Map());
  const key = tagsText(outbound);
  let routes = known.get(key);
  if (!routes) known.set(key, routes = buildRoutes(spec, outbound));
  return routes;
}

function buildRoutes({ conf }: TrafficRouteSpec, outbound: Tags): readonly RouteDraft[] {
  const rules = (conf.http ?? []).map((rule) => ({
    match: rule.match,
    modify: rule.modify ?? null,
    split: splitOf(rule, outbound),
  }));
  return [...rules, { match: null, modify: null, split: splitOf(conf, outbound) }];
}

/** Destinations that get traffic; equal ones are one, with the sum of their weights. */
function splitOf(destinations: Destinations, outbound: Tags): readonly WeightedDestination[] {
  const merged = new Map<string, WeightedDestination>();
  for (const { weight, destination } of partsOf(destinations)) {
    if (weight === 0) continue;
    const tags = complete(destination, outbound);
    const key = tagsText(tags);
    merged.set(key, { tags, weight: weight + (merged.get(key)?.weight ?? 0) });
  }
  return [...merged.values()];
}

function partsOf({ destination, split }: Destinations): NonNullable<Destinations["split"]> {
  if (destination) return [{ weight: 1, destination }];
  return (split ?? []).map((part) => ({ ...part, weight: Number(part.weight) }));
}

/** Wildcards say nothing, and what is not said is as the outbound has it. */
function complete(destination: Tags, outbound: Tags): Tags {
  return { ...outbound, ...withoutWildcards(destination) };
}

function withoutWildcards(tags: Tags): Tags {
  return Object.fromEntries(Object.entries(tags).filter(([, value]) => value !== ANY));
}

export function loadBalancerOf({ conf }: TrafficRouteSpec): LoadBalancer {
  const { leastRequest, ringHash, random, maglev } = conf.loadBalancer ?? {};
  if (leastRequest) {
    return {
      kind: "least_request",
      choiceCount: Number(leastRequest.choiceCount ?? 0) || CHOICE_COUNT,
    };
  }
  if (ringHash) {
    return {
      kind: "ring_hash",
      hashFunction: ringHash.hashFunction || "XX_HASH",
      ...(Number(ringHash.minRingSize) > 0 && { minRingSize: String(ringHash.minRingSize) }),
      ...(Number(ringHash.maxRingSize) > 0 && { maxRingSize: String(ringHash.maxRingSize) }),
    };
  }
  if (random) return { kind: "random" };
  if (maglev) return { kind: "maglev" };
  return ROUND_ROBIN;
}

/**
 * Every tag set under which traffic for `service` may arrive, those of weight 0 included: a shift
 * to them then needs no change at the ingress. The service alone is among them unless some route
 * takes all traffic for it, whoever sends it.
 */
export function destinationsOf(
  resources: readonly Resource<TrafficRouteSpec>[],
  service: string,
): readonly Tags[] {
  const own = { [SERVICE_TAG]: service };
  const found = new Map<string, Tags>();
  const add = (tags: Tags) => found.set(tagsText(tags), tags);
  if (!resources.some(({ spec }) => takesAll(spec, own))) add(own);
  for (const { spec } of resources) {
    for (const destinations of [...(spec.conf.http ?? []), spec.conf]) {
      for (const { destination } of partsOf(destinations)) {
        const target = destination[SERVICE_TAG] ?? ANY;
        const reaches = target === ANY
          ? spec.destinations.some(({ match }) => matchesTags(match, own))
          : target === service;
        if (reaches) add(complete(destination, own));
      }
    }
  }
  return [...found.values()];
}

/** Proxies always have a service, so a source of any service is everybody. */
function takesAll({ sources, destinations }: TrafficRouteSpec, own: Tags): boolean {
  return destinations.some(({ match }) => matchesTags(match, own)) &&
    sources.some(({ match }) => Object.keys(match).length === 1 && match[SERVICE_TAG] === ANY);
}
