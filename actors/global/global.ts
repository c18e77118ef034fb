// Admits zones: a name that is new gets its Zone resource, then its actor gets the stream.

import { isResourceName } from "../../core/names.ts";
import type { JsonObject } from "../../core/resource.ts";
import { CLUSTER_ID_CONFIG } from "../../kds/filter.ts";
import type { ServerCommand, ServerEvent } from "../../kds/wire.ts";
import { oneChangeSet, toHub } from "../hub/messages.ts";
import {
  type Actor,
  command,
  type Context,
  type Effect,
  log,
  send,
  timer,
  type Turn,
} from "../runtime/actor.ts";
import { type ZoneArgs, zonePath } from "../zone/messages.ts";
import type { GlobalArgs, GlobalMsg } from "./messages.ts";

export type { GlobalArgs };

type StreamOpened = ServerEvent & { readonly tag: "stream_opened" };

interface State {
  readonly args: GlobalArgs;
  readonly loaded: boolean;
  readonly clusterId: string;
  /** Zone resources that are there. */
  readonly zones: Set<string>;
  readonly insights: Map<string, JsonObject>;
  /** Streams whose zone is not written yet, or that came before the store was read. */
  readonly waiting: Map<string, StreamOpened[]>;
}

/** A DNS label: it is part of tags, names and paths. */
const ZONE_NAME_MAX = 63;
/** Streams that wait for their Zone resource: a crowd beyond this comes back later. */
const WAITING_MAX = 1024;
const CLUSTER_ID_RETRY_MS = 1_000;

export const global: Actor<State, GlobalMsg, GlobalArgs> = {
  mailbox: {
    capacity: 10_000,
    whenFull: "refuse",
    ...oneChangeSet(),
  },

  init(args, at) {
    const state: State = {
      args,
      loaded: false,
      clusterId: "",
      zones: new Set(),
      insights: new Map(),
      waiting: new Map(),
    };
    const types = ["Zone", "ZoneInsight", "Config"];
    return [state, [toHub({ tag: "subscribe", to: at.self, types })]];
  },

  receive(state, msg, at) {
    switch (msg.tag) {
      case "stream_opened":
        return streamOpened(state, msg, at);
      case "health_checked":
        return [state, state.zones.has(msg.zone) ? [send(zonePath(msg.zone), msg)] : []];
      case "resources_changed":
        return resourcesChanged(state, msg, at);
      case "zone_written":
        return zoneWritten(state, msg);
      case "cluster_id_written":
        // A conflict means that somebody else wrote one: it is told as a change.
        return [
          state,
          msg.value.ok || msg.value.reason === "conflict"
            ? []
            : [timer("cluster_id", CLUSTER_ID_RETRY_MS, { tag: "cluster_id_due" })],
        ];
      case "cluster_id_due":
        return [state, state.clusterId === "" ? [createClusterId(state, at)] : []];
    }
  },

  describe: ({ clusterId, zones, waiting }) => ({
    clusterId,
    zones: zones.size,
    waiting: waiting.size,
  }),
};

function streamOpened(state: State, msg: StreamOpened, at: Context): Turn<State> {
  const { zone, stream } = msg;
  if (zone.length > ZONE_NAME_MAX || zone.includes(".") || !isResourceName(zone)) {
    return [state, [
      log("warn", "zone refused: its name is no DNS label", { peer: msg.caller.peer }),
      close(stream, { code: "invalid_argument", message: "client-id must be a DNS label" }),
    ]];
  }
  if (state.loaded && state.zones.has(zone)) return [state, admit(state, [msg])];
  if (!state.waiting.has(zone) && state.waiting.size >= WAITING_MAX) {
    return [state, [
      close(stream, { code: "unavailable", message: "too many zones connect at once" }),
    ]];
  }
  const others = state.waiting.get(zone);
  if (others) others.push(msg);
  else state.waiting.set(zone, [msg]);
  return [state, state.loaded && !others ? [createZone(zone, at)] : []];
}

