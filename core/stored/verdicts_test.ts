import assert from "node:assert/strict";
import { DIFFERENCES, edits, isAccepted, samples } from "../../tests/interop/edits.ts";
import recorded from "./verdicts.recorded.json" with { type: "json" };

const VERDICTS: Readonly<Record<string, string>> = recorded;

Deno.test("resources that are a little wrong are judged as kuma-cp 2.13.10 judged them", () => {
  const differ: string[] = [];
  for (const sample of samples()) {
    const verdicts = VERDICTS[`${sample["type"]} ${sample["name"]}`];
    const all = edits(sample);
    assert.equal(verdicts?.length, all.length, `${sample["type"]} ${sample["name"]}`);
    all.forEach(([what, edited], index) => {
      const line = `${sample["type"]} ${what}`;
      const same = isAccepted(edited) === (verdicts?.[index] === "1");
      if (!same && !DIFFERENCES.some(([rule]) => rule.test(line))) differ.push(line);
    });
  }
  assert.deepEqual(differ, []);
});
