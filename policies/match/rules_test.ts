import assert from "node:assert/strict";
import type { JsonObject, Resource } from "../../core/resource.ts";
import { buildRules, itemsOf, MATCHES_TAG, matchesHash, singleRule, toItems } from "./rules.ts";

function policy(name: string, spec: JsonObject, type = "MeshTimeout"): Resource {
  const [creationTime, modificationTime] = ["", ""];
  return { type, mesh: "m", name, labels: {}, spec, version: 1, creationTime, modificationTime };
}

const team = (name: string) => ({ kind: "MeshSubset", tags: { team: name } });
const zone = (name: string) => ({ kind: "MeshSubset", tags: { zone: name } });
const service = (name: string) => ({ kind: "MeshService", name });

function from(...items: readonly (readonly [targetRef: JsonObject, conf: JsonObject])[]): Resource {
  return policy("p", { from: items.map(([targetRef, conf]) => ({ targetRef, default: conf })) });
}

/** `team=a,!zone=east: {"x":1}` */
function texts(policies: readonly Resource[], part: "from" | "to"): readonly string[] {
  return buildRules(itemsOf(policies, part), { negations: part === "from" })
    .map(({ subset, conf }) => {
      const tags = subset.map(({ key, value, not }) => `${not ? "!" : ""}${key}=${value}`);
      return `${tags.join(",")}: ${JSON.stringify(conf)}`;
    });
}

Deno.test("buildRules() tells clients apart by what they are and are not", () => {
  const permissions = from(
    [{ kind: "Mesh" }, { action: "Deny" }],
    [team("a"), { action: "Allow" }],
    [zone("east"), { log: true }],
  );
  assert.deepEqual(texts([permissions], "from"), [
    'team=a,zone=east: {"action":"Allow","log":true}',
    '!team=a,zone=east: {"action":"Deny","log":true}',
    'team=a,!zone=east: {"action":"Allow"}',
    '!team=a,!zone=east: {"action":"Deny"}',
  ]);
});

Deno.test("buildRules() leaves out sets that nothing is said about", () => {
  assert.deepEqual(texts([from([team("a"), { x: 1 }])], "from"), ['team=a: {"x":1}']);
});

Deno.test("buildRules() has services alone, and everything last, where destinations are services", () => {
  const to = (targetRef: JsonObject, conf: JsonObject) =>
    policy("p", { to: [{ targetRef, default: conf }] });
  const policies = [
    to({ kind: "Mesh" }, { a: 1 }),
    to(service("api"), { b: 1 }),
    to(service("db"), { a: 2 }),
    to({ kind: "MeshExternalService", name: "x" }, { c: 1 }),
  ];
  assert.deepEqual(texts(policies, "to"), [
    'kuma.io/service=api: {"a":1,"b":1}',
    'kuma.io/service=db: {"a":2}',
    ': {"a":1}',
  ]);
});

Deno.test("buildRules() refuses more sets than anybody could read, before they are made", () => {
  const items = Array.from({ length: 60 }, (_, index) =>
    [
      { kind: "MeshSubset", tags: { [`k${index % 12}`]: String(index) } },
      {},
    ] as const);
  assert.throws(() => texts([from(...items)], "from"), RangeError);
});

Deno.test("buildRules() names each policy once, the weakest first", () => {
  const one = policy("one", { from: [{ default: { a: 1 } }, { default: { b: 1 } }] });
  const two = policy("two", { from: [{ default: { a: 2 } }] });
  const [rule] = buildRules(itemsOf([one, two], "from"), { negations: true });
  assert.deepEqual(rule?.origin.map(({ name }) => name), ["one", "two"]);
  assert.deepEqual(rule?.conf, { a: 2, b: 1 });
});

Deno.test("singleRule() merges what policies say of a whole proxy", () => {
  const [a, b] = [policy("a", { default: { x: 1 } }), policy("b", { default: { y: 2 } })];
  assert.deepEqual(singleRule([a, b])?.conf, { x: 1, y: 2 });
  assert.equal(singleRule([]), undefined);
});

Deno.test("toItems() of a policy for a route are for what the route matches", () => {
  const matches = [{ path: { type: "PathPrefix", value: "/v2" } }];
  const rules = [{ matches, default: {} }];
  const route = policy("r", {
    to: [{ targetRef: service("api"), rules }, { targetRef: { kind: "Mesh" }, rules }],
  }, "MeshHTTPRoute");
  const to = [{ targetRef: { kind: "Mesh" }, default: { x: 1 } }];
  const own = policy("p", { targetRef: { kind: "MeshHTTPRoute", name: "r" }, to });
  const tags = { [MATCHES_TAG]: matchesHash(matches) };
  assert.deepEqual(toItems([own], [route]).map(({ targetRef }) => targetRef), [
    { kind: "MeshServiceSubset", name: "api", tags },
    { kind: "MeshSubset", tags },
  ]);
  assert.deepEqual(toItems([own], []), []);
});

Deno.test("matchesHash() is Kuma's, in whatever order the fields come", () => {
  const hash = "KldmwZ+/l5tQEgy/2vn75jYPWeovQEMf2DhYYk/FCMI=";
  assert.equal(matchesHash([{ path: { type: "PathPrefix", value: "/v2" } }]), hash);
  assert.equal(matchesHash([{ path: { value: "/v2", type: "PathPrefix" } }]), hash);
  const [one, other] = [
    { method: "GET", headers: [{ name: "x", value: "y", type: "Exact" }] },
    { headers: [{ type: "Exact", name: "x", value: "y" }], method: "GET" },
  ];
  assert.equal(matchesHash([one]), matchesHash([other]));
  assert.notEqual(matchesHash([one]), hash);
});

Deno.test("routes without rules send all to their target", () => {
  const tcp = policy("t", { to: [{ targetRef: service("api") }] }, "MeshTCPRoute");
  const [item] = itemsOf([tcp], "to");
  assert.deepEqual(item?.conf, {
    default: { backendRefs: [{ kind: "MeshService", name: "api", weight: 1 }] },
  });
});
