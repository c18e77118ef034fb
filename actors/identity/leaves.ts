// The certificates of proxies: asked for one after the other, given out, renewed in time.

import type { CaBackend } from "../../core/mesh.ts";
import { type IdentityMaterial, proxyText } from "../../core/proxy.ts";
import { leafLifetimeMs, renewalAtMs } from "../../identity/ca.ts";
import type { IssuedLeaf } from "../../identity/signing.ts";
import {
  type Context,
  count,
  type Effect,
  log,
  type PortResult,
  send,
  timer,
  type Turn,
} from "../runtime/actor.ts";
import type { IdentityIssued, IdentityPending } from "./messages.ts";
import { RETRY_MS, sign } from "./signer.ts";
import type { Holder, IdentityState, Job, Leaf, MeshCas } from "./state.ts";

/** Signatures asked for and not yet answered: enough to keep a signer busy, little to waste. */
const IN_FLIGHT_MAX = 2;

/** A lifetime of seconds must not make the renewal timer spin. */
const RENEWAL_MIN_MS = 100;

/**
 * Gives a proxy what it should have. `before` is the material that it was given last: the same
 * again is not sent, but null (a new request) always gets an answer.
 */
export function refresh(
  state: IdentityState,
  holder: Holder,
  at: Context,
  before: IdentityMaterial | null,
): readonly Effect[] {
  const mesh = state.meshes.get(holder.mesh);
  const id = proxyText(holder.proxy);
  if (!mesh?.signer) {
    state.queue.delete(id);
    holder.leaf = null;
    holder.material = null;
    return state.loaded ? tellPending(holder, notMeshed(holder.mesh, mesh)) : [];
  }
  const usable = holder.leaf !== null && isRightLeaf(holder.leaf, holder, mesh) &&
    at.nowMs < holder.leaf.expiresAtMs;
  if ("waiting" in mesh.signer) {
    state.queue.delete(id);
    if (!usable) return tellPending(holder, mesh.signer.waiting);
  } else if (!usable || isDue(holder.leaf, mesh.signer.backend, at)) {
    state.queue.add(id);
  } else {
    state.queue.delete(id);
  }
  if (!usable || !holder.leaf) return [];
  return give(holder, holder.leaf, mesh.trusted, before);
}

/** A lifetime that somebody changed holds for everybody at once, not after the longest of the old ones. */
function isDue(leaf: Leaf | null, backend: CaBackend, { nowMs }: Context): boolean {
  return !leaf || nowMs >= leaf.renewAtMs || leaf.lifetimeMs !== leafLifetimeMs(backend);
}

function notMeshed(name: string, mesh: MeshCas | undefined): string {
  return mesh?.resource
    ? `mesh "${name}" has no mutual TLS`
    : `mesh "${name}" is not known here yet`;
}

/** Whether a leaf says what this proxy is, and was signed by whom the mesh signs with now. */
function isRightLeaf(leaf: Leaf, holder: Holder, mesh: MeshCas): boolean {
  if (leaf.uris !== holder.uris.join(" ")) return false;
  const { signer } = mesh;
  if (!signer || "waiting" in signer) return mesh.trusted.includes(leaf.caCert.trim());
  return leaf.backend === signer.backend.name && leaf.caCert === signer.pair.cert;
}

function give(
  holder: Holder,
  leaf: Leaf,
  trustedCa: string,
  before: IdentityMaterial | null,
): readonly Effect[] {
  const same = before !== null && before.trustedCa === trustedCa &&
    before.certificateChain === leaf.pair.cert;
  if (same && holder.material === before) return [];
  const material: IdentityMaterial = same ? before : {
    backend: leaf.backend,
    certificateChain: leaf.pair.cert,
    privateKey: leaf.pair.key,
    trustedCa,
    issuedAtMs: leaf.issuedAtMs,
    expiresAtMs: leaf.expiresAtMs,
  };
  holder.material = material;
  holder.pending = null;
  const issued: IdentityIssued = { tag: "identity_issued", proxy: holder.proxy, material };
  return [send(holder.to, issued)];
}

function tellPending(holder: Holder, reason: string): readonly Effect[] {
  if (holder.pending === reason) return [];
  holder.pending = reason;
  const pending: IdentityPending = { tag: "identity_pending", proxy: holder.proxy, reason };
  return [send(holder.to, pending)];
}

