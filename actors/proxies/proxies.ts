// The door through which proxies come in: finds out who a stream is, and passes it to that proxy's actor.

import {
  FAILED_PRECONDITION,
  INVALID_ARGUMENT,
  PERMISSION_DENIED,
  UNAVAILABLE,
} from "../../core/grpc_status.ts";
import type { KindTable } from "../../core/kind_table.ts";
import type { ProxyKey, ProxyType } from "../../core/proxy.ts";
import { isLocal } from "../../kds/filter.ts";
import {
  type DataplaneArgs,
  type DataplaneMsg,
  dataplanePath,
  type DataplaneSettings,
  REGISTERED_BY_LABEL,
  REGISTERED_BY_PROXY,
} from "../dataplane/messages.ts";
import { toHub } from "../hub/messages.ts";
import { IDENTITY, type IdentityMsg } from "../identity/messages.ts";
import { INSIGHTS, type InsightsMsg } from "../insights/messages.ts";
import { type MeshMsg, meshPath } from "../mesh/messages.ts";
import {
  type Actor,
  command,
  type Context,
  count,
  type Effect,
  log,
  type Path,
  reply,
  send,
  timer,
  type Turn,
} from "../runtime/actor.ts";
import { PARKED_MS } from "../runtime/tree.ts";
import { renderViolation } from "../../core/violation.ts";
import type { Draft, Resource, ResourceKey } from "../../core/resource.ts";
import type { VerifiedToken } from "../../identity/tokens/verify.ts";
import {
  type Claimed,
  emptyVault,
  keepSecret,
  type ProxyKeySources,
  type Refused,
  type Vault,
  vouch,
  withdrawn,
} from "./credentials.ts";
import type { ProxiesMsg } from "./messages.ts";
import { readRegistration, type Registration } from "./registration.ts";
import { proxyText } from "../../core/proxy.ts";
import { show } from "../../core/shape.ts";

export interface ProxiesArgs {
  readonly kinds: KindTable;
  readonly zone: string;
  readonly settings: DataplaneSettings;
  /** How proxies prove who they are. */
  readonly auth: "token" | "none";
  /** Under a global, which keeps the private halves of zone tokens' keys to itself. */
  readonly federated: boolean;
  /** What settings say of the keys of tokens; absent: the secrets' alone. */
  readonly keys?: ProxyKeySources;
}

interface State {
  readonly args: ProxiesArgs;
  /** Owned tables, mutated in place. */
  readonly meshes: Set<string>;
  readonly streams: Map<string, Stream>;
  /** Streams of health, and whose they are. */
  readonly probes: Map<string, Holder>;
  /** The newest stream of each proxy. */
  readonly newest: Map<Path, string>;
  /** Null: nobody has to prove anything. */
  readonly vault: Vault | null;
  /** Dataplanes as they are stored; known only where tokens have to fit them. */
  readonly stored: Map<Path, Resource>;
  /** Other zones' ingresses: names that are nobody's to register here. */
  readonly foreign: Set<Path>;
  /** Why a node was refused last: said once, however often it comes back. */
  readonly refusals: Map<string, string>;
  /** Whose registration ended last, and why. */
  readonly departures: Departure[];
  readonly proxies: Map<Path, Member>;
  /** Their streams keep what they have; a new one is refused for a while, and then revives them. */
  readonly parked: Map<Path, Parked>;
}

interface Holder {
  readonly path: Path;
  readonly key: ProxyKey;
  /** Null where none is asked for. */
  readonly token: VerifiedToken | null;
}

interface Stream extends Holder {
  readonly resource: Draft | null;
}

interface Member {
  readonly key: ProxyKey;
  /** Its resource came with the proxy, so it goes with it. */
  readonly registered: boolean;
}

type Departure = { readonly proxy: string; readonly time: string; readonly because: string };

interface Parked extends Member {
  readonly reason: string;
  /** It may begin anew; a clock that was set back or forward does not change when. */
  over: boolean;
}

/** More nodes than this that are refused at once are logged again. */
const REFUSALS_KEPT = 4_096;
/** For people who ask where a proxy has gone; the log has all of them. */
const DEPARTURES_KEPT = 32;
/** What is wrong with hostile input can be as long as that. */
const REASON_CHARS_MAX = 2_000;

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

type Admission =
  | { readonly ok: false; readonly refusal: readonly Effect[] }
  /** The token is null where none is asked for. */
  | (Registration & { readonly ok: true } & { readonly token: VerifiedToken | null });

