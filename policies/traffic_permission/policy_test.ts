import assert from "node:assert/strict";
import policy from "./policy.ts";

const ANY = [{ match: { "kuma.io/service": "*" } }];

Deno.test("validate() lists every violation with its path", () => {
  const paths = policy.resource.validate({
    sources: [],
    destinations: [{ match: {} }, { match: { "bad key": "x", good: "" } }, {}, 7],
  }).map(({ path }) => path);
  assert.deepEqual(paths, [
    "sources",
    "destinations[0].match",
    'destinations[1].match["bad key"]',
    'destinations[1].match["good"]',
    "destinations[2].match",
    "destinations[3]",
  ]);
});

Deno.test("validate() takes any tags, wildcards and slashes", () => {
  const match = { team: "a/b", "kuma.io/service": "*" };
  assert.deepEqual(policy.resource.validate({ sources: [{ match }], destinations: ANY }), []);
});

Deno.test("validate() refuses what is no spec at all", () => {
  for (const spec of [null, undefined, 1, "x", []]) {
    assert.equal(policy.resource.validate(spec).length, 1);
  }
});
