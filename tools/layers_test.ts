import assert from "node:assert/strict";
import { brokenRules, cycles, packageOf } from "./layers.ts";
import type { Edge } from "./module_graph.ts";
import rules from "./layers.json" with { type: "json" };

const edge = (from: string, to: string): Edge => ({ from, to, typeOnly: false });

const CASES: readonly [from: string, to: string, broken: string | null][] = [
  ["xds/stream.ts", "core/proxy.ts", null],
  ["core/proxy.ts", "xds/stream.ts", "L0 → L2"],
  ["actors/mesh/mesh.ts", "xds/io/server.ts", "L3 → L4"],
  ["actors/mesh/mesh.ts", "actors/hub/messages.ts", null],
  ["actors/mesh/mesh.ts", "actors/hub/hub.ts", "L3 → L3"],
  ["actors/mesh/mesh.ts", "actors/runtime/actor.ts", null],
  ["actors/zone/upward.ts", "actors/session/session.ts", null],
  ["actors/session/session.ts", "actors/zone/zone.ts", "sessions → L3"],
  ["actors/tree.ts", "actors/hub/hub.ts", null],
  ["actors/runtime/kernel.ts", "proto/mod.ts", "kernel → L1"],
  ["actors/runtime/io/pump.ts", "actors/runtime/kernel.ts", null],
  ["xds/generate.ts", "policies/registry.gen.ts", null],
  ["xds/generate.ts", "policies/policy.ts", null],
  [
    "xds/generate.ts",
    "policies/timeout/policy.ts",
    "xds knows policies through the registry alone.",
  ],
  ["policies/timeout/policy.ts", "policies/retry/policy.ts", "L2′ → L2′"],
  ["policies/timeout/policy.ts", "policies/match/rank.ts", null],
  ["kds/mapper.ts", "dns/vips.ts", "L2 → L2"],
  ["xds/io/server.ts", "kds/io/client.ts", "L4 → L4"],
  ["xds/io/server.ts", "h2/io/guarded_socket.ts", null],
  ["xds/io/server.ts", "npm:@grpc/grpc-js@1.14.7", null],
  ["xds/stream.ts", "npm:@grpc/grpc-js@1.14.7", "L2 may not import this from outside"],
  ["xds/stream.ts", "node:fs", "L2 may not import this from outside"],
  ["core/version.ts", "node:crypto", null],
  ["main.ts", "cli/run.ts", null],
  ["cli/run.ts", "tests/cluster.ts", "L5 → tests"],
  ["tests/cluster.ts", "cli/run.ts", null],
  ["newcomer/a.ts", "core/a.ts", "newcomer/a.ts is in no layer"],
];

for (const [from, to, broken] of CASES) {
  Deno.test(`layers: ${from} → ${to} is ${broken ? "refused" : "fine"}`, () => {
    const expected = broken === null ? [] : [`${from} → ${to} (${broken})`];
    assert.deepEqual(brokenRules([edge(from, to)], rules), expected);
  });
}

Deno.test("cycles() finds circles of code imports, and not those of types", () => {
  const circle = [edge("a.ts", "b.ts"), edge("b.ts", "c.ts"), edge("c.ts", "a.ts")];
  assert.deepEqual(cycles(circle), [["a.ts", "b.ts", "c.ts", "a.ts"]]);
  assert.deepEqual(cycles([edge("a.ts", "b.ts"), { ...edge("b.ts", "a.ts"), typeOnly: true }]), []);
});

Deno.test("packageOf() leaves out version and path", () => {
  assert.equal(packageOf("npm:@grpc/grpc-js@1.14.7/build/src"), "npm:@grpc/grpc-js");
  assert.equal(packageOf("npm:/yaml@2.9.1"), "npm:yaml");
  assert.equal(packageOf("node:fs/promises"), "node:fs/promises");
});