/** Who a stream is, and whether it may be that. */
function admit(
  state: State,
  msg: ProxiesMsg & { readonly tag: "stream_opened" | "health_opened" },
  at: Context,
): Admission {
  const registration = readRegistration(msg.node, state.args);
  const refused = (why: Omit<Refusal, "reason"> & { readonly reason?: string }): Admission => {
    const id = registration.ok ? dataplanePath(registration.key) : show(msg.node["id"] ?? "");
    const refusal = refuse(state, msg.stream, { id, reason: "registration", ...why });
    return { ok: false, refusal };
  };
  if (!registration.ok) return refused({ code: INVALID_ARGUMENT, message: registration.reason });
  const { key, resource } = registration;
  const missing = meshMissing(state, key);
  if (missing) return refused({ ...missing, reason: "registration" });
  const path = dataplanePath(key);
  if (state.foreign.has(path)) {
    const message = `ZoneIngress "${key.name}" is another zone's: choose another name`;
    return refused({ code: PERMISSION_DENIED, message });
  }
  const claimed = [...(resource ? [{ resource }] : []), ...claimsOn(state, path)];
  const vouched = vouchFor(state, { proxy: key, credential: msg.credential, claimed }, at);
  if (!vouched.ok) return refused(vouched);
  const crashed = state.parked.get(path);
  if (crashed && !crashed.over) {
    const message = `its part of the control plane crashed too often: ${crashed.reason}`;
    return refused({ code: UNAVAILABLE, message });
  }
  return { ...registration, token: vouched.token };
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

function spawn(state: State, { key, registered }: Member): readonly Effect[] {
  const path = dataplanePath(key);
  const isThere = state.proxies.has(path);
  state.proxies.set(path, { key, registered });
  state.parked.delete(path);
  if (isThere) return [];
  const args: DataplaneArgs = { key, settings: state.args.settings, registered };
  return [{ do: "spawn", group: "dataplanes", id: proxyText(key), args }];
}

/** Nobody waits for it, and nobody tells it anything, before it is revived. */
function parked(
  { proxies, parked, meshes }: State,
  { path, reason }: ProxiesMsg & { readonly tag: "child_parked" },
): readonly Effect[] {
  const member = proxies.get(path);
  if (!member) return [];
  const { key } = member;
  const why = reason.split("\n")[0]!;
  proxies.delete(path);
  parked.set(path, { ...member, reason: why, over: false });
  const watched = key.type === "ingress" ? [...meshes] : [key.mesh];
  return [
    log("error", "proxy parked; it keeps its last good configuration", { proxy: path, reason }),
    send<InsightsMsg>(INSIGHTS, { tag: "proxy_parked", proxy: key, reason: why }),
    send(IDENTITY, { tag: "release_identity", proxy: key }),
    toHub({ tag: "unsubscribe", to: path }),
    ...watched.map((mesh) => send<MeshMsg>(meshPath(mesh), { tag: "unsubscribe_view", to: path })),
    timer(`parked ${path}`, PARKED_MS, { tag: "parked_due", path }),
  ];
}

function parkedDue(state: State, path: Path): Turn<State> {
  const member = state.parked.get(path);
  if (member) member.over = true;
  return [state, reviveAbsent(state, path)];
}

/** Without a stream it is there only to leave, if it does not come back. */
function reviveAbsent(state: State, path: Path): readonly Effect[] {
  const member = state.parked.get(path);
  if (!member?.over) return [];
  return state.newest.has(path) ? [] : spawn(state, member);
}

interface Refusal {
  /** A word for counters. */
  readonly reason: string;
  readonly code: number;
  readonly message: string;
}

function refuse(
  state: State,
  stream: string,
  refusal: Refusal & { readonly id: string },
): readonly Effect[] {
  const { id, reason, code } = refusal;
  const message = refusal.message.slice(0, REASON_CHARS_MAX);
  return [
    ...noted(state, id, { reason, message }),
    command("xds", { do: "end", stream, code, message }),
  ];
}

/** Counted each time, logged once for each reason: a proxy comes back every few seconds. */
function noted(
  { refusals }: State,
  id: string,
  { reason, message }: Pick<Refusal, "reason" | "message">,
): readonly Effect[] {
  const said = refusals.get(id) === message;
  const [oldest] = refusals.keys();
  if (refusals.size >= REFUSALS_KEPT && oldest !== undefined) refusals.delete(oldest);
  refusals.set(id, message);
  return [
    ...(said ? [] : [log("warn", "stream refused", { proxy: id, reason: message })]),
    count("ursa_xds_streams_refused_total", { reason }),
  ];
}

// ---- tokens

/** Anybody may make up names of meshes: no keys are looked for on their behalf. */
function meshMissing({ meshes }: State, { type, mesh }: ProxyKey): Refused | null {
  if (type !== "dataplane" || meshes.has(mesh)) return null;
  const message = `mesh "${mesh}" is not here: create it, or wait until it has reached this zone`;
  return { ok: false, reason: "mesh_missing", code: FAILED_PRECONDITION, message, passing: true };
}

function vouchFor(
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
function claimsOn({ stored, newest, streams }: State, path: Path): readonly Claimed[] {
  const resource = streams.get(newest.get(path) ?? "")?.resource;
  const known = stored.get(path);
  return [
    ...(known ? [{ resource: known, held: true as const }] : []),
    ...(resource ? [{ resource, held: true as const }] : []),
  ];
}

/** Ends the streams whose tokens no longer fit what they need to fit. */
function learned(
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

function endProbes(
  { probes }: State,
  path: Path,
  { code, message }: { readonly code: number; readonly message: string },
): readonly Effect[] {
  return [...probes].filter(([, owner]) => owner.path === path).map(([stream]) =>
    command("xds", { do: "end", stream, code, message })
  );
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
