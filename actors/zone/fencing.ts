// Which control plane a zone's name belongs to, when more than one says that it is theirs.

import type { ZoneRun } from "../../kds/wire.ts";

export interface Holder {
  readonly run: ZoneRun;
  /** When a stream of it ended last. */
  readonly seenAtMs: number;
}

/** Another control plane that wants the name, and was refused. */
export interface Rival {
  readonly message: string;
  readonly atMs: number;
}

export type Contest =
  /** Null: nobody that says who it is. */
  | { readonly ok: true; readonly holder: Holder | null }
  | { readonly ok: false; readonly message: string };

/** As long as a connection may take to be made again: the older is not let in between. */
const HOLD_MS = 30_000;
/** One that is refused comes back within this. */
export const RIVAL_MS = 60_000;
/** More takeovers than this in a minute: two control planes use one zone name. */
export const TAKEOVERS_ALARM = 3;
const TAKEOVERS_WINDOW_MS = 60_000;

/**
 * The process that began last has the name, while it is there and a little longer: a restart takes
 * over at once, and two that run beside each other do not take it from each other for ever, nor
 * does it matter who connects when. Kuma's do not say when they began: one of them comes in when
 * nobody who does is there.
 */
export function contend(
  zone: string,
  holder: Holder | null,
  { run, live, nowMs }: {
    readonly run: ZoneRun | null;
    /** Whether the holder has a stream now. */
    readonly live: boolean;
    readonly nowMs: number;
  },
): Contest {
  if (run === null) {
    return holder && live
      ? { ok: false, message: takenBy(zone, holder) }
      : { ok: true, holder: null };
  }
  if (holder === null || !isOlder(run, holder.run)) {
    return { ok: true, holder: { run, seenAtMs: nowMs } };
  }
  const isHeld = live || nowMs < holder.seenAtMs + HOLD_MS;
  if (!isHeld) return { ok: true, holder: { run, seenAtMs: nowMs } };
  const own = `this one, ${run.instance}, runs since ${timeText(run.startedAtMs)}`;
  return { ok: false, message: `${takenBy(zone, holder)}; ${own}` };
}

/** Null: it has been quiet for a while. */
export function rivalNow(rival: Rival | null, nowMs: number): Rival | null {
  return rival && nowMs < rival.atMs + RIVAL_MS ? rival : null;
}

export function recentTakeovers(atMs: readonly number[], nowMs: number): readonly number[] {
  return atMs.filter((ms) => ms > nowMs - TAKEOVERS_WINDOW_MS);
}

function isOlder(a: ZoneRun, b: ZoneRun): boolean {
  if (a.instance === b.instance) return false;
  return a.startedAtMs === b.startedAtMs ? a.instance < b.instance : a.startedAtMs < b.startedAtMs;
}

function takenBy(zone: string, { run }: Holder): string {
  return `zone "${zone}" is taken by control plane ${run.instance}, which runs since ` +
    `${timeText(run.startedAtMs)}: stop one of them, or give it another --zone`;
}

function timeText(ms: number): string {
  return new Date(ms).toISOString();
}
