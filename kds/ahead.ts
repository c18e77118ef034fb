// How far a zone is ahead of global in what it knows of other zones: they told it themselves while
// global was gone. Until global has heard them too, its older word changes nothing.

import { isObject } from "../core/json.ts";
import { ZONE_LABEL } from "../core/names.ts";
import type { Draft, Resource } from "../core/resource.ts";
import { zoneOf } from "./filter.ts";
import { stampOf } from "./stamp.ts";

/** The zone's own note, in its own store; never synchronised. */
export const AHEAD_CONFIG = "ursa-ahead";

/** By zone: that zone's revision up to which its own word is known. */
export type Ahead = ReadonlyMap<string, number>;

export const NOT_AHEAD: Ahead = new Map();

export function writeAhead(ahead: Ahead): Draft {
  const config = JSON.stringify(Object.fromEntries(ahead));
  return { type: "Config", mesh: "", name: AHEAD_CONFIG, labels: {}, spec: { config } };
}

/** A note that cannot be read counts as none: then global's word holds. */
export function readAhead(resource: Resource | undefined): Ahead {
  const { config } = resource?.spec ?? {};
  if (typeof config !== "string") return NOT_AHEAD;
  try {
    const told: unknown = JSON.parse(config);
    return new Map(
      Object.entries(isObject(told) ? told : {}).filter((entry): entry is [string, number] =>
        Number.isSafeInteger(entry[1])
      ),
    );
  } catch {
    return NOT_AHEAD;
  }
}

/**
 * Whether its zone has told more since global heard this: something newer is here, or it is here no
 * more because that zone took it away.
 */
export function isBehind(
  draft: Pick<Resource, "labels">,
  there: Resource | undefined,
  ahead: Ahead,
): boolean {
  const zone = draft.labels[ZONE_LABEL];
  const known = zone === undefined ? undefined : ahead.get(zone);
  if (known === undefined || stampOf(draft) > known) return false;
  return !there || zoneOf(there) === zone && stampOf(draft) <= stampOf(there);
}
