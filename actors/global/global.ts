// Admits zones: a name that is new gets its Zone resource, then its actor gets the stream.

import { isZoneName } from "../../core/names.ts";
import type { JsonObject } from "../../core/resource.ts";
import { beginEpoch, type Epoch, EPOCHS_CONFIG, readEpochs } from "../../kds/epochs.ts";
import { CLUSTER_ID_CONFIG } from "../../kds/filter.ts";
import type { VerifiedToken } from "../../identity/tokens/verify.ts";
import type {
  CallerInfo,
  CloseCode,
  ServerCommand,
  ServerEvent,
  StreamKind,
} from "../../kds/wire.ts";
import { oneChangeSet, toHub } from "../hub/messages.ts";
import {
  type Actor,
  command,
  type Context,
  count,
  type Effect,
  log,
  send,
  timer,
  type Turn,
} from "../runtime/actor.ts";
import { type ZoneArgs, zonePath } from "../zone/messages.ts";
import {
  type Gate,
  type Joined,
  keepSecret,
  mayJoin,
  openGate,
  type Refused,
  withdrawn,
} from "./membership.ts";
import type { GlobalArgs, GlobalMsg } from "./messages.ts";

export type { GlobalArgs };

type StreamOpened = ServerEvent & { readonly tag: "stream_opened" };

interface State {
  readonly args: GlobalArgs;
  readonly loaded: boolean;
  readonly clusterId: string;
  /** Of this store, as they are written. */
  readonly epochs: readonly Epoch[];
  /** Of the store when this run began; null: not read yet. */
  readonly beganAt: number | null;
  /** Zone resources that are there. */
  readonly zones: Set<string>;
  readonly insights: Map<string, JsonObject>;
  /** Streams whose zone is not written yet, or that came before the store was read. */
  readonly waiting: Map<string, StreamOpened[]>;
  /** Null: nobody has to prove anything. */
  readonly gate: Gate | null;
  /**
   * Per zone, the streams that were let in, by id: also of a control plane that is refused since
   * another has the name, whose token may differ.
   */
  readonly members: Map<string, Map<string, Member>>;
  /** Why a zone was refused last: said once, however often it comes back. */
  readonly refusals: Map<string, string>;
}

interface Member {
  readonly kind: StreamKind;
  /** As it was sent. */
  readonly authorization: readonly string[];
  readonly token: VerifiedToken | null;
}

