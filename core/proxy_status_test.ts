import assert from "node:assert/strict";
import type { Inbound } from "./dataplane.ts";
import { dataplaneStatus, isOnline, type ProxyStatus } from "./proxy_status.ts";

const OPEN = {
  subscriptions: [{ connectTime: "t1", disconnectTime: "t2" }, { connectTime: "t3" }],
};
const CLOSED = { subscriptions: [{ connectTime: "t1", disconnectTime: "t2" }] };

Deno.test("isOnline() needs one stream that opened and did not close", () => {
  assert.ok(isOnline(OPEN));
  for (const insight of [undefined, {}, CLOSED, { subscriptions: [{}] }]) {
    assert.ok(!isOnline(insight));
  }
});

const inbound = (fields: Partial<Inbound>): Inbound => ({ port: 1, tags: {}, ...fields });
const READY = inbound({ health: { ready: true } });
const NOT_READY = inbound({ state: "NotReady" });
const UNHEALTHY = inbound({ health: {} });

const cases: readonly [string, readonly Inbound[], ProxyStatus][] = [
  ["ready inbounds", [READY, inbound({})], "online"],
  ["one inbound down", [READY, UNHEALTHY], "partially_degraded"],
  ["all inbounds down", [NOT_READY, UNHEALTHY], "offline"],
  ["an ignored inbound", [READY, inbound({ state: "Ignored" })], "online"],
];

for (const [name, inbounds, expected] of cases) {
  Deno.test(`dataplaneStatus() of ${name} is ${expected}`, () => {
    const spec = { networking: { address: "1.1.1.1", inbound: inbounds } };
    assert.equal(dataplaneStatus(spec, OPEN), expected);
    assert.equal(dataplaneStatus(spec, CLOSED), "offline");
  });
}

Deno.test("dataplaneStatus() of a gateway is whether it is connected", () => {
  const spec = { networking: { address: "1.1.1.1", gateway: { tags: {} } } };
  assert.equal(dataplaneStatus(spec, OPEN), "online");
  assert.equal(dataplaneStatus(spec, undefined), "offline");
});
