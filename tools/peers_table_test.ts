import assert from "node:assert/strict";
import { peersTable, type Result, withRun } from "./peers_table.ts";

const PAGE = "a\n<!-- interop: written by `deno task interop --record` -->\nold\n" +
  "<!-- interop: end -->\nb\n";

function result(feature: string, kuma: string, passed = true): Result {
  const test = "tests/interop/x_test.ts";
  return { peer: "kuma-cp", feature, test, passed, kuma, envoy: "1.40.0", day: "2026-01-02" };
}

Deno.test("withRun() replaces a version's results, all of them after a whole run", () => {
  const before = [result("old", "2.13.10"), result("sync", "2.13.10"), result("sync", "2.14.3")];
  const run = [result("sync", "2.13.10", false)];
  const names = (results: readonly Result[]) =>
    results.map(({ feature, kuma, passed }) => `${feature} ${kuma} ${passed}`);
  assert.deepEqual(names(withRun(before, run, true)), ["sync 2.13.10 false", "sync 2.14.3 true"]);
  assert.deepEqual(names(withRun(before, run, false)), [
    "old 2.13.10 true",
    "sync 2.13.10 false",
    "sync 2.14.3 true",
  ]);
});

Deno.test("peersTable() has a row for each feature and says what was not tried", () => {
  const page = peersTable(PAGE, [result("sync", "2.13.10"), result("names", "2.14.3", false)]);
  assert.match(page, /^a\n/);
  assert.match(page, /\nb\n$/);
  assert.doesNotMatch(page, /old/);
  assert.match(page, /\| Peer \| Feature \| 2\.13\.10 \| 2\.14\.3 \| Test \|/);
  assert.match(page, /\| kuma-cp \| names \| not verified \| \*\*fails\*\* \|/);
  assert.match(page, /\| kuma-cp \| sync \| verified \| not verified \|/);
});
