import assert from "node:assert/strict";
import { join } from "node:path";
import { ROOT } from "./module_graph.ts";
import { parse } from "./sim_branches.ts";

Deno.test("parse() tells of each file which lines have a branch that was never taken", () => {
  const lcov = [
    `SF:${join(ROOT, "actors/hub/hub.ts")}`,
    "BRDA:3,0,0,7",
    "BRDA:3,0,1,0",
    "BRDA:9,1,0,2",
    "BRDA:12,2,0,-",
    "end_of_record",
    "",
  ].join("\n");
  assert.deepEqual(parse(lcov), [{ file: "actors/hub/hub.ts", taken: 2, all: 4, lines: [3, 12] }]);
});
