// A proxy leaves: it says so, is barred, or its lease is over.

import { ABORTED } from "../../core/grpc_status.ts";
import { type ProxyKey, proxyText } from "../../core/proxy.ts";
import type { ResourceKey } from "../../core/resource.ts";
import { toHub, type WriteResult } from "../hub/messages.ts";
import { IDENTITY } from "../identity/messages.ts";
import { INSIGHTS, type InsightsMsg } from "../insights/messages.ts";
import { meshPath } from "../mesh/messages.ts";
import { PROXIES, type ProxiesMsg } from "../proxies/messages.ts";
import {
  type Context,
  type Effect,
  log,
  reply,
  type ReplyTo,
  send,
  type Turn,
} from "../runtime/actor.ts";
import { notReady } from "./announcement.ts";
import * as leases from "./lease.ts";
import { type DataplaneMsg, REGISTERED_BY_LABEL, REGISTERED_BY_PROXY } from "./messages.ts";
import { ownResource, type State } from "./state.ts";
import { dropStream, end, SUPERSEDED } from "./streams.ts";

const LEAVE_AGAIN_MS = 1_000;

export function leave(
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
export function barred(
  state: State,
  msg: DataplaneMsg & { readonly tag: "barred" },
  at: Context,
): Turn<State> {
  if (msg.stream !== state.stream?.id) return [state, [end(msg.stream, msg.code, msg.message)]];
  const [alone, ended] = dropStream(state, msg, at);
  const [next, effects] = deregister(alone, { because: msg.message }, at);
  return [next, [...ended, ...effects]];
}

export function leaseDue(state: State, serial: number, at: Context): Turn<State> {
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

export function left(
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

function done({ revision }: State): WriteResult {
  return { ok: true, revision, changes: [] };
}

function keyOf({ type, mesh, name }: ProxyKey): ResourceKey {
  return { type: type === "dataplane" ? "Dataplane" : "ZoneIngress", mesh, name };
}

function insightKeyOf(key: ProxyKey): ResourceKey {
  const { type, ...rest } = keyOf(key);
  return { type: `${type}Insight`, ...rest };
}
