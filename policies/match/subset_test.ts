import assert from "node:assert/strict";
import type { Tags } from "../../core/tags.ts";
import {
  cliques,
  contains,
  includes,
  intersect,
  partition,
  type Subset,
  subsetOf,
  SUBSETS_MAX,
} from "./subset.ts";

/** `team=a,!zone=east` */
function parse(text: string): Subset {
  return text.split(",").filter((part) => part !== "").map((part) => {
    const [key = "", value = ""] = part.replace("!", "").split("=");
    return { key, value, not: part.startsWith("!") };
  });
}

function print(subset: Subset): string {
  return subset.map(({ key, value, not }) => `${not ? "!" : ""}${key}=${value}`).join(",");
}

const INCLUDED: readonly (readonly [outer: string, inner: string, expected: boolean])[] = [
  ["", "team=a", true],
  ["team=a", "", false],
  ["team=a", "team=a,zone=east", true],
  ["team=a", "team=b", false],
  ["team=a", "!team=b", false],
  ["!team=a", "team=b", true],
  ["!team=a", "team=a", false],
  ["!team=a", "!team=a", true],
];

for (const [outer, inner, expected] of INCLUDED) {
  Deno.test(`includes(): {${outer}} ${expected ? "has" : "has not"} all of {${inner}}`, () => {
    assert.equal(includes(parse(outer), parse(inner)), expected);
  });
}

const CONTAINED: readonly (readonly [subset: string, tags: Tags, expected: boolean])[] = [
  ["", {}, true],
  ["team=a", {}, false],
  ["team=a", { team: "a", zone: "east" }, true],
  ["team=a,zone=east", { team: "a" }, false],
  ["!team=a", { zone: "east" }, true],
  ["!team=a", { team: "a" }, false],
  ["!zone=west,team=a", { team: "a" }, true],
];

for (const [subset, tags, expected] of CONTAINED) {
  Deno.test(`contains(): ${JSON.stringify(tags)} in {${subset}}: ${expected}`, () => {
    assert.equal(contains(parse(subset), tags), expected);
  });
}

Deno.test("intersect() unless one key has two values", () => {
  assert.ok(intersect(parse("team=a"), parse("zone=east")));
  assert.ok(intersect(parse(""), parse("zone=east")));
  assert.ok(!intersect(parse("team=a,zone=east"), parse("team=b")));
});

Deno.test("partition() is disjoint, and everything", () => {
  const tags = parse("team=a,team=b,zone=east");
  const sets = partition(tags);
  assert.deepEqual(sets.map(print).sort(), [
    "!team=a,!team=b,!zone=east",
    "!team=a,!team=b,zone=east",
    "team=a,!zone=east",
    "team=a,zone=east",
    "team=b,!zone=east",
    "team=b,zone=east",
  ]);
  for (const team of ["a", "b", "c"]) {
    for (const zone of ["east", "west"]) {
      assert.equal(sets.filter((set) => contains(set, { team, zone })).length, 1);
    }
  }
});

Deno.test("partition() refuses what nobody could read", () => {
  const tags = Array.from({ length: 20 }, (_, index) => subsetOf({ [`k${index}`]: "v" })).flat();
  assert.throws(
    () => partition(tags),
    new RangeError(`more than ${SUBSETS_MAX} combinations of tags`),
  );
});

Deno.test("cliques() are the largest groups that intersect", () => {
  const subsets = ["", "team=a", "team=b", "zone=east"].map(parse);
  const found = cliques(subsets).map((group) => group.join(" ")).sort();
  assert.deepEqual(found, ["0 1 3", "0 2 3"]);
  assert.deepEqual(cliques([]), []);
});
