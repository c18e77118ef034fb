import assert from "node:assert/strict";
import { Patience } from "./patience.ts";

Deno.test("Patience ends when nothing is taken for so long, and tells it once", async () => {
  let [told, begun] = [0, 0];
  await new Promise<void>((resolve) => {
    const patience = new Patience(5, () => {
      told++;
      resolve();
    });
    for (; begun < 3; begun++) patience.begin();
  });
  assert.deepEqual([told, begun], [1, 3]);
});

Deno.test("Patience waits for nothing when everything was taken, or when it is ended", () => {
  const patience = new Patience(1, () => assert.fail("nothing is waiting"));
  for (const taken of [patience.begin(), patience.begin()]) taken();
  const other = new Patience(1, () => assert.fail("there is nobody to wait for"));
  other.begin();
  other.end();
  patience.end();
});
