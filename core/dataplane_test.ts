import assert from "node:assert/strict";
import { type Inbound, isReady } from "./dataplane.ts";

Deno.test("isReady() takes what is not said for ready, and an empty health for not ready", () => {
  const cases: readonly (readonly [Partial<Inbound>, boolean])[] = [
    [{}, true],
    [{ state: "Ready", health: { ready: true } }, true],
    [{ health: { ready: false } }, false],
    [{ health: {} }, false],
    [{ state: "NotReady" }, false],
    [{ state: "Ignored", health: { ready: true } }, false],
  ];
  for (const [fields, ready] of cases) {
    const inbound = { port: 80, tags: { "kuma.io/service": "web" }, ...fields };
    assert.equal(isReady(inbound), ready, JSON.stringify(fields));
  }
});
