// The insights actor: writes what is seen of proxies in batches, so that status never floods the store.

import type { ProxyInsightSpec } from "../../core/insights.ts";
import { type ProxyKey, proxyText } from "../../core/proxy.ts";
import type { JsonObject, Resource, ResourceKey } from "../../core/resource.ts";
import { type Op, toHub, type WriteResult } from "../hub/messages.ts";
import { type Actor, type Context, log, timer, type Turn } from "../runtime/actor.ts";
import type { InsightsMsg } from "./messages.ts";

/** Connects and NACKs are worth a write of their own, shared with what happens at the same moment. */
const URGENT_MS = 50;
/** Kuma's dataplaneStatusFlushInterval. */
const ROUTINE_MS = 10_000;

const TYPES = { dataplane: "DataplaneInsight", ingress: "ZoneIngressInsight" } as const;

/** null: the proxy is gone, and its insight goes. */
type Seen = ReadonlyMap<string, { readonly proxy: ProxyKey; readonly insight: JsonObject | null }>;

export interface InsightsArgs {
  readonly reader: {
    get(key: ResourceKey): Resource | undefined;
    list(type: string): readonly Resource[];
  };
}

interface State {
  readonly args: InsightsArgs;
  /** Owned and mutated in place. */
  readonly unwritten: Map<
    string,
    { readonly proxy: ProxyKey; readonly insight: JsonObject | null }
  >;
  /** On the way to the disk. */
  readonly writing: Seen;
  /** When the timer fires; null when nothing waits. */
  readonly flushAtMs: number | null;
}

export const insights: Actor<State, InsightsMsg, InsightsArgs> = {
  mailbox: { capacity: 100_000, whenFull: "shed_oldest" },
  init: (args) => [{ args, unwritten: new Map(), writing: new Map(), flushAtMs: null }, []],

  receive(state, msg, at): Turn<State> {
    switch (msg.tag) {
      case "proxy_seen":
        state.unwritten.set(proxyText(msg.proxy), msg);
        return schedule(state, msg.urgent ? URGENT_MS : ROUTINE_MS, at);
      case "proxy_silent":
        return silent(state, msg.proxy, at);
      case "proxy_parked":
        return parked(state, msg, at);
      case "flush_due":
        return flush(state, at);
      case "insights_written":
        return written(state, msg.value as WriteResult, at);
    }
  },

  describe: ({ unwritten, writing }) => ({ unwritten: unwritten.size, writing: writing.size }),
};

function flush(state: State, at: Context): Turn<State> {
  const { args, unwritten, writing } = state;
  // One write at a time: what a failed one held must still be known when it fails.
  if (unwritten.size === 0 || writing.size > 0) return [{ ...state, flushAtMs: null }, []];
  const next = { args, unwritten: new Map(), writing: unwritten, flushAtMs: null };
  return [next, [toHub({
    tag: "write",
    by: at.self,
    ops: [...unwritten.values()].map(opOf),
    reply: { path: at.self, tag: "insights_written", ref: "" },
  })]];
}

function written(state: State, result: WriteResult, at: Context): Turn<State> {
  const idle = { ...state, writing: new Map() };
  if (result.ok) return idle.flushAtMs === null ? flush(idle, at) : [idle, []];
  for (const [id, seen] of state.writing) {
    if (!state.unwritten.has(id)) state.unwritten.set(id, seen);
  }
  const [next, effects] = schedule(idle, ROUTINE_MS, at);
  return [next, [log("warn", "insights not written", { reason: result.reason }), ...effects]];
}

/** Ends what an insight says of streams that nobody ended: their control plane, or a part of it, did. */
function silent(state: State, proxy: ProxyKey | undefined, at: Context): Turn<State> {
  let found = false;
  for (const one of proxy ? [proxy] : known(state)) {
    const insight = newest(state, one);
    const ended = insight && disconnected(insight as ProxyInsightSpec, at.nowMs);
    if (!ended) continue;
    state.unwritten.set(proxyText(one), { proxy: one, insight: ended });
    found = true;
  }
  return found ? schedule(state, URGENT_MS, at) : [state, []];
}

/** A remark beside those that its actor would make: the next insight from there is without it. */
function parked(
  state: State,
  { proxy, reason }: InsightsMsg & { readonly tag: "proxy_parked" },
  at: Context,
): Turn<State> {
  const insight = newest(state, proxy) ?? {};
  const metadata = insight["metadata"] as JsonObject | undefined;
  const ursa = { ...metadata?.["ursa"] as JsonObject | undefined, parked: reason };
  const remarked = { ...insight, metadata: { ...metadata, ursa } };
  state.unwritten.set(proxyText(proxy), { proxy, insight: remarked });
  return schedule(state, URGENT_MS, at);
}

function newest({ args, unwritten, writing }: State, proxy: ProxyKey): JsonObject | null {
  const id = proxyText(proxy);
  const told = unwritten.get(id) ?? writing.get(id);
  return told ? told.insight : args.reader.get(insightKey(proxy))?.spec ?? null;
}

function known({ args, unwritten, writing }: State): readonly ProxyKey[] {
  const stored = (["dataplane", "ingress"] as const).flatMap((type) =>
    args.reader.list(TYPES[type]).map(({ mesh, name }): ProxyKey => ({ type, mesh, name }))
  );
  return [...stored, ...[...unwritten.values(), ...writing.values()].map(({ proxy }) => proxy)];
}

/** null when nothing was open. */
function disconnected(insight: ProxyInsightSpec, nowMs: number): JsonObject | null {
  const { subscriptions = [] } = insight;
  if (subscriptions.every(({ disconnectTime }) => disconnectTime !== undefined)) return null;
  const disconnectTime = new Date(nowMs).toISOString();
  return {
    ...insight,
    subscriptions: subscriptions.map((one) => ({ disconnectTime, ...one })),
  } as unknown as JsonObject;
}

function schedule(state: State, afterMs: number, { nowMs }: Context): Turn<State> {
  const flushAtMs = nowMs + afterMs;
  if (state.flushAtMs !== null && state.flushAtMs <= flushAtMs) return [state, []];
  return [{ ...state, flushAtMs }, [timer("flush", afterMs, { tag: "flush_due" })]];
}

function opOf({ proxy, insight }: { proxy: ProxyKey; insight: JsonObject | null }): Op {
  const key = insightKey(proxy);
  return insight
    ? { op: "put", resource: { ...key, labels: {}, spec: insight } }
    : { op: "delete", key };
}

function insightKey({ type, mesh, name }: ProxyKey): ResourceKey {
  return { type: TYPES[type], mesh, name };
}
