import assert from "node:assert/strict";
import plugin, { isEdge } from "./lint_plugin.ts";

function messages(path: string, source: string): string[] {
  return Deno.lint.runPlugin(plugin, path, source).map((it) => it.message);
}

const REFUSED: readonly [source: string, message: string][] = [
  ["const a = Date.now();", "Date.now outside io/"],
  ["const a = new Date();", "new Date() outside io/"],
  ["const a = performance.now();", "performance.now outside io/"],
  ["const a = Math.random();", "Math.random outside io/"],
  ["crypto.randomUUID();", "crypto.randomUUID outside io/"],
  ["Deno.exit(1);", "Deno.exit outside io/"],
  ["setTimeout(() => {}, 1);", "setTimeout() outside io/"],
  ["fetch('/');", "fetch() outside io/"],
  ["console.log(1);", "console.log outside io/"],
  ["async () => { await a; };", "await outside io/"],
  ["async () => { for await (const a of b) {} };", "for await outside io/"],
  ["new WebSocket('ws://a');", "new WebSocket() outside io/"],
];

for (const [source, message] of REFUSED) {
  Deno.test(`lint: ${source} is refused in pure code alone`, () => {
    assert.deepEqual(messages("core/a.ts", source), [message]);
    assert.deepEqual(messages("xds/io/a.ts", source), []);
  });
}

Deno.test("lint: pure code may compute with times that it was given", () => {
  const source = "const a = new Date(nowMs).toISOString() + Math.floor(1.5) + at.random();";
  assert.deepEqual(messages("core/a.ts", source), []);
});

Deno.test("isEdge() knows edges by their place", () => {
  const edges = ["main.ts", "cli/run.ts", "xds/io/server.ts", "tools/gen.ts", "a/b_test.ts"];
  for (const path of edges) assert.ok(isEdge(path), path);
  for (const path of ["core/radio/a.ts", "xds/stream.ts", "store/memory.ts"]) {
    assert.ok(!isEdge(path), path);
  }
});
