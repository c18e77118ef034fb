// The receipts actor: for each of the last commits, whom it concerned and who has answered.
//
//   revision_committed ─▶ announced by each mesh actor ─▶ each proxy: unchanged | offline
//                                                                   | pending ─▶ acked | nacked
//
// At global, each zone: pending ─▶ delivered ─▶ reported, or offline while it has no connection.

import type {
  NackReceipt,
  ProxyCounts,
  ProxyReceipt,
  Receipt,
  ZoneReceipt,
} from "../../core/receipt.ts";
import type { ResourceKey } from "../../core/resource.ts";
import {
  type Actor,
  type Effect,
  isAt,
  type Path,
  reply,
  type ReplyTo,
  send,
  type Turn,
} from "../runtime/actor.ts";
import type { ProxyOutcome, ReceiptsMsg, ZoneProxies } from "./messages.ts";

/** How many changes are remembered: a receipt tells about now, it is not a log. */
export const RECEIPTS_KEPT = 256;

type Standing = { readonly state: "asked" } | (ProxyOutcome & { readonly ms: number });

interface ZoneStanding {
  /** From the commit to the zone's answer. */
  readonly ms: number | null;
  /** Why it has not taken this change; null when it has, or has not answered. */
  readonly rejected: string | null;
  readonly offline: boolean;
  /** Whether its proxies' answers are to be waited for; one that was away may have forgotten them. */
  readonly reports: boolean;
  readonly report: { readonly revision: number; readonly proxies: ZoneProxies } | null;
}

type OfZone<Tag extends string> = ReceiptsMsg & { readonly tag: Tag; readonly zone: string };

/** Where each proxy stands, and how many still owe an answer. */
class Standings {
  readonly #byPath: Map<Path, Standing>;
  #open: number;

  constructor(asked: readonly Path[]) {
    this.#byPath = new Map(asked.map((path) => [path, { state: "asked" }]));
    this.#open = this.#byPath.size;
  }

  get open(): number {
    return this.#open;
  }

  get(path: Path): Standing | undefined {
    return this.#byPath.get(path);
  }

  set(path: Path, standing: Standing): void {
    this.#open += Number(isOpen(standing)) - Number(isOpen(this.#byPath.get(path)));
    this.#byPath.set(path, standing);
  }

