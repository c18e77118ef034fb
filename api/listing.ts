// Lists: filters, pages and the envelope around them.

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

function readFilters(
  query: URLSearchParams,
  kind: ResourceDescriptor,
): { readonly keep: Keep; readonly violations: readonly Violation[] } {
  const tests: Keep[] = [];
  const violations: Violation[] = [];
  const part = query.get("name");
  if (part) tests.push(({ name }) => name.includes(part));
  for (const [key, value] of query) {
    if (!key.startsWith("filter[")) continue;
    const [, label, after] = /^filter\[labels\.([^\]]*)\](.*)$/.exec(key) ?? [];
    if (label === undefined) {
      violations.push({ path: key, message: "filters are only supported on labels" });
    } else if (after !== "") {
      violations.push({ path: key, message: "advanced filters are not supported" });
    } else tests.push(({ labels }) => labels[label] === value);
  }
  if (kind.name === "Dataplane" || kind.name === "ExternalService") {
    tests.push(hasTagsLike(readTags(query)));
  }
  const gateway = query.get("gateway")?.toLowerCase();
  if (kind.name === "Dataplane" && gateway) {
    const test = GATEWAY_TESTS.get(gateway);
    if (test) tests.push(test);
    else {
      const message = `must be one of ${[...GATEWAY_TESTS.keys()].join(", ")}`;
      violations.push({ path: "gateway", message });
    }
  }
  const types = readServiceTypes(query);
  if (kind.name === "ServiceInsight" && types.length > 0) {
    const message = `must be of ${SERVICE_TYPES.join(", ")}`;
    if (!types.every((type) => SERVICE_TYPES.includes(type))) {
      violations.push({ path: "type", message });
    }
    tests.push(({ spec }) => types.includes(String(spec["serviceType"] ?? "internal")));
  }
  return { keep: (resource) => tests.every((test) => test(resource)), violations };
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
        return value !== undefined && (part === "*" || String(value).includes(part));
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
