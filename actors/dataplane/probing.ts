// What a proxy's Envoy says of the workloads behind it, asked for and stored.

import type { DataplaneSpec } from "../../core/dataplane.ts";
import type { Resource } from "../../core/resource.ts";
import { parseNode } from "../../xds/node.ts";
import { healthChecks, type HealthReport } from "../../xds/health.ts";
import { toHub, type WriteResult } from "../hub/messages.ts";
import { command, type Context, log, timer, type Turn } from "../runtime/actor.ts";
import { offersMore, withHealth } from "./health.ts";
import type { DataplaneMsg } from "./messages.ts";
import { ownResource, type State } from "./state.ts";
import { announceIfListening } from "./announcing.ts";

const HEALTH_AGAIN_MS = 1_000;

const EAGER_REPORT_MS = 500;

export function healthOpened(
  state: State,
  { stream, metadata }: DataplaneMsg & { readonly tag: "health_opened" },
  at: Context,
): Turn<State> {
  const probing = { id: stream, node: parseNode(metadata), asked: new Uint8Array() };
  return reviewHealth({ ...state, probing, health: null }, at);
}

export function healthReported(state: State, at: Context): Turn<State> {
  const [next, effects] = announceIfListening(state, at);
  const [last, more] = reviewHealth(next, at);
  return [last, [...effects, ...more]];
}

/** Has Envoy probe what is stored, and stores what it reports. */
export function reviewHealth(state: State, at: Context): Turn<State> {
  const own = ownResource(state);
  if (!own || state.args.key.type !== "dataplane") return [state, []];
  const [next, effects] = askForHealth(state, own);
  // Before it is announced, and when it is to take no traffic at all, reports change nothing.
  if (!next.health || next.announcement || next.healthOver !== null || next.draining !== null) {
    return [next, effects];
  }
  const seen = withHealth(own, { health: next.health, declared: next.declared });
  // Nobody is sent to who does not listen, however well the workload behind it is.
  if (seen === own || (!next.stream?.listens && offersMore(seen, own))) return [next, effects];
  const { envoy, workloads } = next.health;
  return [{ ...next, healthOver: own.version }, [
    ...effects,
    log("info", "inbounds change by what their workloads answer", { envoy, workloads }),
    toHub({
      tag: "write",
      by: at.self,
      ops: [{ op: "put", resource: seen, expected: own.version }],
      reply: { path: at.self, tag: "health_written", ref: "" },
    }),
  ]];
}

function askForHealth(state: State, own: Resource): Turn<State> {
  const { probing, args: { settings } } = state;
  if (!probing) return [state, []];
  const checks = healthChecks(own.spec as unknown as DataplaneSpec, {
    node: probing.node,
    reportMs: reportMs(state.health, settings.healthReportMs),
  });
  if (sameBytes(checks, probing.asked)) return [state, []];
  return [{ ...state, probing: { ...probing, asked: checks } }, [
    command("xds", { do: "probe", stream: probing.id, checks }),
  ]];
}

/** What is down, or still starting, is asked after more often: its recovery is what others wait for. */
function reportMs(health: HealthReport | null, calmMs: number): number {
  const isCalm = health !== null && health.envoy && Object.values(health.workloads).every(Boolean);
  return isCalm ? calmMs : Math.min(calmMs, EAGER_REPORT_MS);
}

export function healthWritten(state: State, result: WriteResult, at: Context): Turn<State> {
  const idle = { ...state, healthOver: null };
  if (result.ok || result.reason === "conflict") {
    // What is stored now, by us or by somebody else, arrives and is looked at then, or has already.
    const arrived = ownResource(state)?.version !== state.healthOver;
    return arrived ? reviewHealth(idle, at) : [idle, []];
  }
  return [idle, [
    log("warn", "health not stored yet; another try follows", { reason: result.reason }),
    timer("health", HEALTH_AGAIN_MS, { tag: "health_due" }),
  ]];
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}
