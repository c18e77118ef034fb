// deno task sim: runs seeds or a scenario, and says what did not hold, as short as it can.

import { join } from "node:path";
import process from "node:process";
import { Command, InvalidArgumentError } from "commander";
import { ROOT } from "../tools/module_graph.ts";
import { type Batch, mixFor, optionsFor, type Result } from "./batch.ts";
import { Coverage, neverHit } from "./coverage.ts";
import { find, FIND_SEEDS_MAX, findText } from "./find.ts";
import { runBatch } from "./io/threads.ts";
import { MUTANTS } from "./mutants.ts";
import type { Mix } from "./plan.ts";
import { reportText } from "./report.ts";
import { run, type RunOptions } from "./run.ts";
import { optionsOf, parseScenario, type Scenario } from "./scenario.ts";
import { figureText, rowOf, withRows } from "./scenario_table.ts";
import { mixText } from "./seeds.ts";
import { VERBS } from "./steps.ts";

interface Flags {
  readonly seed: number;
  readonly seeds: number;
  readonly minutes?: number;
  readonly jobs: number;
  readonly shrink?: true;
  readonly mutant?: string;
  readonly trace?: true;
  readonly coverage?: true;
  readonly branches?: true;
  readonly record?: true;
  readonly zones?: number;
  readonly proxies?: number;
  readonly seconds?: number;
  readonly work?: number;
  readonly faults?: number;
  readonly alone?: true;
}

/** With more seeds than this, only those are told of that went wrong, and how far it is. */
const TOLD_EACH_MAX = 100;
const PROGRESS_MS = 30_000;
const SCENARIOS = join(ROOT, "sim", "scenarios");

const number = (text: string): number => {
  const value = Number(text);
  if (!Number.isFinite(value) || value < 0) throw new InvalidArgumentError("must be a number");
  return value;
};

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
  .option("--jobs <n>", "that run side by side, each on a core", number, 1)
  .option("--shrink", "leave out steps of a run that went wrong while it still does")
  .option("--mutant <name>", "with a deliberate bug")
  .option("--trace", "print everything that happened in a run that went wrong")
  .option("--coverage", "print what was hit how often, and what never")
  .option("--record", "of scenarios: write what was measured into docs/simulation.md")
  .option("--branches", "print which branches of the actors were never taken")
  .option("--zones <n>", "zones; like the next four, drawn from the seed if not given", number)
  .option("--proxies <n>", "proxies of each zone", number)
  .option("--seconds <n>", "how long things happen", number)
  .option("--work <n>", "what users and proxies do, in a second", number)
  .option("--faults <n>", "what breaks, at most, in a run", number)
  .option("--alone", "zones without a global")
  .addHelpText("after", () => {
    const verbs = Object.entries(VERBS).map(([verb, { says }]) => `  ${verb.padEnd(10)} ${says}`);
    return `\nSteps of a scenario:\n${verbs.join("\n")}`;
  })
  .parse(["deno", "sim", ...Deno.args]);

const flags = command.opts<Flags>();
const what = command.args[0] ?? "1";
const startedAtMs = performance.now();
const total = { runs: 0, failed: 0, virtualMs: 0, turns: 0 };

if (flags.branches) {
  const { branchesOf } = await import("../tools/sim_branches.ts");
  const files = await branchesOf(Deno.args.filter((argument) => argument !== "--branches"));
  for (const { file, taken, all, lines } of files) {
    console.log(`${file}: ${taken} of ${all}; never in lines ${lines.join(", ") || "(none)"}`);
  }
  Deno.exit();
}

if (flags.mutant !== undefined && !MUTANTS.some(({ name }) => name === flags.mutant)) {
  console.error(`No mutant "${flags.mutant}"; there are ${MUTANTS.map(({ name }) => name)}`);
  Deno.exit(2);
}

if (what === "mutants") {
  const chosen = MUTANTS.filter(({ name }) => flags.mutant === undefined || name === flags.mutant);
  for (const mutant of chosen) console.log(findText(mutant, find(mutant, FIND_SEEDS_MAX)));
  Deno.exit();
}

const coverage = /^\d+$/.test(what) ? await seeds(Number(what)) : await scenarios(what);
const cpu = process.cpuUsage();
const cpuMs = (cpu.user + cpu.system) / 1_000;
console.log(
  `${total.runs} runs, ${total.failed} went wrong; ${total.turns} turns in ${
    (total.virtualMs / 1_000).toFixed(0)
  } virtual seconds, ${((performance.now() - startedAtMs) / 1_000).toFixed(1)} s, of one core ${
    (cpuMs / 1_000).toFixed(1)
  } s: ${(total.virtualMs / cpuMs).toFixed(0)} to 1`,
);
if (flags.coverage) {
  console.log(`\n${coverage.text(neverHit(coverage, await sourcesOfActors()))}`);
}
if (total.failed > 0) Deno.exit(1);

