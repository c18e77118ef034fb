// Which branches of the actors' reducers runs of the simulator took, and which none did.

import { join, relative } from "node:path";
import { ROOT } from "./module_graph.ts";

const RAW = join(ROOT, "coverage", "sim");

export interface Missed {
  readonly file: string;
  readonly taken: number;
  readonly all: number;
  /** Lines with a branch that was never taken. */
  readonly lines: readonly number[];
}

/** `args`: of `deno task sim`. */
export async function branchesOf(args: readonly string[]): Promise<readonly Missed[]> {
  await Deno.remove(RAW, { recursive: true }).catch(() => {});
  await deno(["run", "-q", "-P=test", "--no-check", `--coverage=${RAW}`, "sim/main.ts", ...args]);
  const lcov = await deno(["coverage", "--lcov", "--include=/actors/", "--exclude=_test", RAW]);
  return parse(lcov).filter(({ file, all }) => /^actors\/(?!runtime\/)/.test(file) && all > 0);
}

/** LCOV's BRDA: line, block, branch, how often. */
export function parse(lcov: string): Missed[] {
  return lcov.split("end_of_record").flatMap((record) => {
    const source = /^SF:(.*)$/m.exec(record)?.[1];
    if (source === undefined) return [];
    const branches = [...record.matchAll(/^BRDA:(\d+),\d+,\d+,(.*)$/gm)];
    const missed = branches.filter(([, , hits]) => hits === "0" || hits === "-");
    const lines = [...new Set(missed.map(([, line]) => Number(line)))];
    const taken = branches.length - missed.length;
    return [{ file: relative(ROOT, source), taken, all: branches.length, lines }];
  });
}

async function deno(args: readonly string[]): Promise<string> {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: [...args],
    cwd: ROOT,
    stderr: "inherit",
  }).output();
  return new TextDecoder().decode(stdout);
}
