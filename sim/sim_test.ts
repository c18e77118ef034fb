import assert from "node:assert/strict";
import { DEFAULT_MIX, planOf } from "./plan.ts";
import { type Outcome, run } from "./run.ts";

function runOf(seed: number): Outcome {
  return run({ ...DEFAULT_MIX, seed, steps: planOf(seed, DEFAULT_MIX), bad: 0.25 });
}

Deno.test("a seed gives the same run twice", () => {
  const [first, second] = [runOf(1), runOf(1)];
  assert.equal(first.hash, second.hash);
  assert.equal(first.lastDraw, second.lastDraw);
  assert.notEqual(runOf(2).hash, first.hash);
});

for (let seed = 1; seed <= 5; seed++) {
  Deno.test(`seed ${seed} of the default mix finds nothing`, () => {
    const { violation } = runOf(seed);
    if (violation) throw violation;
  });
}
