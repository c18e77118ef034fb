import assert from "node:assert/strict";
import { lowest, slopeOf } from "./slope.ts";

const line = (slope: number, noise: number) =>
  Array.from({ length: 40 }, (_, x) => ({ x, y: 100 + slope * x + (x % 2 ? noise : -noise) }));

Deno.test("slopeOf() finds the slope of a line, and how sure it is", () => {
  const exact = slopeOf(line(3, 0));
  assert(Math.abs(exact.per - 3) < 1e-9 && exact.give < 1e-6);
  const noisy = slopeOf(line(0, 10));
  assert(Math.abs(noisy.per) < noisy.give && noisy.give < 1);
  assert.equal(slopeOf(line(1, 0).slice(0, 2)).give, Infinity);
});

Deno.test("lowest() keeps what is left after each collection", () => {
  const saw = Array.from({ length: 30 }, (_, x) => ({ x, y: 50 + (x % 10) * 7 }));
  assert.deepEqual(lowest(saw, 10).map(({ y }) => y), [50, 50, 50]);
});
