// Randomness from a seed, the same on every machine.

/** mulberry32: small, fast, and good enough for jitter and fault injection; never for keys. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** A seed for one incarnation of one actor, so that a draw in one does not shift the others. */
export function seedFor(seed: number, path: string, incarnation: number): number {
  let hash = (seed ^ Math.imul(incarnation, 0x9e3779b1)) >>> 0;
  for (let i = 0; i < path.length; i++) {
    hash = Math.imul(hash ^ path.charCodeAt(i), 0x01000193) >>> 0;
  }
  return hash;
}
