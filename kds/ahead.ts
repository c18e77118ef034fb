// How far a zone is ahead of global in what it knows of other zones: they told it themselves while
// global was gone. Until global has heard them too, its older word changes nothing.

import { isObject } from "../core/json.ts";
import { ZONE_LABEL } from "../core/names.ts";
import type { Draft, Resource } from "../core/resource.ts";
import { zoneOf } from "./filter.ts";
import { stampOf } from "./stamp.ts";

/** By zone: that zone's revision up to which its own word is known. */
export type Ahead = ReadonlyMap<string, number>;

export const NOT_AHEAD: Ahead = new Map();

/** Before a zone's name: the note about it, in the store of the zone that is ahead; never synchronised. */
const NAME_PREFIX = "ursa-ahead.";

export function writeAhead(zone: string, revision: number): Draft {
  const config = JSON.stringify({ revision });
  return { type: "Config", mesh: "", name: NAME_PREFIX + zone, labels: {}, spec: { config } };
}

export function notesOfAhead(configs: Iterable<Resource>): readonly Resource[] {
  return [...configs].filter(({ name }) => name.startsWith(NAME_PREFIX));
}

/** A note that cannot be read counts as none: then global's word holds. */
export function readAhead(configs: Iterable<Resource>): Ahead {
  return new Map(
    notesOfAhead(configs).flatMap(({ name, spec }) => {
      const revision = revisionIn(spec["config"]);
      return revision === null ? [] : [[name.slice(NAME_PREFIX.length), revision] as const];
    }),
  );
}

function revisionIn(config: unknown): number | null {
  if (typeof config !== "string") return null;
  try {
    const told: unknown = JSON.parse(config);
    const revision = isObject(told) ? told["revision"] : null;
    return Number.isSafeInteger(revision) ? revision as number : null;
  } catch {
    return null;
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
