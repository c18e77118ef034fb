// The door through which proxies come in: finds out who a stream is, and passes it to that proxy's actor.

import { FAILED_PRECONDITION, UNAVAILABLE } from "../../core/grpc_status.ts";
import { type ProxyKey, proxyText, type ProxyType } from "../../core/proxy.ts";
import { isLocal } from "../../kds/filter.ts";
import {
  type DataplaneMsg,
  dataplanePath,
  REGISTERED_BY_LABEL,
  REGISTERED_BY_PROXY,
} from "../dataplane/messages.ts";
import { toHub } from "../hub/messages.ts";
import { IDENTITY, type IdentityMsg } from "../identity/messages.ts";
import { INSIGHTS, type InsightsMsg } from "../insights/messages.ts";
import {
  type Actor,
  command,
  type Context,
  type Effect,
  log,
  type Path,
  reply,
  send,
  type Turn,
} from "../runtime/actor.ts";
import { renderViolation } from "../../core/violation.ts";
import type { Resource, ResourceKey } from "../../core/resource.ts";
import { emptyVault } from "./credentials.ts";
import type { ProxiesMsg } from "./messages.ts";
import type { ProxiesArgs, State } from "./state.ts";
import { admit, noted } from "./admission.ts";
import { parked, parkedDue, reviveAbsent, spawn } from "./parking.ts";
import { claimsOn, endProbes, learned, vouchFor } from "./vouching.ts";

export type { ProxiesArgs };

/** For people who ask where a proxy has gone; the log has all of them. */
const DEPARTURES_KEPT = 32;

export const proxies: Actor<State, ProxiesMsg, ProxiesArgs> = {
  mailbox: { capacity: 200_000, whenFull: "refuse" },

  init(args, at) {
    const state: State = {
      args,
      meshes: new Set(),
      streams: new Map(),
      probes: new Map(),
      newest: new Map(),
      vault: args.auth === "token" ? emptyVault(args) : null,
      stored: new Map(),
      foreign: new Set(),
      refusals: new Map(),
      departures: [],
      proxies: new Map(),
      parked: new Map(),
    };
    const secrets = state.vault ? ["Secret", "GlobalSecret"] : [];
    return [state, [
      // After a restart nobody here knows the streams that are open: they come back.
      command("xds", {
        do: "end_all",
        code: UNAVAILABLE,
        message: "the control plane restarted a part",
      }),
      send<InsightsMsg>(INSIGHTS, { tag: "proxy_silent" }),
      // Neither does anybody know the proxies that were told something before.
      toHub({ tag: "unsubscribe", to: "dataplanes/" }),
      send<IdentityMsg>(IDENTITY, { tag: "tell_holders", to: at.self }),
      toHub({
        tag: "subscribe",
        to: at.self,
        types: ["Mesh", "Dataplane", "ZoneIngress", ...secrets],
      }),
    ]];
  },

  receive(state, msg, at): Turn<State> {
    switch (msg.tag) {
      case "stream_opened":
        return opened(state, msg, at);
      case "stream_request":
        return [state, forward(state, msg.stream, msg)];
      case "stream_closed": {
        const effects = forward(state, msg.stream, msg);
        const path = state.streams.get(msg.stream)?.path ?? "";
        state.streams.delete(msg.stream);
        if (state.newest.get(path) === msg.stream) state.newest.delete(path);
        return [state, [...effects, ...reviveAbsent(state, path)]];
      }
      case "health_opened":
        return healthOpened(state, msg, at);
      case "health_reported":
      case "health_closed": {
        const path = state.probes.get(msg.stream)?.path;
        if (msg.tag === "health_closed") state.probes.delete(msg.stream);
        return [state, path === undefined ? [] : [send<DataplaneMsg>(path, msg)]];
      }
      case "vouch":
        return [state, [reply(msg.reply, vouchFor(state, msg, at))]];
      case "leave": {
        const path = dataplanePath(msg.proxy);
        const vouched = vouchFor(state, { ...msg, claimed: claimsOn(state, path) }, at);
        if (!vouched.ok) {
          const { message } = vouched;
          return [state, [
            ...noted(state, path, vouched),
            reply(msg.reply, { ok: false, reason: "unauthorized", message }),
          ]];
        }
        if (!state.proxies.has(path)) {
          return [state, [reply(msg.reply, { ok: false, reason: "unknown" })]];
        }
        return [state, [send<DataplaneMsg>(path, msg)]];
      }
      case "resources_changed": {
        const effects: Effect[] = [...learned(state, msg.changes, at)];
        for (const { key, resource } of msg.changes) {
          if (key.type === "ZoneIngress") noteOrigin(state, key, resource);
          if (key.type !== "Mesh") continue;
          if (resource) state.meshes.add(key.name);
          else {
            state.meshes.delete(key.name);
            effects.push(...meshEnded(state, key.name));
          }
        }
        // Registered before this control plane started: they come back soon, or leave.
        if (msg.full) {
          for (const { key, resource } of msg.changes) {
            const type = proxyTypeOf(key.type);
            // Another zone's ingress says the same of itself, and is that zone's to take away.
            if (!type || !resource || !isLocal(resource, "zone")) continue;
            if (resource.labels[REGISTERED_BY_LABEL] !== REGISTERED_BY_PROXY) continue;
            const proxy = { type, mesh: key.mesh, name: key.name };
            effects.push(...spawn(state, { key: proxy, registered: true }));
          }
        }
        return [state, effects];
      }
      case "proxy_gone":
        noteDeparture(state, msg, at);
        state.proxies.delete(msg.path);
        // They came in while it was on its way out.
        return [state, endStreams(state, msg.path, "the proxy was just deregistered")];
      case "identities_held":
        return [state, msg.proxies.flatMap((proxy) => releaseUnknown(state, proxy))];
      case "mesh_started":
        return [state, tellMembers(state, msg.mesh, msg)];
      case "child_restarted":
        return [state, endStreams(state, msg.path, "the proxy's actor restarted")];
      case "child_parked":
        return [state, parked(state, msg)];
      case "parked_due":
        return parkedDue(state, msg.path);
    }
  },

  describe: ({ streams, proxies, parked, meshes, departures }) => ({
    streams: streams.size,
    proxies: proxies.size,
    parked: parked.size,
    meshes: meshes.size,
    left: [...departures],
  }),
};

