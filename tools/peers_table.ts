// What runs against real peers found, version by version, and the table of it in docs/compatibility.md.

import type { Row } from "../tests/interop/interop.ts";

/** The outcome of one test with one version of Kuma. */
export interface Result extends Row {
  readonly kuma: string;
  readonly envoy: string;
  /** YYYY-MM-DD. */
  readonly day: string;
}

const BEGIN = "<!-- interop: written by `deno task interop --record` -->";
const END = "<!-- interop: end -->";

/** The results with those of this run in place of older ones. `whole`: every test ran. */
export function withRun(
  before: readonly Result[],
  run: readonly Result[],
  whole: boolean,
): readonly Result[] {
  const versions = new Set(run.map(({ kuma }) => kuma));
  const again = new Set(run.map((result) => `${result.kuma} ${nameOf(result)}`));
  const kept = before.filter((result) =>
    whole ? !versions.has(result.kuma) : !again.has(`${result.kuma} ${nameOf(result)}`)
  );
  return [...kept, ...run].sort((a, b) => compare(a.kuma, b.kuma) || compare(nameOf(a), nameOf(b)));
}

/** The page with a row for each feature and a column for each version. */
export function peersTable(page: string, results: readonly Result[]): string {
  const [head, rest] = page.split(BEGIN);
  const tail = rest?.split(END)[1];
  if (head === undefined || tail === undefined) throw new Error(`The page has no ${BEGIN}`);
  return `${head}${BEGIN}\n\n${table(results)}\n\n${END}${tail}`;
}

function table(results: readonly Result[]): string {
  const versions = [...new Set(results.map(({ kuma }) => kuma))];
  const features = new Map(results.map((result) => [nameOf(result), result]));
  const lines = [...features].sort(([a], [b]) => compare(a, b)).map(([name, one]) => {
    const cells = versions.map((version) =>
      cell(results.find((result) => result.kuma === version && nameOf(result) === name))
    );
    return `| ${one.peer} | ${one.feature} | ${
      cells.join(" | ")
    } | [${one.test}](../${one.test}) |`;
  });
  return [
    ...versions.map((version) => runLine(results.filter(({ kuma }) => kuma === version))),
    "",
    `| Peer | Feature | ${versions.join(" | ")} | Test |`,
    `| --- | --- | ${versions.map(() => "---").join(" | ")} | --- |`,
    ...lines,
  ].join("\n");
}

function cell(result: Result | undefined): string {
  if (!result) return "not verified";
  return result.passed ? "verified" : "**fails**";
}

function runLine(results: readonly Result[]): string {
  const { kuma, envoy } = results[0]!;
  const days = results.map(({ day }) => day).sort();
  const when = days[0] === days.at(-1) ? `on ${days[0]}` : `from ${days[0]} to ${days.at(-1)}`;
  return `- Kuma ${kuma} with Envoy ${envoy}: ${results.length} features, run ${when}.`;
}

function nameOf({ peer, feature }: Row): string {
  return `${peer}: ${feature}`;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
