// Fails when an import breaks the directions of layers.json, or when files import each other in a circle.

import { brokenRules, cycles } from "./layers.ts";
import { readModuleGraph } from "./module_graph.ts";
import rules from "./layers.json" with { type: "json" };

const { edges, files } = await readModuleGraph();
const problems = [
  ...brokenRules(edges, rules),
  ...cycles(edges).map((circle) => `${circle.join(" → ")} (a circle)`),
];
for (const problem of problems) console.error(problem);
if (problems.length > 0) Deno.exit(1);
console.log(`${files.length} files, ${edges.length} imports: all in the right direction`);
