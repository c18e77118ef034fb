// The part of docs/compatibility.md that a run against real peers writes.

import type { Row } from "../tests/interop/interop.ts";

const BEGIN = "<!-- interop: written by `deno task interop --record` -->";
const END = "<!-- interop: end -->";

/** The page with the rows of this run in place of those before. */
export function peersTable(
  page: string,
  rows: readonly Row[],
  run: { readonly day: string; readonly peers: string },
): string {
  const [head, rest] = page.split(BEGIN);
  const tail = rest?.split(END)[1];
  if (head === undefined || tail === undefined) throw new Error(`The page has no ${BEGIN}`);
  return `${head}${BEGIN}\n\n${table(rows, run)}\n\n${END}${tail}`;
}

function table(
  rows: readonly Row[],
  run: { readonly day: string; readonly peers: string },
): string {
  const lines = [...rows]
    .sort((a, b) => a.peer < b.peer ? -1 : a.peer > b.peer ? 1 : 0)
    .map(({ peer, feature, test, passed }) =>
      `| ${peer} | ${feature} | ${passed ? "verified" : "**fails**"} | [${test}](../${test}) |`
    );
  return [
    `Run on ${run.day} against ${run.peers}.`,
    "",
    "| Peer | Feature | | Test |",
    "| --- | --- | --- | --- |",
    ...lines,
  ].join("\n");
}
