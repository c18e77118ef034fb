// Envoy's HTTP routes. kuma@v2.13.10:pkg/xds/envoy/routes/v3.

import type {
  HeaderEdits,
  HttpMatch,
  HttpModify,
  RouteDraft,
  StringMatch,
  Substitution,
  WeightedDestination,
} from "../../core/proxy_draft.ts";
import type { JsonObject } from "../../core/resource.ts";
import { sortedEntries } from "../../core/tags.ts";
import { destinationClusterName } from "./names.ts";
import {
  CONNECT_TRIES,
  ENDPOINT_DRAWS,
  NEAR_TRIES,
  REQUEST_TIMEOUT,
  RETRY_ON,
} from "./timeouts.ts";

/** Tags of the sender, for policies of the receiving side. */
const TAGS_HEADER = "x-kuma-tags";

export function outboundRoutes(
  { service, routes, senderTags }: {
    readonly service: string;
    readonly routes: readonly RouteDraft[];
    readonly senderTags: string | null;
  },
): JsonObject {
  return {
    name: `outbound:${service}`,
    ...(senderTags && {
      request_headers_to_add: [{ header: { key: TAGS_HEADER, value: senderTags } }],
    }),
    validate_clusters: false,
    virtual_hosts: [{ name: service, domains: ["*"], routes: routes.map(route) }],
  };
}

export function inboundRoutes(service: string, cluster: string): JsonObject {
  return {
    name: `inbound:${service}`,
    request_headers_to_remove: [TAGS_HEADER],
    validate_clusters: false,
    virtual_hosts: [{
      name: service,
      domains: ["*"],
      routes: [{ match: { prefix: "/" }, route: { cluster, timeout: REQUEST_TIMEOUT } }],
    }],
  };
}

/** Paths that a listener of the proxy's own business serves, in order, and from which cluster. */
export function prefixRoutes(
  name: string,
  clusters: readonly (readonly [prefix: string, cluster: string])[],
): JsonObject {
  return {
    validate_clusters: false,
    virtual_hosts: [{
      name,
      domains: ["*"],
      routes: clusters.map(([prefix, cluster]) => ({
        match: { prefix },
        route: { cluster, prefix_rewrite: prefix },
      })),
    }],
  };
}

/** A try that goes to the same endpoint again says nothing new: another one is drawn, if there is one. */
const RETRY_POLICY: JsonObject = {
  retry_on: RETRY_ON,
  num_retries: CONNECT_TRIES - 1,
  retry_host_predicate: [{
    name: "envoy.retry_host_predicates.previous_hosts",
    typed_config: {
      "@type":
        "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate",
    },
  }],
  host_selection_retry_max_attempts: ENDPOINT_DRAWS,
  retry_priority: {
    name: "envoy.retry_priorities.previous_priorities",
    typed_config: {
      "@type":
        "type.googleapis.com/envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig",
      update_frequency: NEAR_TRIES,
    },
  },
};

function route({ match, modify, split }: RouteDraft): JsonObject {
  const envoyMatch = routeMatch(match);
  if (split.length === 0) {
    return { match: envoyMatch, direct_response: { status: 503 } };
  }
  return {
    match: envoyMatch,
    route: {
      ...target(split),
      timeout: REQUEST_TIMEOUT,
      retry_policy: RETRY_POLICY,
      ...(modify && rewrites(modify)),
    },
    ...(modify?.requestHeaders && headerEdits("request", modify.requestHeaders)),
    ...(modify?.responseHeaders && headerEdits("response", modify.responseHeaders)),
  };
}

/** One cluster, or several by weight; the same words in a route and in a TCP proxy. */
export function target(split: readonly WeightedDestination[]): JsonObject {
  const clusters = split.map(({ tags, weight }) => ({
    name: destinationClusterName(tags),
    weight,
  }));
  return clusters.length === 1
    ? { cluster: clusters[0]!.name }
    : { weighted_clusters: { clusters } };
}

function routeMatch(match: HttpMatch | null): JsonObject {
  const headers = Object.entries(match?.headers ?? {})
    .sort(([a], [b]) => a < b ? -1 : 1)
    .map(([name, matcher]) => headerMatch(name, matcher));
  if (match?.method) headers.push(headerMatch(":method", match.method));
  return { ...pathMatch(match?.path), ...(headers.length > 0 && { headers }) };
}

function pathMatch(path: StringMatch | undefined): JsonObject {
  if (!path) return { prefix: "/" };
  if ("prefix" in path) return { prefix: path.prefix };
  if ("exact" in path) return { path: path.exact };
  return { safe_regex: { regex: path.regex } };
}

function headerMatch(name: string, matcher: StringMatch): JsonObject {
  if ("prefix" in matcher) return { name, string_match: { prefix: matcher.prefix } };
  if ("exact" in matcher) return { name, string_match: { exact: matcher.exact } };
  return { name, string_match: { safe_regex: { regex: matcher.regex } } };
}

function rewrites({ path, host }: HttpModify): JsonObject {
  return {
    ...(path?.rewritePrefix && { prefix_rewrite: path.rewritePrefix }),
    ...(path?.regex && { regex_rewrite: rewrite(path.regex) }),
    ...(host?.value && { host_rewrite_literal: host.value }),
    ...(host?.fromPath && { host_rewrite_path_regex: rewrite(host.fromPath) }),
  };
}

function rewrite({ pattern, substitution }: Substitution): JsonObject {
  return { pattern: { regex: pattern }, substitution };
}

function headerEdits(side: "request" | "response", { add, remove }: HeaderEdits): JsonObject {
  return {
    ...(add?.length && {
      [`${side}_headers_to_add`]: add.map(({ name, value, append }) => ({
        header: { key: name, value },
        append_action: append ? "APPEND_IF_EXISTS_OR_ADD" : "OVERWRITE_IF_EXISTS_OR_ADD",
      })),
    }),
    ...(remove?.length && { [`${side}_headers_to_remove`]: remove.map(({ name }) => name) }),
  };
}

/** `&key=v1,v2&` for each tag over all tag sets of a proxy. kuma@v2.13.10:pkg/xds/envoy/tags (Serialize). */
export function serializeTags(
  tagSets: readonly Readonly<Record<string, string>>[],
): string {
  const values = new Map<string, Set<string>>();
  for (const tags of tagSets) {
    for (const [key, value] of sortedEntries(tags)) {
      values.set(key, (values.get(key) ?? new Set()).add(value));
    }
  }
  return [...values].sort(([a], [b]) => a < b ? -1 : 1)
    .map(([key, own]) => `&${key}=${[...own].sort().join(",")}&`).join("");
}