  paths(): readonly Path[] {
    return [...this.#byPath.keys()];
  }

  all(): readonly (readonly [Path, Standing])[] {
    return [...this.#byPath];
  }
}

function isOpen(standing: Standing | undefined): boolean {
  return standing?.state === "asked" || standing?.state === "pending";
}

interface Entry {
  readonly revision: number;
  readonly atMs: number;
  readonly mesh: string;
  readonly types: ReadonlySet<string>;
  /** Actors that have not said yet whom it concerns. */
  readonly unannounced: Set<Path>;
  readonly proxies: Standings;
  readonly zones: Map<string, ZoneStanding>;
  readonly waiting: ReplyTo[];
}

export interface ReceiptsArgs {
  /** Told `report_progress` of each change that is complete: a zone's link to global. */
  readonly reportTo: Path | null;
  /** Types that zones are sent: only these are theirs to answer for. */
  readonly zoneTypes: readonly string[];
}

export interface ReceiptsState {
  readonly args: ReceiptsArgs;
  /** Owned and mutated in place; insertion order is order of revision. */
  readonly entries: Map<number, Entry>;
  /** Those of them that somebody owes an answer to: with many proxies, all others are too many to visit. */
  readonly incomplete: Map<number, Entry>;
  readonly offlineZones: Set<string>;
}

const MESHES = "meshes/";
const PROXIES = "dataplanes/";
const ZONES = "zones/";

export const receipts: Actor<ReceiptsState, ReceiptsMsg, ReceiptsArgs> = {
  mailbox: { capacity: 1_000_000, whenFull: "shed_oldest" },
  init: (
    args,
  ) => [{ args, entries: new Map(), incomplete: new Map(), offlineZones: new Set() }, []],

  receive(state, msg, at): Turn<ReceiptsState> {
    switch (msg.tag) {
      case "revision_committed":
        return committed(state, msg, at.nowMs);
      case "change_announced":
        return update(state, msg.revision, (entry) => announce(entry, msg.by, msg.proxies));
      case "proxy_progress":
        return update(
          state,
          msg.revision,
          (entry) => progress(entry, msg.proxy, msg.outcome, at.nowMs),
        );
      case "audience_left":
        return update(state, Infinity, (entry) => left(entry, msg.at, at.nowMs));
      case "zone_progress":
        return updateZone(
          state,
          msg,
          (standing, entry) => delivered(standing, entry, msg, at.nowMs),
        );
      case "zone_report":
        return updateZone(state, msg, (standing, entry) => reported(standing, entry, msg));
      case "zone_presence":
        return zonePresence(state, msg);
      case "await_receipt": {
        const entry = state.entries.get(msg.revision);
        if (!entry || isComplete(entry)) return [state, [reply(msg.reply, entry && render(entry))]];
        entry.waiting.push(msg.reply);
        return [state, []];
      }
    }
  },

  describe: (state) => ({
    kept: state.entries.size,
    incomplete: state.incomplete.size,
  }),
};

/** For edges that look without asking. Undefined: never there, or no longer. */
export function receiptOf(state: ReceiptsState | undefined, revision: number): Receipt | undefined {
  const entry = state?.entries.get(revision);
  return entry && render(entry);
}

function committed(
  state: ReceiptsState,
  { revision, keys, audience }: ReceiptsMsg & { readonly tag: "revision_committed" },
  atMs: number,
): Turn<ReceiptsState> {
  const forZones = keys.some(({ type }) => state.args.zoneTypes.includes(type));
  const concerned = audience.filter((path) =>
    [MESHES, PROXIES, ZONES].some((start) => path.startsWith(start))
  );
  const meshes = new Set(
    keys.map((key) => key.type === "Mesh" ? key.name : key.mesh).filter((mesh) => mesh),
  );
  const entry: Entry = {
    revision,
    atMs,
    mesh: meshes.size === 1 ? [...meshes][0]! : "",
    types: new Set(keys.map(({ type }) => type)),
    unannounced: new Set(concerned.filter((path) => path.startsWith(MESHES))),
    proxies: new Standings(concerned.filter((path) => path.startsWith(PROXIES))),
    zones: forZones ? zonesOf(state, concerned) : new Map(),
    waiting: [],
  };
  const complete = isComplete(entry);
  const effects: Effect[] = complete ? [...report(state, entry)] : [];
  // Nobody asks for these, and there are many: they would displace the others.
  if (complete && keys.every(isStatus)) return [state, effects];
  state.entries.set(revision, entry);
  if (!complete) state.incomplete.set(revision, entry);
  for (const [oldest, old] of state.entries) {
    if (state.entries.size <= RECEIPTS_KEPT) break;
    state.entries.delete(oldest);
    state.incomplete.delete(oldest);
    effects.push(...tell(old));
  }
  return [state, effects];
}

/** What control planes write of their own accord. */
function isStatus({ type }: ResourceKey): boolean {
  return type.endsWith("Insight") || type === "Config";
}

function zonesOf(
  { offlineZones }: ReceiptsState,
  concerned: readonly Path[],
): Map<string, ZoneStanding> {
  const told = concerned.filter((path) => path.startsWith(ZONES))
    .map((path) => path.slice(ZONES.length));
  return new Map([...told, ...offlineZones].map((zone) => [zone, {
    ms: null,
    rejected: null,
    offline: offlineZones.has(zone),
    reports: !offlineZones.has(zone),
    report: null,
  }]));
}

/** Whatever is known up to a revision is known of every change before it, too. */
function update(
  state: ReceiptsState,
  revision: number,
  change: (entry: Entry) => void,
): Turn<ReceiptsState> {
  const effects: Effect[] = [];
  for (const entry of state.incomplete.values()) {
    if (entry.revision > revision) continue;
    change(entry);
    if (!isComplete(entry)) continue;
    state.incomplete.delete(entry.revision);
    effects.push(...tell(entry), ...report(state, entry));
  }
  return [state, effects];
}

function announce(entry: Entry, by: Path, proxies: readonly Path[]): void {
  if (!entry.unannounced.delete(by)) return;
  // Even of one that has answered for what it heard from the hub itself: this is more.
  for (const proxy of proxies) entry.proxies.set(proxy, { state: "asked" });
}

function left(entry: Entry, at: Path, nowMs: number): void {
  for (const path of entry.unannounced) if (isAt(at, path)) entry.unannounced.delete(path);
  for (const path of entry.proxies.paths()) {
    if (isAt(at, path)) progress(entry, path, { state: "offline" }, nowMs);
  }
}

function progress(entry: Entry, proxy: Path, outcome: ProxyOutcome, nowMs: number): void {
  if (!isOpen(entry.proxies.get(proxy))) return;
  entry.proxies.set(proxy, { ...outcome, ms: nowMs - entry.atMs });
}

/** Of all that is kept: a receipt that was complete may be so no longer. */
function updateZone(
  state: ReceiptsState,
  { zone }: { readonly zone: string },
  change: (standing: ZoneStanding, entry: Entry) => ZoneStanding,
): Turn<ReceiptsState> {
  const effects: Effect[] = [];
  for (const entry of state.entries.values()) {
    const before = entry.zones.get(zone);
    if (!before) continue;
    const after = change(before, entry);
    if (after === before) continue;
    entry.zones.set(zone, after);
    if (!isComplete(entry)) state.incomplete.set(entry.revision, entry);
    else if (state.incomplete.delete(entry.revision)) effects.push(...tell(entry));
  }
  return [state, effects];
}

function delivered(
  standing: ZoneStanding,
  { revision, atMs, types }: Entry,
  progress: OfZone<"zone_progress">,
  nowMs: number,
): ZoneStanding {
  const isOpen = standing.ms === null || standing.rejected !== null;
  if (!isOpen || revision > progress.revision) return standing;
  const reasons = Object.entries(progress.rejected ?? {}).filter(([type]) => types.has(type))
    .map(([type, reason]) => `${type}: ${reason}`);
  if (reasons.length > 0) {
    const ms = standing.ms ?? nowMs - atMs;
    return { ...standing, ms, rejected: reasons.join("; "), reports: false };
  }
  const reports = standing.reports && revision <= progress.reportsThrough;
  return { ...standing, ms: nowMs - atMs, rejected: null, reports };
}

function reported(
  standing: ZoneStanding,
  entry: Entry,
  { after, revision, proxies }: OfZone<"zone_report">,
): ZoneStanding {
  if (entry.revision <= after || entry.revision > revision) return standing;
  const known = standing.report;
  // More of the same revision may have arrived in the zone; only one that restarted knows less.
  const newer = known === null ||
    known.revision === revision && known.proxies.affected <= proxies.affected;
  return newer ? { ...standing, report: { revision, proxies } } : standing;
}

function zonePresence(
  state: ReceiptsState,
  { zone, presence }: OfZone<"zone_presence">,
): Turn<ReceiptsState> {
  const offline = presence !== "online";
  if (presence === "offline") state.offlineZones.add(zone);
  else state.offlineZones.delete(zone);
  return updateZone(
    state,
    { zone },
    (standing) =>
      isPending(standing) || standing.offline ? { ...standing, offline, reports: false } : standing,
  );
}

function isPending({ ms, offline, reports, report }: ZoneStanding): boolean {
  if (offline) return false;
  return ms === null || reports && (report === null || pendingOf(report.proxies) > 0);
}

function isComplete(entry: Entry): boolean {
  if (entry.unannounced.size > 0 || entry.proxies.open > 0) return false;
  return ![...entry.zones.values()].some(isPending);
}

function tell(entry: Entry): readonly Effect[] {
  const receipt = render(entry);
  return entry.waiting.splice(0).map((to) => reply(to, receipt));
}

/** Global sums what its zones' proxies made of a change. */
function report({ args: { reportTo } }: ReceiptsState, entry: Entry): readonly Effect[] {
  if (reportTo === null) return [];
  const { revision, proxies, lastAckMs } = render(entry);
  return [send(reportTo, { tag: "report_progress", revision, proxies, lastAckMs })];
}

function render(entry: Entry): Receipt {
  const perProxy = entry.proxies.all().flatMap(([path, standing]) => proxyReceipt(path, standing));
  const nacks = entry.proxies.all().flatMap(([path, standing]) => nackReceipt(path, standing));
  return {
    revision: entry.revision,
    atMs: entry.atMs,
    mesh: entry.mesh,
    complete: isComplete(entry),
    proxies: countsOf(perProxy),
    lastAckMs: perProxy.reduce<number | null>(
      (last, { state, ms }) => state === "acked" && ms !== null ? Math.max(last ?? 0, ms) : last,
      null,
    ),
    nacks,
    perProxy,
    ...(entry.zones.size > 0 && { zones: [...entry.zones].map(zoneReceipt) }),
  };
}

function proxyReceipt(path: Path, standing: Standing): readonly ProxyReceipt[] {
  if (standing.state === "unchanged") return [];
  const proxy = path.slice(PROXIES.length);
  if (standing.state === "asked" || standing.state === "pending") {
    return [{ proxy, state: "pending", ms: null }];
  }
  return [{ proxy, state: standing.state, ms: standing.state === "offline" ? null : standing.ms }];
}

function nackReceipt(path: Path, standing: Standing): readonly NackReceipt[] {
  if (standing.state !== "nacked") return [];
  return [{
    proxy: path.slice(PROXIES.length),
    typeUrl: standing.typeUrl,
    message: standing.message,
  }];
}

function countsOf(perProxy: readonly ProxyReceipt[]): ProxyCounts {
  const count = (state: ProxyReceipt["state"]) =>
    perProxy.filter((proxy) => proxy.state === state).length;
  return {
    affected: perProxy.length,
    acked: count("acked"),
    nacked: count("nacked"),
    pending: count("pending"),
    offline: count("offline"),
  };
}

function zoneReceipt([zone, standing]: [string, ZoneStanding]): ZoneReceipt {
  const { ms, rejected, offline, report } = standing;
  return {
    zone,
    delivered: ms !== null && rejected === null,
    ms,
    ...(rejected !== null && { rejected }),
    ...(offline && { offline }),
    ...(isPending(standing) && { awaited: true }),
    ...(report && {
      proxies: {
        affected: report.proxies.affected,
        acked: report.proxies.acked,
        nacked: report.proxies.nacked,
        offline: report.proxies.offline,
        pending: pendingOf(report.proxies),
      },
      lastAckMs: report.proxies.lastAckMs,
    }),
  };
}

function pendingOf({ affected, acked, nacked, offline }: ZoneProxies): number {
  return affected - acked - nacked - offline;
}
