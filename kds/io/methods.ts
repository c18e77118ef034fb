// The six calls between zones and global, as both edges know them. Bytes pass as they are.

import { Buffer } from "node:buffer";
import type { StreamKind, ZoneReport, ZoneRun } from "../wire.ts";

const SYNC = "/kuma.mesh.v1alpha1.KDSSyncService";
const GLOBAL = "/kuma.mesh.v1alpha1.GlobalKDSService";

/** What is open for as long as the connection. On the last three global asks, and the zone answers. */
export const STREAM_PATHS: Readonly<Record<StreamKind, string>> = {
  global_to_zone: `${SYNC}/GlobalToZoneSync`,
  zone_to_global: `${SYNC}/ZoneToGlobalSync`,
  xds: `${GLOBAL}/StreamXDSConfigs`,
  stats: `${GLOBAL}/StreamStats`,
  clusters: `${GLOBAL}/StreamClusters`,
};

export const HEALTH_PATH = `${GLOBAL}/HealthCheck`;

/** Kuma's server refuses pings that come faster than every 15 s; so does nobody who waits 20. */
export const CLIENT_KEEPALIVE_MS = 20_000;
export const SERVER_KEEPALIVE_MS = 15_000;
export const KEEPALIVE_TIMEOUT_MS = 15_000;

/** For TCP alone: its third knock comes after 3 s, and a machine that is back is dialled anew soon. */
export const REACH_MS_MAX = 4_000;

export const CLIENT_ID = "client-id";
/** Kuma's open-source zones send none; ours send `Bearer TOKEN`. */
export const AUTHORIZATION = "authorization";
/** Ours, on health checks: progress of the zone's proxies as JSON. Others ignore it. */
export const PROGRESS = "ursa-progress";

/** Ours, on health checks: digests of what the zone holds (kds/digest.ts). Others ignore it. */
export const DIGESTS = "ursa-digests";

/** Ours, on every call: which run of the zone's control plane it is. Others ignore it. */
export const RUN = "ursa-run";

export function runText({ instance, startedAtMs }: ZoneRun): string {
  return `${startedAtMs}.${instance}`;
}

/** Null when it makes no sense. */
export function readRun(text: string): ZoneRun | null {
  const [, startedAtMs, instance] = /^(\d{1,15})\.([\w.-]{1,128})$/.exec(text) ?? [];
  return instance === undefined ? null : { instance, startedAtMs: Number(startedAtMs) };
}

export function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export function fromBuffer(bytes: Buffer): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

const REPORTS_MAX = 64;

/** What a zone wrote, as far as it has the right shape. */
export function readReports(text: string): readonly ZoneReport[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return [];
  }
  if (!Array.isArray(value)) return [];
  return value.slice(0, REPORTS_MAX).filter(isReport).map((report) => ({
    ...report,
    after: isCount(report.after) ? report.after : Math.max(0, report.revision - 1),
  }));
}

type Written = Omit<ZoneReport, "after"> & { readonly after?: unknown };

function isReport(value: unknown): value is Written {
  const { revision, proxies, lastAckMs } = (value ?? {}) as Partial<ZoneReport>;
  if (typeof proxies !== "object" || proxies === null) return false;
  const { affected, acked, nacked, pending, offline } = proxies;
  const counts = [revision, affected, acked, nacked, pending, offline, lastAckMs ?? 0];
  return counts.every(isCount);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
