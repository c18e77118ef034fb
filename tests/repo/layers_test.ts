import assert from "node:assert/strict";
import { brokenRules, cycles, layerOf } from "../../tools/layers.ts";
import { readModuleGraph } from "../../tools/module_graph.ts";
import rules from "../../tools/layers.json" with { type: "json" };

const graph = await readModuleGraph();

Deno.test("imports point down, and never in a circle", () => {
  assert.deepEqual(brokenRules(graph.edges, rules), []);
  assert.deepEqual(cycles(graph.edges), []);
});

Deno.test("every file is reached from main.ts, a tool or a bench", () => {
  const next = Map.groupBy(graph.edges, (edge) => edge.from);
  const seen = new Set<string>();
  const visit = (file: string): void => {
    if (seen.has(file)) return;
    seen.add(file);
    for (const { to } of next.get(file) ?? []) visit(to);
  };
  const isTest = (file: string) => layerOf(file, rules)?.name === "tests";
  for (const file of graph.files) if (/^(main\.ts$|tools\/|bench\/)/.test(file)) visit(file);
  assert.deepEqual(graph.files.filter((file) => !seen.has(file) && !isTest(file)), []);
});
