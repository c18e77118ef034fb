import assert from "node:assert/strict";
import type { Json } from "../core/resource.ts";
import { diff } from "./diff.ts";

const cases: readonly (readonly [string, Json, Json, readonly unknown[]])[] = [
  ["nothing", { a: [1] }, { a: [1] }, []],
  ["a field", { a: 1, b: 1 }, { b: 2, c: 3 }, [
    { op: "remove", path: "/a", before: 1 },
    { op: "replace", path: "/b", before: 1, value: 2 },
    { op: "add", path: "/c", value: 3 },
  ]],
  ["a key with a slash", {}, { "a/b~c": 1 }, [{ op: "add", path: "/a~1b~0c", value: 1 }]],
  ["a list that grew", [1], [1, 2], [{ op: "add", path: "/1", value: 2 }]],
  ["a list that shrank, from its end", [1, 2, 3], [4], [
    { op: "replace", path: "/0", before: 1, value: 4 },
    { op: "remove", path: "/2", before: 3 },
    { op: "remove", path: "/1", before: 2 },
  ]],
];

for (const [name, before, after, steps] of cases) {
  Deno.test(`diff() tells ${name}`, () => assert.deepEqual(diff(before, after), steps));
}
