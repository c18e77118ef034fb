// A scenario of real processes: what is done to a federation, and the figures that come of it.

import assert from "node:assert/strict";
import type { Load } from "../../cli/demo/client.ts";
import type { Federation } from "./federation.ts";

export interface Scenario {
  /** By the specification's names; the same ones as in sim/scenarios. */
  readonly ids: readonly string[];
  /** Ends with everything as it was. Gives a line of figures for each id. */
  run(federation: Federation): Promise<readonly string[]>;
}

/** `0 of 2000 requests failed`. */
export function noneFailed(loads: readonly Load[]): string {
  const failures = loads.flatMap((load) => load.failures);
  const all = loads.reduce((sum, { outcomes }) => sum + outcomes.length, 0);
  const [first] = failures;
  assert.equal(failures.length, 0, `${failures.length} of ${all} failed: ${first?.reply.error}`);
  return `0 of ${all} requests failed`;
}

/** Times of the specification, and what a machine that does other things too may take longer. */
export class Bounds {
  /** How many times as long as on an idle machine everything takes here. */
  readonly #slowness: number;

  constructor(slowness: number) {
    this.#slowness = Math.min(SLOWNESS_MAX, Math.max(1, slowness));
  }

  /** Throws when it took longer. */
  atMost(ms: number, limitMs: number, what: string): string {
    const allowedMs = limitMs * this.#slowness;
    assert.ok(ms <= allowedMs, `${what} after ${seconds(ms)}, should ${seconds(allowedMs)}`);
    return `${what} after ${seconds(ms)} (of ${seconds(limitMs)})`;
  }
}

const SLOWNESS_MAX = 4;

export function seconds(ms: number): string {
  return ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`;
}

export function sinceMs(atMs: number): number {
  return performance.now() - atMs;
}

/** The worst of the best 99 %. */
export function p99(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.ceil(sorted.length * 0.99) - 1] ?? NaN;
}
