import assert from "node:assert/strict";
import fc from "fast-check";
import type { JsonObject } from "../core/resource.ts";
import { parseNode } from "./node.ts";

Deno.test("parseNode() reads numbers that are strings", () => {
  assert.deepEqual(
    parseNode({
      "dataplane.admin.port": "9901",
      "dataplane.admin.address": "0.0.0.0",
      "dataplane.readinessReporter.port": "9902",
      "dataplane.dns.port": "15054",
      "workdir": "/run/x",
      "features": ["feature-reuse-port", 7],
      "ipv6Enabled": false,
      "transparentProxy": { redirect: {} },
    }),
    {
      adminPort: 9901,
      adminAddress: "127.0.0.1",
      readinessPort: 9902,
      dnsPort: 15_054,
      workdir: "/run/x",
      features: ["feature-reuse-port"],
      ipv6Enabled: false,
      transparentProxy: { redirect: {} },
    },
  );
});

Deno.test("parseNode() gives defaults for what is missing", () => {
  assert.deepEqual(parseNode({}), {
    adminPort: 0,
    adminAddress: "127.0.0.1",
    readinessPort: 0,
    dnsPort: 0,
    workdir: "",
    features: [],
    ipv6Enabled: true,
  });
});

Deno.test("parseNode() opens the admin API to nobody else", () => {
  for (const address of ["10.0.0.1", "constructor", "__proto__", "example.org"]) {
    assert.equal(parseNode({ "dataplane.admin.address": address }).adminAddress, "127.0.0.1");
  }
});

Deno.test("parseNode() never throws", () => {
  const keys = ["dataplane.admin.port", "features", "workdir", "ipv6Enabled", "transparentProxy"];
  fc.assert(fc.property(fc.dictionary(fc.constantFrom(...keys), fc.jsonValue()), (metadata) => {
    const { adminPort, features, workdir } = parseNode(metadata as JsonObject);
    assert.ok(adminPort >= 0 && adminPort <= 65535);
    assert.ok(features.every((feature) => typeof feature === "string"));
    assert.equal(typeof workdir, "string");
  }));
});
