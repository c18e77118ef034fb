import assert from "node:assert/strict";
import { initialHostnameGenerators, initialPoliciesOf } from "./initial_resources.ts";

const names = (spec: Record<string, string[]>, which: { kuma: boolean; routing: boolean }) =>
  initialPoliciesOf({ name: "shop", spec }, which).map(({ type, name }) => `${type}/${name}`);

const KUMA = [
  "MeshTimeout/mesh-gateways-timeout-all-shop",
  "MeshTimeout/mesh-timeout-all-shop",
  "MeshCircuitBreaker/mesh-circuit-breaker-all-shop",
  "MeshRetry/mesh-retry-all-shop",
];
const ROUTING = ["TrafficPermission/allow-all-shop", "TrafficRoute/route-all-shop"];

Deno.test("initialPoliciesOf() has what was asked for, but what the mesh skips", () => {
  const skip = (...types: string[]) => ({ skipCreatingInitialPolicies: types });
  assert.deepEqual(names({}, { kuma: false, routing: false }), []);
  assert.deepEqual(names({}, { kuma: true, routing: false }), KUMA);
  assert.deepEqual(names({}, { kuma: false, routing: true }), ROUTING);
  assert.deepEqual(names({}, { kuma: true, routing: true }), [...KUMA, ...ROUTING]);
  assert.deepEqual(names(skip("*"), { kuma: true, routing: true }), []);
  assert.deepEqual(names(skip("MeshTimeout", "TrafficRoute"), { kuma: true, routing: true }), [
    ...KUMA.slice(2),
    "TrafficPermission/allow-all-shop",
  ]);
});

Deno.test("initialHostnameGenerators() are those of where they are", () => {
  const of = (where: "global" | "zone") =>
    initialHostnameGenerators(where).map(({ name, labels }) => [name, labels]);
  assert.deepEqual(of("zone"), [
    ["local-mesh-external-service", { "kuma.io/origin": "zone" }],
    ["local-universal-mesh-service", { "kuma.io/origin": "zone" }],
  ]);
  assert.equal(of("global").length, 5);
  for (const [name, labels] of of("global")) {
    assert.match(String(name), /^synced-/);
    assert.deepEqual(labels, {});
  }
});
