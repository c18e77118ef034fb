// The zone's link to global: connects for ever, takes what global sends, offers what the zone has.
//
//   loading ──full state──▶ waiting ──connect_due──▶ connecting ──connected──▶ up
//                              ▲                         │                     │
//                              └──────── backoff ────────┴──── disconnected ───┘
//
// The zone serves from its own store in every one of these states. Responses wait until it is known
// which global sends them: a stranger may add, but nothing is deleted or overwritten for it.

import type { ResourceDescriptor } from "../../core/resource.ts";
import { GLOBAL_CONFIG, NO_ALLEGIANCE, readAllegiance } from "../../kds/allegiance.ts";
import { globalToZone, zoneToGlobal } from "../../kds/direction.ts";
import { applyChanges, emptyImage, replaceImage } from "../../kds/image.ts";
import { openBook } from "../../kds/offers.ts";
import { concerned } from "../../kds/quarantine.ts";
import { advance } from "../../kds/sender.ts";
import { newTrust } from "../../kds/trust.ts";
import { wireName } from "../../kds/wire.ts";
import { oneChangeSet, type ResourcesChanged, toHub } from "../hub/messages.ts";
import { type Actor, type Context, log, reply, type Turn } from "../runtime/actor.ts";
import { toPeers } from "../peers/messages.ts";
import type { UplinkArgs, UplinkMsg } from "./messages.ts";
import { NO_INSIGHT, readInsight } from "./own_insight.ts";
import { noReports } from "./reports.ts";
import type { State } from "./state.ts";
import { acceptGlobal, followsGlobal, tellPeers, tellUnnoted } from "./following.ts";
import { connect, connected, disconnected, ofSession } from "./connection.ts";
import { attempt, attemptAt, responseReceived, takenAgain, written } from "./downward.ts";
import { settled } from "./settling.ts";
import { offerAll, offerChanged, pump, requestReceived, resendRefused } from "./upward.ts";
import { insightNow, statusOf } from "./insight.ts";
import { checkHealth, healthAnswered, progressed } from "./health.ts";

export type { UplinkArgs };

export const uplink: Actor<State, UplinkMsg, UplinkArgs> = {
  mailbox: {
    capacity: 10_000,
    whenFull: "crash",
    ...oneChangeSet(),
  },

  init(args, at) {
    const state: State = {
      args,
      image: null,
      book: openBook(),
      stamps: false,
      revision: 0,
      session: null,
      attempts: 0,
      connections: 0,
      allegiance: NO_ALLEGIANCE,
      reports: noReports({ clusterId: "", revision: 0 }),
      insight: NO_INSIGHT,
      trust: newTrust(),
      trustedInstance: "",
      quarantine: new Map(),
      lastError: null,
      refusal: null,
    };
    const types = seen(args).map(({ name }) => name);
    return [state, [toHub({ tag: "subscribe", to: at.self, types })]];
  },

  receive(state, msg, at) {
    const [next, effects] = decide(state, msg, at);
    return [next, [...effects, ...tellPeers(state, next)]];
  },

  describe: (state) => ({ ...statusOf(state) }),
};

function decide(state: State, msg: UplinkMsg, at: Context): Turn<State> {
  switch (msg.tag) {
    case "resources_changed":
      return msg.full ? loaded(state, msg, at) : changed(state, msg, at);
    case "connect_due":
      return state.session?.up ? [state, []] : connect(state, at);
    case "connected":
      return ofSession(state, msg, (session) => connected(state, session, at));
    case "disconnected":
      return ofSession(state, msg, (session) => disconnected(state, session, msg, at));
    case "response_received":
      return ofSession(state, msg, (session) => responseReceived(state, session, msg, at));
    case "request_received":
      return ofSession(state, msg, (session) => requestReceived(state, session, msg, at));
    case "health_answered":
      return ofSession(state, msg, (session) => healthAnswered(state, session, msg));
    case "health_due":
    case "report_due":
      return checkHealth(state, msg.tag === "health_due", at);
    case "written":
      return written(state, msg, at);
    case "note_written":
      return [state, msg.value.ok ? [] : [tellUnnoted(msg.value.reason)]];
    case "insight_due":
      return insightNow(state, at);
    case "insight_written":
      return msg.value.ok
        ? [state, []]
        : [state, [log("warn", "zone insight not written", { reason: msg.value.reason })]];
    case "again_due":
      return takenAgain(state, msg.typeUrl, at);
    case "resend_due":
      return resendRefused(state, msg.typeUrl);
    case "attempt_due":
      return attempt(state, at);
    case "settle_due":
      return settled(state, at);
    case "accept_global":
      return acceptGlobal(state, msg.reply, at);
    case "report_progress":
      return progressed(state, msg);
    case "peers_began":
      return [state, [toPeers(followsGlobal(state))]];
    case "describe":
      return [state, [reply(msg.reply, statusOf(state))]];
  }
}

/** And what an earlier life of this actor wrote down. */
function seen({ descriptors }: UplinkArgs): readonly ResourceDescriptor[] {
  const kinds = new Set([...globalToZone(descriptors), ...zoneToGlobal(descriptors)]);
  return [...kinds, ...descriptors.filter(({ name }) => name === "ZoneInsight")];
}

function loaded(state: State, msg: ResourcesChanged, at: Context): Turn<State> {
  const image = state.image ?? emptyImage(seen(state.args));
  replaceImage(image, msg.changes);
  const stored = image.get("Config")?.get(wireName({ mesh: "", name: GLOBAL_CONFIG }));
  const first = state.image === null;
  const allegiance = first ? readAllegiance(stored) : state.allegiance;
  const own = image.get("ZoneInsight")?.get(wireName({ mesh: "", name: state.args.zone }));
  const insight = first ? readInsight(own, at) : state.insight;
  const next = { ...state, image, allegiance, insight, revision: msg.revision };
  const effects = offerAll(next, zoneToGlobal(state.args.descriptors));
  if (!first) return pump(next, effects);
  const [connecting, dial] = connect(next, at);
  const [written, insightWrite] = insightNow(connecting, at);
  return [written, [...effects, ...dial, ...insightWrite]];
}

function changed(state: State, msg: ResourcesChanged, at: Context): Turn<State> {
  if (!state.image) return [state, []];
  applyChanges(state.image, msg.changes);
  const next = { ...state, revision: msg.revision };
  if (next.session) advance(next.session.sender, msg.revision);
  const [pumped, sent] = pump(next, offerChanged(next, msg));
  const types = concerned(state.quarantine, msg.changes.map(({ key }) => key));
  return types.length > 0 ? attemptAt(pumped, { types, effects: sent }, at) : [pumped, sent];
}
