// Whether the simulator sees a deliberate bug, and after how many seeds.

import type { Mutant } from "./mutants.ts";
import { type Mix, planOf } from "./plan.ts";
import { run } from "./run.ts";

/** Small worlds in which much happens. */
const FIND_MIX: Mix = {
  zones: 2,
  proxies: 6,
  seconds: 20,
  global: true,
  work: 3,
  faults: 8,
};

export const FIND_SEEDS_MAX = 30;

export interface Find {
  readonly seeds: number;
  readonly check: string | null;
  readonly message: string;
}

export function find({ around }: Pick<Mutant, "around">, seedsMax: number): Find {
  for (let seed = 1; seed <= seedsMax; seed++) {
    const steps = planOf(seed, FIND_MIX);
    const { violation } = run({ ...FIND_MIX, seed, steps, bad: 0.25, around });
    if (violation) return { seeds: seed, check: violation.check, message: violation.message };
  }
  return { seeds: seedsMax, check: null, message: "" };
}

/** A row of the table in docs/simulation.md. */
export function findText({ name, says }: Mutant, { seeds, check }: Find): string {
  return `| ${name} | ${says} | ${check ?? "nothing"} | ${check === null ? `> ${seeds}` : seeds} |`;
}
