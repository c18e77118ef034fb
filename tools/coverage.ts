// Branch coverage of the pure folders by the tests beside them; fails below the least that we accept.

import { join, relative } from "node:path";
import { ROOT, sourceFiles } from "./module_graph.ts";
import { layerOf } from "./layers.ts";
import rules from "./layers.json" with { type: "json" };

const LEAST_PERCENT = 85;
const PURE = [
  "core",
  "proto",
  "policies",
  "xds",
  "kds",
  "dns",
  "identity",
  "store",
  "api",
  "dataplane",
  "h2",
  "actors",
];
const RAW = join(ROOT, "coverage", "raw");

interface Branches {
  taken: number;
  all: number;
}

await Deno.remove(RAW, { recursive: true }).catch(() => {});
await deno([
  "test",
  "--preload=tests/fixed_seed.ts",
  "-q",
  "--no-check",
  "-P=test",
  "--parallel",
  `--coverage=${RAW}`,
  ...await existing(PURE),
]);
const report = await deno([
  "coverage",
  "--lcov",
  "--exclude=_test\\.ts$|\\.gen\\.|contract\\.ts$",
  RAW,
]);
const byFolder = new Map<string, Branches>();
const byFile = branchesOf(report);
for (const [file, { taken, all }] of byFile) {
  const folder = file.split("/").slice(0, file.startsWith("actors/") ? 2 : 1).join("/");
  const sum = byFolder.get(folder) ?? { taken: 0, all: 0 };
  byFolder.set(folder, { taken: sum.taken + taken, all: sum.all + all });
}
for (const [folder, branches] of [...byFolder].sort(([a], [b]) => a < b ? -1 : 1)) {
  console.log(`${percent(branches).toFixed(1).padStart(6)} %  ${folder}`);
}
const lowest = [...byFile].sort(([, a], [, b]) => b.all - b.taken - (a.all - a.taken)).slice(0, 5);
console.log(
  `Most branches missed: ${lowest.map(([file, it]) => `${file} ${it.all - it.taken}`).join(", ")}`,
);
const unseen = await neverLoaded();
if (unseen.length > 0) {
  console.log(`Loaded by no unit test, and so not counted: ${unseen.join(", ")}`);
}
const total = [...byFile.values()].reduce(
  (sum, it) => ({ taken: sum.taken + it.taken, all: sum.all + it.all }),
  { taken: 0, all: 0 },
);
console.log(
  `${
    percent(total).toFixed(1).padStart(6)
  } %  of ${total.all} branches in pure code; at least ${LEAST_PERCENT} % are asked for`,
);
if (percent(total) < LEAST_PERCENT) Deno.exit(1);

function percent({ taken, all }: Branches): number {
  return all === 0 ? 100 : 100 * taken / all;
}

/** LCOV's BRF (branches found) and BRH (branches hit) of every pure file. */
function branchesOf(lcov: string): Map<string, Branches> {
  const found = new Map<string, Branches>();
  let file = "";
  for (const line of lcov.split("\n")) {
    const [, tag, value] = /^(SF|BRF|BRH):(.*)$/.exec(line) ?? [];
    if (tag === "SF") file = relative(ROOT, value!);
    if (tag === undefined || !isPure(file)) continue;
    const branches = found.get(file) ?? { taken: 0, all: 0 };
    found.set(file, branches);
    if (tag === "BRF") branches.all = Number(value);
    if (tag === "BRH") branches.taken = Number(value);
  }
  return found;
}

function isPure(file: string): boolean {
  const layer = file.startsWith("..") ? undefined : layerOf(file, rules);
  return layer !== undefined && layer.level < 7;
}

async function neverLoaded(): Promise<string[]> {
  const unseen: string[] = [];
  for (const file of await sourceFiles()) {
    if (!isPure(file) || file.endsWith(".gen.ts") || byFile.has(file)) continue;
    if (/^(export )?function /m.test(await Deno.readTextFile(join(ROOT, file)))) unseen.push(file);
  }
  return unseen;
}

async function existing(folders: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  for (const folder of folders) {
    if (await Deno.stat(join(ROOT, folder)).then(() => true, () => false)) found.push(folder);
  }
  return found;
}

async function deno(args: readonly string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...args],
    cwd: ROOT,
  }).output();
  const text = new TextDecoder().decode(stdout);
  if (success) return text;
  console.error(`${text}\n${new TextDecoder().decode(stderr)}`);
  Deno.exit(1);
}
