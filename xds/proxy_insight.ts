// The insight of a proxy: its streams, what it was sent and what it said to that.

import type { JsonObject } from "../core/resource.ts";
import { TYPES } from "./snapshot.ts";

interface Stats {
  readonly sent: number;
  readonly acknowledged: number;
  readonly rejected: number;
}

/** One stream. kuma@v2.13.10:api/mesh/v1alpha1/dataplane_insight.proto (DiscoverySubscription). */
export interface Subscription {
  readonly id: string;
  readonly connectAtMs: number;
  readonly disconnectAtMs: number | null;
  readonly updateAtMs: number;
  readonly stats: Readonly<Record<string, Stats>>;
  readonly version: JsonObject;
}

/** What operators must see of a proxy beyond counters; travels in the metadata, where peers ignore it. */
export interface Remarks {
  readonly rejected: { readonly typeUrl: string; readonly message: string } | null;
  readonly alarm: string | null;
  readonly waiting: string | null;
}

/** Kuma's metrics.dataplane.subscriptionLimit. */
const SUBSCRIPTIONS_KEPT = 2;

export function connected(
  before: readonly Subscription[],
  at: { readonly id: string; readonly nowMs: number; readonly version: JsonObject },
): readonly Subscription[] {
  const fresh: Subscription = {
    id: at.id,
    connectAtMs: at.nowMs,
    disconnectAtMs: null,
    updateAtMs: at.nowMs,
    stats: {},
    version: at.version,
  };
  return [...disconnected(before, at.nowMs), fresh].slice(-SUBSCRIPTIONS_KEPT);
}

export function disconnected(
  subscriptions: readonly Subscription[],
  nowMs: number,
): readonly Subscription[] {
  return subscriptions.map((subscription) =>
    subscription.disconnectAtMs === null ? { ...subscription, disconnectAtMs: nowMs } : subscription
  );
}

/** Adds to the counters of the current stream. */
export function counted(
  subscriptions: readonly Subscription[],
  typeUrl: string,
  what: keyof Stats,
  nowMs: number,
): readonly Subscription[] {
  const current = subscriptions.at(-1);
  if (!current) return subscriptions;
  const before = current.stats[typeUrl] ?? { sent: 0, acknowledged: 0, rejected: 0 };
  const stats = { ...current.stats, [typeUrl]: { ...before, [what]: before[what] + 1 } };
  return [...subscriptions.slice(0, -1), { ...current, stats, updateAtMs: nowMs }];
}

/** What is known of a proxy; rendered when it is written, since it is news more often than that. */
export interface ProxySeen {
  readonly subscriptions: readonly Subscription[];
  readonly controlPlane: string;
  readonly metadata: JsonObject;
  readonly remarks: Remarks;
  /** How long it stays though it is not heard of, and why it is not. */
  readonly lease: JsonObject;
  readonly mtls: JsonObject | null;
}

/** DataplaneInsight or ZoneIngressInsight in proto3 JSON; 64-bit counters as strings. */
export function renderInsight(
  { subscriptions, controlPlane, metadata, remarks, lease, mtls }: ProxySeen,
): JsonObject {
  const remarked = Object.entries(remarks).filter(([, remark]) => remark !== null);
  const ursa = { ...Object.fromEntries(remarked), ...lease };
  return {
    subscriptions: subscriptions.map((subscription) =>
      renderSubscription(subscription, controlPlane)
    ),
    ...(mtls && { mTLS: mtls }),
    metadata: Object.keys(ursa).length > 0 ? { ...metadata, ursa } : metadata,
  };
}

function renderSubscription(subscription: Subscription, controlPlane: string): JsonObject {
  const { id, connectAtMs, disconnectAtMs, updateAtMs, stats, version } = subscription;
  const total = Object.values(stats).reduce((sum, { sent, acknowledged, rejected }) => ({
    sent: sum.sent + sent,
    acknowledged: sum.acknowledged + acknowledged,
    rejected: sum.rejected + rejected,
  }), { sent: 0, acknowledged: 0, rejected: 0 });
  return {
    id,
    controlPlaneInstanceId: controlPlane,
    connectTime: timeOf(connectAtMs),
    ...(disconnectAtMs !== null && { disconnectTime: timeOf(disconnectAtMs) }),
    status: {
      lastUpdateTime: timeOf(updateAtMs),
      total: renderStats(total),
      cds: renderStats(stats[TYPES.cluster]),
      eds: renderStats(stats[TYPES.endpoint]),
      lds: renderStats(stats[TYPES.listener]),
      rds: renderStats(stats[TYPES.route]),
    },
    version,
  };
}

function renderStats(stats: Stats | undefined): JsonObject {
  if (!stats) return {};
  const { sent, acknowledged, rejected } = stats;
  return {
    ...(sent > 0 && { responsesSent: String(sent) }),
    ...(acknowledged > 0 && { responsesAcknowledged: String(acknowledged) }),
    ...(rejected > 0 && { responsesRejected: String(rejected) }),
  };
}

/** RFC 3339. Only formats a number: no clock is read. */
export function timeOf(atMs: number): string {
  return new Date(atMs).toISOString();
}
