// The stream of a proxy comes and goes, and with it the lease of what it registered.

import { assert } from "../../core/assert.ts";
import { ABORTED } from "../../core/grpc_status.ts";
import type { Draft } from "../../core/resource.ts";
import { parseNode } from "../../xds/node.ts";
import { connected, disconnected } from "../../xds/proxy_insight.ts";
import { type AdsRequest, onRequest, openStream } from "../../xds/stream.ts";
import { toHub } from "../hub/messages.ts";
import type { LeaveResult } from "../proxies/messages.ts";
import {
  command,
  type Context,
  count,
  type Effect,
  log,
  reply,
  type Turn,
} from "../runtime/actor.ts";
import { versionOf } from "./version.ts";
import { announce, type Announcement, notReady } from "./announcement.ts";
import { claim, type Ownership, recall, remember } from "./fencing.ts";
import * as leases from "./lease.ts";
import type { DataplaneMsg } from "./messages.ts";
import { ownResource, type State } from "./state.ts";
import { regenerate, stepped } from "./delivery.ts";
import { progress, tellInsight } from "./telling.ts";

export const SUPERSEDED: LeaveResult = { ok: false, reason: "superseded" };

export function streamOpened(
  state: State,
  msg: DataplaneMsg & { readonly tag: "stream_opened" },
  at: Context,
): Turn<State> {
  const claimed = claim(recall(state.ownership, ownResource(state)?.labels), {
    instance: msg.instance,
    live: state.stream !== null,
    nowMs: at.nowMs,
  });
  if (!claimed.ok) {
    return [state, [
      log("warn", "stream refused", { proxy: state.args.key.name, reason: claimed.reason }),
      count("ursa_xds_streams_refused_total", { reason: "superseded" }),
      end(msg.stream, ABORTED, claimed.reason),
    ]];
  }
  const effects: Effect[] = [];
  if (state.stream) {
    effects.push(end(state.stream.id, ABORTED, "a newer stream of this proxy took over"));
  }
  if (claimed.alarmed) {
    effects.push(
      log("error", "two proxies under one name", { reason: claimed.ownership.alarm }),
      count("ursa_xds_takeover_alarms_total"),
    );
  }
  // Of a peer that does not say which run it is, a new stream may be a new run.
  const draining = msg.instance !== "" && state.draining === msg.instance ? state.draining : null;
  const offer = msg.resource &&
    offered(state, msg.resource, {
      claimed: claimed.ownership,
      draining,
      returning: state.stream !== null || isReturning(msg.request),
    });
  if (offer) {
    effects.push(toHub({
      tag: "write",
      by: at.self,
      ops: [{ op: "put", resource: offer.now }],
      reply: { path: at.self, tag: "registered", ref: msg.stream },
    }));
  }
  const opened: State = {
    ...state,
    stream: {
      id: msg.stream,
      ads: openStream(msg.dialect),
      listens: false,
      before: state.ownership,
    },
    ownership: claimed.ownership,
    metadata: msg.metadata,
    node: parseNode(msg.metadata),
    selfRegistered: msg.resource !== null,
    registeredAt: null,
    announcement: offer?.later ? { draft: offer.later, underWay: false } : null,
    declared: msg.resource,
    draining,
    // What was on its way to the disk comes before what this stream registers with.
    leaving: null,
    subscriptions: connected(state.subscriptions, {
      id: uuid(at),
      nowMs: at.nowMs,
      version: versionOf(msg.metadata),
    }),
    remarks: { ...state.remarks, alarm: claimed.ownership.alarm },
  };
  const [regenerated, more] = regenerate(opened, state.revision, at);
  const { stream } = regenerated;
  assert(stream, "the stream that just opened is the current one");
  const [next, out] = stepped(
    regenerated,
    onRequest(stream.ads, msg.request, regenerated.snapshot),
    at,
  );
  // Who sends its resource has come back when that is stored.
  const [leased, renews] = msg.resource ? [next, []] : renew(next);
  const overtaken = (state.leaving?.told ?? []).map((to) => reply(to, SUPERSEDED));
  return [leased, [
    ...effects,
    ...overtaken,
    ...more,
    ...out,
    ...renews,
    tellInsight(leased, true),
  ]];
}

/** A draining run that reconnects stays out; any other is offered once it listens. */
function offered(
  state: State,
  resource: Draft,
  { claimed, draining, returning }: {
    readonly claimed: Ownership;
    readonly draining: string | null;
    readonly returning: boolean;
  },
): Announcement {
  const draft = { ...resource, labels: remember(resource.labels, claimed) };
  const { instance } = claimed;
  const offer = announce(draft, ownResource(state), { instance, returning });
  return draining === null ? offer : { now: notReady(offer.later ?? offer.now), later: null };
}

interface Loss {
  readonly because: string;
  readonly silentMs?: number;
}

export function streamClosed(state: State, loss: Loss, at: Context): Turn<State> {
  // A stream that did not get as far as to renew a lease does not prolong it.
  const [lease, runsOut] = state.lease.running ? [state.lease, []] : lose(state, loss, at);
  const next: State = {
    ...state,
    stream: null,
    lease,
    made: null,
    announcement: null,
    owed: false,
    subscriptions: disconnected(state.subscriptions, at.nowMs),
  };
  return [next, [
    ...(state.owed ? [progress(next, { state: "offline" }, at)] : []),
    tellInsight(next, true),
    ...runsOut,
  ]];
}

function lose(
  { lease, args: { settings } }: State,
  loss: Loss,
  { nowMs }: Context,
): readonly [leases.Lease, readonly Effect[]] {
  const [running, runsOut] = leases.lost(lease, { leaseMs: settings.leaseMs, ...loss, nowMs });
  return [running, [runsOut]];
}

export function renew(state: State): Turn<State> {
  const [lease, cancelled] = leases.renewed(state.lease);
  return [{ ...state, lease }, [cancelled]];
}

/** Between two pings everybody is silent. */
export function ended(silentMs: number): Loss {
  const seconds = Math.round(silentMs / 1_000);
  const because = seconds === 0 ? "its stream ended" : `nothing was heard of it for ${seconds} s`;
  return { because, silentMs };
}

/** Ends the stream from this side. */
export function dropStream(
  state: State,
  why: { readonly code: number; readonly message: string },
  at: Context,
): Turn<State> {
  if (!state.stream) return [state, []];
  const [next, effects] = streamClosed(state, { because: why.message }, at);
  return [next, [end(state.stream.id, why.code, why.message), ...effects]];
}

export function end(stream: string, code: number, message: string): Effect {
  return command("xds", { do: "end", stream, code, message });
}

/** Whether an Envoy that opens a stream has had a configuration: it says which. */
function isReturning(request: AdsRequest): boolean {
  return request.dialect === "sotw"
    ? request.version !== ""
    : Object.keys(request.initialVersions ?? {}).length > 0;
}

/** Looks like a random UUID; drawn from the actor's seeded randomness, so runs repeat. */
function uuid(at: Context): string {
  const hex = Array.from({ length: 32 }, () => Math.floor(at.random() * 16).toString(16));
  hex[12] = "4";
  hex[16] = "8";
  const text = hex.join("");
  return [8, 12, 16, 20, 32].map((to, i, all) => text.slice(all[i - 1] ?? 0, to)).join("-");
}
