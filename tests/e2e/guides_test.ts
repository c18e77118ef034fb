import assert from "node:assert/strict";
import { followGuide, stepsIn } from "./guides.ts";

for (const guide of ["first-steps.md", "tokens.md", "two-zones.md"]) {
  Deno.test(`docs/guides/${guide} holds what it says`, () => followGuide(guide));
}

Deno.test("stepsIn() finds shells, those in the background, and what they say", () => {
  const text = "```sh guide\na\nb\n```\n\n```text output\nx …\n```\n\n" +
    "```sh guide background\nc\n```\n\n```sh\nd\n```\n";
  assert.deepEqual(stepsIn(text), [
    { script: "a\nb\n", background: false, output: ["x …"] },
    { script: "c\n", background: true, output: [] },
  ]);
});
