import assert from "node:assert/strict";
import { find } from "./find.ts";
import { MUTANTS } from "./mutants.ts";
import { DEFAULT_MIX, type Mix, planOf } from "./plan.ts";
import { type Outcome, run } from "./run.ts";
import { optionsOf, parseScenario } from "./scenario.ts";
import { parseSeeds } from "./seeds.ts";
import { shrink } from "./shrink.ts";

/** More by hand: deno task sim 1 --seeds 1000. */
const SEEDS = 5;
const ALONE: Mix = { ...DEFAULT_MIX, zones: 1, global: false };

const here = (path: string) => new URL(path, import.meta.url);

function runOf(seed: number, mix: Mix): Outcome {
  return run({ ...mix, seed, steps: planOf(seed, mix), bad: 0.25 });
}

function assertNothing({ violation }: Outcome): void {
  if (violation) throw violation;
}

Deno.test("a seed gives the same run twice", () => {
  const mix = { ...DEFAULT_MIX, proxies: 4, seconds: 10 };
  const [first, second] = [runOf(1, mix), runOf(1, mix)];
  assert.equal(first.hash, second.hash);
  assert.equal(first.lastDraw, second.lastDraw);
  assert.notEqual(runOf(2, mix).hash, first.hash);
});

for (let seed = 1; seed <= SEEDS; seed++) {
  Deno.test(`seed ${seed} finds nothing in zones under a global`, () => {
    assertNothing(runOf(seed, DEFAULT_MIX));
  });
  Deno.test(`seed ${seed} finds nothing in a zone alone`, () => {
    assertNothing(runOf(seed, ALONE));
  });
}

for (const { seed, mix, what } of parseSeeds(await Deno.readTextFile(here("seeds.txt")))) {
  Deno.test(`seed ${seed} does not find again that ${what}`, () => {
    assertNothing(runOf(seed, mix));
  });
}

for (const { name: file } of [...Deno.readDirSync(here("scenarios"))].sort(byName)) {
  const text = await Deno.readTextFile(here(`scenarios/${file}`));
  const scenario = parseScenario(file.replace(".yaml", ""), text);
  Deno.test(`${scenario.name}: ${scenario.says}`, () => {
    assertNothing(run(optionsOf(scenario, 1)));
  });
}

Deno.test("a bug is found, and what it takes shrinks to a few steps", () => {
  const mutant = MUTANTS.find(({ name }) => name === "announces before listening")!;
  assert.equal(find(mutant, 1).check, "servers listen first");
  const mix = { ...DEFAULT_MIX, zones: 1, proxies: 6, seconds: 10 };
  const options = {
    ...mix,
    seed: 1,
    steps: planOf(1, mix),
    bad: 0,
    around: mutant.around,
  };
  const shrunk = shrink(options, run(options).violation!, { runsMax: 60 });
  assert(shrunk.options.steps.length <= 5, `${shrunk.options.steps.length} steps are left`);
});

Deno.test("parseScenario() says what is wrong, and where", () => {
  const text = "steps:\n  - {at: soon, kill: global}\n  - {at: 5s, kil: global}";
  assert.throws(() => parseScenario("wrong", text), {
    message: /steps\[0\]\.at: must be like .*\n.*steps\[1\]: must have one of proxy, stop/,
  });
});

function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : 1;
}
