// `deno task compile`: the whole program as one binary, or what is missing for it.

import { join } from "node:path";
import { ROOT } from "./module_graph.ts";

const output = Deno.args[0] ?? join(ROOT, "ursa");
const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
  args: ["compile", "-q", "-P=binary", "--output", output, join(ROOT, "main.ts")],
}).output();
if (!success) {
  const problem = new TextDecoder().decode(stderr);
  console.error(
    problem.includes("denort") || problem.includes("base binary") ? missing() : problem,
  );
  Deno.exit(1);
}
console.log(new TextDecoder().decode(stdout));
console.log(`Wrote ${output}`);

function missing(): string {
  const { target } = Deno.build;
  return `Cannot compile: the base binary denort of Deno ${Deno.version.deno} is missing.
It is not part of Deno; \`deno compile\` downloads it, which did not work here. Either
  1. run this where https://dl.deno.land/release/v${Deno.version.deno}/denort-${target}.zip can be reached, or
  2. unpack that file elsewhere and name it: DENORT_BIN=/path/to/denort deno task compile`;
}
