// What is recorded about a zone, at global and in the zone: kuma.system.v1alpha1.ZoneInsight in JSON.

import { isObject } from "../core/json.ts";
import { isCompatible } from "../core/kuma.ts";
import type { Json, JsonObject } from "../core/resource.ts";
import type { PeerInfo, StreamKind } from "./wire.ts";

/** Statistics can wait this long; coming and going is written at once. */
export const INSIGHT_FLUSH_MS = 10_000;
/** Of what a peer says of our resources, or we of its: pages of it are for its own log. */
export const MESSAGE_CHARS_MAX = 2_000;

/**
 * One stream on which this side sends: GlobalToZone at global, ZoneToGlobal in a zone.
 * kuma@v2.13.10:api/system/v1alpha1/zone_insight.proto (KDSSubscription)
 */
export interface Subscription {
  readonly id: string;
  /** Of the two control planes. */
  readonly globalInstance: string;
  readonly zoneInstance: string;
  readonly connectTime: string;
  readonly authorized: boolean;
  /** Of the peer: kuma.system.v1alpha1.Version in JSON. */
  readonly version: JsonObject;
  readonly config: string;
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

type Opened = Pick<
  Subscription,
  "id" | "globalInstance" | "zoneInstance" | "connectTime" | "authorized"
>;

/** `own`: version of this control plane. */
export function openSubscription(
  opened: Opened,
  { peer, own }: { readonly peer: PeerInfo; readonly own: string },
): Subscription {
  return {
    ...opened,
    version: judgedVersion(peer.version, own),
    config: peer.config,
    counts: new Map(),
    lastUpdateTime: null,
    generation: 0,
  };
}

/** What the peer says of its version is completed by whether it goes with ours. */
function judgedVersion(version: JsonObject, own: string): JsonObject {
  const { kumaCp } = version;
  if (!isObject(kumaCp) || typeof kumaCp.version !== "string") return version;
  const { kumaCpGlobalCompatible: _said, ...rest } = kumaCp;
  const fits = isCompatible(own, kumaCp.version);
  return { ...version, kumaCp: { ...rest, ...(fits && { kumaCpGlobalCompatible: true }) } };
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
    subscriptions: [...past, ...(current ? [renderSubscription(current)] : [])]
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
  {
    id,
    globalInstance,
    zoneInstance,
    connectTime,
    authorized,
    version,
    config,
    counts,
    lastUpdateTime,
    generation,
  }: Subscription,
): JsonObject {
  const all = [...counts.values()];
  const total: Counts = {
    sent: sum(all.map(({ sent }) => sent)),
    acked: sum(all.map(({ acked }) => acked)),
    rejected: sum(all.map(({ rejected }) => rejected)),
  };
  return {
    id,
    globalInstanceId: globalInstance,
    connectTime,
    status: {
      ...(lastUpdateTime && { lastUpdateTime }),
      total: renderCounts(total),
      stat: Object.fromEntries(
        [...counts].map(([type, count]): [string, Json] => [type, renderCounts(count)]),
      ),
    },
    version,
    ...(generation > 0 && { generation }),
    ...(config !== "" && { config }),
    ...(authorized && { authTokenProvided: true }),
    ...(zoneInstance !== "" && { zoneInstanceId: zoneInstance }),
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

export function timeOf(ms: number): string {
  return new Date(ms).toISOString();
}
