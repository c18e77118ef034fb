// One proxy: what it was told, what it said to that, and what it is still owed.
//
//  no stream ──stream_opened──▶ registering ──registered──▶ view ──▶ identity ──▶ snapshot ──▶ pushed
//      ▲                            (durable)              (mesh)   (mTLS only)     │   ▲
//      │                                                                            ▼   │ newest state,
//      └──stream_closed, and when its lease is over: deregistered, the actor ends  ACK/NACK  when it settles
//
// Nothing here waits for a clock on the way to a configuration: each arrow is a message.

import { assert } from "../../core/assert.ts";
import { type DataplaneSpec, tagSetsOf } from "../../core/dataplane.ts";
import {
  ABORTED,
  FAILED_PRECONDITION,
  INVALID_ARGUMENT,
  UNAVAILABLE,
} from "../../core/grpc_status.ts";
import type { MeshView, ViewKey } from "../../core/mesh_view.ts";
import {
  type IdentityMaterial,
  type ProxyKey,
  type ProxyNode,
  proxyText,
} from "../../core/proxy.ts";
import type { Draft, JsonObject, Resource, ResourceKey } from "../../core/resource.ts";
import type { ZoneIngressSpec } from "../../core/zone.ts";
import { parseNode } from "../../xds/node.ts";
import {
  connected,
  counted,
  disconnected,
  type Remarks,
  type Subscription,
  timeOf,
} from "../../xds/proxy_insight.ts";
import { healthChecks, type HealthReport } from "../../xds/health.ts";
import { type Snapshot, TYPES } from "../../xds/snapshot.ts";
import {
  type AdsRequest,
  isSettled,
  onRequest,
  onSnapshot,
  openStream,
  rejectionsOf,
  type StepResult,
  type StreamState,
} from "../../xds/stream.ts";
import { toHub, type WriteResult } from "../hub/messages.ts";
import { IDENTITY } from "../identity/messages.ts";
import { INSIGHTS, type InsightsMsg } from "../insights/messages.ts";
import { meshPath } from "../mesh/messages.ts";
import { type LeaveResult, PROXIES, type ProxiesMsg } from "../proxies/messages.ts";
import { type ProxyOutcome, RECEIPTS, type ReceiptsMsg } from "../receipts/messages.ts";
import {
  type Actor,
  command,
  type Context,
  count,
  type Effect,
  log,
  reply,
  type ReplyTo,
  send,
  timer,
  type Turn,
} from "../runtime/actor.ts";
import { versionOf } from "./version.ts";
import { announce, type Announcement, notReady, samePlaces } from "./announcement.ts";
import { offersMore, withHealth } from "./health.ts";
import { generate, type Generation, type Sources } from "./generation.ts";
import { claim, type Ownership, recall, remember, unowned } from "./fencing.ts";
import * as leases from "./lease.ts";
import {
  type DataplaneArgs,
  type DataplaneMsg,
  REGISTERED_BY_LABEL,
  REGISTERED_BY_PROXY,
} from "./messages.ts";

interface Stream {
  readonly id: string;
  readonly ads: StreamState;
  /** It has ACKed listeners. */
  readonly listens: boolean;
  /** Who owned the name before, for a stream whose registration is refused. */
  readonly before: Ownership;
}

interface Leaving {
  /** Who waits for it. */
  readonly told: readonly ReplyTo[];
  readonly because: string;
}

