// A proxy is brought to the newest configuration: made, sent, answered.

import { assert } from "../../core/assert.ts";
import { type DataplaneSpec, tagSetsOf } from "../../core/dataplane.ts";
import type { IdentityMaterial } from "../../core/proxy.ts";
import { counted } from "../../xds/proxy_insight.ts";
import { type Snapshot, TYPES } from "../../xds/snapshot.ts";
import { isSettled, onSnapshot, type StepResult } from "../../xds/stream.ts";
import { IDENTITY } from "../identity/messages.ts";
import type { ProxyOutcome } from "../receipts/messages.ts";
import {
  command,
  type Context,
  count,
  type Effect,
  log,
  send,
  type Turn,
} from "../runtime/actor.ts";
import { generate, type Sources } from "./generation.ts";
import type { State } from "./state.ts";
import { announceIfListening } from "./announcing.ts";
import { readEffects, watchMeshes } from "./views.ts";
import { reviewHealth } from "./probing.ts";
import { progress, tellInsight } from "./telling.ts";

export const ISSUING = "its certificate is being issued";

/** What the stream machine decided: frames to send, and what the peer's answers mean. */
export function stepped(state: State, step: StepResult, at: Context): Turn<State> {
  const { stream } = state;
  assert(stream, "a step belongs to a stream");
  let next: State = { ...state, stream: { ...stream, ads: step.state } };
  const effects: Effect[] = [];
  for (const out of step.out) {
    effects.push(command("xds", { do: "send", stream: stream.id, out }));
    next = { ...next, subscriptions: counted(next.subscriptions, out.typeUrl, "sent", at.nowMs) };
  }
  for (const event of step.events) {
    const nacked = event.event === "nacked";
    next = {
      ...next,
      subscriptions: counted(
        next.subscriptions,
        event.typeUrl,
        nacked ? "rejected" : "acknowledged",
        at.nowMs,
      ),
    };
    if (nacked) {
      const rejected = { typeUrl: event.typeUrl, message: event.message };
      next = { ...next, remarks: { ...next.remarks, rejected }, owed: false };
      effects.push(
        log("error", "configuration rejected by the proxy; it keeps the last good one", rejected),
        count("ursa_xds_nacks_total", { type: event.typeUrl }),
        progress(next, { state: "nacked", ...rejected }, at),
        tellInsight(next, true),
      );
    } else if (next.remarks.rejected?.typeUrl === event.typeUrl) {
      next = { ...next, remarks: { ...next.remarks, rejected: null } };
      effects.push(tellInsight(next, true));
    }
  }
  if (step.events.length > 0) effects.push(tellInsight(next, false));
  const listens = step.events.some(({ event, typeUrl }) =>
    event === "acked" && typeUrl === TYPES.listener
  );
  if (listens) next = { ...next, stream: { ...stream, ads: step.state, listens } };
  if (next.owed && isSettled(step.state)) {
    next = { ...next, owed: false };
    effects.push(progress(next, { state: "acked" }, at));
  }
  const [announced, announcing] = announceIfListening(next, at);
  // What was reported before it listened counts from now on.
  const [last, more] = listens && !stream.listens ? reviewHealth(announced, at) : [announced, []];
  return [last, [...effects, ...announcing, ...more]];
}

/** The same certificate may come again, with other roots. */
export function issued(state: State, identity: IdentityMaterial): State {
  const fresh = identity.certificateChain !== state.identity?.certificateChain;
  return { ...state, identity, certificates: state.certificates + (fresh ? 1 : 0) };
}