function opened(
  state: State,
  msg: ProxiesMsg & { readonly tag: "stream_opened" },
  at: Context,
): Turn<State> {
  const admission = admit(state, msg, at);
  if (!admission.ok) return [state, admission.refusal];
  const { key, metadata, resource, instance, notes, token } = admission;
  const path = dataplanePath(key);
  const crashed = state.parked.has(path);
  const revived = crashed ? endStreams(state, path, "a newer stream of this proxy took over") : [];
  state.refusals.delete(path);
  state.streams.set(msg.stream, { path, key, token, resource });
  state.newest.set(path, msg.stream);
  return [state, [
    ...revived,
    ...(notes.length === 0 ? [] : [
      log("warn", "a proxy brings what has no effect", {
        proxy: path,
        fields: notes.map(renderViolation).join("; ").slice(0, 1_000),
      }),
    ]),
    ...spawn(state, { key, registered: resource !== null }),
    send<DataplaneMsg>(path, {
      tag: "stream_opened",
      stream: msg.stream,
      metadata,
      dialect: msg.dialect,
      request: msg.request,
      resource,
      instance,
    }),
  ]];
}

/** It may come before the stream of configuration: then the proxy's actor waits for that one. */
function healthOpened(
  state: State,
  msg: ProxiesMsg & { readonly tag: "health_opened" },
  at: Context,
): Turn<State> {
  const admission = admit(state, msg, at);
  if (!admission.ok) return [state, admission.refusal];
  const { key, metadata, resource, token } = admission;
  const path = dataplanePath(key);
  if (state.parked.has(path)) {
    const message = "its part of the control plane crashed: its configuration comes first";
    return [state, [command("xds", { do: "end", stream: msg.stream, code: UNAVAILABLE, message })]];
  }
  state.probes.set(msg.stream, { path, key, token });
  return [state, [
    ...spawn(state, { key, registered: resource !== null }),
    send<DataplaneMsg>(path, { tag: "health_opened", stream: msg.stream, metadata }),
  ]];
}

function noteDeparture(
  { departures, proxies }: State,
  { path, because }: ProxiesMsg & { readonly tag: "proxy_gone" },
  { nowMs }: Context,
): void {
  const member = proxies.get(path);
  if (!member || because === null) return;
  const proxy = proxyText(member.key);
  departures.push({ proxy, time: new Date(nowMs).toISOString(), because });
  if (departures.length > DEPARTURES_KEPT) departures.shift();
}

function noteOrigin({ foreign }: State, { name }: ResourceKey, resource: Resource | null): void {
  const path = dataplanePath({ type: "ingress", mesh: "", name });
  if (resource && !isLocal(resource, "zone")) foreign.add(path);
  else foreign.delete(path);
}

function forward(state: State, stream: string, msg: DataplaneMsg): readonly Effect[] {
  const open = state.streams.get(stream);
  return open === undefined ? [] : [send(open.path, msg)];
}

/** Nobody answers on these any more; the proxy comes back with a new one. */
function endStreams(state: State, path: Path, message: string): readonly Effect[] {
  const code = UNAVAILABLE;
  const streams = [...state.streams].filter(([, owner]) => owner.path === path);
  return [
    ...streams.map(([stream]) => command("xds", { do: "end", stream, code, message })),
    ...endProbes(state, path, { code, message }),
  ];
}

/** The mesh itself tells only those that it knows: some may have come in just now. */
function meshEnded(state: State, mesh: string): readonly Effect[] {
  const message = `mesh "${mesh}" was deleted`;
  const ended = [...state.streams].filter(([, { key }]) => key.mesh === mesh);
  return [
    ...tellMembers(state, mesh, { tag: "mesh_changed", mesh, view: null }),
    // What it is told may reach a proxy before its newest stream, which ends in any case.
    ...ended.map(([stream]) =>
      command("xds", { do: "end", stream, code: FAILED_PRECONDITION, message })
    ),
  ];
}

/** Its actor went when this one began anew, and has not come back to release anything. */
function releaseUnknown({ proxies }: State, proxy: ProxyKey): readonly Effect[] {
  if (proxies.has(dataplanePath(proxy))) return [];
  return [send<IdentityMsg>(IDENTITY, { tag: "release_identity", proxy })];
}

function tellMembers({ proxies }: State, mesh: string, msg: DataplaneMsg): readonly Effect[] {
  return [...proxies].filter(([, { key }]) => key.type === "ingress" || key.mesh === mesh)
    .map(([to]) => send<DataplaneMsg>(to, msg));
}

function proxyTypeOf(type: string): ProxyType | null {
  return type === "Dataplane" ? "dataplane" : type === "ZoneIngress" ? "ingress" : null;
}
