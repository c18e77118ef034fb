// The lease of one proxy: streams renew it, and without one it runs out. Which lease a timer or an
// answer was for is written on it, so that nothing late ends a newer one.

import type { JsonObject } from "../../core/resource.ts";
import { leftOf, stepOf } from "../../xds/lease.ts";
import { cancel, type Effect, timer } from "../runtime/actor.ts";
import { timeOf } from "../../xds/proxy_insight.ts";

export interface Lease {
  /** Grows with every lease of this proxy. */
  readonly serial: number;
  /** Null while a stream renews it. */
  readonly running: Running | null;
}

interface Running {
  readonly leftMs: number;
  /** Counted at once: a control plane that stands still misses one of these at most. */
  readonly stepMs: number;
  /** For people: when it is over, by a clock that somebody may set. */
  readonly untilMs: number;
  readonly because: string;
}

export const unleased: Lease = { serial: 0, running: null };

export function renewed({ serial }: Lease): readonly [Lease, Effect] {
  return [{ serial: serial + 1, running: null }, cancel("lease")];
}

/** Since the last sign of life, which was `silentMs` ago. */
export function lost(
  { serial }: Lease,
  { leaseMs, silentMs = 0, because, nowMs }: {
    readonly leaseMs: number;
    readonly silentMs?: number;
    readonly because: string;
    readonly nowMs: number;
  },
): readonly [Lease, Effect] {
  const leftMs = leftOf(leaseMs, silentMs);
  const running = { leftMs, stepMs: stepOf(leaseMs), untilMs: nowMs + leftMs, because };
  return looked({ serial: serial + 1, running });
}

/** What a timer means to the lease that there is now. */
export function due(lease: Lease, serial: number): "old" | "over" | readonly [Lease, Effect] {
  const { running } = lease;
  if (!running || serial !== lease.serial) return "old";
  const leftMs = running.leftMs - running.stepMs;
  if (leftMs <= 0) return "over";
  return looked({ serial, running: { ...running, leftMs } });
}

function looked(lease: Lease & { readonly running: Running }): readonly [Lease, Effect] {
  const { leftMs, stepMs } = lease.running;
  return [lease, again(lease, Math.min(leftMs, stepMs))];
}

export function again({ serial }: Lease, ms: number): Effect {
  return timer("lease", ms, { tag: "lease_due", serial });
}

/** What insights and people are told. */
export function renderLease({ running }: Lease): JsonObject {
  return running ? { leasedUntil: timeOf(running.untilMs), lost: running.because } : {};
}
