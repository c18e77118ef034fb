// Files that a command needs and Deno's permissions do not cover: known before it starts, and told
// as the one command line that allows all of them.

import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import { CommandError } from "./output.ts";

export interface Needed {
  /** The set of deno.json that the command runs with; its paths are kept. */
  readonly set: string;
  /** Null: the set reads everything. */
  readonly read: readonly string[] | null;
  readonly write: readonly string[];
}

/** What permission sets name themselves. */
const OWN = ".ursa";

/** Throws what to type instead when something is missing. */
export function demandFiles(needed: Needed, args: readonly string[] = Deno.args): void {
  const refused = [
    ...(needed.read ?? []).filter((path) => !isGranted("read", path)),
    ...needed.write.filter((path) => !isGranted("write", path)),
  ];
  if (refused.length === 0) return;
  throw new CommandError(
    `Deno was not given access to ${[...new Set(refused)].join(", ")}. This command has it:\n` +
      `  ${allowingCommand(needed, args, programPath())}`,
  );
}

/** A flag replaces what the set says of the same permission, so it repeats that. */
export function allowingCommand(
  { set, read, write }: Needed,
  args: readonly string[],
  program: string,
): string {
  const list = (paths: readonly string[]) =>
    quoted([OWN, ...new Set(paths.filter((path) => !isBelow(path, OWN)))].join(","));
  return [
    `deno run -q -P=${set}`,
    ...(read ? [`--allow-read=${list([...read, ...write])}`] : []),
    `--allow-write=${list(write)}`,
    quoted(program),
    ...args.map(quoted),
  ].join(" ");
}

export function isGranted(name: "read" | "write", path: string): boolean {
  return Deno.permissions.querySync({ name, path }).state === "granted";
}

function isBelow(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}

function programPath(): string {
  const path = fileURLToPath(Deno.mainModule);
  const near = relative(Deno.cwd(), path);
  return near.startsWith("..") ? path : near;
}

/** For a shell. */
function quoted(word: string): string {
  return /^[\w./:,=@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
