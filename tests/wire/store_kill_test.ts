import assert from "node:assert/strict";
import { killRounds } from "./kill_rounds.ts";

Deno.test("a Deno KV store keeps every acknowledged write over 50 kills", async () => {
  const figures = await killRounds(50);
  assert.ok(figures.acknowledged > 0, JSON.stringify(figures));
});
