// What a run that went wrong has to tell: what did not hold, and the shortest that leads there.

import type { Result } from "./batch.ts";
import type { Line } from "./journal.ts";
import { run, type RunOptions } from "./run.ts";
import { stepText } from "./scenario.ts";
import { shrink } from "./shrink.ts";

/** Lines before the violation that are shown. */
const LINES = 60;
const SHRINK_RUNS_MAX = 300;

export function reportText(
  options: RunOptions,
  violation: NonNullable<Result["violation"]>,
  how: { readonly shrink: boolean; readonly trace: boolean },
): string {
  const { check, message, atMs } = violation;
  const shrunk = how.shrink ? shrink(options, violation, { runsMax: SHRINK_RUNS_MAX }) : null;
  const { lines } = run({ ...(shrunk?.options ?? options), readable: true }).world.journal;
  return [
    `\n${check}, at ${atMs.toFixed(0)} ms:\n${message}\n`,
    shrunk
      ? `Shrunk from ${options.steps.length} steps in ${shrunk.runs} runs:\n\n${
        scenarioText(shrunk.options)
      }`
      : "What happened before (--shrink finds out what of it matters):\n",
    ...(how.trace ? lines : lines.slice(-LINES)).map(textOf),
  ].join("\n");
}

function scenarioText({ zones, global, seconds, seed, bad, steps }: RunOptions): string {
  const luck = bad > 0 ? "  # with bad luck" : "";
  return [
    `# seed ${seed}${luck}`,
    `world: {zones: ${zones}, global: ${global}, seconds: ${seconds}}`,
    "steps:",
    ...steps.map((step) => `  ${stepText(step)}`),
    "",
  ].join("\n");
}

function textOf({ atMs, where, what, bold }: Line): string {
  return `${bold ? "*" : " "} ${atMs.toFixed(3).padStart(11)} ${where.padEnd(24)} ${what}`;
}
