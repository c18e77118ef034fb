// Writes the pictures in docs/architecture.md: the actors from actors/tree.ts and the messages that
// they import, the folders from tools/layers.json. `--check` only tells whether they are stale.

import { join } from "node:path";
import type { Tree } from "../actors/runtime/tree.ts";
import { globalTree, zoneTree } from "../actors/tree.ts";
import layers from "./layers.json" with { type: "json" };
import { ROOT } from "./module_graph.ts";

const PAGE = join(ROOT, "docs/architecture.md");
const FENCE = "```";

/** What actors are told when they start, which a picture does without. */
const UNTOLD = {} as never;
const TREES: Readonly<Record<string, Tree>> = {
  zone: zoneTree({
    hub: UNTOLD,
    identity: UNTOLD,
    proxies: UNTOLD,
    dns: UNTOLD,
    uplink: UNTOLD,
    peers: UNTOLD,
  }),
  global: globalTree({ hub: UNTOLD, identity: UNTOLD, global: UNTOLD, zoneTypes: [] }),
};

interface Part {
  readonly name: string;
  readonly many: boolean;
  readonly folder: string;
  readonly about: string;
  /** Folders of the actors whose words it uses. */
  readonly speaksTo: readonly string[];
  readonly restarts: string;
}

async function partsOf(tree: Tree): Promise<readonly Part[]> {
  return await Promise.all(tree.map(async ({ kind, name, intensity }) => {
    const folder = await folderOf(name);
    return {
      name,
      many: kind === "many",
      folder,
      about: await firstComment(`actors/${folder}/${folder}.ts`),
      speaksTo: await heardWords(folder),
      restarts: `${intensity.crashes} in ${intensity.withinMs / 1000} s`,
    };
  }));
}

/** A group is named in the plural, its folder in the singular. */
async function folderOf(name: string): Promise<string> {
  for (const folder of [name, name.replace(/s$/, ""), name.replace(/es$/, "")]) {
    if (await exists(`actors/${folder}/${folder}.ts`)) return folder;
  }
  throw new Error(`Cannot find the folder of actor "${name}" below actors/`);
}

/** The sentence that begins the file. */
async function firstComment(file: string): Promise<string> {
  const [comment = ""] = /^(?:\/\/ .*\n)+/.exec(await Deno.readTextFile(join(ROOT, file))) ?? [];
  return comment.replaceAll(/^\/\/ /gm, "").trim().replaceAll("\n", " ");
}

async function heardWords(folder: string): Promise<readonly string[]> {
  const found = new Set<string>();
  for await (const { name } of Deno.readDir(join(ROOT, "actors", folder))) {
    if (!name.endsWith(".ts") || name.endsWith("_test.ts")) continue;
    const text = await Deno.readTextFile(join(ROOT, "actors", folder, name));
    for (const [, other] of text.matchAll(/from "\.\.\/(\w+)\/messages\.ts"/g)) found.add(other!);
  }
  return [...found].sort();
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(join(ROOT, path)).then(() => true, () => false);
}

function treePicture(parts: readonly Part[]): string {
  const here = new Set(parts.map(({ folder }) => folder));
  const nodes = parts.map(({ name, folder, many }) =>
    many ? `  ${folder}[["${name}/…"]]` : `  ${folder}["${name}"]`
  );
  const words = parts.flatMap(({ folder, speaksTo }) =>
    speaksTo.filter((other) => here.has(other)).map((other) => `  ${folder} --> ${other}`)
  );
  return mermaid("flowchart LR", [...nodes, ...words]);
}

function treeTable(parts: readonly Part[]): string {
  return table(
    ["actor", "what it is", "crashes that are restarts"],
    parts.map(({ name, many, about, restarts }) => [
      `\`${name}${many ? "/…" : ""}\``,
      about,
      many ? `${restarts}, each on its own` : restarts,
    ]),
  );
}

/** Top-down, as imports point; what stands on one level is one row. */
function layersPicture(): string {
  const rows = [...Map.groupBy(shownLayers(), ({ level }) => level)].sort(([a], [b]) => b - a);
  const boxes = rows.flatMap(([level, row]) => [
    `  subgraph level${level.toString().replace(".", "_")}[" "]`,
    ...row.map((it) =>
      `    ${idOf(it.name)}["<b>${it.name}</b><br>${it.files.map(plain).join(" ")}"]`
    ),
    "  end",
  ]);
  const arrows = rows.slice(1).map(([level], i) =>
    `  level${rows[i]![0].toString().replace(".", "_")} --> level${
      level.toString().replace(".", "_")
    }`
  );
  return mermaid("flowchart TB", [...boxes, ...arrows]);
}

/** Those that hold the program up, not those that look at it. */
function shownLayers() {
  return layers.layers.filter(({ name }) => name !== "tests");
}

function rulesList(): string {
  const words = (list: readonly string[]) => list.map((it) => `\`${plain(it)}\``).join(", ");
  const apart = layers.layers.filter((it) => "apart" in it && it.apart).map(({ name }) => name);
  const lines = [
    `- The folders of ${apart.join(", ")} do not import their neighbours.`,
    ...layers.allowed.map(({ from, to, why }) =>
      `- Allowed all the same: ${words(from)} → ${words(to)}. ${why}`
    ),
    ...layers.refused.map(({ from, to, why }) =>
      `- Refused all the same: ${words(from)} → ${words(to)}. ${why}`
    ),
  ];
  return lines.join("\n");
}

function plain(pattern: string): string {
  return pattern.replace(/^\*\*\/io\/\*\*$/, "*/io").replace(/\/\*\*?$/, "");
}

function idOf(name: string): string {
  return name.replaceAll(/\W/g, "_");
}

function mermaid(kind: string, lines: readonly string[]): string {
  return [`${FENCE}mermaid`, kind, ...lines, FENCE].join("\n");
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

/** By the name of the marks between which each stands. */
async function pictures(): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  for (const [name, tree] of Object.entries(TREES)) {
    const parts = await partsOf(tree);
    found.set(name, `${treePicture(parts)}\n\n${treeTable(parts)}`);
  }
  return found.set("layers", `${layersPicture()}\n\n${rulesList()}`);
}

function replaced(page: string, name: string, content: string): string {
  const [begin, end] = [`<!-- generated: ${name} -->\n`, `\n<!-- end: ${name} -->`];
  const from = page.indexOf(begin), to = page.indexOf(end);
  if (from < 0 || to < from) throw new Error(`Cannot find the marks of "${name}" in ${PAGE}`);
  return `${page.slice(0, from)}${begin}\n${content}\n${page.slice(to)}`;
}

const before = await Deno.readTextFile(PAGE);
let after = before;
for (const [name, content] of await pictures()) after = replaced(after, name, content);
if (!Deno.args.includes("--check")) await Deno.writeTextFile(PAGE, after);
else if (after !== before) {
  console.error("docs/architecture.md is stale: run `deno task gen`.");
  Deno.exit(1);
}
