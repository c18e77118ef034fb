import assert from "node:assert/strict";
import type { DataplaneSpec } from "../../core/dataplane.ts";
import { isReady } from "../../core/dataplane.ts";
import type { Draft, JsonObject } from "../../core/resource.ts";
import { withHealth } from "./health.ts";

const tags = { "kuma.io/service": "web" };
const probed = { port: 80, tags, serviceProbe: { tcp: {} } };
const plain = { port: 81, tags };
const kept = { ...plain, state: "NotReady" };

function web(...inbound: readonly JsonObject[]): Draft {
  const spec = { networking: { address: "10.0.0.1", inbound: [...inbound] } };
  return { type: "Dataplane", mesh: "default", name: "web", labels: {}, spec };
}

function ready({ spec }: Draft): readonly boolean[] {
  return ((spec as unknown as DataplaneSpec).networking.inbound ?? []).map(isReady);
}

const up = { envoy: true, workloads: { "localhost:80": true } };
const down = { envoy: true, workloads: { "localhost:80": false } };
const draining = { envoy: false, workloads: { "localhost:80": true } };

const cases = [
  { what: "a workload that answers", draft: web(probed, plain), health: up, want: [true, true] },
  { what: "one that does not", draft: web(probed, plain), health: down, want: [false, true] },
  {
    what: "a proxy that drains",
    draft: web(probed, plain),
    health: draining,
    want: [false, false],
  },
  {
    what: "one of which nothing is told",
    draft: web(probed, plain),
    health: null,
    want: [false, true],
  },
  {
    what: "one of which the report says nothing",
    draft: web(probed),
    health: { envoy: true, workloads: {} },
    want: [false],
  },
  { what: "what the proxy keeps out", draft: web(kept), health: up, want: [false] },
];

for (const { what, draft, health, want } of cases) {
  Deno.test(`withHealth() and ${what}`, () => {
    const seen = withHealth(draft, { health, declared: draft });
    assert.deepEqual(ready(seen), want);
    assert.equal(withHealth(seen, { health, declared: draft }), seen, "it is stable");
    assert.deepEqual(ready(withHealth(seen, { health: up, declared: draft })).length, want.length);
  });
}

Deno.test("withHealth() brings back what it took out, in both spellings", () => {
  const before = web(probed);
  const out = withHealth(before, { health: down, declared: before });
  const inbound = (draft: Draft) =>
    (draft.spec as unknown as DataplaneSpec).networking.inbound![0]!;
  assert.deepEqual([inbound(out).state, inbound(out).health], ["NotReady", { ready: false }]);
  const back = withHealth(out, { health: up, declared: before });
  assert.deepEqual([inbound(back).state, inbound(back).health], ["Ready", { ready: true }]);
});

Deno.test("withHealth() goes by reports alone where somebody else wrote the resource", () => {
  assert.deepEqual(ready(withHealth(web(kept), { health: up, declared: null })), [true]);
  const ignored = web({ ...plain, state: "Ignored" });
  assert.equal(withHealth(ignored, { health: up, declared: null }), ignored);
});
