// What of a proxy is stored: written with its stream, and looked at again with every change.

import { FAILED_PRECONDITION, INVALID_ARGUMENT, UNAVAILABLE } from "../../core/grpc_status.ts";
import type { MeshView } from "../../core/mesh_view.ts";
import type { Resource } from "../../core/resource.ts";
import type { ZoneIngressSpec } from "../../core/zone.ts";
import type { ResourcesChanged, WriteResult } from "../hub/messages.ts";
import { type Context, count, log, type Turn } from "../runtime/actor.ts";
import { REGISTERED_BY_LABEL, REGISTERED_BY_PROXY } from "./messages.ts";
import { ownResource, type State } from "./state.ts";
import { dropStream, renew } from "./streams.ts";
import { announceIfListening } from "./announcing.ts";
import { regenerate } from "./delivery.ts";
import { reviewHealth } from "./probing.ts";
import { watchMeshes } from "./views.ts";

export function registered(state: State, result: WriteResult, at: Context): Turn<State> {
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

export function meshChanged(
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

/** Of an ingress, its own resource and the meshes that there are. */
export function ingressChanged(
  state: State,
  { full, changes, revision }: ResourcesChanged,
  at: Context,
): Turn<State> {
  const own = changes.find(({ key }) =>
    key.type === "ZoneIngress" && key.name === state.args.key.name
  );
  // Those that come later say so themselves.
  const meshes = full ? changes.filter(({ key }) => key.type === "Mesh") : [];
  const [watching, subscribe] = watchMeshes(state, meshes.map(({ key }) => key.name), at);
  const ingress = own ? own.resource as Resource<ZoneIngressSpec> | null : state.ingress;
  const [next, effects] = looked({ ...watching, ingress }, revision, at);
  return [next, [...subscribe, ...effects]];
}