interface State {
  readonly args: DataplaneArgs;
  readonly stream: Stream | null;
  readonly ownership: Ownership;
  readonly lease: leases.Lease;
  readonly metadata: JsonObject;
  readonly node: ProxyNode | null;
  /** The resource came with the stream, so it goes with the proxy. */
  readonly selfRegistered: boolean;
  /** The revision that holds what the current stream registered with; null until it is durable. */
  readonly registeredAt: number | null;
  /** What the proxy is stored as once it listens; null when it is, or has nothing to offer. */
  readonly announcement: { readonly draft: Draft; readonly underWay: boolean } | null;
  /** As what it registered, before anybody probed it; null: its resource is somebody else's. */
  readonly declared: Draft | null;
  /** On which its Envoy tells of health. */
  readonly probing:
    | { readonly id: string; readonly node: ProxyNode; readonly asked: Uint8Array }
    | null;
  /** The last report on that stream. */
  readonly health: HealthReport | null;
  /** The version of the resource that a report is being written over; null: none is. */
  readonly healthOver: number | null;
  /** The run that asked to be taken out of others' endpoints, and stays out. */
  readonly draining: string | null;
  /** While the end of the registration is on its way to the disk. */
  readonly leaving: Leaving | null;
  /** Meshes whose actors were asked for their views. */
  readonly watched: ReadonlySet<string>;
  readonly views: ReadonlyMap<string, MeshView>;
  /** The zone ingress's own resource, when this proxy is one. */
  readonly ingress: Resource<ZoneIngressSpec> | null;
  readonly identity: IdentityMaterial | null;
  /** How many certificates it was given. */
  readonly certificates: number;
  /** What the identity was asked for, so that it is asked for once. */
  readonly identityAsked: string;
  /** Why there is none yet. */
  readonly identityWaits: string;
  readonly snapshot: Snapshot | null;
  /** What was made last; the snapshot is that of it, unless the proxy is to have none. */
  readonly made: Generation | null;
  /** The revision that the newest snapshot includes. */
  readonly revision: number;
  /** A change of that revision is on its way and not settled. */
  readonly owed: boolean;
  readonly reads: ReadonlyMap<string, ReadonlySet<ViewKey>>;
  readonly subscriptions: readonly Subscription[];
  readonly remarks: Remarks;
}

const SUPERSEDED: LeaveResult = { ok: false, reason: "superseded" };
const ANNOUNCE_AGAIN_MS = 1_000;
const LEAVE_AGAIN_MS = 1_000;
const HEALTH_AGAIN_MS = 1_000;
const EAGER_REPORT_MS = 500;
const ISSUING = "its certificate is being issued";

