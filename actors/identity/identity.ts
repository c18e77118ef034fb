// Who proxies are: makes the CAs of meshes where it may, and keeps every proxy's certificate fresh.
//
//   request ──▶ waiting ──CA there──▶ queued ──▶ in flight ──▶ held ──renewal, switch──▶ queued
//                                                               └─trust changes: same leaf, new roots

import { unreachable } from "../../core/assert.ts";
import type { CaBackend, MeshSpec, SecretSpec } from "../../core/mesh.ts";
import { type IdentityMaterial, type ProxyKey, proxyText } from "../../core/proxy.ts";
import type { JsonObject, Resource } from "../../core/resource.ts";
import {
  caLifetimeMs,
  caSecrets,
  type CaState,
  caStates,
  identityUris,
  type KeyPair,
  leafLifetimeMs,
  renewalAtMs,
  type Signer,
  signerOf,
  trustedRoots,
} from "../../identity/ca.ts";
import type { IssuedLeaf, SignerCommand } from "../../identity/signing.ts";
import { mergeChanges, type ResourcesChanged, toHub, type WriteResult } from "../hub/messages.ts";
import {
  type Actor,
  command,
  type Context,
  count,
  type Effect,
  log,
  type Path,
  type PortResult,
  send,
  timer,
  type Turn,
} from "../runtime/actor.ts";
import type { IdentitiesHeld, IdentityIssued, IdentityMsg, IdentityPending } from "./messages.ts";

export interface IdentityArgs {
  /** True on a global and on a zone without one. A federated zone's CAs come from global. */
  readonly mayCreateCas: boolean;
  /** How long a new root is spread before anything is signed with it; default 5 s. */
  readonly trustLeadMs?: number;
}

/** Signatures asked for and not yet answered: enough to keep a signer busy, little to waste. */
const IN_FLIGHT_MAX = 2;
/** Each holds a certificate and a key of about 2 kB. */
const PROXIES_MAX = 20_000;
const TRUST_LEAD_MS = 5_000;
const RETRY_MS = 5_000;
/** A lifetime of seconds must not make the renewal timer spin. */
const RENEWAL_MIN_MS = 100;

interface MeshCas {
  resource: Resource<MeshSpec> | null;
  readonly secrets: Map<string, Resource<SecretSpec>>;
  states: readonly CaState[];
  trusted: string;
  signer: Signer | null;
}

/** A certificate in use, and what it was made from. */
interface Leaf {
  readonly backend: string;
  readonly caCert: string;
  readonly uris: string;
  readonly pair: KeyPair;
  /** What the backend asked for then. */
  readonly lifetimeMs: number;
  readonly issuedAtMs: number;
  readonly expiresAtMs: number;
  readonly renewAtMs: number;
}

interface Holder {
  readonly proxy: ProxyKey;
  readonly mesh: string;
  readonly uris: readonly string[];
  readonly to: Path;
  leaf: Leaf | null;
  material: IdentityMaterial | null;
  /** The reason that it was told last. */
  pending: string | null;
}

interface Creation {
  /** The revision that holds its secrets; null until it is durable. */
  readonly writtenAt: number | null;
}

interface Job {
  readonly proxy: string;
  readonly backend: string;
  readonly caCert: string;
  readonly uris: string;
  readonly lifetimeMs: number;
  readonly issuedAtMs: number;
}

export interface IdentityState {
  readonly args: Required<IdentityArgs>;
  readonly meshes: Map<string, MeshCas>;
  readonly holders: Map<string, Holder>;
  /** Proxies that need a certificate, in the order of asking. */
  readonly queue: Set<string>;
  readonly jobs: Map<string, Job>;
  readonly failed: Set<string>;
  /** `mesh/backend` of CAs being made, until their secrets are seen. */
  readonly creating: Map<string, Creation>;
  /** Changes up to this revision were seen. */
  seenRevision: number;
  loaded: boolean;
  jobNumber: number;
  renewalSetForMs: number;
}

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

function resourcesChanged(
  state: IdentityState,
  msg: ResourcesChanged,
  at: Context,
): Turn<IdentityState> {
  const touched = new Set<string>();
  if (msg.full) {
    for (const [name, mesh] of state.meshes) {
      mesh.resource = null;
      mesh.secrets.clear();
      touched.add(name);
    }
  }
  for (const { key, resource } of msg.changes) {
    const name = key.type === "Mesh" ? key.name : key.mesh;
    const mesh = state.meshes.get(name) ?? newMesh();
    state.meshes.set(name, mesh);
    if (key.type === "Mesh") mesh.resource = resource as Resource<MeshSpec> | null;
    else if (resource) mesh.secrets.set(key.name, resource as Resource<SecretSpec>);
    else mesh.secrets.delete(key.name);
    touched.add(name);
  }
  const first = !state.loaded;
  state.loaded = true;
  state.seenRevision = Math.max(state.seenRevision, msg.revision);
  const effects = [...touched].flatMap((name) => reviewMesh(state, name, at));
  // Who asked before anything was known, of a mesh that turned out not to exist, is told so.
  const unanswered = first
    ? [...state.holders.values()].filter(({ mesh }) => !touched.has(mesh))
    : [];
  const told = unanswered.flatMap((holder) => refresh(state, holder, at, null));
  return [state, [...effects, ...told, ...startJobs(state, at)]];
}

function newMesh(): MeshCas {
  return { resource: null, secrets: new Map(), states: [], trusted: "", signer: null };
}

