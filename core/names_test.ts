import assert from "node:assert/strict";
import { hashedName, meshHostnames, type NameParts } from "./names.ts";

Deno.test("hashedName() gives the names that Kuma gives", () => {
  const long = "x".repeat(253);
  const vectors: readonly (readonly [NameParts, string])[] = [
    [
      { mesh: "default", displayName: "redis-zone-1", zone: "zone-1" },
      "redis-zone-1-2v6wfvvcvbc9f55d",
    ],
    [
      { mesh: "default", displayName: "redis-zone-2", zone: "zone-2" },
      "redis-zone-2-ff29vc4685c6f594",
    ],
    [
      { mesh: "default", displayName: "default-timeout-global" },
      "default-timeout-global-54dbd4c66zwbcf9c",
    ],
    [
      { mesh: "default", displayName: "default-timeout-zone-1", zone: "zone-1" },
      "default-timeout-zone-1-c58w24w4vw27f454",
    ],
    [
      {
        mesh: "default",
        displayName: "mesh-circuit-breaker-all-default",
        zone: "kuma-2",
        namespace: "kuma-system",
      },
      "mesh-circuit-breaker-all-default-zw856xvxdb7558d9",
    ],
    [{ mesh: "sync", displayName: "tr-update" }, "tr-update-4v26476c6bczdf22"],
    [{ mesh: "", displayName: "ingress", zone: "kuma-5" }, "ingress-xzfw5c7w6f69x728"],
    [{ mesh: "sync", displayName: long }, `${long.slice(0, 236)}-bzwz279c44954v6b`],
  ];
  for (const [parts, expected] of vectors) assert.equal(hashedName(parts), expected);
});

Deno.test("meshHostnames() adds a name without underscores", () => {
  assert.deepEqual(meshHostnames("backend"), ["backend.mesh"]);
  assert.deepEqual(meshHostnames("web_default_svc_80"), [
    "web_default_svc_80.mesh",
    "web.default.svc.80.mesh",
  ]);
  assert.deepEqual(meshHostnames("backend", "internal"), ["backend.internal"]);
});
