// The CAs of a mesh: read from its secrets, and made where that is allowed.

import type { MeshSpec, SecretSpec } from "../../core/mesh.ts";
import type { Resource } from "../../core/resource.ts";
import {
  caLifetimeMs,
  caSecrets,
  caStates,
  type KeyPair,
  type Signer,
  signerOf,
  trustedRoots,
} from "../../identity/ca.ts";
import { type ResourcesChanged, toHub, type WriteResult } from "../hub/messages.ts";
import {
  type Context,
  count,
  type Effect,
  log,
  type PortResult,
  timer,
  type Turn,
} from "../runtime/actor.ts";
import { RETRY_MS, sign } from "./signer.ts";
import type { IdentityState, MeshCas } from "./state.ts";
import { refresh, startJobs } from "./leaves.ts";

export const TRUST_LEAD_MS = 5_000;

export function resourcesChanged(
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
export function reviewMesh(state: IdentityState, name: string, at: Context): readonly Effect[] {
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

export function missingCas(
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

export function caCreated(
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

export function caWritten(
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
