// The modules of the repository and who imports whom, as `deno info` sees them.

import { join, relative } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

export const ROOT = fileURLToPath(new URL("../", import.meta.url));

/** One import. Local files are paths from the root, everything else as `deno info` names it. */
export interface Edge {
  readonly from: string;
  readonly to: string;
  /** Gone when the types are stripped. */
  readonly typeOnly: boolean;
}

export interface ModuleGraph {
  readonly files: readonly string[];
  readonly edges: readonly Edge[];
}

const SKIPPED = new Set([".git", ".ursa", "node_modules", "coverage", "testdata"]);

/** Every TypeScript file of the repository, sorted. */
export async function sourceFiles(folder = ROOT): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = join(folder, name);
    if (isDirectory && !SKIPPED.has(name)) found.push(...await sourceFiles(path));
    else if (name.endsWith(".ts")) found.push(relative(ROOT, path));
  }
  return found.sort();
}

/** The graph below these files; of the whole repository unless told otherwise. */
export async function readModuleGraph(roots?: readonly string[]): Promise<ModuleGraph> {
  const files = roots ?? await sourceFiles();
  const edges: Edge[] = [];
  for (const { specifier, dependencies } of await modulesBelow(files)) {
    const from = local(specifier);
    if (from === null) continue;
    for (const { code, type } of dependencies ?? []) {
      const to = code?.specifier ?? type?.specifier;
      if (to !== undefined) edges.push({ from, to: local(to) ?? to, typeOnly: !code });
    }
  }
  return { files, edges };
}

interface InfoModule {
  readonly specifier: string;
  readonly dependencies?: readonly {
    readonly code?: { readonly specifier?: string };
    readonly type?: { readonly specifier?: string };
  }[];
}

/** `deno info` takes one root, so a file that imports all of them stands in. */
async function modulesBelow(files: readonly string[]): Promise<readonly InfoModule[]> {
  const folder = await Deno.makeTempDir({ prefix: "ursa-graph-" });
  try {
    const root = join(folder, "all.ts");
    const imports = files.map((file) => `import "${pathToFileURL(join(ROOT, file)).href}";`);
    await Deno.writeTextFile(root, imports.join("\n"));
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["info", "--json", "--config", join(ROOT, "deno.json"), root],
    }).output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
    const { modules } = JSON.parse(new TextDecoder().decode(stdout));
    return modules;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function local(specifier: string): string | null {
  if (!specifier.startsWith("file:")) return null;
  const path = relative(ROOT, fileURLToPath(specifier));
  return path.startsWith("..") ? null : path;
}
