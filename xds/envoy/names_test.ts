import assert from "node:assert/strict";
import {
  destinationClusterName,
  inboundListenerName,
  outboundListenerName,
  statName,
} from "./names.ts";

Deno.test("destinationClusterName() gives the names of Kuma's own vectors", () => {
  const named = (tags: Readonly<Record<string, string>>) => destinationClusterName(tags);
  assert.equal(named({ "kuma.io/service": "db" }), "db");
  assert.equal(named({ role: "master", "kuma.io/service": "db" }), "db-f7d9086d4169338b");
  assert.equal(named({ "kuma.io/service": "db", role: "replica" }), "db-c182dd9f4bf584d7");
});

Deno.test("listener names put IPv6 addresses in brackets", () => {
  assert.equal(inboundListenerName({ address: "::1", port: 80 }), "inbound:[::1]:80");
  assert.equal(outboundListenerName({ address: "10.0.0.1", port: 80 }), "outbound:10.0.0.1:80");
});

Deno.test("statName() keeps only what a statistic's name may have", () => {
  assert.equal(statName("inbound:10.0.0.1:80"), "inbound_10_0_0_1_80");
  assert.equal(statName("a-b_c"), "a-b_c");
});
