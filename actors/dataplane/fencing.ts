// Who owns a proxy's name when more than one stream says it does.

import type { Labels } from "../../core/resource.ts";

/** Kept so that an owner who was replaced cannot come back; more than this many runs is history. */
const SUPERSEDED_KEPT = 32;
/** Written with a registration, so that a restarted control plane still knows who was replaced. */
const SUPERSEDED_LABEL = "ursa.io/superseded";
/** The beginnings of ids, as many as go into the 63 characters of a label. */
const REMEMBERED = 7;
/** Takeovers by peers without instance ids that mean two live owners alternate. */
const ALARM_TAKEOVERS = 3;
const ALARM_WITHIN_MS = 10_000;

export interface Ownership {
  /** Instance id of the current stream; "" when its peer says none. */
  readonly instance: string;
  readonly superseded: readonly string[];
  /** When streams without ids took over, as far as it matters. */
  readonly takeoversAtMs: readonly number[];
  /** Why somebody should look, until things have been quiet for a while. */
  readonly alarm: string | null;
}

export const unowned: Ownership = { instance: "", superseded: [], takeoversAtMs: [], alarm: null };

export type Claim =
  | { readonly ok: true; readonly ownership: Ownership; readonly alarmed: boolean }
  | { readonly ok: false; readonly reason: string };

/**
 * A new stream takes over at once; Kuma refuses it and a restarted proxy waits. With instance ids a
 * superseded run stays out; without, only the pattern shows that two owners alternate.
 */
export function claim(
  owner: Ownership,
  { instance, live, nowMs }: {
    readonly instance: string;
    /** Whether the owner has a stream now. */
    readonly live: boolean;
    readonly nowMs: number;
  },
): Claim {
  if (instance !== "" && isSuperseded(owner, instance)) {
    return {
      ok: false,
      reason: `instance ${instance} was superseded by ${owner.instance || "another stream"}: ` +
        "a newer dp process runs under this name; stop one of them or rename it",
    };
  }
  // By a stream without an id, too: else the two would alternate, and neither pattern would show.
  const replaced = owner.instance !== "" && owner.instance !== instance ? [owner.instance] : [];
  const superseded = [...owner.superseded, ...replaced].slice(-SUPERSEDED_KEPT);
  if (instance !== "") {
    return {
      ok: true,
      alarmed: false,
      ownership: { instance, superseded, takeoversAtMs: [], alarm: null },
    };
  }
  const recent = owner.takeoversAtMs.filter((atMs) => atMs > nowMs - ALARM_WITHIN_MS);
  const takeoversAtMs = live ? [...recent, nowMs] : recent;
  const alarm = takeoversAtMs.length >= ALARM_TAKEOVERS
    ? `${takeoversAtMs.length} streams took over from each other within ${
      ALARM_WITHIN_MS / 1000
    } s: ` +
      "two proxies run under this name; stop one of them or rename it"
    : null;
  return {
    ok: true,
    alarmed: alarm !== null && owner.alarm === null,
    ownership: { instance, superseded, takeoversAtMs, alarm },
  };
}

function isSuperseded({ superseded }: Ownership, instance: string): boolean {
  const start = startOf(instance);
  return superseded.includes(instance) || start !== null && superseded.includes(start);
}

/** The labels of a registration, with what must outlive this process. */
export function remember(labels: Labels, { superseded }: Ownership): Labels {
  const starts = superseded.map(startOf).filter((start) => start !== null);
  const last = [...new Set(starts)].slice(-REMEMBERED);
  return last.length === 0 ? labels : { ...labels, [SUPERSEDED_LABEL]: last.join(".") };
}

/** What is known of an owner, and what an earlier process wrote down. */
export function recall(owner: Ownership, labels: Labels = {}): Ownership {
  const written = labels[SUPERSEDED_LABEL]?.split(".") ?? [];
  const known = new Set(owner.superseded.map(startOf));
  const forgotten = written.filter((start) => !known.has(start));
  return { ...owner, superseded: [...forgotten, ...owner.superseded] };
}

/** Of a random UUID, as `ursa dp` sends it; null for an id that might be no label's value. */
function startOf(instance: string): string | null {
  return /^[\da-f]{8}/.exec(instance)?.[0] ?? null;
}
