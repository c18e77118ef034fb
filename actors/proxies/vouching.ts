// Whether a token stands for a proxy: when it comes, and as long as it stays.

import { FAILED_PRECONDITION } from "../../core/grpc_status.ts";
import type { ProxyKey } from "../../core/proxy.ts";
import { type DataplaneMsg, dataplanePath } from "../dataplane/messages.ts";
import {
  command,
  type Context,
  count,
  type Effect,
  log,
  type Path,
  send,
} from "../runtime/actor.ts";
import type { Resource, ResourceKey } from "../../core/resource.ts";
import type { VerifiedToken } from "../../identity/tokens/verify.ts";
import { type Claimed, keepSecret, type Refused, vouch, withdrawn } from "./credentials.ts";
import type { Holder, State } from "./state.ts";

/** Anybody may make up names of meshes: no keys are looked for on their behalf. */
export function meshMissing({ meshes }: State, { type, mesh }: ProxyKey): Refused | null {
  if (type !== "dataplane" || meshes.has(mesh)) return null;
  const message = `mesh "${mesh}" is not here: create it, or wait until it has reached this zone`;
  return { ok: false, reason: "mesh_missing", code: FAILED_PRECONDITION, message, passing: true };
}

export function vouchFor(
  state: State,
  { proxy, credential, claimed = [] }: {
    readonly proxy: ProxyKey;
    readonly credential: string | null;
    readonly claimed?: readonly Claimed[];
  },
  at: Context,
): { readonly ok: true; readonly token: VerifiedToken | null } | Refused {
  const { vault } = state;
  if (!vault) return { ok: true, token: null };
  const missing = credential ? meshMissing(state, proxy) : null;
  return missing ?? vouch(vault, { key: proxy, credential, claimed, nowMs: at.nowMs });
}

/** What a name stands for already: in the store, and for the stream that has it now. */
export function claimsOn({ stored, newest, streams }: State, path: Path): readonly Claimed[] {
  const resource = streams.get(newest.get(path) ?? "")?.resource;
  const known = stored.get(path);
  return [
    ...(known ? [{ resource: known, held: true as const }] : []),
    ...(resource ? [{ resource, held: true as const }] : []),
  ];
}

/** Ends the streams whose tokens no longer fit what they need to fit. */
export function learned(
  state: State,
  changes: readonly { readonly key: ResourceKey; readonly resource: Resource | null }[],
  at: Context,
): readonly Effect[] {
  const { vault, stored, streams, probes, newest } = state;
  if (!vault) return [];
  let secretsChanged = false;
  const touched = new Set<string>();
  for (const { key, resource } of changes) {
    if (keepSecret(vault, key, resource)) secretsChanged = true;
    if (key.type !== "Dataplane") continue;
    const path = dataplanePath({ type: "dataplane", mesh: key.mesh, name: key.name });
    if (resource) stored.set(path, resource);
    else stored.delete(path);
    const stream = newest.get(path);
    if (stream !== undefined) touched.add(stream);
  }
  const looked = secretsChanged ? streams.keys() : touched;
  return [
    ...[...looked].flatMap((stream) => recheck(state, stream, at)),
    // It may have come with another token than the stream of configuration, or without one of those.
    ...(secretsChanged ? [...probes.keys()] : []).flatMap((stream) =>
      recheckProbe(state, stream, at)
    ),
  ];
}

function recheck(state: State, stream: string, at: Context): readonly Effect[] {
  const holder = state.streams.get(stream)!;
  const refusal = refusalNow(state, holder, at);
  if (!refusal) return [];
  const { path } = holder;
  const { reason, code, message } = refusal;
  // Its end may be a while in coming, and is said once.
  state.streams.set(stream, { ...holder, token: null });
  // Who lost its key alone may come back with another token; who is not trusted is nobody's endpoint.
  const isBarred = reason === "token_revoked";
  return [
    ...endProbes(state, path, { code, message }),
    log("error", "stream ended: its token is good no more", { proxy: path, reason: message }),
    count("ursa_xds_tokens_withdrawn_total", { reason }),
    isBarred
      ? send<DataplaneMsg>(path, { tag: "barred", stream, code, message })
      : command("xds", { do: "end", stream, code, message }),
  ];
}

function recheckProbe(state: State, stream: string, at: Context): readonly Effect[] {
  const refusal = refusalNow(state, state.probes.get(stream)!, at);
  if (!refusal) return [];
  const { code, message } = refusal;
  return [command("xds", { do: "end", stream, code, message })];
}

function refusalNow(
  { vault, stored }: State,
  { path, key, token }: Holder,
  at: Context,
): Refused | null {
  if (!vault || !token) return null;
  const resource = stored.get(path);
  const claimed: readonly Claimed[] = resource ? [{ resource, held: true }] : [];
  return withdrawn(vault, token, { key, claimed, nowMs: at.nowMs });
}

export function endProbes(
  { probes }: State,
  path: Path,
  { code, message }: { readonly code: number; readonly message: string },
): readonly Effect[] {
  return [...probes].filter(([, owner]) => owner.path === path).map(([stream]) =>
    command("xds", { do: "end", stream, code, message })
  );
}
