// The table of scenarios in docs/simulation.md: what each says, and what was measured when it ran.

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

export function figureText({ what, ms, withinMs, forMs }: Figure): string {
  const took = withinMs === 0
    ? ""
    : `: ${ms === 0 ? "at once" : durationText(ms)} (of ${durationText(withinMs)})`;
  return `${what}${took}${forMs > 0 ? `, for ${durationText(forMs)}` : ""}`;
}

export function durationText(ms: number): string {
  if (ms >= 3_600_000) return `${ms / 3_600_000} h`;
  if (ms >= 120_000 && ms % 60_000 === 0) return `${ms / 60_000} min`;
  return ms >= 1_000 ? `${ms / 1_000} s` : `${ms} ms`;
}

export function withTable(document: string, rows: readonly string[]): string {
  if (!TABLE.test(document)) throw new Error("docs/simulation.md has no place for the scenarios");
  return document.replace(TABLE, () => [...HEAD, ...inOrder(rows)].join("\n"));
}

/** GD-2 before GD-10. */
function inOrder(rows: readonly string[]): readonly string[] {
  return [...rows].sort(new Intl.Collator("en", { numeric: true }).compare);
}
