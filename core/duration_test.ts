import assert from "node:assert/strict";
import { durationMs } from "./duration.ts";

Deno.test("durationMs() reads Go's notation, and nothing else", () => {
  const cases: readonly (readonly [string, number | null])[] = [
    ["0", 0],
    ["0s", 0],
    ["500ms", 500],
    ["1.5s", 1500],
    ["1.1h", 3_960_000],
    ["1h30m", 5_400_000],
    ["24h0m0s", 86_400_000],
    ["", null],
    ["24", null],
    ["-1h", null],
    ["1d", null],
    ["1h ", null],
  ];
  for (const [text, wanted] of cases) assert.equal(durationMs(text), wanted, text);
});