/** Brings the snapshot up to everything known, and sends what differs. */
export function regenerate(state: State, revision: number, at: Context): Turn<State> {
  const known = Math.max(state.revision, revision);
  const { node, stream } = state;
  if (!node || !stream) {
    const next = { ...state, revision: known };
    return [next, [progress(next, { state: "offline" }, at)]];
  }
  const needed = neededIdentity(state);
  if (needed.asked !== state.identityAsked) {
    const asked = {
      ...state,
      identityAsked: needed.asked,
      identityWaits: ISSUING,
      ...(needed.asked === "" && { identity: null }),
    };
    const [next, effects] = regenerate(asked, revision, at);
    return [next, [needed.effect(at), ...effects]];
  }
  const generated = generate({ ...sourcesOf(state), node }, {
    before: state.made,
    identityWaits: state.identityWaits,
  });
  if ("fails" in generated) return failed({ ...state, revision: known }, generated.fails, at);
  if ("waits" in generated) {
    const { waits, owed } = generated;
    // What is not stored gets nothing; what only lacks its certificate keeps the last good one.
    const kept = owed ? state.snapshot : null;
    return waiting({ ...state, revision: known, owed, snapshot: kept }, waits, at);
  }
  const reads = readEffects(state, generated.reads, at);
  const settled: State = {
    ...state,
    made: generated,
    revision: known,
    reads: generated.reads,
    remarks: { ...state.remarks, waiting: null },
  };
  if (state.snapshot && sameSnapshot(state.snapshot, generated.snapshot)) {
    const owed = state.owed && !isSettled(stream.ads);
    const outcome: ProxyOutcome = owed ? { state: "pending" } : { state: "unchanged" };
    const waited = state.remarks.waiting !== null ? [tellInsight(settled, false)] : [];
    return [{ ...settled, owed }, [...reads, progress(settled, outcome, at), ...waited]];
  }
  const pushed: State = { ...settled, snapshot: generated.snapshot, owed: true };
  const [next, effects] = stepped(pushed, onSnapshot(stream.ads, generated.snapshot), at);
  return [next, [...reads, progress(pushed, { state: "pending" }, at), ...effects]];
}

/** And no more: what was made from them is kept. */
function sourcesOf({ args, views, identity, ingress }: State): Omit<Sources, "node"> {
  return { args, views, identity, ingress };
}

interface NeededIdentity {
  /** Text of what is needed; "" for none. */
  readonly asked: string;
  readonly effect: (at: Context) => Effect;
}

function neededIdentity({ args: { key }, views }: State): NeededIdentity {
  const view = views.get(key.mesh);
  const resource = view?.dataplanes.get(key.name);
  if (key.type === "ingress" || !view?.mtls || !resource) {
    return { asked: "", effect: () => send(IDENTITY, { tag: "release_identity", proxy: key }) };
  }
  const tagSets = tagSetsOf(resource.spec as DataplaneSpec);
  return {
    asked: JSON.stringify([view.mtls, tagSets]),
    effect: (at) =>
      send(IDENTITY, { tag: "request_identity", proxy: key, mesh: key.mesh, tagSets, to: at.self }),
  };
}

export function waiting(state: State, reason: string, at: Context): Turn<State> {
  const next: State = { ...state, remarks: { ...state.remarks, waiting: reason } };
  const news = state.remarks.waiting !== reason;
  return [next, [
    ...(news ? [log("debug", "configuration waits", { reason }), tellInsight(next, false)] : []),
    progress(next, { state: state.owed ? "pending" : "offline" }, at),
  ]];
}

/** It keeps what it has; each change may mend it, since what it would read is not known. */
function failed(state: State, reason: string, at: Context): Turn<State> {
  const isNews = state.remarks.waiting !== reason;
  const [next, effects] = waiting({ ...state, owed: true, reads: new Map() }, reason, at);
  if (!isNews) return [next, effects];
  const [watching, subscribe] = watchMeshes(next, [...next.views.keys()], at);
  return [watching, [
    ...effects,
    ...subscribe,
    log("error", "no configuration can be made for a proxy", { reason }),
    count("ursa_xds_generation_failures_total"),
  ]];
}

function sameSnapshot(a: Snapshot, b: Snapshot): boolean {
  for (const [type, resources] of b.resources) {
    const before = a.resources.get(type);
    if (before?.size !== resources.size) return false;
    for (const [name, resource] of resources) if (before.get(name) !== resource) return false;
  }
  return a.resources.size === b.resources.size;
}
