// deno task sim: runs seeds or a scenario, and says what did not hold, as short as it can.

import { join } from "node:path";
import process from "node:process";
import { Command, InvalidArgumentError } from "commander";
import { ROOT } from "../tools/module_graph.ts";
import { Coverage, neverHit } from "./coverage.ts";
import { find, FIND_SEEDS_MAX, findText } from "./find.ts";
import type { Line } from "./journal.ts";
import { MUTANTS } from "./mutants.ts";
import { DEFAULT_MIX, type Mix, planOf } from "./plan.ts";
import { type Outcome, run, type RunOptions } from "./run.ts";
import { optionsOf, parseScenario, stepText } from "./scenario.ts";
import { mixText } from "./seeds.ts";
import { shrink } from "./shrink.ts";
import { VERBS } from "./steps.ts";

interface Flags {
  readonly seed: number;
  readonly seeds: number;
  readonly minutes?: number;
  readonly shrink?: true;
  readonly mutant?: string;
  readonly trace?: true;
  readonly coverage?: true;
  readonly branches?: true;
  readonly zones: number;
  readonly proxies: number;
  readonly seconds: number;
  readonly work: number;
  readonly faults: number;
  readonly alone?: true;
}

/** Lines before the violation that are shown. */
const LINES = 60;
const SHRINK_RUNS_MAX = 300;
const SCENARIOS = join(ROOT, "sim", "scenarios");

const number = (text: string): number => {
  const value = Number(text);
  if (!Number.isFinite(value) || value < 0) throw new InvalidArgumentError("must be a number");
  return value;
};

const { zones, proxies, seconds, work, faults } = DEFAULT_MIX;
const command = new Command("sim")
  .description("Global, zones, proxies, network and disks in one process under a virtual clock.")
  .argument(
    "[what]",
    "a seed, the name or the file of a scenario, `scenarios` for all, or `mutants`",
    "1",
  )
  .option("--seed <n>", "of a scenario", number, 1)
  .option("--seeds <n>", "how many, from that seed on", number, 1)
  .option("--minutes <m>", "seeds until so many minutes have passed", number)
  .option("--shrink", "leave out steps of a run that went wrong while it still does")
  .option("--mutant <name>", "with a deliberate bug")
  .option("--trace", "print everything that happened in a run that went wrong")
  .option("--coverage", "print what was hit how often, and what never")
  .option("--branches", "print which branches of the actors were never taken")
  .option("--zones <n>", "zones of the mix", number, zones)
  .option("--proxies <n>", "proxies of each zone", number, proxies)
  .option("--seconds <n>", "how long things happen", number, seconds)
  .option("--work <n>", "what users and proxies do, in a second", number, work)
  .option("--faults <n>", "what breaks, at most, in a run", number, faults)
  .option("--alone", "zones without a global")
  .addHelpText("after", () => {
    const verbs = Object.entries(VERBS).map(([verb, { says }]) => `  ${verb.padEnd(10)} ${says}`);
    return `\nSteps of a scenario:\n${verbs.join("\n")}`;
  })
  .parse(["deno", "sim", ...Deno.args]);

const flags = command.opts<Flags>();
const what = command.args[0] ?? "1";
const coverage = new Coverage();
const startedAtMs = performance.now();
let [runs, failed, virtualMs, cpuMs] = [0, 0, 0, 0];

if (flags.branches) {
  const { branchesOf } = await import("../tools/sim_branches.ts");
  const files = await branchesOf(Deno.args.filter((argument) => argument !== "--branches"));
  for (const { file, taken, all, lines } of files) {
    console.log(`${file}: ${taken} of ${all}; never in lines ${lines.join(", ") || "(none)"}`);
  }
  Deno.exit();
}

if (what === "mutants") {
  const chosen = MUTANTS.filter(({ name }) => flags.mutant === undefined || name === flags.mutant);
  for (const mutant of chosen) console.log(findText(mutant, find(mutant, FIND_SEEDS_MAX)));
  Deno.exit();
}

for (const [title, options] of await wanted()) {
  const before = process.cpuUsage();
  const outcome = run(options);
  const spent = process.cpuUsage(before);
  const ms = (spent.user + spent.system) / 1_000;
  runs++;
  virtualMs += outcome.virtualMs;
  cpuMs += ms;
  coverage.add(outcome.world);
  console.log(lineOf(title, outcome, ms));
  for (const { what, ms, withinMs } of outcome.world.figures) {
    console.log(`  ${what}: after ${ms} ms, of ${withinMs} ms`);
  }
  if (outcome.violation) {
    failed++;
    report(options, outcome);
  }
}
const seconds_ = (virtualMs / 1_000).toFixed(0);
console.log(
  `${runs} runs, ${failed} went wrong; ${seconds_} virtual seconds in ${
    (cpuMs / 1_000).toFixed(1)
  } s of one core: ${(virtualMs / cpuMs).toFixed(0)} to 1`,
);
if (flags.coverage) {
  console.log(`\n${coverage.text(neverHit(coverage, await sourcesOfActors()))}`);
}
if (failed > 0) Deno.exit(1);

