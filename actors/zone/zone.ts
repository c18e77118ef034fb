// One zone, on global: what it is owed and what it has taken, what it sends up, whether it is there.
//
// The zone has two streams, each with a session of its own. Nothing is sent, and nothing compared,
// before the hub's full state is here: an empty answer would make the zone delete everything.
//
//   offline ──stream_opened──▶ loading ──resources_changed(full)──▶ online
//      ▲                                                              │
//      └────────────────── both streams closed ──────────────────────┘

import { applyChanges, replaceImage } from "../../kds/image.ts";
import { concerned } from "../../kds/quarantine.ts";
import { newTrust } from "../../kds/trust.ts";
import { oneChangeSet, type ResourcesChanged, toHub } from "../hub/messages.ts";
import { type Actor, type Context, reply, timer, type Turn } from "../runtime/actor.ts";
import { pastSubscriptions, timeOf } from "../../kds/zone_insight.ts";
import type { ZoneArgs, ZoneMsg } from "./messages.ts";
import { newReach, swung } from "./reach.ts";
import { AGAIN_MS } from "../session/session.ts";
import type { State } from "./state.ts";
import { awaitReturn, streamClosed, streamOpened, unreachable } from "./streams.ts";
import { linkNow, offerChanged, pump, requestReceived, resendRefused } from "./downward.ts";
import { offerAll } from "./offers.ts";
import { presence } from "./receipts.ts";
import { ask, attempt, attemptAt, responseReceived, takenAgain, written } from "./upward.ts";
import { imageFor } from "./interest.ts";
import { deleteRemains, remainsDeleted, zoneDeleted } from "./deletion.ts";
import { statusOf, unwritten, writeInsight } from "./insight.ts";
import { healthChecked } from "./health.ts";
import { kds } from "./edge.ts";

/** What says that the zone is there. */
const FROM_ZONE: ReadonlySet<ZoneMsg["tag"]> = new Set([
  "stream_opened",
  "request_received",
  "response_received",
  "health_checked",
]);

export const zone: Actor<State, ZoneMsg, ZoneArgs> = {
  // One response per type is in flight: more than this is a flood, and ends this zone's sessions.
  mailbox: {
    capacity: 4096,
    whenFull: "crash",
    ...oneChangeSet(),
  },

  init(args, at) {
    const { past, closed } = pastSubscriptions(args.insight, timeOf(at.nowMs));
    const state: State = {
      args,
      down: null,
      up: null,
      admin: new Map(),
      image: null,
      revision: 0,
      reportedRevision: 0,
      past,
      healthAtMs: null,
      trust: newTrust(),
      trustedInstance: "",
      quarantine: new Map(),
      takeoversAtMs: [],
      holder: null,
      rival: null,
      insightDirty: false,
      reach: newReach(args.unreachableAfterMs === null ? null : args.insight, at.nowMs),
      deleted: false,
    };
    // A subscription of an earlier life may still point here.
    const unsubscribe = toHub({ tag: "unsubscribe", to: at.self });
    // So may streams: a zone that has nothing to say would wait on them for ever.
    return [state, [
      unsubscribe,
      kds({ do: "end_all", to: at.self }),
      ...presence(state, "offline"),
      ...awaitReturn(state, at),
      ...(closed ? [writeInsight(state, at)] : []),
    ]];
  },

  receive(state, msg, at) {
    if (FROM_ZONE.has(msg.tag)) state.reach.heardAtMs = at.nowMs;
    switch (msg.tag) {
      case "unreachable_due":
        return unreachable(state, at);
      case "stream_opened":
        return streamOpened(state, msg, at);
      case "stream_closed":
        return streamClosed(state, msg, at);
      case "request_received":
        return requestReceived(state, msg, at);
      case "response_received":
        return responseReceived(state, msg, at);
      case "resources_changed":
        return resourcesChanged(state, msg, at);
      case "written":
        return written(state, msg, at);
      case "again_due":
        return takenAgain(state, msg.typeUrl, at);
      case "resend_due":
        return resendRefused(state, msg.typeUrl);
      case "attempt_due":
        return attempt(state, at);
      case "health_checked":
        return healthChecked(state, msg, at);
      case "link_written":
        return [
          state,
          msg.value.ok ? [] : [timer("link", AGAIN_MS, { tag: "link_due" })],
        ];
      case "link_due":
        return [state, linkNow(state, at)];
      case "insight_due":
        return [{ ...state, insightDirty: false }, [writeInsight(state, at)]];
      case "insight_written":
        return msg.value.ok ? [state, []] : unwritten(state, msg.value.reason);
      case "zone_deleted":
        return zoneDeleted(state, at);
      case "remains_deleted":
        return [state, remainsDeleted(msg.value.ok, at)];
      case "describe":
        return [state, [reply(msg.reply, statusOf(state))]];
    }
  },

  describe: (state) => ({ ...statusOf(state) }),
};

function resourcesChanged(state: State, msg: ResourcesChanged, at: Context): Turn<State> {
  if (state.deleted) return msg.full ? deleteRemains(state, msg, at) : [state, []];
  if (!state.down && !state.up) return [state, []];
  if (!state.image && !msg.full) return [state, []];
  return msg.full ? loaded(state, msg, at) : changed(state, msg, at);
}

function loaded(state: State, msg: ResourcesChanged, at: Context): Turn<State> {
  const image = state.image ?? imageFor(state.args);
  replaceImage(image, msg.changes);
  const next = { ...state, image, revision: msg.revision };
  const offered = next.down?.subscription ? offerAll(next) : [];
  const [asked, questions] = ask(next);
  const [pumped, responses] = pump(asked);
  return [pumped, [...offered, ...questions, ...responses, ...linkNow(next, at)]];
}

function changed(state: State, msg: ResourcesChanged, at: Context): Turn<State> {
  const zones = swung(state.image!, msg);
  applyChanges(state.image!, msg.changes);
  const [next, effects] = offerChanged({ ...state, revision: msg.revision }, msg, zones);
  const types = concerned(state.quarantine, msg.changes.map(({ key }) => key));
  return types.length > 0 ? attemptAt(next, { types, effects }, at) : [next, effects];
}
