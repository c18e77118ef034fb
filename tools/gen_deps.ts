// Writes deps.golden.txt: every module from outside that the program loads, so that a new one shows in review.

import { join } from "node:path";
import { ROOT } from "./module_graph.ts";

const GOLDEN = join(ROOT, "deps.golden.txt");

interface Info {
  readonly modules: readonly { readonly specifier: string; readonly npmPackage?: string }[];
  readonly npmPackages: Readonly<
    Record<
      string,
      { readonly name: string; readonly version: string; readonly dependencies: string[] }
    >
  >;
}

async function outsideModules(): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", join(ROOT, "main.ts")],
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  const info: Info = JSON.parse(new TextDecoder().decode(stdout));
  const packages = new Set<string>();
  const visit = (id: string): void => {
    if (packages.has(id)) return;
    packages.add(id);
    info.npmPackages[id]?.dependencies.forEach(visit);
  };
  for (const { npmPackage } of info.modules) if (npmPackage) visit(npmPackage);
  const builtins = info.modules.map((it) => it.specifier).filter((it) => it.startsWith("node:"));
  const names = [...packages].map((id) => {
    const { name, version } = info.npmPackages[id]!;
    return `npm:${name}@${version}`;
  });
  return `${[...new Set([...names, ...builtins])].sort().join("\n")}\n`;
}

const text = await outsideModules();
if (!Deno.args.includes("--check")) await Deno.writeTextFile(GOLDEN, text);
else if (await Deno.readTextFile(GOLDEN).catch(() => "") !== text) {
  console.error("deps.golden.txt is stale: run `deno task gen`.");
  Deno.exit(1);
}
