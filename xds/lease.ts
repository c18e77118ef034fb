// How long a proxy stays everybody's endpoint after its last sign of life: its lease, in fifths.

/** Until a ping, and again until its answer is missed: two of them leave the fifth in which to come back. */
const PING_SHARE = 2 / 5;
const FOUND_SHARE = 2 * PING_SHARE;
/** A control plane that stood still misses one of these at most: each is counted while it runs. */
const STEP_SHARE = 1 / 5;
/** A look that is later than this was kept from it. */
const LATE_SHARE = 1 / 20;
/**
 * A proxy dials a control plane that is back at least every three seconds: a shorter lease would
 * end before that.
 */
export const LEASE_MS_MIN = 5_000;

/** Pings that find a connection which nobody answers any more while the lease still runs. */
export function keepaliveOf(leaseMs: number): {
  readonly intervalMs: number;
  readonly timeoutMs: number;
} {
  const ms = Math.round(leaseMs * PING_SHARE);
  return { intervalMs: ms, timeoutMs: ms };
}

/**
 * When to look again at a connection that was silent for so long; null: nobody is there. Who looks
 * late was away itself, and has yet to read what came meanwhile.
 */
export function lookAgainMs(
  leaseMs: number,
  { silentMs, lateMs }: { readonly silentMs: number; readonly lateMs: number },
): number | null {
  const foundMs = leaseMs * FOUND_SHARE;
  if (silentMs < foundMs) return Math.max(1, foundMs - silentMs);
  const shortMs = leaseMs * LATE_SHARE;
  return lateMs < shortMs ? null : shortMs;
}

/**
 * What is left of a lease when a stream is over whose connection was silent for so long. Silence is
 * found after four fifths; what is longer is time in which this process stood still, and heard nobody.
 */
export function leftOf(leaseMs: number, silentMs: number): number {
  const foundMs = leaseMs * FOUND_SHARE;
  const ownMs = Math.max(0, silentMs - foundMs);
  return Math.min(leaseMs, leaseMs - Math.min(silentMs, foundMs) + ownMs);
}

/** How much of a lease is counted at once. */
export function stepOf(leaseMs: number): number {
  return leaseMs * STEP_SHARE;
}
