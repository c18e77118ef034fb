// Which kinds of global's state one zone's actor looks at.

import { globalToZone, zoneToGlobal } from "../../kds/direction.ts";
import { emptyImage, type Image } from "../../kds/image.ts";
import { toHub } from "../hub/messages.ts";
import type { Context, Effect } from "../runtime/actor.ts";
import type { ZoneArgs } from "./messages.ts";
import type { State } from "./state.ts";

export function subscribe({ args }: State, at: Context): Effect {
  const { descriptors } = args;
  const types = new Set(
    [...globalToZone(descriptors), ...zoneToGlobal(descriptors)].map(({ name }) => name),
  );
  return toHub({ tag: "subscribe", to: at.self, types: [...types, ...aboutZones(args)] });
}

/** Kinds that say whether what a zone sends goes to the others. */
function aboutZones({ unreachableAfterMs }: ZoneArgs): readonly string[] {
  return unreachableAfterMs === null ? ["Zone"] : ["Zone", "ZoneInsight"];
}

export function imageFor(args: ZoneArgs): Image {
  const { descriptors } = args;
  const zones = descriptors.filter(({ name }) => aboutZones(args).includes(name));
  return emptyImage([...globalToZone(descriptors), ...zoneToGlobal(descriptors), ...zones]);
}
