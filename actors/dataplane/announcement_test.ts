import assert from "node:assert/strict";
import type { Draft } from "../../core/resource.ts";
import { announce, INSTANCE_LABEL, notReady } from "./announcement.ts";

function web(port: number, state?: string): Draft {
  const inbound = [{ port, tags: { "kuma.io/service": "web" }, ...(state && { state }) }];
  return {
    type: "Dataplane",
    mesh: "default",
    name: "web-1",
    labels: {},
    spec: { networking: { address: "127.0.0.1", inbound } },
  };
}

function stored(draft: Draft, instance: string) {
  return { ...draft, labels: instance === "" ? {} : { [INSTANCE_LABEL]: instance } };
}

const cases = [
  { what: "a newcomer", before: undefined, instance: "a", waits: true },
  { what: "the same run again", before: stored(web(80), "a"), instance: "a", waits: false },
  { what: "another run", before: stored(web(80), "b"), instance: "a", waits: true },
  { what: "another port", before: stored(web(81), "a"), instance: "a", waits: true },
  { what: "a peer without ids again", before: stored(web(80), ""), instance: "", waits: false },
  {
    what: "one that had not listened yet",
    before: stored(web(80, "NotReady"), "a"),
    instance: "a",
    waits: true,
  },
];

for (const { what, before, instance, waits } of cases) {
  Deno.test(`announce() ${waits ? "waits for" : "keeps"} ${what}`, () => {
    const { now, later } = announce(web(80), before, { instance, returning: true });
    assert.equal(later !== null, waits);
    assert.deepEqual(now.spec, waits ? web(80, "NotReady").spec : web(80).spec);
    if (later) assert.deepEqual(later.spec, web(80).spec);
    assert.equal(now.labels[INSTANCE_LABEL] ?? "", instance);
  });
}

Deno.test("notReady() leaves a gateway as it is", () => {
  const gateway = { ...web(80), spec: { networking: { address: "127.0.0.1" } } };
  assert.equal(notReady(gateway), gateway);
});
