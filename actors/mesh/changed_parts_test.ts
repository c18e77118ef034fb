import assert from "node:assert/strict";
import { ChangedParts } from "./changed_parts.ts";

const key = (name: string) => `dataplane ${name}`;

Deno.test("ChangedParts knows what changed after a revision", () => {
  const parts = new ChangedParts();
  parts.add([key("a"), key("b")], 3);
  parts.add([key("a")], 5);
  const after = (revision: number, name: string) => parts.hasAfter(revision, [key(name)]);
  assert.deepEqual([after(2, "b"), after(3, "b"), after(4, "b")], [true, false, false]);
  assert.deepEqual([after(4, "a"), after(5, "a"), after(0, "c")], [true, false, false]);
});

Deno.test("ChangedParts forgets in the end, and then takes a late reader for one that missed something", () => {
  const parts = new ChangedParts(2);
  for (let revision = 1; revision <= 3; revision++) parts.add([key(`n${revision}`)], revision);
  assert.equal(parts.hasAfter(1, [key("other")]), false);
  parts.add([key("n4")], 4);
  assert.equal(parts.hasAfter(2, [key("other")]), true);
  assert.equal(parts.hasAfter(3, [key("other")]), false);
  assert.equal(parts.hasAfter(3, [key("n4")]), true);
});