/** Looks at one mesh again: makes CAs that are missing, and serves every proxy that it concerns. */
function reviewMesh(state: IdentityState, name: string, at: Context): readonly Effect[] {
  const mesh = state.meshes.get(name);
  if (!mesh) return [];
  if (!mesh.resource && mesh.secrets.size === 0) state.meshes.delete(name);
  const before = mesh.signer;
  mesh.states = mesh.resource ? caStates(mesh.resource, mesh.secrets) : [];
  mesh.trusted = trustedRoots(mesh.states);
  const { signer, switchAtMs } = mesh.resource
    ? signerOf(mesh.resource, mesh.states, {
      mayCreate: state.args.mayCreateCas,
      current: before && "backend" in before ? before.backend.name : null,
      nowMs: at.nowMs,
      leadMs: state.args.trustLeadMs,
      since: (backend) => rootSince(mesh, backend),
    })
    : { signer: null, switchAtMs: null };
  mesh.signer = signer;
  const effects = [...missingCas(state, name, mesh, at), ...announce(name, before, signer)];
  if (switchAtMs !== null) {
    const due = { tag: "switch_due", mesh: name };
    effects.push(timer(`switch/${name}`, Math.max(switchAtMs - at.nowMs, 0), due));
  }
  for (const holder of state.holders.values()) {
    if (holder.mesh === name) effects.push(...refresh(state, holder, at, holder.material));
  }
  return effects;
}

/** When the root of a backend became known here; a text that is no time counts as long ago. */
function rootSince(mesh: MeshCas, backend: string): number {
  const ca = mesh.states.find((one) => one.backend.name === backend);
  return ca?.state === "ready" ? Date.parse(ca.since) || 0 : 0;
}

function announce(mesh: string, before: Signer | null, after: Signer | null): readonly Effect[] {
  if (!after) return [];
  if ("waiting" in after) {
    if (before && "waiting" in before && before.waiting === after.waiting) return [];
    return [log("info", "waiting for a certificate authority", { mesh, reason: after.waiting })];
  }
  const name = after.backend.name;
  if (before && "backend" in before && before.backend.name === name) return [];
  return [
    log("info", "identities are signed by this backend from now on", { mesh, backend: name }),
  ];
}

function missingCas(
  state: IdentityState,
  name: string,
  mesh: MeshCas,
  at: Context,
): Effect[] {
  const effects: Effect[] = [];
  for (const ca of mesh.states) {
    const ref = `${name}/${ca.backend.name}`;
    if (ca.state !== "absent") {
      state.creating.delete(ref);
    } else if (state.args.mayCreateCas && !isUnderWay(state, ref)) {
      state.creating.set(ref, { writtenAt: null });
      effects.push(sign(ref, "ca_created", {
        command: "create_ca",
        mesh: name,
        nowMs: at.nowMs,
        lifetimeMs: caLifetimeMs(ca.backend),
      }));
    }
  }
  return effects;
}

/** A CA that was written and is absent all the same was deleted since, perhaps with its mesh. */
function isUnderWay({ creating, seenRevision }: IdentityState, ref: string): boolean {
  const creation = creating.get(ref);
  if (!creation) return false;
  return creation.writtenAt === null || creation.writtenAt > seenRevision;
}

function sign(ref: string, then: "ca_created" | "leaf_issued", what: SignerCommand): Effect {
  return command("signer", what, { then, ref });
}

function caCreated(
  state: IdentityState,
  { ref, result }: { readonly ref: string; readonly result: PortResult<KeyPair> },
  at: Context,
): Turn<IdentityState> {
  if (!result.ok) return [state, creationFailed(ref, result.error)];
  const [mesh = "", backend = ""] = ref.split("/");
  const ops = caSecrets(mesh, backend, result.value)
    .map((resource) => ({ op: "put", resource, expected: 0 }) as const);
  const reply = { path: at.self, tag: "ca_written", ref };
  return [state, [toHub({ tag: "write", ops, by: "identity", reply })]];
}

function caWritten(
  state: IdentityState,
  { ref, value }: { readonly ref: string; readonly value: WriteResult },
  at: Context,
): Turn<IdentityState> {
  // Written, or somebody was faster: either way the secrets come with the next change set.
  if (value.ok) {
    state.creating.set(ref, { writtenAt: value.revision });
    const [mesh = ""] = ref.split("/");
    return [state, state.seenRevision < value.revision ? [] : reviewMesh(state, mesh, at)];
  }
  if (value.reason === "conflict") {
    state.creating.delete(ref);
    return [state, []];
  }
  const why = value.reason === "unavailable"
    ? value.error
    : value.violations.map(({ path, message }) => `${path}: ${message}`).join("; ");
  return [state, creationFailed(ref, why)];
}

function creationFailed(ca: string, error: string): readonly Effect[] {
  return [
    log("warn", "cannot make a certificate authority, trying again", { ca, error }),
    count("ursa_ca_failures_total"),
    timer("retry", RETRY_MS, { tag: "retry_due" }),
  ];
}

/**
 * Gives a proxy what it should have. `before` is the material that it was given last: the same
 * again is not sent, but null (a new request) always gets an answer.
 */
function refresh(
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
function startJobs(state: IdentityState, at: Context): readonly Effect[] {
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

function leafIssued(
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

function renewalDue(state: IdentityState, at: Context): Turn<IdentityState> {
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
