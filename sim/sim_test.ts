import assert from "node:assert/strict";
import { DEFAULT_MIX, type Mix, planOf } from "./plan.ts";
import { type Outcome, run } from "./run.ts";
import { parseSeeds } from "./seeds.ts";

function runOf(seed: number, mix: Mix = DEFAULT_MIX): Outcome {
  return run({ ...mix, seed, steps: planOf(seed, mix), bad: 0.25 });
}

Deno.test("a seed gives the same run twice", () => {
  const mix = { ...DEFAULT_MIX, proxies: 4, seconds: 10 };
  const [first, second] = [runOf(1, mix), runOf(1, mix)];
  assert.equal(first.hash, second.hash);
  assert.equal(first.lastDraw, second.lastDraw);
  assert.notEqual(runOf(2, mix).hash, first.hash);
});

for (let seed = 1; seed <= 5; seed++) {
  Deno.test(`seed ${seed} of the default mix finds nothing`, () => {
    const { violation } = runOf(seed);
    if (violation) throw violation;
  });
}

const found = parseSeeds(await Deno.readTextFile(new URL("seeds.txt", import.meta.url)));

for (const { seed, mix, what } of found) {
  Deno.test(`seed ${seed} does not find again that ${what}`, () => {
    const { violation } = runOf(seed, mix);
    if (violation) throw violation;
  });
}
