// In what two configurations differ, path by path; lists whose order means nothing are matched by what names their items.

import { isObject } from "../core/json.ts";
import type { Json, JsonObject } from "../core/resource.ts";

export interface Difference {
  /** `cluster/backend`. */
  readonly resource: string;
  /** `filter_chains[0].filters[envoy.filters.network.rbac].typed_config.rules`; "" for the whole. */
  readonly path: string;
  readonly kind: "differs" | "missing" | "added";
  readonly theirs?: Json | undefined;
  readonly ours?: Json | undefined;
}

export function compare(
  resource: string,
  theirs: Json | undefined,
  ours: Json | undefined,
  path = "",
): readonly Difference[] {
  if (theirs === undefined && ours === undefined) return [];
  if (theirs === undefined) return [{ resource, path, kind: "added", ours }];
  if (ours === undefined) return [{ resource, path, kind: "missing", theirs }];
  if (isList(theirs) && isList(ours)) {
    return compareEntries(resource, { theirs: keyed(theirs), ours: keyed(ours), path });
  }
  if (isObject(theirs) && isObject(ours)) {
    const entries = (value: JsonObject) =>
      new Map(Object.entries(value).map(([key, one]) => [path === "" ? key : `.${key}`, one]));
    return compareEntries(resource, { theirs: entries(theirs), ours: entries(ours), path });
  }
  return same(theirs, ours) ? [] : [{ resource, path, kind: "differs", theirs, ours }];
}

function compareEntries(
  resource: string,
  { theirs, ours, path }: {
    readonly theirs: ReadonlyMap<string, Json>;
    readonly ours: ReadonlyMap<string, Json>;
    readonly path: string;
  },
): readonly Difference[] {
  return [...new Set([...theirs.keys(), ...ours.keys()])]
    .flatMap((key) => compare(resource, theirs.get(key), ours.get(key), path + key));
}

/** Items by name where they have one; otherwise by place. */
function keyed(list: readonly Json[]): ReadonlyMap<string, Json> {
  const names = list.map((item, index) => `[${nameOf(item) ?? index}]`);
  const unique = new Set(names).size === names.length;
  return new Map(list.map((item, index) => [unique ? names[index]! : `[${index}]`, item]));
}

function nameOf(item: Json): string | undefined {
  if (!isObject(item)) return undefined;
  // Routes stand in order of precedence, whatever their names.
  if (item["match"] !== undefined) return undefined;
  const chain = item["filter_chain_match"];
  if (isObject(chain)) {
    const { server_names, destination_port, transport_protocol } = chain;
    return String(
      isList(server_names ?? null)
        ? (server_names as readonly Json[])[0]
        : destination_port ?? transport_protocol,
    );
  }
  if (isList(item["lb_endpoints"] ?? null)) {
    const { locality, priority } = item;
    const zone = isObject(locality ?? null) ? (locality as JsonObject)["zone"] : "";
    return `${zone ?? ""}/${priority ?? 0}`;
  }
  const endpoint = item["endpoint"];
  if (isObject(endpoint ?? null)) return JSON.stringify((endpoint as JsonObject)["address"]);
  return typeof item["name"] === "string" ? item["name"] : undefined;
}

/** Durations are equal when they last equally long. */
function same(a: Json, b: Json): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b) ||
    (isDuration(a) && isDuration(b) && parseFloat(a) === parseFloat(b));
}

function isDuration(value: Json): value is string {
  return typeof value === "string" && /^\d+(\.\d+)?s$/.test(value);
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}
