import assert from "node:assert/strict";
import fc from "fast-check";
import { keepaliveOf, leftOf, lookAgainMs } from "./lease.ts";

const LEASE_MS = 10_000;

Deno.test("keepaliveOf(): who vanishes is found while the lease runs", () => {
  fc.assert(fc.property(fc.integer({ min: 5_000, max: 600_000 }), (leaseMs) => {
    const { intervalMs, timeoutMs } = keepaliveOf(leaseMs);
    assert(intervalMs + timeoutMs < leaseMs);
  }));
});

Deno.test("lookAgainMs(): silence is found once, and not by who was away itself", () => {
  const cases = [
    { silentMs: 0, lateMs: 0, again: 8_000 },
    { silentMs: 7_999.9, lateMs: 0, again: 1 },
    { silentMs: 8_000, lateMs: 3, again: null },
    { silentMs: 20_000, lateMs: 12_000, again: 500 },
    { silentMs: 20_500, lateMs: 0, again: null },
  ];
  for (const { again, ...seen } of cases) assert.equal(lookAgainMs(LEASE_MS, seen), again);
});

Deno.test("leftOf(): counted from the last sign of life, but not while nobody could hear one", () => {
  const cases = [
    { silentMs: 0, leftMs: 10_000, says: "heard just now" },
    { silentMs: 3_000, leftMs: 7_000, says: "silent before the end" },
    { silentMs: 8_000, leftMs: 2_000, says: "found by a ping" },
    { silentMs: 9_000, leftMs: 3_000, says: "this process stood still for one second" },
    { silentMs: 60_000, leftMs: 10_000, says: "it stood still for long" },
  ];
  for (const { silentMs, leftMs, says } of cases) {
    assert.equal(leftOf(LEASE_MS, silentMs), leftMs, says);
  }
});
