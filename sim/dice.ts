// Chance in a simulated world: one die for each concern, so that a draw in one does not shift others.

import { seededRandom, seedFor } from "../actors/runtime/random.ts";

export class Dice {
  /** How often it was thrown, and what it showed last: two runs that differ in these differ. */
  draws = 0;
  last = 0;
  readonly #next: () => number;

  constructor(seed: number, concern: string) {
    this.#next = seededRandom(seedFor(seed, concern, 0));
  }

  /** In [0, 1). */
  random(): number {
    this.draws++;
    return this.last = this.#next();
  }

  chance(probability: number): boolean {
    return this.random() < probability;
  }

  pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.random() * items.length)]!;
  }

  between(least: number, most: number): number {
    return least + this.random() * (most - least);
  }

  /** A whole number; small ones more often than large ones. */
  skewed(least: number, most: number): number {
    return Math.round(least * (most / least) ** this.random());
  }

  durationMs(leastMs: number, mostMs: number): number {
    return this.skewed(leastMs, mostMs);
  }
}