async function wanted(): Promise<Iterable<readonly [string, RunOptions]>> {
  if (/^\d+$/.test(what)) return seeds(Number(what));
  return what === "scenarios" ? await scenarios() : [await scenario(what)];
}

async function scenarios(): Promise<(readonly [string, RunOptions])[]> {
  const found: (readonly [string, RunOptions])[] = [];
  for (
    const { name } of [...Deno.readDirSync(SCENARIOS)].sort((a, b) => a.name < b.name ? -1 : 1)
  ) {
    found.push(await scenario(name.replace(".yaml", "")));
  }
  return found;
}

function* seeds(first: number): Generator<readonly [string, RunOptions]> {
  const mix: Mix = {
    zones: flags.alone ? 1 : flags.zones,
    proxies: flags.proxies,
    seconds: flags.seconds,
    work: flags.work,
    faults: flags.faults,
    global: !flags.alone,
  };
  const mutant = flags.mutant === undefined
    ? undefined
    : MUTANTS.find(({ name }) => name === flags.mutant);
  if (flags.mutant !== undefined && !mutant) {
    console.error(`No mutant "${flags.mutant}"; there are ${MUTANTS.map(({ name }) => name)}`);
    Deno.exit(2);
  }
  const bent = mutant ? { around: mutant.around } : {};
  const untilMs = flags.minutes === undefined ? null : startedAtMs + flags.minutes * 60_000;
  for (let seed = first;; seed++) {
    if (untilMs === null ? seed >= first + flags.seeds : performance.now() > untilMs) return;
    yield [`seed ${seed}${mixText(mix)}`, {
      ...mix,
      seed,
      steps: planOf(seed, mix),
      bad: 0.25,
      ...bent,
    }];
  }
}

async function scenario(nameOrFile: string): Promise<readonly [string, RunOptions]> {
  const file = nameOrFile.includes("/") ? nameOrFile : join(SCENARIOS, `${nameOrFile}.yaml`);
  let text: string;
  try {
    text = await Deno.readTextFile(file);
  } catch {
    const names = [...Deno.readDirSync(SCENARIOS)].map(({ name }) => name.replace(".yaml", ""));
    console.error(`No scenario "${nameOrFile}"; there are ${names.sort().join(", ")}`);
    Deno.exit(2);
  }
  return [nameOrFile, optionsOf(parseScenario(nameOrFile, text), flags.seed)];
}

/** By the name that the tree has for them. */
async function sourcesOfActors(): Promise<ReadonlyMap<string, string>> {
  const groups: Readonly<Record<string, string>> = {
    mesh: "meshes",
    dataplane: "dataplanes",
    zone: "zones",
  };
  const sources = new Map<string, string>();
  for await (const { name, isDirectory } of Deno.readDir(join(ROOT, "actors"))) {
    if (!isDirectory || name === "runtime") continue;
    const file = join(ROOT, "actors", name, `${name}.ts`);
    sources.set(groups[name] ?? name, await Deno.readTextFile(file));
  }
  return sources;
}

function lineOf(title: string, outcome: Outcome, ms: number): string {
  const { hash, lastDraw, convergedMs, turns } = outcome;
  const converged = convergedMs === null ? "" : `, at rest ${convergedMs / 1_000} s after healing`;
  return `${title} hash=${hash} last draw=${lastDraw.toFixed(9)}: ${
    (outcome.virtualMs / 1_000).toFixed(0)
  } s in ${ms.toFixed(0)} ms, ${turns} turns${converged}`;
}

function report(options: RunOptions, outcome: Outcome): void {
  const { check, message, atMs } = outcome.violation!;
  console.log(`\n${check}, at ${atMs.toFixed(0)} ms:\n${message}\n`);
  let shortest = options;
  if (flags.shrink) {
    const shrunk = shrink(options, outcome, {
      runsMax: SHRINK_RUNS_MAX,
      tried: (steps) => console.error(`… ${steps} steps`),
    });
    shortest = shrunk.options;
    console.log(`Shrunk from ${options.steps.length} steps in ${shrunk.runs} runs:\n`);
  } else console.log("What happened before (--shrink finds out what of it matters):\n");
  const { world } = run({ ...shortest, readable: true });
  if (flags.shrink) console.log(scenarioText(shortest));
  const { lines } = world.journal;
  for (const line of flags.trace ? lines : lines.slice(-LINES)) console.log(textOf(line));
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