function resourcesChanged(
  state: State,
  { full, changes }: GlobalMsg & { readonly tag: "resources_changed" },
  at: Context,
): Turn<State> {
  const effects: Effect[] = [];
  let { clusterId } = state;
  for (const { key, resource } of changes) {
    if (key.type === "ZoneInsight") {
      if (resource) state.insights.set(key.name, resource.spec);
      else state.insights.delete(key.name);
    } else if (key.type === "Config" && key.name === CLUSTER_ID_CONFIG) {
      clusterId = typeof resource?.spec.config === "string" ? resource.spec.config : "";
    } else if (key.type === "Zone" && resource) {
      state.zones.add(key.name);
    } else if (key.type === "Zone" && state.zones.delete(key.name)) {
      // It may have no actor, after a crash too many; what it left must go all the same.
      effects.push(spawn(state, key.name), send(zonePath(key.name), { tag: "zone_deleted" }));
    }
  }
  const next = { ...state, clusterId, loaded: state.loaded || full };
  if (!next.loaded) return [next, effects];
  if (!state.loaded) {
    // Whoever was online when this control plane stopped is not: its actor notes that.
    effects.push(...[...next.zones].map((zone) => spawn(next, zone)));
    effects.push(
      ...[...next.waiting.keys()].filter((zone) => !next.zones.has(zone))
        .map((zone) => createZone(zone, at)),
    );
    if (clusterId === "") effects.push(createClusterId(next, at));
  }
  for (const [zone, streams] of next.waiting) {
    if (!next.zones.has(zone)) continue;
    next.waiting.delete(zone);
    effects.push(...admit(next, streams));
  }
  return [next, effects];
}

function zoneWritten(
  state: State,
  { ref: zone, value }: GlobalMsg & { readonly tag: "zone_written" },
): Turn<State> {
  const streams = state.waiting.get(zone) ?? [];
  state.waiting.delete(zone);
  if (value.ok || value.reason === "conflict") {
    state.zones.add(zone);
    return [state, admit(state, streams)];
  }
  const message = "this zone could not be registered";
  return [state, [
    log("error", message, { zone, reason: value.reason }),
    ...streams.map(({ stream }) => close(stream, { code: "unavailable", message })),
  ]];
}

function admit(state: State, streams: readonly StreamOpened[]): readonly Effect[] {
  return streams.flatMap((opened) => [
    spawn(state, opened.zone),
    send(zonePath(opened.zone), opened),
  ]);
}

function spawn({ args, insights }: State, zone: string): Effect {
  const { descriptors, instance, version, receipts } = args;
  const insight = insights.get(zone) ?? null;
  const zoneArgs: ZoneArgs = { zone, insight, descriptors, instance, version, receipts };
  return { do: "spawn", group: "zones", id: zone, args: zoneArgs };
}

function createZone(zone: string, at: Context): Effect {
  return toHub({
    tag: "write",
    ops: [{
      op: "put",
      resource: { type: "Zone", mesh: "", name: zone, labels: {}, spec: { enabled: true } },
      expected: 0,
    }],
    by: "kds",
    reply: { path: at.self, tag: "zone_written", ref: zone },
  });
}

function createClusterId({ args }: State, at: Context): Effect {
  const resource = {
    type: "Config",
    mesh: "",
    name: CLUSTER_ID_CONFIG,
    labels: {},
    spec: { config: args.newClusterId },
  };
  return toHub({
    tag: "write",
    ops: [{ op: "put", resource, expected: 0 }],
    by: "kds",
    reply: { path: at.self, tag: "cluster_id_written", ref: "" },
  });
}

function close(
  stream: string,
  status: Pick<ServerCommand & { do: "close" }, "code" | "message">,
): Effect {
  const what: ServerCommand = { do: "close", stream, ...status };
  return command("kds", what);
}
