import assert from "node:assert/strict";
import {
  noReports,
  noteAnswered,
  noteArrival,
  noteProgress,
  noteUntold,
  noteWrite,
  noteWritten,
  type Reports,
  reportsFor,
  takeNews,
} from "./reports.ts";

const NOBODY = { affected: 0, acked: 0, nacked: 0, pending: 0, offline: 0 };
const HUNDRED = { affected: 100, acked: 99, nacked: 1, pending: 0, offline: 0 };
const NONE: ReadonlySet<number> = new Set();

function start(revision = 0): Reports {
  return noReports({ clusterId: "c-1", revision });
}

/** A response of global's revision `origin`, carried out by our commit `local`. */
function carryOut(reports: Reports, origin: number, local: number): void {
  noteArrival(reports, origin);
  noteWrite(reports, String(local), origin);
  noteWritten(reports, String(local), local);
}

const told = (reports: Reports, underWay = NONE) =>
  takeNews(reports, underWay).map(({ revision, after, proxies }) => ({
    revision,
    after,
    affected: proxies.affected,
  }));

Deno.test("a revision that is done first speaks for itself alone", () => {
  const reports = start(9);
  carryOut(reports, 10, 3);
  carryOut(reports, 11, 4);
  noteProgress(reports, 4, { proxies: NOBODY, lastAckMs: null });
  assert.deepEqual(told(reports), [{ revision: 11, after: 10, affected: 0 }]);
  noteProgress(reports, 3, { proxies: HUNDRED, lastAckMs: 12 });
  assert.deepEqual(takeNews(reports, NONE), [
    { revision: 10, after: 9, proxies: HUNDRED, lastAckMs: 12 },
  ]);
});

Deno.test("changes that travelled together are reported together, also when nothing is new", () => {
  const reports = start(4);
  noteArrival(reports, 9);
  assert.deepEqual(told(reports), [{ revision: 9, after: 4, affected: 0 }]);
  noteArrival(reports, 9);
  noteArrival(reports, 4);
  assert.deepEqual(told(reports), [], "it is known already");
});

Deno.test("a revision is reported when all of its commits are complete", () => {
  const reports = start();
  carryOut(reports, 5, 20);
  carryOut(reports, 5, 21);
  noteProgress(reports, 20, { proxies: NOBODY, lastAckMs: null });
  assert.deepEqual(told(reports), []);
  noteProgress(reports, 21, { proxies: HUNDRED, lastAckMs: 7 });
  assert.deepEqual(told(reports, new Set([5])), [], "a third is being written");
  assert.deepEqual(told(reports), [{ revision: 5, after: 0, affected: 100 }]);
});

Deno.test("what a call did not bring is told again, and no call is too long", () => {
  const reports = start();
  for (let origin = 1; origin <= 20; origin++) noteArrival(reports, origin);
  assert.deepEqual(told(reports).map(({ revision }) => revision).slice(-1), [16]);
  noteUntold(reports);
  assert.equal(told(reports)[0]?.revision, 1);
  noteAnswered(reports);
  noteUntold(reports);
  assert.deepEqual(told(reports).map(({ revision }) => revision), [17, 18, 19, 20]);
});

Deno.test("a write that fails is no commit; another global's revisions are others", () => {
  const reports = start();
  noteArrival(reports, 5);
  noteWrite(reports, "w", 5);
  noteWritten(reports, "w", null);
  noteWritten(reports, "unknown", 8);
  assert.equal(reportsFor(reports, { clusterId: "c-1", revision: 0 }), reports);
  assert.deepEqual(told(reportsFor(reports, { clusterId: "c-2", revision: 0 })), []);
  assert.deepEqual(told(reports), [{ revision: 5, after: 0, affected: 0 }]);
});