export const dataplane: Actor<State, DataplaneMsg, DataplaneArgs> = {
  mailbox: {
    // One response in flight per type bounds what an honest peer can ask for.
    capacity: 256,
    whenFull: "crash",
    coalesce: (msg) => msg.tag === "mesh_changed" ? `mesh ${msg.mesh}` : null,
  },

  init(args, at) {
    // Nobody who was here before is gone because this control plane, or a part of it, was away.
    const [lease, runsOut] = leases.lost(leases.unleased, {
      leaseMs: args.settings.firstLeaseMs,
      because: "the control plane began anew",
      nowMs: at.nowMs,
    });
    const state: State = {
      args,
      stream: null,
      ownership: unowned,
      lease,
      metadata: {},
      node: null,
      selfRegistered: args.registered,
      registeredAt: null,
      announcement: null,
      declared: null,
      probing: null,
      health: null,
      healthOver: null,
      draining: null,
      leaving: null,
      watched: new Set(),
      views: new Map(),
      ingress: null,
      identity: null,
      certificates: 0,
      identityAsked: "",
      identityWaits: ISSUING,
      snapshot: null,
      made: null,
      revision: 0,
      owed: false,
      reads: new Map(),
      subscriptions: [],
      remarks: { rejected: null, alarm: null, waiting: null },
    };
    const silent = send<InsightsMsg>(INSIGHTS, { tag: "proxy_silent", proxy: args.key });
    const { type, mesh } = args.key;
    const [watching, subscribe] = type === "ingress"
      // With its meshes, which it hears of there.
      ? [state, [toHub({ tag: "subscribe", to: at.self, types: ["ZoneIngress", "Mesh"] })]]
      : watchMeshes(state, [mesh], at);
    return [watching, [silent, ...subscribe, runsOut]];
  },

  receive(state, msg, at) {
    switch (msg.tag) {
      case "stream_opened":
        return streamOpened(state, msg, at);
      case "stream_request":
        if (msg.stream !== state.stream?.id) return [state, []];
        return stepped(state, onRequest(state.stream.ads, msg.request, state.snapshot), at);
      case "stream_closed":
        // Only the current stream counts: an old one may close late.
        return msg.stream === state.stream?.id
          ? streamClosed(state, ended(msg.silentMs), at)
          : [state, []];
      case "registered":
        // An earlier stream's says nothing of the current one.
        return msg.ref === state.stream?.id ? registered(state, msg.value, at) : [state, []];
      case "announced":
        return announced(state, msg.ref, msg.value);
      case "announce_due":
        return announceIfListening(state, at);
      case "health_opened":
        return reviewHealth({
          ...state,
          probing: { id: msg.stream, node: parseNode(msg.metadata), asked: new Uint8Array() },
          health: null,
        }, at);
      case "health_reported":
        if (msg.stream !== state.probing?.id) return [state, []];
        return healthReported({ ...state, health: msg.report }, at);
      case "health_closed":
        if (msg.stream !== state.probing?.id) return [state, []];
        // What it last said holds until it, or somebody, says otherwise.
        return announceIfListening({ ...state, probing: null, health: null }, at);
      case "health_written":
        return healthWritten(state, msg.value, at);
      case "health_due":
        return reviewHealth(state, at);
      case "mesh_changed":
        return meshChanged(state, msg.mesh, msg.view, at);
      case "mesh_started":
        return meshStarted(state, msg.mesh, at);
      case "resources_changed": {
        const own = msg.changes.find(({ key }) =>
          key.type === "ZoneIngress" && key.name === state.args.key.name
        );
        // Those that come later say so themselves.
        const meshes = msg.full ? msg.changes.filter(({ key }) => key.type === "Mesh") : [];
        const [watching, subscribe] = watchMeshes(state, meshes.map(({ key }) => key.name), at);
        const ingress = own ? own.resource as Resource<ZoneIngressSpec> | null : state.ingress;
        const [next, effects] = looked({ ...watching, ingress }, msg.revision, at);
        return [next, [...subscribe, ...effects]];
      }
      case "identity_issued":
        return regenerate(issued(state, msg.material), state.revision, at);
      case "identity_pending":
        return regenerate({ ...state, identityWaits: msg.reason }, state.revision, at);
      case "leave":
        return leave(state, msg, at);
      case "barred":
        return barred(state, msg, at);
      case "left":
        return left(state, msg, at);
      case "lease_due":
        return leaseDue(state, msg.serial, at);
    }
  },

  describe: ({ stream, revision, owed, remarks, ownership, lease }) => ({
    online: stream !== null,
    revision,
    settled: !owed,
    instance: ownership.instance,
    ...leases.renderLease(lease),
    ...(remarks.waiting !== null && { waiting: remarks.waiting }),
    ...(remarks.rejected && { rejected: remarks.rejected.message }),
  }),
};

// ---- streams

