// What this zone's proxies made of each of global's revisions, until global has been told.

import type { ProxyCounts } from "../../core/receipt.ts";
import type { ZoneReport } from "../../kds/wire.ts";

type Counts = Pick<ZoneReport, "proxies" | "lastAckMs">;

interface Standing {
  /** The newest of global's revisions before this one. */
  readonly after: number;
  /** Our commits that carried it out; null: its receipt is not complete. */
  readonly parts: Map<number, Counts | null>;
}

export interface Reports {
  /** Another global has other revisions. */
  readonly clusterId: string;
  /** Newest of global's revisions that came here. */
  seen: number;
  /** Writes without an answer, to the revision of global's that they carry out. */
  readonly writes: Map<string, number>;
  /** Our revision to those of global's that it carried out. */
  readonly origins: Map<number, readonly number[]>;
  /** By global's revision. */
  readonly standings: Map<number, Standing>;
  /** Revisions of global about which there is something to tell. */
  readonly news: Set<number>;
  /** Those of them that a call under way tells. */
  readonly telling: Set<number>;
}

interface HowFar {
  readonly clusterId: string;
  readonly revision: number;
}

/** Older ones are forgotten: receipts tell about now. */
const REVISIONS_MAX = 256;
/** All of a report must fit in the metadata of one call. */
const REPORTS_PER_CALL_MAX = 16;

/** `revision`: how far this zone had come before; what became of that is not known any more. */
export function noReports({ clusterId, revision }: HowFar): Reports {
  return {
    clusterId,
    seen: revision,
    writes: new Map(),
    origins: new Map(),
    standings: new Map(),
    news: new Set(),
    telling: new Set(),
  };
}

export function reportsFor(reports: Reports, global: HowFar): Reports {
  return reports.clusterId === global.clusterId ? reports : noReports(global);
}

/** Something of global's revision is here; what it shows was here already, or is being written. */
export function noteArrival(reports: Reports, origin: number): void {
  if (origin > reports.seen) note(reports, origin);
}

/** This write carries out what global sent at its revision `origin`. */
export function noteWrite({ writes }: Reports, ref: string, origin: number): void {
  if (origin > 0) writes.set(ref, origin);
}

/** `local`: our commit; null when there is none. */
export function noteWritten(reports: Reports, ref: string, local: number | null): void {
  const { writes, origins } = reports;
  const origin = writes.get(ref);
  writes.delete(ref);
  if (origin === undefined || local === null) return;
  const { parts } = reports.standings.get(origin) ?? note(reports, origin);
  if (!parts.has(local)) parts.set(local, null);
  const known = origins.get(local) ?? [];
  if (!known.includes(origin)) origins.set(local, [...known, origin]);
  forgetOldest(origins);
}

export function noteProgress(reports: Reports, local: number, counts: Counts): void {
  for (const origin of reports.origins.get(local) ?? []) {
    const standing = reports.standings.get(origin);
    if (!standing) continue;
    standing.parts.set(local, counts);
    reports.news.add(origin);
  }
}

/**
 * What is known completely, oldest first, as much as one call takes. Of a revision that is still
 * `underWay`, or of which a commit is not complete, there is nothing to tell yet.
 */
export function takeNews(
  { standings, news, telling }: Reports,
  underWay: ReadonlySet<number>,
): readonly ZoneReport[] {
  const reports: ZoneReport[] = [];
  for (const revision of [...news].sort((a, b) => a - b)) {
    if (reports.length === REPORTS_PER_CALL_MAX) break;
    const standing = standings.get(revision);
    const parts = [...standing?.parts.values() ?? []].filter((part) => part !== null);
    if (standing && (underWay.has(revision) || parts.length < standing.parts.size)) continue;
    news.delete(revision);
    if (!standing) continue;
    telling.add(revision);
    reports.push({ revision, after: standing.after, ...summed(parts) });
  }
  return reports;
}

/** Global has what it was told last. */
export function noteAnswered({ telling }: Reports): void {
  telling.clear();
}

/** It may not have it. */
export function noteUntold({ news, telling }: Reports): void {
  for (const revision of telling) news.add(revision);
  telling.clear();
}

function note(reports: Reports, origin: number): Standing {
  const standing: Standing = { after: Math.min(reports.seen, origin - 1), parts: new Map() };
  reports.seen = Math.max(reports.seen, origin);
  reports.standings.set(origin, standing);
  reports.news.add(origin);
  forgetOldest(reports.standings);
  return standing;
}

/** A proxy that two commits concern is counted for each: the sums compare with each other. */
function summed(parts: readonly Counts[]): Counts {
  const total = (count: keyof ProxyCounts) =>
    parts.reduce((sum, { proxies }) => sum + proxies[count], 0);
  return {
    proxies: {
      affected: total("affected"),
      acked: total("acked"),
      nacked: total("nacked"),
      pending: total("pending"),
      offline: total("offline"),
    },
    lastAckMs: parts.reduce<number | null>(
      (last, { lastAckMs }) => lastAckMs === null ? last : Math.max(last ?? 0, lastAckMs),
      null,
    ),
  };
}

function forgetOldest(table: Map<number, unknown>): void {
  for (const oldest of table.keys()) {
    if (table.size <= REVISIONS_MAX) return;
    table.delete(oldest);
  }
}
