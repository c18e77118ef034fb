import assert from "node:assert/strict";
import { contend, type Holder } from "./fencing.ts";

const OLD = { instance: "old-1", startedAtMs: 1_000 };
const NEW = { instance: "new-1", startedAtMs: 2_000 };
const TWIN = { instance: "twin-1", startedAtMs: 2_000 };

function heldBy(run: Holder["run"]): Holder {
  return { run, seenAtMs: 10_000 };
}

Deno.test("contend() gives the name to the process that began last, whoever comes first", () => {
  const at = { live: true, nowMs: 10_000 };
  const cases = [
    [null, OLD, true],
    [heldBy(OLD), OLD, true],
    [heldBy(OLD), NEW, true],
    [heldBy(NEW), OLD, false],
    // Of two that began in one millisecond, always the same one.
    [heldBy(NEW), TWIN, true],
    [heldBy(TWIN), NEW, false],
  ] as const;
  for (const [holder, run, ok] of cases) {
    const contest = contend("east", holder, { ...at, run });
    assert.equal(contest.ok, ok, `${holder?.run.instance} and ${run.instance}`);
    if (contest.ok) assert.equal(contest.holder?.run, run);
    else assert.match(contest.message, /taken by control plane (new|twin)-1, .*stop one of them/);
  }
});

Deno.test("contend() lets the older in when the younger has been gone for a while", () => {
  const held = heldBy(NEW);
  const ask = (live: boolean, nowMs: number) => contend("east", held, { run: OLD, live, nowMs }).ok;
  assert.equal(ask(false, 30_000), false, "its connection may be made again");
  assert.equal(ask(false, 40_000), true);
  assert.equal(ask(true, 1_000_000), false);
});

Deno.test("contend() lets one of Kuma's in when nobody is there who says how old it is", () => {
  const ask = (live: boolean) => contend("east", heldBy(NEW), { run: null, live, nowMs: 10_000 });
  assert.equal(ask(true).ok, false);
  assert.deepEqual(ask(false), { ok: true, holder: null });
  assert.equal(contend("east", null, { run: null, live: true, nowMs: 0 }).ok, true);
});
