// What global writes down of a zone: its ZoneInsight, at once when it comes or goes, else soon.

import type { JsonObject } from "../../core/resource.ts";
import { renderQuarantine } from "../../kds/quarantine.ts";
import { rejections, settledRevision } from "../../kds/sender.ts";
import { toHub } from "../hub/messages.ts";
import { cancel, type Context, type Effect, log, timer, type Turn } from "../runtime/actor.ts";
import {
  INSIGHT_FLUSH_MS,
  INSIGHT_STREAMS,
  MESSAGE_CHARS_MAX,
  renderInsight,
  timeOf,
} from "../../kds/zone_insight.ts";
import { recentTakeovers, rivalNow, TAKEOVERS_ALARM } from "./fencing.ts";
import type { ZoneStatus } from "./messages.ts";
import type { State } from "./state.ts";

export function insightNow(state: State, at: Context): Turn<State> {
  if (state.deleted) return [state, []];
  return [{ ...state, insightDirty: false }, [cancel("insight"), writeInsight(state, at)]];
}

export function insightSoon(state: State): Turn<State> {
  if (state.insightDirty || state.deleted) return [state, []];
  return [{ ...state, insightDirty: true }, [
    timer("insight", INSIGHT_FLUSH_MS, { tag: "insight_due" }),
  ]];
}

/** What it would have said, and others look for there, is said soon. */
export function unwritten(state: State, reason: string): Turn<State> {
  const [next, effects] = insightSoon(state);
  return [next, [log("warn", "zone insight not written", { reason }), ...effects]];
}

export function writeInsight(state: State, at: Context): Effect {
  const { args, past, down, up, admin, healthAtMs } = state;
  if (down?.subscription) down.subscription.generation++;
  const spec = renderInsight({
    past,
    current: down?.subscription ?? null,
    instance: args.instance,
    streams: {
      ...(down?.subscription && { globalToZone: down.subscription.connectTime }),
      ...(up && { zoneToGlobal: timeOf(up.openedAtMs) }),
      ...Object.fromEntries(
        [...admin].map(([kind, { openedAtMs }]) => [INSIGHT_STREAMS[kind], timeOf(openedAtMs)]),
      ),
    },
    healthTime: healthAtMs === null ? null : timeOf(healthAtMs),
    ursa: ursaStatus(state, at),
  });
  return toHub({
    tag: "write",
    ops: [{
      op: "put",
      resource: { type: "ZoneInsight", mesh: "", name: args.zone, labels: {}, spec },
    }],
    by: `kds/${args.zone}`,
    reply: { path: at.self, tag: "insight_written", ref: "" },
  });
}

function ursaStatus(state: State, at: Context): JsonObject {
  const { down, takeoversAtMs, quarantine, reach: { leftOutSinceMs } } = state;
  const rival = rivalNow(state.rival, at.nowMs);
  const rejected = down
    ? [...rejections(down.sender, down.book)].map(([type, message]) => [
      type,
      message.slice(0, MESSAGE_CHARS_MAX),
    ])
    : [];
  const recent = recentTakeovers(takeoversAtMs, at.nowMs);
  return {
    ...(down && { revision: settledRevision(down.sender) }),
    ...(rejected.length > 0 && { rejected: Object.fromEntries(rejected) }),
    ...(quarantine.size > 0 && { refused: renderQuarantine(quarantine) }),
    ...(leftOutSinceMs !== null && { leftOutSince: timeOf(leftOutSinceMs) }),
    ...(rival && { alarm: rival.message }),
    ...(!rival && recent.length > TAKEOVERS_ALARM && {
      alarm: `${recent.length} takeovers within a minute: is this zone's name used twice?`,
    }),
  };
}

export function statusOf({ args, down, up, quarantine }: State): ZoneStatus & JsonObject {
  return {
    zone: args.zone,
    online: down !== null,
    revision: down ? settledRevision(down.sender) : 0,
    rejected: down ? Object.fromEntries(rejections(down.sender, down.book)) : {},
    refused: renderQuarantine(quarantine),
    peer: (down ?? up)?.peer ?? "",
  };
}
