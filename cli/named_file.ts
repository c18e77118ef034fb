// Files that a flag names.

import { CommandError, EXIT } from "./output.ts";

/** The text of the file, or an error that says which flag asked for it, and what may help. */
export async function readNamed(flag: string, path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    throw unreadable(flag, path, error);
  }
}

/** Looks without reading: what is named may be a pipe. */
export async function demandNamed(flag: string, path: string, hint?: string): Promise<void> {
  try {
    await Deno.stat(path);
  } catch (error) {
    throw unreadable(flag, path, error, hint);
  }
}

function unreadable(flag: string, path: string, error: unknown, hint?: string): CommandError {
  const reason = error instanceof Deno.errors.NotFound
    ? "there is no such file"
    : (error as Error).message;
  const more = hint === undefined ? "" : `; ${hint}`;
  return new CommandError(`Cannot read ${flag} ${path}: ${reason}${more}`, EXIT.usage);
}
