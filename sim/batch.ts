// One of many seeds: what is run for it, and what it came to.

import type { Coverage } from "./coverage.ts";
import { MUTANTS } from "./mutants.ts";
import { type Mix, mixOf, planOf } from "./plan.ts";
import { run, type RunOptions } from "./run.ts";
import type { Violation } from "./world.ts";

/** Share of runs in which a place of bad luck is active. */
const BAD = 0.25;

export interface Batch {
  /** What is not drawn from the seed. */
  readonly given: Partial<Mix>;
  /** The name of a deliberate bug. */
  readonly mutant?: string;
}

/** Can be sent from one thread to another. */
export interface Result {
  readonly seed: number;
  readonly hash: string;
  readonly lastDraw: number;
  readonly virtualMs: number;
  readonly turns: number;
  readonly convergedMs: number | null;
  readonly violation: Pick<Violation, "check" | "message" | "atMs"> | null;
}

/** Whoever says how many zones there are means zones under a global. */
export function mixFor(seed: number, given: Partial<Mix>): Mix {
  return { ...mixOf(seed), ...(given.zones !== undefined && { global: true }), ...given };
}

export function optionsFor(seed: number, { given, mutant }: Batch): RunOptions {
  const mix = mixFor(seed, given);
  const around = MUTANTS.find(({ name }) => name === mutant)?.around;
  return { ...mix, seed, steps: planOf(seed, mix), bad: BAD, ...(around && { around }) };
}

export function resultOf(seed: number, batch: Batch, coverage: Coverage): Result {
  const { hash, lastDraw, virtualMs, turns, convergedMs, violation, world } = run(
    optionsFor(seed, batch),
  );
  coverage.add(world);
  const { check, message, atMs } = violation ?? {};
  return {
    seed,
    hash,
    lastDraw,
    virtualMs,
    turns,
    convergedMs,
    violation: violation && { check: check!, message: message!, atMs: atMs! },
  };
}
