// Lists: filters, pages and the envelope around them.

import { wordOf } from "../core/json.ts";
import type { JsonObject, Resource, ResourceDescriptor } from "../core/resource.ts";
import type { Violation } from "../core/violation.ts";
import { type ApiAnswer, type ApiRequest, json } from "./exchange.ts";
import { invalid, problem } from "./problem.ts";

const SIZE_DEFAULT = 100;
const SIZE_MAX = 1000;
const TITLE = "Could not retrieve resources";

/** Which part of a list is asked for. */
export interface Page {
  /** 0: all of it. */
  readonly size: number;
  readonly offset: number;
}

/** What a list's query asks for, understood. */
export interface ListQuery extends Page {
  readonly keep: (resource: Resource) => boolean;
}

/** `route` stands before the names of wrong filters. */
export function readListQuery(
  query: URLSearchParams,
  kind: ResourceDescriptor,
  route: string,
): ListQuery | ApiAnswer {
  const page = readPage(query, TITLE);
  if ("status" in page) return page;
  const { keep, violations } = readFilters(query, kind);
  if (violations.length === 0) return { keep, ...page };
  return invalid(
    TITLE,
    violations.map(({ path, message }) => ({ path: `${route}.${path}`, message })),
  );
}

export function readPage(query: URLSearchParams, title: string): Page | ApiAnswer {
  const size = readSize(query.get("size"));
  if (size === undefined) {
    return problem({
      status: 400,
      title,
      detail: "Invalid page size",
      violations: [{ path: "size", message: `must be a number from 0 to ${SIZE_MAX}` }],
    });
  }
  const offset = readNumber(query.get("offset") || "0");
  if (offset === undefined) {
    const detail = `invalid offset: "${query.get("offset")}" is not a number`;
    return problem({ status: 400, title, detail });
  }
  return { size, offset };
}

/** One page of `resources`, which are in order already. */
export function listPage(
  resources: readonly Resource[],
  { request, query, render }: {
    readonly request: ApiRequest;
    readonly query: ListQuery;
    readonly render: (resource: Resource) => JsonObject;
  },
): ApiAnswer {
  return json(cut(resources.filter(query.keep), { request, page: query, render }));
}

/** The envelope of one page. */
export function cut<Item>(
  items: readonly Item[],
  { request, page: { size, offset }, render }: {
    readonly request: ApiRequest;
    readonly page: Page;
    readonly render: (item: Item) => JsonObject;
  },
): JsonObject {
  const end = size === 0 ? items.length : offset + size;
  return {
    total: items.length,
    items: items.slice(offset, end).map(render),
    next: end < items.length ? nextUrl(request.url, end) : null,
  };
}

/** 0 means everything on one page: seen with Kuma 2.13.10. */
function readSize(given: string | null): number | undefined {
  if (given === null || given === "") return SIZE_DEFAULT;
  const size = readNumber(given);
  return size !== undefined && size <= SIZE_MAX ? size : undefined;
}

function readNumber(given: string): number | undefined {
  return /^\d{1,9}$/.test(given) ? Number(given) : undefined;
}

function nextUrl(url: string, offset: number): string {
  const next = new URL(url);
  next.searchParams.set("offset", String(offset));
  next.searchParams.sort();
  return next.href;
}

type Keep = (resource: Resource) => boolean;

interface Filters {
  readonly keep: readonly Keep[];
  readonly violations: readonly Violation[];
}

function readFilters(
  query: URLSearchParams,
  kind: ResourceDescriptor,
): { readonly keep: Keep; readonly violations: readonly Violation[] } {
  const found = [
    nameFilter(query),
    labelFilters(query),
    ...(kind.name === "Dataplane" || kind.name === "ExternalService" ? [tagFilter(query)] : []),
    ...(kind.name === "Dataplane" ? [gatewayFilter(query)] : []),
    ...(kind.name === "ServiceInsight" ? [serviceTypeFilter(query)] : []),
  ];
  const tests = found.flatMap(({ keep }) => keep);
  return {
    keep: (resource) => tests.every((test) => test(resource)),
    violations: found.flatMap(({ violations }) => violations),
  };
}

function nameFilter(query: URLSearchParams): Filters {
  const part = query.get("name");
  return { keep: part ? [({ name }) => name.includes(part)] : [], violations: [] };
}

