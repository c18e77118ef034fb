import assert from "node:assert/strict";
import fc from "fast-check";
import type { JsonObject } from "../core/resource.ts";
import * as example from "./example_mesh.ts";
import { generateDataplane } from "./generate.ts";
import { healthChecks } from "./health.ts";
import { parseNode } from "./node.ts";
import { buildMeshView } from "./topology.ts";
import { transparencyOf } from "./transparent.ts";

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

Deno.test("transparencyOf() takes no object for a text or a number", () => {
  const hostile = { toString: [] };
  const node = parseNode({
    transparentProxy: { redirect: { inbound: { port: hostile } }, ipFamilyMode: hostile },
  });
  const { redirection } = transparencyOf({ networking: { address: "10.0.0.1" } }, node);
  assert.equal(redirection?.inboundPort, 15_006);
});

Deno.test("parseNode() makes a node that generators can use, whatever it is given", () => {
  const view = buildMeshView(example.input({
    mesh: example.mesh({}),
    dataplanes: [example.dataplane("web-1", {
      address: "10.0.0.1",
      inbound: [{ port: 80, tags: { "kuma.io/service": "web" }, serviceProbe: { tcp: {} } }],
    })],
    vips: new Map([["web", "240.0.0.1"]]),
  }));
  const spec = view.dataplanes.get("web-1")!.spec;
  const feature = fc.constantFrom(
    ...["embedded-dns", "bind-outbounds", "readiness-unix-socket", "reuse-port"]
      .map((word) => `feature-${word}`),
  );
  const metadata = fc.record({
    "dataplane.admin.port": fc.oneof(fc.constant("9901"), fc.jsonValue()),
    "dataplane.readinessReporter.port": fc.oneof(fc.constant("9902"), fc.jsonValue()),
    "dataplane.dns.port": fc.oneof(fc.constant("15054"), fc.jsonValue()),
    workdir: fc.oneof(fc.string({ unit: "binary" }), fc.jsonValue()),
    features: fc.oneof(fc.array(feature), fc.jsonValue()),
    transparentProxy: fc.oneof(
      fc.record({
        redirect: fc.record({ inbound: fc.jsonValue(), outbound: fc.jsonValue() }),
        ipFamilyMode: fc.jsonValue(),
      }),
      fc.jsonValue(),
    ),
  }, { requiredKeys: [] });
  fc.assert(fc.property(metadata, (given) => {
    const node = parseNode(given as JsonObject);
    generateDataplane(view, "web-1", { node, identity: null });
    healthChecks(spec, { node, reportMs: 5_000 });
  }));
});