function streamOpened(
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

function streamClosed(state: State, loss: Loss, at: Context): Turn<State> {
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

function renew(state: State): Turn<State> {
  const [lease, cancelled] = leases.renewed(state.lease);
  return [{ ...state, lease }, [cancelled]];
}

/** Between two pings everybody is silent. */
function ended(silentMs: number): Loss {
  const seconds = Math.round(silentMs / 1_000);
  const because = seconds === 0 ? "its stream ended" : `nothing was heard of it for ${seconds} s`;
  return { because, silentMs };
}

/** Ends the stream from this side. */
function dropStream(
  state: State,
  why: { readonly code: number; readonly message: string },
  at: Context,
): Turn<State> {
  if (!state.stream) return [state, []];
  const [next, effects] = streamClosed(state, { because: why.message }, at);
  return [next, [end(state.stream.id, why.code, why.message), ...effects]];
}

/** What the stream machine decided: frames to send, and what the peer's answers mean. */
function stepped(state: State, step: StepResult, at: Context): Turn<State> {
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
function issued(state: State, identity: IdentityMaterial): State {
  const fresh = identity.certificateChain !== state.identity?.certificateChain;
  return { ...state, identity, certificates: state.certificates + (fresh ? 1 : 0) };
}

// ---- registration

function announceIfListening(state: State, at: Context): Turn<State> {
  const { announcement, stream, remarks, probing, health } = state;
  if (!announcement || announcement.underWay || remarks.waiting !== null) return [state, []];
  if (!stream?.listens || !isSettled(stream.ads)) return [state, []];
  // Whose Envoy tells of itself is offered when that says it serves.
  if (probing && !health?.envoy) return [state, []];
  // What it ACKs at first may be made from what an earlier run registered with: other ports.
  const own = ownResource(state);
  if (!own || !samePlaces(own.spec, announcement.draft.spec)) return [state, []];
  if (rejectionsOf(stream.ads).some(({ typeUrl }) => typeUrl === TYPES.listener)) {
    return [state, []];
  }
  const { draft } = announcement;
  const healthy = withHealth(draft, { health: state.health, declared: draft });
  return [{ ...state, announcement: { draft, underWay: true } }, [
    toHub({
      tag: "write",
      by: at.self,
      ops: [{ op: "put", resource: healthy }],
      reply: { path: at.self, tag: "announced", ref: stream.id },
    }),
  ]];
}

function announced(state: State, ref: string, result: WriteResult): Turn<State> {
  if (!state.announcement || ref !== state.stream?.id) return [state, []];
  if (result.ok) return [{ ...state, announcement: null }, []];
  const announcement = { ...state.announcement, underWay: false };
  return [{ ...state, announcement }, [
    log("warn", "not offered to others yet; another try follows", { reason: result.reason }),
    timer("announce", ANNOUNCE_AGAIN_MS, { tag: "announce_due" }),
  ]];
}

function registered(state: State, result: WriteResult, at: Context): Turn<State> {
  if (result.ok) {
    const [leased, renews] = renew({ ...state, registeredAt: result.revision });
    const [next, effects] = looked(leased, state.revision, at);
    return [next, [...renews, ...effects]];
  }
  const reason = result.reason === "invalid"
    ? result.violations.map(({ path, message }) => `${path}: ${message}`).join("; ")
    : result.reason;
  const invalid = result.reason === "invalid";
  // Who was refused has superseded nobody, and does not own what is stored.
  const refused = invalid && state.stream
    ? {
      ...state,
      ownership: state.stream.before,
      selfRegistered: ownResource(state)?.labels[REGISTERED_BY_LABEL] === REGISTERED_BY_PROXY,
    }
    // It came in time, and it is this side that could not store it.
    : renew(state)[0];
  const [next, effects] = dropStream(refused, {
    code: invalid ? INVALID_ARGUMENT : UNAVAILABLE,
    message: `registration ${invalid ? "refused" : "not possible now"}: ${reason}`,
  }, at);
  return [next, [
    log("warn", "registration refused", { proxy: state.args.key.name, reason }),
    count("ursa_xds_streams_refused_total", { reason: "registration" }),
    ...effects,
  ]];
}

/** News of what is stored: a registration that somebody removed has to be made again. */
function looked(state: State, revision: number, at: Context): Turn<State> {
  const { key } = state.args;
  const seen = key.type === "ingress" ? revision : state.views.get(key.mesh)?.revision ?? 0;
  const removed = state.registeredAt !== null && seen >= state.registeredAt && !ownResource(state);
  if (!removed) {
    const [next, effects] = regenerate(state, revision, at);
    // What it ACKed before may be all there is.
    const [announcing, write] = announceIfListening(next, at);
    const [last, more] = reviewHealth(announcing, at);
    return [last, [...effects, ...write, ...more]];
  }
  const why = { code: FAILED_PRECONDITION, message: "its registration was deleted" };
  const [next, effects] = dropStream({ ...state, registeredAt: null }, why, at);
  const [last, more] = regenerate(next, revision, at);
  return [last, [...effects, ...more]];
}

function meshChanged(
  state: State,
  mesh: string,
  view: MeshView | null,
  at: Context,
): Turn<State> {
  const views = new Map(state.views);
  if (view) views.set(mesh, view);
  else views.delete(mesh);
  const reads = view ? state.reads : new Map([...state.reads].filter(([name]) => name !== mesh));
  const next = { ...state, views, reads };
  if (!view && state.args.key.type === "dataplane") {
    const why = { code: FAILED_PRECONDITION, message: `mesh "${mesh}" was deleted` };
    return dropStream({ ...next, snapshot: null }, why, at);
  }
  return looked(next, view?.revision ?? state.revision, at);
}

/** Brings the snapshot up to everything known, and sends what differs. */
function regenerate(state: State, revision: number, at: Context): Turn<State> {
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

function readEffects(
  state: State,
  reads: ReadonlyMap<string, ReadonlySet<ViewKey>>,
  at: Context,
): readonly Effect[] {
  return [...reads].flatMap(([mesh, keys]) => {
    const before = state.reads.get(mesh);
    const view = state.views.get(mesh);
    if (!view || (before && sameSet(before, keys))) return [];
    return [send(meshPath(mesh), { tag: "view_read", by: at.self, keys, revision: view.revision })];
  });
}

function waiting(state: State, reason: string, at: Context): Turn<State> {
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

// ---- health

function healthReported(state: State, at: Context): Turn<State> {
  const [next, effects] = announceIfListening(state, at);
  const [last, more] = reviewHealth(next, at);
  return [last, [...effects, ...more]];
}

/** Has Envoy probe what is stored, and stores what it reports. */
function reviewHealth(state: State, at: Context): Turn<State> {
  const own = ownResource(state);
  if (!own || state.args.key.type !== "dataplane") return [state, []];
  const [next, effects] = askForHealth(state, own);
  // Before it is announced, and when it is to take no traffic at all, reports change nothing.
  if (!next.health || next.announcement || next.healthOver !== null || next.draining !== null) {
    return [next, effects];
  }
  const seen = withHealth(own, { health: next.health, declared: next.declared });
  // Nobody is sent to who does not listen, however well the workload behind it is.
  if (seen === own || (!next.stream?.listens && offersMore(seen, own))) return [next, effects];
  const { envoy, workloads } = next.health;
  return [{ ...next, healthOver: own.version }, [
    ...effects,
    log("info", "inbounds change by what their workloads answer", { envoy, workloads }),
    toHub({
      tag: "write",
      by: at.self,
      ops: [{ op: "put", resource: seen, expected: own.version }],
      reply: { path: at.self, tag: "health_written", ref: "" },
    }),
  ]];
}

function askForHealth(state: State, own: Resource): Turn<State> {
  const { probing, args: { settings } } = state;
  if (!probing) return [state, []];
  const checks = healthChecks(own.spec as unknown as DataplaneSpec, {
    node: probing.node,
    reportMs: reportMs(state.health, settings.healthReportMs),
  });
  if (sameBytes(checks, probing.asked)) return [state, []];
  return [{ ...state, probing: { ...probing, asked: checks } }, [
    command("xds", { do: "probe", stream: probing.id, checks }),
  ]];
}

/** What is down, or still starting, is asked after more often: its recovery is what others wait for. */
function reportMs(health: HealthReport | null, calmMs: number): number {
  const isCalm = health !== null && health.envoy && Object.values(health.workloads).every(Boolean);
  return isCalm ? calmMs : Math.min(calmMs, EAGER_REPORT_MS);
}

function healthWritten(state: State, result: WriteResult, at: Context): Turn<State> {
  const idle = { ...state, healthOver: null };
  if (result.ok || result.reason === "conflict") {
    // What is stored now, by us or by somebody else, arrives and is looked at then, or has already.
    const arrived = ownResource(state)?.version !== state.healthOver;
    return arrived ? reviewHealth(idle, at) : [idle, []];
  }
  return [idle, [
    log("warn", "health not stored yet; another try follows", { reason: result.reason }),
    timer("health", HEALTH_AGAIN_MS, { tag: "health_due" }),
  ]];
}

// ---- leaving

function leave(
  state: State,
  { instance, how, reply: to }: DataplaneMsg & { readonly tag: "leave" },
  at: Context,
): Turn<State> {
  if (instance !== "" && instance !== state.ownership.instance) {
    return [state, [reply(to, SUPERSEDED)]];
  }
  const resource = ownResource(state);
  if (!resource) return [state, [reply(to, { ok: false, reason: "unknown" })]];
  if (how === "deregister") {
    const [alone, ended] = dropStream(state, { code: ABORTED, message: "deregistered" }, at);
    const [next, effects] = deregister(alone, { because: "it said that it leaves", to }, at);
    return [next, [...ended, ...effects]];
  }
  // Somebody else's resource stays as it was written.
  if (!state.selfRegistered) return [state, [reply(to, done(state))]];
  return [{ ...state, draining: state.ownership.instance, announcement: null }, [
    toHub({
      tag: "write",
      by: at.self,
      ops: [{ op: "put", resource: notReady(resource) }],
      reply: to,
    }),
  ]];
}

/** Without a lease in which it might come back. */
function barred(
  state: State,
  msg: DataplaneMsg & { readonly tag: "barred" },
  at: Context,
): Turn<State> {
  if (msg.stream !== state.stream?.id) return [state, [end(msg.stream, msg.code, msg.message)]];
  const [alone, ended] = dropStream(state, msg, at);
  const [next, effects] = deregister(alone, { because: msg.message }, at);
  return [next, [...ended, ...effects]];
}

function leaseDue(state: State, serial: number, at: Context): Turn<State> {
  const { args: { settings }, lease } = state;
  const due = leases.due(lease, serial);
  if (due === "old") return [state, []];
  if (due !== "over") return [{ ...state, lease: due[0] }, [due[1]]];
  // Who is about to be registered has come in time.
  if (state.stream) return [state, [leases.again(lease, LEAVE_AGAIN_MS)]];
  const own = ownResource(state);
  const because = `${lease.running?.because}, and its lease of ${
    settings.leaseMs / 1_000
  } s is over`;
  // Somebody has written it anew, and it is theirs from then on.
  const isOthers = own && own.labels[REGISTERED_BY_LABEL] !== REGISTERED_BY_PROXY;
  const registered = isOthers ? { ...state, selfRegistered: false } : state;
  return deregister(registered, { because, expected: own?.version }, at);
}

function deregister(
  state: State,
  { because, to, expected }: {
    readonly because: string;
    /** Who is told when it is durable. */
    readonly to?: ReplyTo;
    /** The version that it is about: no newer one goes. */
    readonly expected?: number | undefined;
  },
  at: Context,
): Turn<State> {
  if (state.stream) return [state, []];
  const told = [...state.leaving?.told ?? [], ...(to ? [to] : [])];
  const leaving = { because, ...state.leaving, told };
  if (state.leaving) return [{ ...state, leaving }, []];
  if (!state.selfRegistered) {
    return [state, [...told.map((one) => reply(one, done(state))), ...gone(state, at)]];
  }
  const key = keyOf(state.args.key);
  return [{ ...state, leaving }, [
    toHub({
      tag: "write",
      by: at.self,
      ops: [
        { op: "delete", key, ...(expected !== undefined && { expected }) },
        { op: "delete", key: insightKeyOf(state.args.key) },
      ],
      reply: { path: at.self, tag: "left", ref: String(state.lease.serial) },
    }),
  ]];
}

function left(
  state: State,
  { ref, value: result }: DataplaneMsg & { readonly tag: "left" },
  at: Context,
): Turn<State> {
  // A stream came meanwhile: its registration follows the deletion.
  if (!state.leaving || ref !== String(state.lease.serial)) return [state, []];
  const { because } = state.leaving;
  const told = state.leaving.told.map((to) => reply(to, result));
  const next = { ...state, leaving: null };
  if (!result.ok) return [next, [...told, leases.again(state.lease, LEAVE_AGAIN_MS)]];
  // What insights still holds of it must not come back.
  const unseen = send<InsightsMsg>(INSIGHTS, {
    tag: "proxy_seen",
    proxy: state.args.key,
    seen: null,
    urgent: true,
  });
  return [next, [
    ...told,
    unseen,
    log("info", "proxy deregistered", { proxy: proxyText(state.args.key), because }),
    ...gone(state, at, because),
  ]];
}

function gone(
  { args: { key }, watched }: State,
  at: Context,
  because: string | null = null,
): readonly Effect[] {
  return [
    ...[...watched].map((mesh) => send(meshPath(mesh), { tag: "unsubscribe_view", to: at.self })),
    toHub({ tag: "unsubscribe", to: at.self }),
    send(IDENTITY, { tag: "release_identity", proxy: key }),
    send<ProxiesMsg>(PROXIES, { tag: "proxy_gone", path: at.self, because }),
    { do: "stop", path: at.self },
  ];
}

// ---- small words

function watchMeshes(state: State, meshes: readonly string[], at: Context): Turn<State> {
  const effects = meshes.map((mesh) =>
    send(meshPath(mesh), { tag: "subscribe_view", to: at.self })
  );
  return [{ ...state, watched: new Set([...state.watched, ...meshes]) }, effects];
}

/** Its actor knows no reader: it is told again, also of what did not change. */
function meshStarted(state: State, mesh: string, at: Context): Turn<State> {
  const reads = new Map([...state.reads].filter(([name]) => name !== mesh));
  return watchMeshes({ ...state, reads }, [mesh], at);
}

function done({ revision }: State): WriteResult {
  return { ok: true, revision, changes: [] };
}

function end(stream: string, code: number, message: string): Effect {
  return command("xds", { do: "end", stream, code, message });
}

function progress({ revision }: State, outcome: ProxyOutcome, at: Context): Effect {
  return send<ReceiptsMsg>(RECEIPTS, { tag: "proxy_progress", proxy: at.self, revision, outcome });
}

function tellInsight(state: State, urgent: boolean): Effect {
  return send<InsightsMsg>(INSIGHTS, {
    tag: "proxy_seen",
    proxy: state.args.key,
    urgent,
    seen: {
      subscriptions: state.subscriptions,
      lease: leases.renderLease(state.lease),
      controlPlane: state.args.settings.instanceId,
      metadata: state.metadata,
      remarks: state.remarks,
      mtls: mtlsInsight(state),
    },
  });
}

function mtlsInsight({ identity, views, args, certificates }: State): JsonObject | null {
  const mtls = views.get(args.key.mesh)?.mtls;
  if (!identity || !mtls) return null;
  return {
    certificateExpirationTime: timeOf(identity.expiresAtMs),
    lastCertificateRegeneration: timeOf(identity.issuedAtMs),
    certificateRegenerations: certificates,
    issuedBackend: identity.backend,
    supportedBackends: [...mtls.trusted],
  };
}

function ownResource({ args: { key }, views, ingress }: State): Resource | undefined {
  const own = key.type === "ingress" ? ingress : views.get(key.mesh)?.dataplanes.get(key.name);
  return own ? own as unknown as Resource : undefined;
}

function keyOf({ type, mesh, name }: ProxyKey): ResourceKey {
  return { type: type === "dataplane" ? "Dataplane" : "ZoneIngress", mesh, name };
}

function insightKeyOf(key: ProxyKey): ResourceKey {
  const { type, ...rest } = keyOf(key);
  return { type: `${type}Insight`, ...rest };
}

function sameSnapshot(a: Snapshot, b: Snapshot): boolean {
  for (const [type, resources] of b.resources) {
    const before = a.resources.get(type);
    if (before?.size !== resources.size) return false;
    for (const [name, resource] of resources) if (before.get(name) !== resource) return false;
  }
  return a.resources.size === b.resources.size;
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

/** Whether an Envoy that opens a stream has had a configuration: it says which. */
function isReturning(request: AdsRequest): boolean {
  return request.dialect === "sotw"
    ? request.version !== ""
    : Object.keys(request.initialVersions ?? {}).length > 0;
}

function sameSet<T>(a: ReadonlySet<T>, b: ReadonlySet<T>): boolean {
  if (a.size !== b.size) return false;
  for (const item of b) if (!a.has(item)) return false;
  return true;
}

/** Looks like a random UUID; drawn from the actor's seeded randomness, so runs repeat. */
function uuid(at: Context): string {
  const hex = Array.from({ length: 32 }, () => Math.floor(at.random() * 16).toString(16));
  hex[12] = "4";
  hex[16] = "8";
  const text = hex.join("");
  return [8, 12, 16, 20, 32].map((to, i, all) => text.slice(all[i - 1] ?? 0, to)).join("-");
}
