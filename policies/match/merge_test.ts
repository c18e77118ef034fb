import assert from "node:assert/strict";
import { mergeConfs, mergeRoutes } from "./merge.ts";

Deno.test("mergeConfs() lets what comes later have more right, field by field", () => {
  const merged = mergeConfs([
    { a: 1, http: { timeout: "1s", idle: "2s" }, list: [1] },
    { http: { timeout: "3s" }, list: [2], appendMatch: [1] },
    { a: null, appendMatch: [2] },
  ]);
  assert.deepEqual(merged, {
    http: { timeout: "3s", idle: "2s" },
    list: [2],
    appendMatch: [1, 2],
  });
});

const PATH_A = [{ path: { type: "Exact", value: "/a" } }];
const PATH_B = [{ path: { value: "/b", type: "Exact" } }];

Deno.test("mergeRoutes() makes one rule of equal matches; those of the stronger stand first", () => {
  const merged = mergeRoutes([
    { rules: [{ matches: PATH_A, default: { filters: [1] } }] },
    {
      rules: [
        { matches: PATH_B, default: { backendRefs: [2] } },
        { matches: PATH_A, default: { backendRefs: [3] } },
      ],
    },
  ]);
  assert.deepEqual(merged, [{
    rules: [
      { matches: PATH_B, default: { backendRefs: [2] } },
      { matches: PATH_A, default: { filters: [1], backendRefs: [3] } },
    ],
  }]);
});

Deno.test("mergeRoutes() keeps host names apart", () => {
  const rules = [{ matches: PATH_A, default: {} }];
  assert.deepEqual(mergeRoutes([{ rules }, { rules, hostnames: ["x.example", "y.example"] }]), [
    { rules },
    { rules, hostnames: ["x.example"] },
    { rules, hostnames: ["y.example"] },
  ]);
});