function labelFilters(query: URLSearchParams): Filters {
  const keep: Keep[] = [];
  const violations: Violation[] = [];
  for (const [key, value] of query) {
    if (!key.startsWith("filter[")) continue;
    const [, label, after] = /^filter\[labels\.([^\]]*)\](.*)$/.exec(key) ?? [];
    if (label === undefined) {
      violations.push({ path: key, message: "filters are only supported on labels" });
    } else if (after !== "") {
      violations.push({ path: key, message: "advanced filters are not supported" });
    } else keep.push(({ labels }) => labels[label] === value);
  }
  return { keep, violations };
}

function tagFilter(query: URLSearchParams): Filters {
  return { keep: [hasTagsLike(readTags(query))], violations: [] };
}

function gatewayFilter(query: URLSearchParams): Filters {
  const gateway = query.get("gateway")?.toLowerCase();
  if (!gateway) return { keep: [], violations: [] };
  const test = GATEWAY_TESTS.get(gateway);
  if (test) return { keep: [test], violations: [] };
  const message = `must be one of ${[...GATEWAY_TESTS.keys()].join(", ")}`;
  return { keep: [], violations: [{ path: "gateway", message }] };
}

function serviceTypeFilter(query: URLSearchParams): Filters {
  const types = readServiceTypes(query);
  if (types.length === 0) return { keep: [], violations: [] };
  const message = `must be of ${SERVICE_TYPES.join(", ")}`;
  const areKnown = types.every((type) => SERVICE_TYPES.includes(type));
  return {
    keep: [({ spec }) => types.includes(wordOf(spec["serviceType"] ?? "internal"))],
    violations: areKnown ? [] : [{ path: "type", message }],
  };
}

const SERVICE_TYPES = ["internal", "external", "gateway_delegated", "gateway_builtin"];

/** From `type=internal,external`. */
function readServiceTypes(query: URLSearchParams): readonly string[] {
  const given = query.get("type") ?? "";
  return given === "" ? [] : given.split(",").map((type) => type.trim().toLowerCase());
}

const GATEWAY_TESTS: ReadonlyMap<string, Keep> = new Map([
  ["true", (dataplane) => gatewayOf(dataplane) !== undefined],
  ["false", (dataplane) => gatewayOf(dataplane) === undefined],
  ["builtin", (dataplane) => gatewayOf(dataplane)?.["type"] === "BUILTIN"],
  [
    "delegated",
    (dataplane) =>
      (gatewayOf(dataplane)?.["type"] ?? (gatewayOf(dataplane) && "DELEGATED")) === "DELEGATED",
  ],
]);

/** From `tag=key:value`, any number of times; one without a colon is ignored, as Kuma does. */
function readTags(query: URLSearchParams): ReadonlyMap<string, string> {
  const pairs = query.getAll("tag").filter((tag) => tag.includes(":"));
  return new Map(pairs.map((tag): [string, string] => {
    const colon = tag.indexOf(":");
    return [tag.slice(0, colon), tag.slice(colon + 1)];
  }));
}

/**
 * Some inbound, or the gateway, has every one of the tags: its key whole, its value in part.
 * kuma@v2.13.10:api/mesh/v1alpha1/dataplane_helpers.go.
 */
function hasTagsLike(wanted: ReadonlyMap<string, string>): Keep {
  return (resource) =>
    wanted.size === 0 ||
    tagSets(resource).some((tags) =>
      [...wanted].every(([key, part]) => {
        const value = tags[key];
        return value !== undefined && (part === "*" || wordOf(value).includes(part));
      })
    );
}

function tagSets(resource: Resource): readonly JsonObject[] {
  const networking = resource.spec["networking"] as JsonObject | undefined;
  const inbounds = (networking?.["inbound"] ?? []) as readonly JsonObject[];
  return [...inbounds, gatewayOf(resource), resource.spec]
    .map((holder) => (holder?.["tags"] ?? {}) as JsonObject);
}

function gatewayOf(dataplane: Resource): JsonObject | undefined {
  return (dataplane.spec["networking"] as JsonObject | undefined)?.["gateway"] as
    | JsonObject
    | undefined;
}
