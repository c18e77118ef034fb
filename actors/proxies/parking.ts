// The actors of proxies: begun, parked when they crash too often, begun anew.

import { type DataplaneArgs, dataplanePath } from "../dataplane/messages.ts";
import { toHub } from "../hub/messages.ts";
import { IDENTITY } from "../identity/messages.ts";
import { INSIGHTS, type InsightsMsg } from "../insights/messages.ts";
import { type MeshMsg, meshPath } from "../mesh/messages.ts";
import { type Effect, log, type Path, send, timer, type Turn } from "../runtime/actor.ts";
import { PARKED_MS } from "../runtime/tree.ts";
import type { ProxiesMsg } from "./messages.ts";
import { proxyText } from "../../core/proxy.ts";
import type { Member, State } from "./state.ts";

export function spawn(state: State, { key, registered }: Member): readonly Effect[] {
  const path = dataplanePath(key);
  const isThere = state.proxies.has(path);
  state.proxies.set(path, { key, registered });
  state.parked.delete(path);
  if (isThere) return [];
  const args: DataplaneArgs = { key, settings: state.args.settings, registered };
  return [{ do: "spawn", group: "dataplanes", id: proxyText(key), args }];
}

/** Nobody waits for it, and nobody tells it anything, before it is revived. */
export function parked(
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

export function parkedDue(state: State, path: Path): Turn<State> {
  const member = state.parked.get(path);
  if (member) member.over = true;
  return [state, reviveAbsent(state, path)];
}

/** Without a stream it is there only to leave, if it does not come back. */
export function reviveAbsent(state: State, path: Path): readonly Effect[] {
  const member = state.parked.get(path);
  if (!member?.over) return [];
  return state.newest.has(path) ? [] : spawn(state, member);
}