async function seeds(first: number): Promise<Coverage> {
  const { zones, proxies, seconds, work, faults, alone, mutant } = flags;
  const given: Partial<Mix> = {
    ...(zones !== undefined && { zones }),
    ...(proxies !== undefined && { proxies }),
    ...(seconds !== undefined && { seconds }),
    ...(work !== undefined && { work }),
    ...(faults !== undefined && { faults }),
    ...(alone && { zones: 1, global: false }),
  };
  const batch: Batch = { given, ...(mutant !== undefined && { mutant }) };
  let toldAtMs = startedAtMs;
  return await runBatch(numbers(first), batch, flags.jobs, (result) => {
    tally(result);
    const title = `seed ${result.seed}${mixText(mixFor(result.seed, given))}`;
    if (result.violation || (flags.minutes === undefined && flags.seeds <= TOLD_EACH_MAX)) {
      console.log(lineOf(title, result));
    } else if (performance.now() - toldAtMs > PROGRESS_MS) {
      toldAtMs = performance.now();
      console.log(progress(result.seed));
    }
    if (result.violation) {
      tell(optionsFor(result.seed, batch), result.violation);
    }
  });
}

function* numbers(first: number): Generator<number, void> {
  const untilMs = flags.minutes === undefined ? null : startedAtMs + flags.minutes * 60_000;
  for (let seed = first;; seed++) {
    if (untilMs === null ? seed >= first + flags.seeds : performance.now() > untilMs) return;
    yield seed;
  }
}

async function scenarios(wanted: string): Promise<Coverage> {
  const names = wanted === "scenarios" ? scenarioNames() : [wanted];
  const coverage = new Coverage();
  const rows: string[] = [];
  for (const name of names) {
    const scenario = await scenarioOf(name);
    const options = optionsOf(scenario, flags.seed);
    const outcome = run(options);
    rows.push(rowOf(scenario, outcome.world.figures));
    tally(outcome);
    coverage.add(outcome.world);
    console.log(lineOf(name, outcome));
    for (const figure of outcome.world.figures) console.log(`  ${figureText(figure)}`);
    if (outcome.violation) {
      tell(options, outcome.violation);
    }
  }
  if (flags.record) {
    const file = join(ROOT, "docs", "simulation.md");
    const there = scenarioNames();
    await Deno.writeTextFile(file, withRows(await Deno.readTextFile(file), rows, there));
  }
  return coverage;
}

function tally({ violation, virtualMs, turns }: Pick<Result, "virtualMs" | "turns"> & {
  readonly violation: unknown;
}): void {
  total.runs++;
  if (violation) total.failed++;
  total.virtualMs += virtualMs;
  total.turns += turns;
}

function progress(seed: number): string {
  const seconds = (performance.now() - startedAtMs) / 1_000;
  const rate = total.runs / seconds;
  const left = flags.minutes === undefined
    ? (flags.seeds - total.runs) / rate
    : flags.minutes * 60 - seconds;
  return `seed ${seed}: ${total.runs} runs, ${total.failed} went wrong; ${
    rate.toFixed(1)
  } in a second, ${Math.ceil(left / 60)} min left`;
}

function scenarioNames(): readonly string[] {
  return [...Deno.readDirSync(SCENARIOS)].map(({ name }) => name.replace(".yaml", "")).sort();
}

async function scenarioOf(nameOrFile: string): Promise<Scenario> {
  const file = nameOrFile.includes("/") ? nameOrFile : join(SCENARIOS, `${nameOrFile}.yaml`);
  let text: string;
  try {
    text = await Deno.readTextFile(file);
  } catch {
    console.error(`No scenario "${nameOrFile}"; there are ${scenarioNames().join(", ")}`);
    Deno.exit(2);
  }
  return parseScenario(nameOrFile, text);
}

function tell(options: RunOptions, violation: NonNullable<Result["violation"]>): void {
  const { shrink = false, trace = false } = flags;
  if (shrink) console.error("… leaves out steps while it still goes wrong");
  console.log(reportText(options, violation, { shrink, trace }));
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

function lineOf(
  title: string,
  { hash, lastDraw, convergedMs, turns, virtualMs }: Omit<Result, "seed" | "violation">,
): string {
  const converged = convergedMs === null ? "" : `, at rest ${convergedMs / 1_000} s after healing`;
  return `${title} hash=${hash} last draw=${lastDraw.toFixed(9)}: ${
    (virtualMs / 1_000).toFixed(0)
  } s, ${turns} turns${converged}`;
}
