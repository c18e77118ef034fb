import assert from "node:assert/strict";
import { parseScenario } from "./scenario.ts";
import { durationText } from "./duration.ts";
import { rowOf, withRows } from "./scenario_table.ts";

const here = (path: string) => new URL(path, import.meta.url);

Deno.test("docs/simulation.md says of each scenario what its file says", async () => {
  const document = await Deno.readTextFile(here("../docs/simulation.md"));
  for (const { name: file } of Deno.readDirSync(here("scenarios"))) {
    const name = file.replace(".yaml", "");
    const text = await Deno.readTextFile(here(`scenarios/${file}`));
    const { says } = parseScenario(name, text);
    assert(
      document.includes(`| ${name} | ${says} |`),
      `${name} is not there as it is now: run \`deno task sim ${name} --record\``,
    );
  }
});

Deno.test("rowOf() tells what was measured, of how much", () => {
  const figures = [
    { what: "a", ms: 1_500, withinMs: 2_000, forMs: 0 },
    { what: "b", ms: 0, withinMs: 500, forMs: 300_000 },
    { what: "c", ms: 0, withinMs: 0, forMs: 0 },
  ];
  assert.equal(
    rowOf({ name: "XY-1", says: "Something." }, figures),
    "| XY-1 | Something. | a: 1.5 s (of 2 s); b: at once (of 500 ms), for 5 min; c |",
  );
});

Deno.test("durationText() is as people write it", () => {
  const texts = [20, 1_000, 90_000, 300_000, 172_800_000].map(durationText);
  assert.deepEqual(texts, ["20 ms", "1 s", "90 s", "5 min", "48 h"]);
});

Deno.test("withRows() replaces rows, in the order of their numbers, and leaves the rest", () => {
  const old = "| name |\n| --- |\n| GD-2 | old | y |\n| GD-3 | x | y |\n| GD-4 | gone | y |";
  const document = `a\n\n<!-- scenarios -->\n\n${old}\n\n<!-- /scenarios -->\n\nb\n`;
  const rows = ["| GD-10 | x | y |", "| GD-2 | new | y |"];
  const written = withRows(document, rows, ["GD-2", "GD-3", "GD-10"]);
  assert(written.startsWith("a\n\n<!-- scenarios -->\n\n| name |"));
  const table = "| GD-2 | new | y |\n| GD-3 | x | y |\n| GD-10 | x | y |";
  assert(written.endsWith(`${table}\n\n<!-- /scenarios -->\n\nb\n`));
});
