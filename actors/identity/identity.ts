// Who proxies are: makes the CAs of meshes where it may, and keeps every proxy's certificate fresh.
//
//   request ──▶ waiting ──CA there──▶ queued ──▶ in flight ──▶ held ──renewal, switch──▶ queued
//                                                               └─trust changes: same leaf, new roots

import { unreachable } from "../../core/assert.ts";
import { proxyText } from "../../core/proxy.ts";
import type { JsonObject } from "../../core/resource.ts";
import { identityUris } from "../../identity/ca.ts";
import { mergeChanges, toHub } from "../hub/messages.ts";
import { type Actor, type Context, count, send, type Turn } from "../runtime/actor.ts";
import type { IdentitiesHeld, IdentityMsg, IdentityPending } from "./messages.ts";
import type { Holder, IdentityArgs, IdentityState } from "./state.ts";
import {
  caCreated,
  caWritten,
  missingCas,
  resourcesChanged,
  reviewMesh,
  TRUST_LEAD_MS,
} from "./authorities.ts";
import { leafIssued, refresh, renewalDue, startJobs } from "./leaves.ts";

export type { IdentityArgs };

/** Each holds a certificate and a key of about 2 kB. */
const PROXIES_MAX = 20_000;

export const identity: Actor<IdentityState, IdentityMsg, IdentityArgs> = {
  mailbox: {
    capacity: 2 * PROXIES_MAX,
    whenFull: "crash", // Coalesced per proxy: this many waiting can only be a bug.
    coalesce(msg) {
      switch (msg.tag) {
        case "request_identity":
        case "release_identity": // One key for both: the newest of them is what counts.
          return `proxy/${proxyText(msg.proxy)}`;
        case "resources_changed":
          return "resources";
        default:
          return null;
      }
    },
    merge: (waiting, arrived) =>
      waiting.tag === "resources_changed" && arrived.tag === "resources_changed"
        ? mergeChanges(waiting, arrived)
        : arrived,
  },

  init(args, at) {
    const state: IdentityState = {
      args: { trustLeadMs: TRUST_LEAD_MS, ...args },
      meshes: new Map(),
      holders: new Map(),
      queue: new Set(),
      jobs: new Map(),
      failed: new Set(),
      creating: new Map(),
      seenRevision: 0,
      loaded: false,
      jobNumber: 0,
      renewalSetForMs: Infinity,
    };
    return [state, [toHub({ tag: "subscribe", to: at.self, types: ["Mesh", "Secret"] })]];
  },

  receive(state, msg, at) {
    switch (msg.tag) {
      case "request_identity":
        return request(state, msg, at);
      case "release_identity":
        return release(state, proxyText(msg.proxy));
      case "tell_holders":
        return [state, [send(msg.to, holders(state))]];
      case "resources_changed":
        return resourcesChanged(state, msg, at);
      case "ca_created":
        return caCreated(state, msg, at);
      case "ca_written":
        return caWritten(state, msg, at);
      case "leaf_issued":
        return leafIssued(state, msg, at);
      case "renewal_due":
        return renewalDue(state, at);
      case "switch_due":
        return [state, [...reviewMesh(state, msg.mesh, at), ...startJobs(state, at)]];
      case "retry_due":
        return retryDue(state, at);
      default:
        return unreachable(msg);
    }
  },

  describe: (state): JsonObject => ({
    meshes: state.meshes.size,
    proxies: state.holders.size,
    queued: state.queue.size,
    inFlight: state.jobs.size,
    failed: state.failed.size,
    creating: [...state.creating.keys()],
    waiting: [...state.meshes.values()].flatMap(({ signer }) =>
      signer && "waiting" in signer ? [signer.waiting] : []
    ),
  }),
};

function request(
  state: IdentityState,
  msg: IdentityMsg & { readonly tag: "request_identity" },
  at: Context,
): Turn<IdentityState> {
  const id = proxyText(msg.proxy);
  const known = state.holders.get(id);
  if (!known && state.holders.size >= PROXIES_MAX) {
    const reason = `this control plane already keeps ${PROXIES_MAX} identities`;
    const pending: IdentityPending = { tag: "identity_pending", proxy: msg.proxy, reason };
    return [state, [send(msg.to, pending), count("ursa_identities_refused_total")]];
  }
  const holder: Holder = {
    proxy: msg.proxy,
    mesh: msg.mesh,
    uris: identityUris(msg.mesh, msg.tagSets),
    to: msg.to,
    leaf: known?.leaf ?? null,
    material: null,
    pending: null,
  };
  state.holders.set(id, holder);
  const before = known?.mesh === msg.mesh ? known.material : null;
  return [state, [...refresh(state, holder, at, before), ...startJobs(state, at)]];
}

function holders(state: IdentityState): IdentitiesHeld {
  const proxies = [...state.holders.values()].map(({ proxy }) => proxy);
  return { tag: "identities_held", proxies };
}

function release(state: IdentityState, id: string): Turn<IdentityState> {
  state.holders.delete(id);
  state.queue.delete(id);
  state.failed.delete(id);
  return [state, []];
}

function retryDue(state: IdentityState, at: Context): Turn<IdentityState> {
  const failed = [...state.failed];
  state.failed.clear();
  state.creating.clear();
  const effects = [...state.meshes].flatMap(([name, mesh]) => missingCas(state, name, mesh, at));
  for (const id of failed) {
    const holder = state.holders.get(id);
    if (holder) effects.push(...refresh(state, holder, at, holder.material));
  }
  return [state, [...effects, ...startJobs(state, at)]];
}
