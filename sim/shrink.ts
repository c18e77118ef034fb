// The shortest plan that still goes wrong in the same way: steps are left out, many at once, then one
// by one.

import { run, type RunOptions } from "./run.ts";
import type { Step } from "./steps.ts";
import type { Violation } from "./world.ts";

export interface Shrunk {
  readonly options: RunOptions;
  readonly runs: number;
}

export function shrink(
  options: RunOptions,
  wanted: Pick<Violation, "check" | "atMs">,
  { runsMax }: { readonly runsMax: number },
): Shrunk {
  let best = options;
  let runs = 0;
  const fails = (candidate: RunOptions): boolean => {
    runs++;
    const { violation } = run(candidate);
    if (violation?.check !== wanted.check) return false;
    best = candidate;
    return true;
  };
  // Without bad luck, and no longer than it takes, if that still does it.
  fails({ ...best, bad: 0 });
  const endMs = Math.min(wanted.atMs, options.seconds * 1_000);
  if (endMs < options.seconds * 1_000) {
    const before = best.steps.filter(({ atMs }) => atMs <= endMs);
    if (before.length < best.steps.length) fails({ ...best, steps: before });
  }
  for (let size = Math.ceil(best.steps.length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let from = 0; from < best.steps.length && runs < runsMax;) {
      const steps: readonly Step[] = [
        ...best.steps.slice(0, from),
        ...best.steps.slice(from + size),
      ];
      if (!fails({ ...best, steps })) from += size;
    }
    if (runs >= runsMax) break;
  }
  return { options: best, runs };
}
