import assert from "node:assert/strict";
import { graceMs, newReach } from "./reach.ts";

Deno.test("graceMs() is what is left since the zone was heard last, whatever clocks do", () => {
  const reach = newReach(null, 1_000);
  assert.equal(graceMs(reach, 60_000, 1_000), 60_000);
  assert.equal(graceMs(reach, 60_000, 21_000), 40_000);
  assert.equal(graceMs(reach, 60_000, 99_000), 0);
  assert.equal(graceMs(reach, 60_000, -99_000), 60_000);
});

Deno.test("newReach() remembers a zone that was left out before", () => {
  const insight = { ursa: { leftOutSince: "1970-01-01T00:00:07.000Z" } };
  assert.equal(newReach(insight, 0).leftOutSinceMs, 7_000);
  assert.equal(newReach({ ursa: {} }, 0).leftOutSinceMs, null);
  assert.equal(newReach(null, 0).leftOutSinceMs, null);
});
