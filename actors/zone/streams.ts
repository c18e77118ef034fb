// The streams of a zone come and go: whose the name is, which of two streams counts, what ends with them.

import type { AdminKind } from "../../kds/admin.ts";
import { zoneToGlobal } from "../../kds/direction.ts";
import { openBook } from "../../kds/offers.ts";
import { globalRules, openReceiver } from "../../kds/receiver.ts";
import { endSession, openSender } from "../../kds/sender.ts";
import type { Trust } from "../../kds/trust.ts";
import { capacityOf, HASH_SUFFIX, isSync, peerInfo, type ServerEvent } from "../../kds/wire.ts";
import { toHub } from "../hub/messages.ts";
import { type Context, count, type Effect, log, timer, type Turn } from "../runtime/actor.ts";
import { endSubscription, renderSubscription, timeOf } from "../../kds/zone_insight.ts";
import { contend, recentTakeovers, RIVAL_MS, rivalNow, TAKEOVERS_ALARM } from "./fencing.ts";
import { graceMs } from "./reach.ts";
import type { Down, State, Up } from "./state.ts";
import { subscribe } from "./interest.ts";
import { presence } from "./receipts.ts";
import { ask } from "./upward.ts";
import { insightNow, insightSoon } from "./insight.ts";
import { close, kds } from "./edge.ts";
import { tellKeptBack } from "../session/session.ts";
import { peerOf } from "./peer.ts";

export function streamOpened(
  state: State,
  msg: ServerEvent & { readonly tag: "stream_opened" },
  at: Context,
): Turn<State> {
  if (state.deleted) {
    return [state, [close(msg.stream, "unavailable", "the zone is being deleted")]];
  }
  const { stream, caller } = msg;
  const contest = contend(state.args.zone, state.holder, {
    run: caller.run,
    live: hasStream(state),
    nowMs: at.nowMs,
  });
  if (!contest.ok) return rivalRefused(state, { stream, peer: caller.peer, ...contest }, at);
  return streamTaken({ ...state, holder: contest.holder }, msg, at);
}

function hasStream({ down, up, admin }: State): boolean {
  return down !== null || up !== null || admin.size > 0;
}

/** Told once; counted each time that it comes back. */
function rivalRefused(
  state: State,
  { stream, peer, message }: {
    readonly stream: string;
    readonly peer: string;
    readonly message: string;
  },
  at: Context,
): Turn<State> {
  const { zone } = state.args;
  const isNews = rivalNow(state.rival, at.nowMs) === null;
  const next = { ...state, rival: { message, atMs: at.nowMs } };
  const effects: Effect[] = [
    close(stream, "failed_precondition", message),
    count("ursa_zone_name_conflicts_total", { zone }),
    // Until it has been quiet for a while.
    timer("rival", RIVAL_MS, { tag: "insight_due" }),
  ];
  if (!isNews) return [next, effects];
  const [told, insight] = insightNow(next, at);
  const reason = { zone, peer, reason: message };
  return [told, [
    ...effects,
    log("error", "two control planes use one zone name", reason),
    ...insight,
  ]];
}

function streamTaken(
  state: State,
  msg: ServerEvent & { readonly tag: "stream_opened" },
  at: Context,
): Turn<State> {
  const { kind, stream, caller } = msg;
  if (!isSync(kind)) return adminOpened(state, { stream, kind }, at);
  const old = kind === "global_to_zone" ? state.down : state.up;
  const [taken, takeover] = old ? takenOver(state, { old, by: caller.peer }, at) : [state, []];
  const next: State = kind === "global_to_zone"
    ? { ...endDown(taken, at), down: openDown(taken.trust, msg, at) }
    : { ...taken, up: openUp(taken, msg, at) };
  const effects: Effect[] = [
    ...takeover,
    kds({ do: "admit", stream, to: at.self }),
    log("info", "zone stream opened", { zone: msg.zone, kind, peer: caller.peer }),
    ...(kind === "global_to_zone" ? presence(next, "online") : []),
  ];
  if (!next.image && !state.down && !state.up) effects.push(subscribe(next, at));
  const [asked, questions] = ask(next);
  const wasLeftOut = state.reach.leftOutSinceMs !== null;
  state.reach.leftOutSinceMs = null;
  if (wasLeftOut) {
    effects.push(log("info", "zone is no longer left out of others", { zone: msg.zone }));
  }
  const [noted, insight] = wasLeftOut ? insightNow(asked, at) : insightSoon(asked);
  return [noted, [...effects, ...questions, ...insight]];
}

function adminOpened(
  state: State,
  { stream, kind }: { readonly stream: string; readonly kind: AdminKind },
  at: Context,
): Turn<State> {
  const old = state.admin.get(kind);
  const admin = new Map(state.admin).set(kind, { stream, openedAtMs: at.nowMs });
  const [next, insight] = insightSoon({ ...state, admin });
  return [next, [
    ...(old ? [close(old.stream, "aborted", "superseded by a newer stream of this zone")] : []),
    kds({ do: "admit", stream, to: at.self }),
    ...insight,
  ]];
}

