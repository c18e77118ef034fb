import assert from "node:assert/strict";
import { resolveConfig } from "./config.ts";
import { kumaConfig } from "./kuma_config.ts";

const of = (mode: "global" | "remote" | "standalone", flags: Record<string, string> = {}) =>
  kumaConfig(resolveConfig(mode, { flags, env: () => undefined }).config);

Deno.test("kumaConfig() says in Kuma's words where this control plane stands", () => {
  const global = of("global");
  assert.deepEqual([global["mode"], global["environment"]], ["global", "universal"]);
  assert.deepEqual(global["multizone"], { global: { kds: { grpcPort: 5685, tlsEnabled: true } } });
  assert.equal(global["dpServer"], undefined);

  const east = of("remote", {
    zone: "east",
    global: "grpcs://global.example",
    globalCa: "ca.crt",
    zoneToken: "x",
  });
  assert.equal(east["mode"], "zone");
  assert.deepEqual(east["multizone"], {
    zone: {
      name: "east",
      globalAddress: "grpcs://global.example:5685",
      kds: { rootCaFile: "ca.crt" },
    },
  });

  const alone = of("standalone", { initialPolicies: "kuma" });
  assert.deepEqual(alone["multizone"], { zone: { name: "default" } });
  assert.deepEqual(alone["defaults"], {
    skipMeshCreation: false,
    createMeshRoutingResources: false,
    SkipHostnameGenerators: false,
  });
});
