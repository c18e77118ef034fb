// Waiting for what only asking can tell.

const PAUSE_MS = 25;

/** Asks until the answer is true; a text says what is in the way, and is told when time is up. */
export async function until(
  what: string,
  ask: () => Promise<true | string> | true | string,
  timeoutMs = 60_000,
): Promise<number> {
  const startedAtMs = performance.now();
  for (;;) {
    const answer = await ask();
    const passedMs = performance.now() - startedAtMs;
    if (answer === true) return passedMs;
    if (passedMs > timeoutMs) {
      throw new Error(`No ${what} after ${Math.round(passedMs / 1_000)} s: ${answer}`);
    }
    await pause(PAUSE_MS);
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((done) => setTimeout(done, ms));
}
