import assert from "node:assert/strict";
import fc from "fast-check";
import { Timers } from "./timers.ts";

const due = (timers: Timers, nowMs: number) => {
  const names: string[] = [];
  for (let next = timers.takeDue(nowMs); next; next = timers.takeDue(nowMs)) names.push(next.name);
  return names;
};

Deno.test("a timer that is set again and again takes no more room than one", () => {
  const timers = new Timers();
  for (let n = 0; n < 100_000; n++) {
    timers.set("hub", "derive", { tag: "derive_due" }, 3_600_000 + n);
    if (n % 2) timers.cancel("hub", "derive");
  }
  assert(timers.size < 2_000, `${timers.size} are kept`);
  timers.set("hub", "derive", { tag: "derive_due" }, 5);
  assert.deepEqual(due(timers, 4), []);
  assert.deepEqual(due(timers, 10_000_000), ["derive"]);
});

Deno.test("timers fire by time, then in the order of setting, however many were replaced", () => {
  const setting = fc.record({ name: fc.nat(600), atMs: fc.nat(50) });
  fc.assert(
    fc.property(fc.array(setting, { minLength: 1_000, maxLength: 3_000 }), (settings) => {
      const timers = new Timers();
      const wanted = new Map<string, number>();
      for (const { name, atMs } of settings) {
        timers.set("a", String(name), { tag: "due" }, atMs);
        wanted.delete(String(name));
        wanted.set(String(name), atMs);
      }
      const expected = [...wanted].sort(([, a], [, b]) => a - b).map(([name]) => name);
      assert.deepEqual(due(timers, 50), expected);
      assert.equal(timers.nextAtMs, undefined);
    }),
    { numRuns: 20 },
  );
});
