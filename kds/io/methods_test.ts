import assert from "node:assert/strict";
import { readReports } from "./methods.ts";

const proxies = { affected: 1, acked: 1, nacked: 0, pending: 0, offline: 0 };

Deno.test("readReports() takes what has the right shape", () => {
  const report = { revision: 9, after: 4, proxies, lastAckMs: null };
  assert.deepEqual(readReports(JSON.stringify([report, { ...report, revision: -1 }])), [report]);
  for (const text of ["", "{}", "[1]", "[null]", '[{"revision":1}]']) {
    assert.deepEqual(readReports(text), []);
  }
});

Deno.test("readReports() takes a report without `after` for that of one revision", () => {
  const old = (revision: number) => ({ revision, proxies, lastAckMs: 3 });
  const read = readReports(JSON.stringify([old(9), old(0), { ...old(7), after: "x" }]));
  assert.deepEqual(read.map(({ after }) => after), [8, 0, 6]);
});
