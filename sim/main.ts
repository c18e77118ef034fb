// deno task sim [SEED|SCENARIO] [--seeds N] [--minutes M] [--shrink]

import { DEFAULT_MIX, type Mix, planOf } from "./plan.ts";
import { type Outcome, run } from "./run.ts";

function runSeed(seed: number, mix: Mix, readable = false): Outcome {
  return run({ ...mix, seed, steps: planOf(seed, mix), bad: 0.25, readable });
}

const args = [...Deno.args];
const first = Number(args.find((arg) => /^\d+$/.test(arg)) ?? 1);
const seeds = Number(args[args.indexOf("--seeds") + 1] ?? 1);
const mix = DEFAULT_MIX;
for (let seed = first; seed < first + (args.includes("--seeds") ? seeds : 1); seed++) {
  const started = performance.now();
  const { violation, hash, lastDraw, virtualMs, turns, convergedMs } = runSeed(seed, mix);
  const ms = performance.now() - started;
  console.log(
    `seed ${seed} hash=${hash} last=${lastDraw.toFixed(9)} ${(virtualMs / 1000).toFixed(0)} s in ${
      ms.toFixed(0)
    } ms, ${turns} turns, converged ${convergedMs}`,
  );
  if (!violation) continue;
  console.log(`  ${violation.check} at ${violation.atMs}: ${violation.message.slice(0, 1500)}`);
  if (args.includes("--trace")) {
    const { world } = runSeed(seed, mix, true);
    for (const { atMs, where, what, bold } of world.journal.lines.slice(-3000)) {
      console.log(
        `${bold ? "*" : " "} ${atMs.toFixed(3).padStart(11)} ${where.padEnd(24)} ${what}`,
      );
    }
  }
}
