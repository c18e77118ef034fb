// Files that a zone keeps for later starts: replaced as a whole, and for its user's eyes alone.

import { chmod, readFile, rename, writeFile } from "node:fs/promises";

/** Whoever can read a zone's token is that zone to global. */
const OWN_EYES = 0o600;

export async function keepFile(path: string, text: string): Promise<void> {
  await writeFile(`${path}.new`, text, { mode: OWN_EYES });
  // The mode above counts for a new file alone.
  await chmod(`${path}.new`, OWN_EYES);
  await rename(`${path}.new`, path);
}

/** Null when nothing was kept. */
export async function readKept(path: string): Promise<string | null> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if ((error as { readonly code?: string }).code === "ENOENT") return null;
    throw error;
  }
}