function adminClosed(state: State, closed: string): Turn<State> {
  const left = [...state.admin].filter(([, { stream }]) => stream !== closed);
  if (left.length === state.admin.size) return [state, []];
  return insightSoon({ ...state, admin: new Map(left) });
}

function openDown(
  trust: Trust,
  { stream, caller }: ServerEvent & { readonly tag: "stream_opened" },
  at: Context,
): Down {
  return {
    stream,
    peer: caller.peer,
    authorized: caller.authorization.length === 1,
    openedAtMs: at.nowMs,
    sender: openSender(trust),
    book: openBook(),
    subscription: null,
    features: [],
    link: null,
    reports: false,
    takes: capacityOf(peerInfo(undefined)),
    answeredRevision: 0,
  };
}

function openUp(
  { args: { zone, descriptors }, quarantine }: State,
  { stream, caller }: ServerEvent & { readonly tag: "stream_opened" },
  at: Context,
): Up {
  const prefixNames = !caller.features.includes(HASH_SUFFIX);
  const rules = globalRules(zoneToGlobal(descriptors), { zone, prefixNames });
  return {
    stream,
    peer: caller.peer,
    openedAtMs: at.nowMs,
    receiver: openReceiver(stream, { rules, nodeId: zone, quarantine }),
    asked: false,
  };
}

/** The newer stream wins: the older is most often the half of a connection that is gone. */
function takenOver(
  state: State,
  { old, by }: { readonly old: Down | Up; readonly by: string },
  at: Context,
): Turn<State> {
  const { zone } = state.args;
  const takeoversAtMs = [...recentTakeovers(state.takeoversAtMs, at.nowMs), at.nowMs];
  const effects: Effect[] = [
    close(old.stream, "aborted", "superseded by a newer connection of this zone"),
    log("warn", "zone stream superseded by a newer one", { zone, old: old.peer, new: by }),
    count("ursa_zone_takeovers_total", { zone }),
  ];
  if (takeoversAtMs.length > TAKEOVERS_ALARM) {
    effects.push(log("error", "two control planes seem to use one zone name", { zone }));
  }
  return [{ ...state, takeoversAtMs }, effects];
}

export function streamClosed(
  before: State,
  { stream, reason, byPeer }: ServerEvent & { readonly tag: "stream_closed" },
  at: Context,
): Turn<State> {
  const { holder } = before;
  const state = { ...before, holder: holder && { ...holder, seenAtMs: at.nowMs } };
  const { zone } = state.args;
  const isDown = state.down?.stream === stream;
  // Only the current streams count: an old one may close late.
  if (!isDown && state.up?.stream !== stream) return adminClosed(state, stream);
  const next = isDown ? endDown(state, at) : { ...state, up: null };
  const effects: Effect[] = [
    log("info", "zone stream closed", { zone, reason }),
    ...(isDown && byPeer ? endSession(state.down!.sender) : []).flatMap((one) =>
      tellKeptBack(peerOf(zone), one)
    ),
    ...(isDown ? presence(state, "offline") : []),
  ];
  const [flushed, insight] = insightNow(next, at);
  if (flushed.down || flushed.up || flushed.deleted) return [flushed, [...effects, ...insight]];
  // Nothing is kept up to date for a zone that is away; it gets the full state when it is back.
  effects.push(toHub({ tag: "unsubscribe", to: at.self }), ...awaitReturn(flushed, at));
  return [{ ...flushed, image: null }, [...effects, ...insight]];
}

/** For as long as the operator wants to go on sending others there. */
export function awaitReturn(
  { args: { unreachableAfterMs }, reach }: State,
  at: Context,
): readonly Effect[] {
  if (unreachableAfterMs === null || reach.leftOutSinceMs !== null) return [];
  const afterMs = graceMs(reach, unreachableAfterMs, at.nowMs);
  return [timer("unreachable", afterMs, { tag: "unreachable_due" })];
}

export function unreachable(state: State, at: Context): Turn<State> {
  const { down, up, deleted, reach, args: { zone } } = state;
  if (down || up || deleted) return [state, []];
  reach.leftOutSinceMs = at.nowMs;
  const [next, insight] = insightNow(state, at);
  return [next, [
    ...insight,
    log("warn", "nothing is heard of a zone: it is left out of the others", { zone }),
    count("ursa_zones_left_out_total", { zone }),
  ]];
}

function endDown(state: State, at: Context): State {
  const { down, past } = state;
  if (!down) return state;
  const ended = down.subscription &&
    endSubscription(renderSubscription(down.subscription), timeOf(at.nowMs));
  return { ...state, down: null, past: ended ? [...past, ended] : past };
}
