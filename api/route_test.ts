import assert from "node:assert/strict";
import { text } from "./exchange.ts";
import { get, RouteTable } from "./route.ts";

const PATHS = ["/", "/a/b", "/a/{x}", "/a/{x}/_c", "/a/{x}/{y}", "/{plural}/{name}/dataplanes"];
const table = new RouteTable(PATHS.map((path) => get(path, () => text(path))));

const cases: readonly [string, string | undefined, Readonly<Record<string, string>>?][] = [
  ["", "/"],
  ["a/b", "/a/b"],
  ["a/c", "/a/{x}", { x: "c" }],
  ["a/c/_c", "/a/{x}/_c", { x: "c" }],
  ["a/b/_c", "/a/{x}/_c", { x: "b" }],
  ["a/c/d", "/a/{x}/{y}", { x: "c", y: "d" }],
  ["p/n/dataplanes", "/{plural}/{name}/dataplanes", { plural: "p", name: "n" }],
  ["a", undefined],
  ["a/b/c/d", undefined],
];

for (const [path, expected, params = {}] of cases) {
  Deno.test(`RouteTable finds ${expected ?? "nothing"} for /${path}`, () => {
    const [found] = table.find(path.split("/").filter((part) => part !== ""));
    assert.equal(found?.route.path, expected);
    if (found) assert.deepEqual(found.params, params);
  });
}
