// The insights actor: writes what is seen of proxies in batches, so that status never floods the store.

import type { ProxyInsightSpec } from "../../core/insights.ts";
import { isObject } from "../../core/json.ts";
import { type ProxyKey, proxyText } from "../../core/proxy.ts";
import type { JsonObject, Resource, ResourceKey } from "../../core/resource.ts";
import { type ProxySeen, renderInsight } from "../../xds/proxy_insight.ts";
import { type Op, toHub, type WriteResult } from "../hub/messages.ts";
import { type Actor, type Context, log, timer, type Turn } from "../runtime/actor.ts";
import type { InsightsMsg } from "./messages.ts";

/**
 * Connects and NACKs are worth a write of their own, shared with what happens at the same moment;
 * counters are not taken along: where something connects at any time, all would be written all the time.
 */
const URGENT_MS = 50;
/** Kuma's dataplaneStatusFlushInterval. */
const ROUTINE_MS = 10_000;

const TYPES = { dataplane: "DataplaneInsight", ingress: "ZoneIngressInsight" } as const;

interface Unwritten {
  readonly proxy: ProxyKey;
  /** null: the proxy is gone, and its insight goes. */
  readonly news: News | null;
  readonly urgent: boolean;
}

type News = { readonly seen: ProxySeen } | { readonly insight: JsonObject };

export interface InsightsArgs {
  readonly reader: {
    get(key: ResourceKey): Resource | undefined;
    list(type: string): readonly Resource[];
  };
}

interface State {
  readonly args: InsightsArgs;
  /** Owned and mutated in place. */
  readonly unwritten: Map<string, Unwritten>;
  /** On the way to the disk. */
  readonly writing: ReadonlyMap<string, Unwritten>;
  /** Timers that are set: for what is urgent, and for everything. */
  readonly due: { readonly urgent: boolean; readonly routine: boolean };
}

const NONE: State["due"] = { urgent: false, routine: false };

export const insights: Actor<State, InsightsMsg, InsightsArgs> = {
  mailbox: { capacity: 100_000, whenFull: "shed_oldest" },
  init: (args) => [{ args, unwritten: new Map(), writing: new Map(), due: NONE }, []],

  receive(state, msg, at): Turn<State> {
    switch (msg.tag) {
      case "proxy_seen":
        return noted(state, {
          proxy: msg.proxy,
          news: msg.seen && { seen: msg.seen },
          urgent: msg.urgent,
        });
      case "proxy_silent":
        return silent(state, msg.proxy, at);
      case "proxy_parked":
        return parked(state, msg);
      case "flush_due":
        return flush(state, msg.urgent, at);
      case "insights_written":
        return written(state, msg.value as WriteResult, at);
    }
  },

  describe: ({ unwritten, writing }) => ({ unwritten: unwritten.size, writing: writing.size }),
};

function noted(state: State, { proxy, news, urgent }: Unwritten): Turn<State> {
  const id = proxyText(proxy);
  // What was urgent stays so when something newer takes its place.
  const soon = urgent || state.unwritten.get(id)?.urgent === true;
  state.unwritten.set(id, { proxy, news, urgent: soon });
  return schedule(state, urgent ? "urgent" : "routine");
}

function schedule(state: State, which: keyof State["due"]): Turn<State> {
  if (state.due[which]) return [state, []];
  const urgent = which === "urgent";
  return [{ ...state, due: { ...state.due, [which]: true } }, [
    timer(which, urgent ? URGENT_MS : ROUTINE_MS, { tag: "flush_due", urgent }),
  ]];
}

function flush(state: State, urgent: boolean, at: Context): Turn<State> {
  const due = { ...state.due, [urgent ? "urgent" : "routine"]: false };
  // One write at a time: what comes meanwhile follows it.
  if (state.writing.size > 0) return [{ ...state, due }, []];
  const writing = new Map([...state.unwritten].filter(([, one]) => one.urgent || !urgent));
  if (writing.size === 0) return [{ ...state, due }, []];
  for (const id of writing.keys()) state.unwritten.delete(id);
  return [{ ...state, writing, due }, [toHub({
    tag: "write",
    by: at.self,
    ops: [...writing.values()].map(opOf),
    reply: { path: at.self, tag: "insights_written", ref: "" },
  })]];
}

function written(state: State, result: WriteResult, at: Context): Turn<State> {
  const { unwritten, writing, due } = state;
  const idle = { ...state, writing: new Map() };
  if (!result.ok) {
    for (const [id, one] of writing) if (!unwritten.has(id)) unwritten.set(id, one);
    const [next, effects] = schedule(idle, "routine");
    return [next, [log("warn", "insights not written", { reason: result.reason }), ...effects]];
  }
  // Timers that fired during the write left this to it.
  const isLate = !due.urgent && [...unwritten.values()].some(({ urgent }) => urgent);
  const [next, effects] = isLate ? flush(idle, true, at) : [idle, []];
  if (unwritten.size === 0) return [next, effects];
  const [last, more] = schedule(next, "routine");
  return [last, [...effects, ...more]];
}

/** Ends what an insight says of streams that nobody ended: their control plane, or a part of it, did. */
function silent(state: State, proxy: ProxyKey | undefined, at: Context): Turn<State> {
  const ended = (proxy ? [proxy] : known(state)).flatMap((one) => {
    const insight = newest(state, one);
    const over = insight && disconnected(insight as ProxyInsightSpec, at.nowMs);
    return over ? [{ proxy: one, news: { insight: over }, urgent: true }] : [];
  });
  for (const one of ended) state.unwritten.set(proxyText(one.proxy), one);
  return ended.length > 0 ? schedule(state, "urgent") : [state, []];
}

/** A remark beside those that its actor would make: the next insight from there is without it. */
function parked(
  state: State,
  { proxy, reason }: InsightsMsg & { readonly tag: "proxy_parked" },
): Turn<State> {
  const insight = newest(state, proxy) ?? {};
  const metadata = insight["metadata"] as JsonObject | undefined;
  const ursa = { ...metadata?.["ursa"] as JsonObject | undefined, parked: reason };
  const remarked = { ...insight, metadata: { ...metadata, ursa } };
  return noted(state, { proxy, news: { insight: remarked }, urgent: true });
}

function newest({ args, unwritten, writing }: State, proxy: ProxyKey): JsonObject | null {
  const id = proxyText(proxy);
  const told = unwritten.get(id) ?? writing.get(id);
  return told ? insightOf(told.news) : args.reader.get(insightKey(proxy))?.spec ?? null;
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
  // As stored: it may be anything.
  if (!Array.isArray(subscriptions) || !subscriptions.every(isObject)) return null;
  if (subscriptions.every(({ disconnectTime }) => disconnectTime !== undefined)) return null;
  const disconnectTime = new Date(nowMs).toISOString();
  return {
    ...insight,
    subscriptions: subscriptions.map((one) => ({ disconnectTime, ...one })),
  } as unknown as JsonObject;
}

function insightOf(news: News | null): JsonObject | null {
  return news && ("seen" in news ? renderInsight(news.seen) : news.insight);
}

function opOf({ proxy, news }: Unwritten): Op {
  const key = insightKey(proxy);
  const insight = insightOf(news);
  return insight
    ? { op: "put", resource: { ...key, labels: {}, spec: insight } }
    : { op: "delete", key };
}

function insightKey({ type, mesh, name }: ProxyKey): ResourceKey {
  return { type: TYPES[type], mesh, name };
}
