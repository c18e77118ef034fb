// How long a zone waits before it dials its global again.

const FIRST_MS = 250;
/** Nobody answered: a look at a port costs nobody anything, and whoever is back is found soon. */
const UNREACHED_MAX_MS = 4_000;
/** Somebody answered and then ended it: a global that has too much to do is left in peace. */
const ANSWERED_MAX_MS = 15_000;

export interface Failures {
  /** In a row, since the last session that worked. */
  readonly attempts: number;
  /** Whether the last of them had reached global. */
  readonly answered: boolean;
  readonly random: () => number;
}

/** Anything up to a ceiling that doubles: zones that lost one global come back at different times. */
export function pauseMs({ attempts, answered, random }: Failures): number {
  const most = answered ? ANSWERED_MAX_MS : UNREACHED_MAX_MS;
  return Math.round(random() * Math.min(most, FIRST_MS * 2 ** (attempts - 1)));
}
