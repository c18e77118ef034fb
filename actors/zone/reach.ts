// Whether a zone that nothing has been heard of for long is left out of the others: its insight says so,
// and what serves the other zones looks there.

import { objectOf } from "../../core/json.ts";
import type { Resource } from "../../core/resource.ts";
import { type Image } from "../../kds/image.ts";
import { wireName } from "../../kds/wire.ts";
import type { ResourcesChanged } from "../hub/messages.ts";

export interface Reach {
  /** When something was heard of it last. */
  heardAtMs: number;
  /** Null: it is not left out. */
  leftOutSinceMs: number | null;
}

/** Of a zone that may have been left out before this process began. */
export function newReach(insight: Resource["spec"] | null, nowMs: number): Reach {
  const since = Date.parse(String(objectOf(insight?.["ursa"])["leftOutSince"]));
  return { heardAtMs: nowMs, leftOutSinceMs: Number.isNaN(since) ? null : since };
}

/** How long a zone that has just lost its last stream has left. A clock may have been set. */
export function graceMs({ heardAtMs }: Reach, afterMs: number, nowMs: number): number {
  return Math.min(afterMs, Math.max(0, heardAtMs + afterMs - nowMs));
}

export function isLeftOut(image: Image | null, zone: string): boolean {
  const insight = image?.get("ZoneInsight")?.get(wireName({ mesh: "", name: zone }));
  return insight !== undefined && saysLeftOut(insight);
}

/** Zones that were left out by these changes, or came back; `image` is as it was before. */
export function swung(image: Image, { changes }: ResourcesChanged): readonly string[] {
  return changes.filter(({ key: { type, name }, resource }) =>
    type === "ZoneInsight" && image.has(type) &&
    isLeftOut(image, name) !== (resource !== null && saysLeftOut(resource))
  ).map(({ key }) => wireName(key));
}

function saysLeftOut({ spec }: Resource): boolean {
  return objectOf(spec["ursa"])["leftOutSince"] !== undefined;
}
