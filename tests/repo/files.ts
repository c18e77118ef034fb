// The files that people read and write in this repository.

import { join, relative } from "node:path";
import { ROOT } from "../../tools/module_graph.ts";

const SKIPPED = new Set([".git", ".ursa", "node_modules", "coverage", "testdata"]);
const TEXT = /\.(ts|md|json|ya?ml|txt|sh|proto|lock)$|^(LICENSE|run|\.gitignore)$/;

/** Paths from the root, sorted. */
export async function textFiles(folder = ROOT): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = join(folder, name);
    if (isDirectory && !SKIPPED.has(name)) found.push(...await textFiles(path));
    else if (TEXT.test(name)) found.push(relative(ROOT, path));
  }
  return found.sort();
}

export function read(file: string): Promise<string> {
  return Deno.readTextFile(join(ROOT, file));
}