/** Streams that wait for their Zone resource: a crowd beyond this comes back later. */
const WAITING_MAX = 1024;
const CLUSTER_ID_RETRY_MS = 1_000;
/** More names than this that are refused at once are logged again. */
const REFUSALS_KEPT = 1_024;

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
      epochs: [],
      beganAt: null,
      zones: new Set(),
      insights: new Map(),
      waiting: new Map(),
      gate: args.auth === "token" ? openGate(args) : null,
      members: new Map(),
      refusals: new Map(),
    };
    const types = ["Zone", "ZoneInsight", "Config", ...(state.gate ? ["GlobalSecret"] : [])];
    return [state, [toHub({ tag: "subscribe", to: at.self, types })]];
  },

  receive(state, msg, at) {
    switch (msg.tag) {
      case "stream_opened":
        return streamOpened(state, msg, at);
      case "stream_closed":
        forget(state, msg.stream);
        return [state, []];
      case "health_checked":
        return [state, healthChecked(state, msg, at)];
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
      case "epoch_written":
        return [
          state,
          msg.value.ok ? [] : [timer("epoch", CLUSTER_ID_RETRY_MS, { tag: "epoch_due" })],
        ];
      case "epoch_due":
        return [state, noteEpoch(state, at)];
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
  if (!isZoneName(zone)) {
    return [state, [
      log("warn", "zone refused: its name is no DNS label", { peer: msg.caller.peer }),
      close(stream, { code: "invalid_argument", message: "client-id must be a DNS label" }),
    ]];
  }
  if (state.loaded) {
    const refusal = refused(state, msg, at);
    if (refusal.length > 0) return [state, refusal];
    if (state.zones.has(zone)) return [state, admit(state, [msg])];
  }
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
  { full, changes, revision }: GlobalMsg & { readonly tag: "resources_changed" },
  at: Context,
): Turn<State> {
  const effects: Effect[] = [];
  let { clusterId, epochs } = state;
  let [secretsChanged, epochsChanged] = [false, false];
  for (const { key, resource } of changes) {
    if (state.gate && keepSecret(state.gate, key, resource)) secretsChanged = true;
    if (key.type === "ZoneInsight") {
      if (resource) state.insights.set(key.name, resource.spec);
      else state.insights.delete(key.name);
    } else if (key.type === "Config" && key.name === CLUSTER_ID_CONFIG) {
      clusterId = typeof resource?.spec.config === "string" ? resource.spec.config : "";
    } else if (key.type === "Config" && key.name === EPOCHS_CONFIG) {
      epochs = readEpochs(resource ?? undefined);
      epochsChanged = true;
    } else if (key.type === "Zone" && resource) {
      state.zones.add(key.name);
    } else if (key.type === "Zone" && state.zones.delete(key.name)) {
      // It may have no actor, after a crash too many; what it left must go all the same.
      effects.push(spawn(state, key.name), send(zonePath(key.name), { tag: "zone_deleted" }));
    }
  }
  const beganAt = state.beganAt ?? revision;
  const next = { ...state, clusterId, epochs, beganAt, loaded: state.loaded || full };
  if (!next.loaded) return [next, effects];
  if (secretsChanged) effects.push(...recheck(next, at));
  if (!state.loaded) {
    // Whoever was online when this control plane stopped is not: its actor notes that.
    effects.push(...[...next.zones].map((zone) => spawn(next, zone)));
    for (const [zone, streams] of next.waiting) {
      const good = streams.filter((opened) => {
        const refusal = refused(next, opened, at);
        effects.push(...refusal);
        return refusal.length === 0;
      });
      if (good.length > 0) next.waiting.set(zone, good);
      else next.waiting.delete(zone);
    }
    effects.push(
      ...[...next.waiting.keys()].filter((zone) => !next.zones.has(zone))
        .map((zone) => createZone(zone, at)),
    );
    if (clusterId === "") effects.push(createClusterId(next, at));
  }
  if (!state.loaded || epochsChanged) effects.push(...noteEpoch(next, at));
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

// Who they are

/** Nothing when the stream may come in, under the name that it gives. */
function refused(
  state: State,
  { zone, kind, stream, caller }: StreamOpened,
  at: Context,
): Effect[] {
  const { gate, members, refusals } = state;
  const joined: Joined = gate
    ? mayJoin(gate, { zone, caller, nowMs: at.nowMs })
    : { ok: true, token: null };
  if (!joined.ok) return refusalOf(state, { zone, stream, peer: caller.peer }, joined);
  refusals.delete(zone);
  const ofZone = members.get(zone) ?? new Map<string, Member>();
  members.set(zone, ofZone);
  ofZone.set(stream, { kind, authorization: caller.authorization, token: joined.token });
  return [];
}

function forget({ members, waiting }: State, closed: string): void {
  for (const [zone, ofZone] of members) {
    if (ofZone.delete(closed) && ofZone.size === 0) members.delete(zone);
  }
  for (const [zone, streams] of waiting) {
    const left = streams.filter(({ stream }) => stream !== closed);
    if (left.length > 0) waiting.set(zone, left);
    else waiting.delete(zone);
  }
}

/** Counted each time, logged once for each reason: a zone comes back every few seconds. */
function refusalOf(
  { refusals }: State,
  { zone, stream, peer }: {
    readonly zone: string;
    readonly stream: string;
    readonly peer: string;
  },
  { reason, code, message }: Refused,
): Effect[] {
  const said = refusals.get(zone) === message;
  const [oldest] = refusals.keys();
  if (refusals.size >= REFUSALS_KEPT && oldest !== undefined) refusals.delete(oldest);
  refusals.set(zone, message);
  return [
    ...(said ? [] : [log("error", "zone refused", { zone, peer, reason: message })]),
    count("ursa_zones_refused_total", { reason }),
    close(stream, { code, message }),
  ];
}

/** Ends the streams of zones whose tokens are good no more. */
function recheck({ gate, members }: State, at: Context): readonly Effect[] {
  if (!gate) return [];
  return [...members].flatMap(([zone, ofZone]) =>
    [...ofZone].flatMap(([stream, { kind, token }]) => {
      const refusal = token && withdrawn(gate, token, at.nowMs);
      if (!refusal) return [];
      ofZone.delete(stream);
      const { reason, code, message } = refusal;
      return [
        ...(kind === "global_to_zone"
          ? [log("error", "zone cut off: its token is good no more", { zone, reason: message })]
          : []),
        count("ursa_zones_refused_total", { reason }),
        close(stream, { code, message }),
      ];
    })
  );
}

/** It comes on a connection of its own: it is believed when its streams' credentials are shown. */
function healthChecked(
  { gate, zones, members }: State,
  msg: GlobalMsg & { readonly tag: "health_checked" },
  at: Context,
): readonly Effect[] {
  const { check, zone, caller, reports } = msg;
  if (!zones.has(zone)) {
    const message = `zone "${zone}" has no stream to this control plane yet`;
    return [answerHealth(check, reports.length > 0 ? { code: "unavailable", message } : undefined)];
  }
  const refused = gate && refusedCaller(gate, members.get(zone), { zone, caller, nowMs: at.nowMs });
  if (!refused) return [send(zonePath(zone), msg)];
  return [
    count("ursa_zones_refused_total", { reason: refused.reason }),
    answerHealth(check, refused),
  ];
}

function answerHealth(
  check: string,
  refusal?: { readonly code: CloseCode; readonly message: string },
): Effect {
  const answer = refusal && { refusal: { code: refusal.code, message: refusal.message } };
  const what: ServerCommand = { do: "answer_health", check, ...answer };
  return command("kds", what);
}

function refusedCaller(
  gate: Gate,
  streams: ReadonlyMap<string, Member> | undefined,
  asked: { readonly zone: string; readonly caller: CallerInfo; readonly nowMs: number },
): Refused | null {
  const { authorization } = asked.caller;
  const isKnown = [...streams?.values() ?? []].some((member) =>
    member.authorization[0] === authorization[0]
  );
  if (isKnown && authorization.length <= 1) return null;
  const joined = mayJoin(gate, asked);
  return joined.ok ? null : joined;
}

function admit(state: State, streams: readonly StreamOpened[]): readonly Effect[] {
  return streams.flatMap((opened) => [
    spawn(state, opened.zone),
    send(zonePath(opened.zone), opened),
  ]);
}

function spawn({ args, insights }: State, zone: string): Effect {
  const { descriptors, instance, version, receipts, unreachableAfterMs } = args;
  const insight = insights.get(zone) ?? null;
  const own = { descriptors, instance, version, receipts, unreachableAfterMs };
  const zoneArgs: ZoneArgs = { zone, insight, ...own };
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

/** Before that is written, zones are told nothing. */
function noteEpoch({ args, epochs, beganAt }: State, at: Context): readonly Effect[] {
  if (beganAt === null || epochs.at(-1)?.id === args.instance) return [];
  return [toHub({
    tag: "write",
    ops: [{ op: "put", resource: beginEpoch(epochs, { id: args.instance, from: beganAt }) }],
    by: "kds",
    reply: { path: at.self, tag: "epoch_written", ref: "" },
  })];
}

function close(
  stream: string,
  status: Pick<ServerCommand & { do: "close" }, "code" | "message">,
): Effect {
  const what: ServerCommand = { do: "close", stream, ...status };
  return command("kds", what);
}
