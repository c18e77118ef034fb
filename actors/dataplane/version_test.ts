import assert from "node:assert/strict";
import fc from "fast-check";
import type { JsonObject } from "../../core/resource.ts";
import { encode } from "../../proto/mod.ts";
import { versionOf } from "./version.ts";

const version = (dp: string): JsonObject => ({
  kumaDp: { version: dp, gitTag: "v1", gitCommit: "c", buildDate: "d" },
  envoy: { version: "1.40.0", build: "x/1.40.0", kumaDpCompatible: true },
});

Deno.test("versionOf() tells whether the dp process goes with this control plane", () => {
  for (
    const [dp, fits] of [
      ["2.13.10", true],
      ["2.11.0", true],
      ["2.10.9", false],
      [
        "1.13.0",
        false,
      ],
      ["dev", true],
      ["2.9.0-preview.1", true],
    ] as const
  ) {
    const { kumaDp, envoy } = versionOf({ version: version(dp) });
    assert.equal((kumaDp as JsonObject)["kumaCpCompatible"], fits, dp);
    assert.deepEqual(envoy, version(dp)["envoy"]);
  }
  const ours = { version: version("0.1.0"), dynamicMetadata: { "ursa.instance": "a" } };
  assert.equal((versionOf(ours)["kumaDp"] as JsonObject)["kumaCpCompatible"], true);
});

Deno.test("versionOf() finds the versions of what else runs there", () => {
  const dynamicMetadata = { "version.dependencies.coredns": "1.11.0", other: "x" };
  assert.deepEqual(versionOf({ dynamicMetadata }), { dependencies: { coredns: "1.11.0" } });
});

Deno.test("versionOf() makes a version that can be sent on, whatever it is given", () => {
  assert.deepEqual(versionOf({ version: { envoy: {} } }), {});
  const shapes = fc.record({
    version: fc.oneof(
      fc.jsonValue(),
      fc.record({ kumaDp: fc.jsonValue(), envoy: fc.jsonValue(), dependencies: fc.jsonValue() }),
    ),
    dynamicMetadata: fc.jsonValue(),
  });
  fc.assert(fc.property(shapes, (metadata) => {
    encode("kuma.mesh.v1alpha1.Version", versionOf(metadata as JsonObject));
  }));
});
