// What is recorded about a zone: kuma.system.v1alpha1.ZoneInsight in JSON.

import type { Json, JsonObject } from "../../core/resource.ts";
import { isObject } from "../../core/json.ts";
import type { PeerInfo, StreamKind } from "../../kds/wire.ts";

/** One GlobalToZone stream. kuma@v2.13.10:api/system/v1alpha1/zone_insight.proto (KDSSubscription) */
export interface Subscription {
  readonly id: string;
  readonly connectTime: string;
  readonly authorized: boolean;
  readonly peer: PeerInfo;
  readonly counts: Map<string, Counts>;
  lastUpdateTime: string | null;
  generation: number;
}

interface Counts {
  sent: number;
  acked: number;
  rejected: number;
}

/** Kuma's default, `metrics.zone.subscriptionLimit`. */
const SUBSCRIPTIONS_MAX = 10;

export function openSubscription(
  opened: Pick<Subscription, "id" | "connectTime" | "authorized" | "peer">,
): Subscription {
  return { ...opened, counts: new Map(), lastUpdateTime: null, generation: 0 };
}

export function countFor(
  subscription: Subscription,
  typeUrl: string,
  outcome: keyof Counts,
): void {
  let counts = subscription.counts.get(typeUrl);
  if (!counts) subscription.counts.set(typeUrl, counts = { sent: 0, acked: 0, rejected: 0 });
  counts[outcome]++;
}

/** What kuma.system.v1alpha1.KDSStreams calls them. */
export const INSIGHT_STREAMS = {
  global_to_zone: "globalToZone",
  zone_to_global: "zoneToGlobal",
  xds: "configDump",
  stats: "stats",
  clusters: "clusters",
} as const satisfies Record<StreamKind, string>;

type InsightStream = typeof INSIGHT_STREAMS[StreamKind];

export interface InsightParts {
  /** Subscriptions of before, as they were written. */
  readonly past: readonly JsonObject[];
  readonly current: Subscription | null;
  readonly instance: string;
  /** Since when each of them is open. */
  readonly streams: Readonly<Partial<Record<InsightStream, string>>>;
  readonly healthTime: string | null;
  /** Ours, which others ignore. */
  readonly ursa: JsonObject;
}

export function renderInsight(parts: InsightParts): JsonObject {
  const { past, current, instance, streams, healthTime, ursa } = parts;
  const open = Object.entries(streams);
  // Once more, as they were named before there was kdsStreams; Kuma reads both.
  const admin = (["configDump", "stats", "clusters"] as const).filter((name) => streams[name]);
  return {
    subscriptions: [...past, ...(current ? [renderSubscription(current, instance)] : [])]
      .slice(-SUBSCRIPTIONS_MAX),
    ...(admin.length > 0 && {
      envoyAdminStreams: Object.fromEntries(
        admin.map((name) => [`${name}GlobalInstanceId`, instance]),
      ),
    }),
    ...(healthTime && { healthCheck: { time: healthTime } }),
    ...(open.length > 0 && {
      kdsStreams: Object.fromEntries(
        open.map(([name, connectTime]) => [name, { globalInstanceId: instance, connectTime }]),
      ),
    }),
    ...(Object.keys(ursa).length > 0 && { ursa }),
  };
}

export function renderSubscription(
  { id, connectTime, authorized, peer, counts, lastUpdateTime, generation }: Subscription,
  instance: string,
): JsonObject {
  const all = [...counts.values()];
  const total: Counts = {
    sent: sum(all.map(({ sent }) => sent)),
    acked: sum(all.map(({ acked }) => acked)),
    rejected: sum(all.map(({ rejected }) => rejected)),
  };
  return {
    id,
    globalInstanceId: instance,
    connectTime,
    status: {
      ...(lastUpdateTime && { lastUpdateTime }),
      total: renderCounts(total),
      stat: Object.fromEntries(
        [...counts].map(([type, count]): [string, Json] => [type, renderCounts(count)]),
      ),
    },
    version: peer.version,
    ...(generation > 0 && { generation }),
    ...(peer.config !== "" && { config: peer.config }),
    ...(authorized && { authTokenProvided: true }),
    ...(peer.instance !== "" && { zoneInstanceId: peer.instance }),
  };
}

/** 64-bit numbers are strings in proto3 JSON, and 0 is not written. */
function renderCounts({ sent, acked, rejected }: Counts): JsonObject {
  return {
    ...(sent > 0 && { responsesSent: String(sent) }),
    ...(acked > 0 && { responsesAcknowledged: String(acked) }),
    ...(rejected > 0 && { responsesRejected: String(rejected) }),
  };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

/** Subscriptions that were written; those left open ended, at the latest, now. */
export function pastSubscriptions(
  insight: JsonObject | null,
  now: string,
): { readonly past: readonly JsonObject[]; readonly closed: boolean } {
  const { subscriptions } = insight ?? {};
  if (!Array.isArray(subscriptions)) return { past: [], closed: false };
  const past = subscriptions.filter(isObject);
  return {
    past: past.map((subscription) => endSubscription(subscription, now)),
    closed: past.some(({ disconnectTime }) => disconnectTime === undefined),
  };
}

/** Of a finished one the configuration and the statistics by type are dropped, to stay small. */
export function endSubscription(subscription: JsonObject, now: string): JsonObject {
  const { config: _config, status, disconnectTime, ...rest } = subscription;
  const { stat: _stat, ...totals } = isObject(status) ? status : {};
  return { ...rest, status: totals, disconnectTime: disconnectTime ?? now };
}
