// One proxy: what it was told, what it said to that, and what it is still owed.
//
//  no stream ──stream_opened──▶ registering ──registered──▶ view ──▶ identity ──▶ snapshot ──▶ pushed
//      ▲                            (durable)              (mesh)   (mTLS only)     │   ▲
//      │                                                                            ▼   │ newest state,
//      └──stream_closed, and when its lease is over: deregistered, the actor ends  ACK/NACK  when it settles
//
// Nothing here waits for a clock on the way to a configuration: each arrow is a message.

import { onRequest } from "../../xds/stream.ts";
import { toHub } from "../hub/messages.ts";
import { INSIGHTS, type InsightsMsg } from "../insights/messages.ts";
import { type Actor, send } from "../runtime/actor.ts";
import { unowned } from "./fencing.ts";
import * as leases from "./lease.ts";
import type { DataplaneArgs, DataplaneMsg } from "./messages.ts";
import type { State } from "./state.ts";
import { issued, ISSUING, regenerate, stepped } from "./delivery.ts";
import { ended, streamClosed, streamOpened } from "./streams.ts";
import { announced, announceIfListening } from "./announcing.ts";
import { ingressChanged, meshChanged, registered } from "./registration.ts";
import { healthOpened, healthReported, healthWritten, reviewHealth } from "./probing.ts";
import { barred, leaseDue, leave, left } from "./leaving.ts";
import { meshStarted, watchMeshes } from "./views.ts";

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
        return healthOpened(state, msg, at);
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
      case "resources_changed":
        return ingressChanged(state, msg, at);
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
