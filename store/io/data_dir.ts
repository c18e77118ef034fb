// The data folder of one control plane: made when missing, and held by one process at a time.

import { join } from "node:path";
import { UnavailableError } from "../../core/errors.ts";

export interface DataDir {
  readonly path: string;
  /** Lets the next process have it. */
  release(): void;
}

/**
 * Takes the folder for this process, or throws an UnavailableError that names the process that has
 * it. The lock is the kernel's (flock on an open file), so it ends with its process however that
 * ends, and a file left behind by a dead process stops nobody.
 */
export async function acquireDataDir(path: string): Promise<DataDir> {
  const file = await openLockFile(path);
  if (!await file.tryLock(true)) {
    const owner = await readOwner(file);
    file.close();
    throw new UnavailableError(
      `Data folder "${path}" is in use by ${owner}; stop it, or name another folder with --data`,
      1_000,
    );
  }
  await file.truncate();
  await file.write(new TextEncoder().encode(`${Deno.pid}\n`));
  return { path, release: () => file.close() };
}

async function openLockFile(path: string): Promise<Deno.FsFile> {
  try {
    await Deno.mkdir(path, { recursive: true, mode: 0o700 });
    return await Deno.open(join(path, "lock"), { read: true, write: true, create: true });
  } catch (error) {
    throw new UnavailableError(`Cannot use data folder "${path}": ${reason(path, error)}`, 1_000);
  }
}

/** Deno's own words speak of one flag; two are needed, and they replace those of a permission set. */
function reason(path: string, error: unknown): string {
  if (!(error instanceof Deno.errors.NotCapable)) {
    return error instanceof Error ? error.message : String(error);
  }
  return `Deno was not given access to it; add --allow-read=.ursa,${path} --allow-write=${path} ` +
    "before main.ts on the command line";
}

async function readOwner(file: Deno.FsFile): Promise<string> {
  const bytes = new Uint8Array(32);
  const length = await file.read(bytes) ?? 0;
  const pid = new TextDecoder().decode(bytes.subarray(0, length)).trim();
  // Empty for the moment between its lock and its first write.
  return pid === "" ? "another process" : `process ${pid}`;
}
