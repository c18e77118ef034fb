// The table of scenarios in docs/simulation.md: what each says, and what was measured when it ran.

import { durationText } from "./duration.ts";
import type { Scenario } from "./scenario.ts";
import type { Figure } from "./world.ts";

const TABLE = /(?<=<!-- scenarios -->\n\n)[\s\S]*(?=\n\n<!-- \/scenarios -->)/;
const HEAD = ["| name | what happens | what was seen |", "| --- | --- | --- |"];

export function rowOf(
  { name, says }: Pick<Scenario, "name" | "says">,
  figures: readonly Figure[],
): string {
  return `| ${name} | ${says} | ${figures.map(figureText).join("; ")} |`;
}

export function figureText({ what, ms, withinMs, forMs, mostMs }: Figure): string {
  const took = withinMs === 0
    ? ""
    : `: ${ms === 0 ? "at once" : durationText(ms)} (of ${durationText(withinMs)})`;
  const stayed = forMs > 0 ? `, for ${durationText(forMs)}` : "";
  return `${what}${took}${stayed}${
    mostMs === undefined ? "" : ` (longest: ${durationText(mostMs)})`
  }`;
}

/** New rows in the place of the old ones; those of scenarios that are not there go. */
export function withRows(
  document: string,
  rows: readonly string[],
  names: readonly string[],
): string {
  const table = TABLE.exec(document);
  if (!table) throw new Error("docs/simulation.md has no place for the scenarios");
  const byName = new Map(
    [...table[0].split("\n").slice(2), ...rows].map((row) => [nameOf(row), row]),
  );
  const kept = [...byName].flatMap(([name, row]) => names.includes(name) ? [row] : []);
  return document.replace(TABLE, () => [...HEAD, ...inOrder(kept)].join("\n"));
}

function nameOf(row: string): string {
  return row.split(" ")[1]!;
}

/** GD-2 before GD-10. */
function inOrder(rows: readonly string[]): readonly string[] {
  return [...rows].sort(new Intl.Collator("en", { numeric: true }).compare);
}