/** Hands queued proxies to the signer, a few at a time. */
export function startJobs(state: IdentityState, at: Context): readonly Effect[] {
  const effects: Effect[] = [];
  const busy = new Set([...state.jobs.values()].map(({ proxy }) => proxy));
  for (const id of state.queue) {
    if (state.jobs.size >= IN_FLIGHT_MAX) break;
    if (busy.has(id)) continue; // Its answer will tell whether it still needs another.
    state.queue.delete(id);
    const holder = state.holders.get(id);
    const signer = holder && state.meshes.get(holder.mesh)?.signer;
    if (!holder || !signer || "waiting" in signer) continue;
    const ref = String(++state.jobNumber);
    const lifetimeMs = leafLifetimeMs(signer.backend);
    state.jobs.set(ref, {
      proxy: id,
      backend: signer.backend.name,
      caCert: signer.pair.cert,
      uris: holder.uris.join(" "),
      lifetimeMs,
      issuedAtMs: at.nowMs,
    });
    effects.push(sign(ref, "leaf_issued", {
      command: "issue",
      ca: signer.pair,
      uris: holder.uris,
      nowMs: at.nowMs,
      lifetimeMs,
    }));
  }
  return effects;
}

export function leafIssued(
  state: IdentityState,
  { ref, result }: { readonly ref: string; readonly result: PortResult<IssuedLeaf> },
  at: Context,
): Turn<IdentityState> {
  const job = state.jobs.get(ref);
  state.jobs.delete(ref);
  const holder = job && state.holders.get(job.proxy);
  if (!job || !holder) return [state, startJobs(state, at)]; // Released meanwhile.
  const effects = result.ok
    ? accept(state, holder, job, result.value, at)
    : issueFailed(state, holder, job, result.error);
  return [state, [...effects, ...startJobs(state, at)]];
}

function accept(
  state: IdentityState,
  holder: Holder,
  job: Job,
  { cert, key, expiresAtMs }: IssuedLeaf,
  at: Context,
): readonly Effect[] {
  const { backend, caCert, uris, lifetimeMs, issuedAtMs } = job;
  const renewAtMs = renewalAtMs({ issuedAtMs, expiresAtMs }, at.random());
  const pair = { cert, key };
  const leaf = { backend, caCert, uris, pair, lifetimeMs, issuedAtMs, expiresAtMs, renewAtMs };
  const mesh = state.meshes.get(holder.mesh);
  // Asked for under other tags, or an earlier CA: `refresh` finds what holds now.
  if (mesh && isRightLeaf(leaf, holder, mesh)) holder.leaf = leaf;
  return [
    count("ursa_certificates_issued_total", { mesh: holder.mesh }),
    ...refresh(state, holder, at, holder.material),
    ...setRenewal(state, renewAtMs, at),
  ];
}

function issueFailed(
  state: IdentityState,
  holder: Holder,
  job: Job,
  error: string,
): readonly Effect[] {
  state.failed.add(job.proxy);
  const reason = `cannot sign with backend "${job.backend}" of mesh "${holder.mesh}": ${error}`;
  return [
    log("warn", "cannot issue a certificate, trying again", { proxy: job.proxy, reason }),
    count("ursa_certificate_failures_total", { mesh: holder.mesh }),
    ...(holder.material ? [] : tellPending(holder, reason)),
    timer("retry", RETRY_MS, { tag: "retry_due" }),
  ];
}

/** One timer for all proxies, set for the earliest. */
function setRenewal(state: IdentityState, renewAtMs: number, at: Context): readonly Effect[] {
  if (renewAtMs >= state.renewalSetForMs) return [];
  state.renewalSetForMs = renewAtMs;
  const afterMs = Math.max(renewAtMs - at.nowMs, RENEWAL_MIN_MS);
  return [timer("renewal", afterMs, { tag: "renewal_due" })];
}

export function renewalDue(state: IdentityState, at: Context): Turn<IdentityState> {
  state.renewalSetForMs = Infinity;
  const effects: Effect[] = [];
  let nextMs = Infinity;
  for (const holder of state.holders.values()) {
    if (!holder.leaf) continue;
    if (holder.leaf.renewAtMs <= at.nowMs) {
      effects.push(...refresh(state, holder, at, holder.material));
    } else nextMs = Math.min(nextMs, holder.leaf.renewAtMs);
  }
  if (nextMs < Infinity) effects.push(...setRenewal(state, nextMs, at));
  return [state, [...effects, ...startJobs(state, at)]];
}
