// The zone is deleted: its streams end, and what it sent up goes with it.

import { keyText } from "../../core/resource.ts";
import { zoneToGlobal } from "../../kds/direction.ts";
import { zoneOf } from "../../kds/filter.ts";
import { linkName } from "../../kds/zone_link.ts";
import { type ResourcesChanged, toHub } from "../hub/messages.ts";
import { cancel, type Context, type Effect, timer, type Turn } from "../runtime/actor.ts";
import { AGAIN_MS } from "../session/session.ts";
import type { State } from "./state.ts";
import { subscribe } from "./interest.ts";
import { presence } from "./receipts.ts";
import { close } from "./edge.ts";

export function zoneDeleted(state: State, at: Context): Turn<State> {
  const effects = [state.down, state.up, ...state.admin.values()].flatMap((open) =>
    open ? [close(open.stream, "unavailable", "the zone was deleted")] : []
  );
  const next = { ...state, deleted: true, down: null, up: null, admin: new Map() };
  return [next, [
    ...effects,
    ...presence(state, "deleted"),
    cancel("insight"),
    cancel("unreachable"),
    subscribe(next, at),
  ]];
}

/** What it sent up goes with it, and by that leaves the other zones. */
export function deleteRemains(
  state: State,
  { changes }: ResourcesChanged,
  at: Context,
): Turn<State> {
  const { zone, descriptors } = state.args;
  const kinds = new Set(zoneToGlobal(descriptors).map(({ name }) => name));
  const keys = [
    ...new Map(
      changes.filter(({ key, resource }) =>
        kinds.has(key.type) && resource && zoneOf(resource) === zone
      ).map(({ key: { type, mesh, name } }) => [
        keyText({ type, mesh, name }),
        { type, mesh, name },
      ]),
    ).values(),
    { type: "ZoneInsight", mesh: "", name: zone },
    { type: "Config", mesh: "", name: linkName(zone) },
  ];
  return [state, [
    toHub({ tag: "unsubscribe", to: at.self }),
    toHub({
      tag: "write",
      ops: keys.map((key) => ({ op: "delete", key })),
      by: `kds/${zone}`,
      reply: { path: at.self, tag: "remains_deleted", ref: "" },
    }),
  ]];
}

export function remainsDeleted(isDone: boolean, at: Context): readonly Effect[] {
  if (isDone) return [{ do: "stop", path: at.self }];
  return [timer("remains", AGAIN_MS, { tag: "zone_deleted" })];
}
