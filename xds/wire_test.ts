import assert from "node:assert/strict";
import { decode, encode, packAny } from "../proto/mod.ts";
import { type EncodedResource, TYPES } from "./snapshot.ts";
import { readRequest, writeResponse } from "./wire.ts";

function resource(name: string): EncodedResource {
  const value = encode("envoy.config.cluster.v3.Cluster", { name });
  return { name, version: `v-${name}`, any: packAny(TYPES.cluster, value) };
}

const out = {
  typeUrl: TYPES.cluster,
  nonce: "7",
  version: "abc",
  // Longer than 127 bytes, so that a length takes two.
  resources: [resource("a"), resource("b".repeat(200))],
  removed: ["c", "d"],
} as const;

Deno.test("writeResponse() writes what a DiscoveryResponse decoder reads", () => {
  const message = "envoy.service.discovery.v3.DiscoveryResponse";
  assert.deepEqual(decode(message, writeResponse("sotw", out, "cp-1")), {
    versionInfo: "abc",
    resources: out.resources.map(({ name }) => ({ "@type": TYPES.cluster, name })),
    typeUrl: TYPES.cluster,
    nonce: "7",
    controlPlane: { identifier: "cp-1" },
  });
});

Deno.test("writeResponse() writes what a DeltaDiscoveryResponse decoder reads", () => {
  const message = "envoy.service.discovery.v3.DeltaDiscoveryResponse";
  assert.deepEqual(decode(message, writeResponse("delta", out, "")), {
    systemVersionInfo: "abc",
    resources: out.resources.map(({ name, version }) => ({
      name,
      version,
      resource: { "@type": TYPES.cluster, name },
    })),
    typeUrl: TYPES.cluster,
    removedResources: ["c", "d"],
    nonce: "7",
  });
});

Deno.test("readRequest() reads both dialects", () => {
  const sotw = encode("envoy.service.discovery.v3.DiscoveryRequest", {
    node: { id: "default.web" },
    typeUrl: TYPES.listener,
    versionInfo: "1",
    responseNonce: "3",
    resourceNames: ["in"],
    errorDetail: { code: 13, message: "no" },
  });
  assert.deepEqual(readRequest("sotw", sotw), {
    node: { id: "default.web" },
    request: {
      dialect: "sotw",
      typeUrl: TYPES.listener,
      nonce: "3",
      version: "1",
      names: ["in"],
      error: "no",
    },
  });
  const delta = encode("envoy.service.discovery.v3.DeltaDiscoveryRequest", {
    typeUrl: TYPES.endpoint,
    resourceNamesSubscribe: ["a"],
    resourceNamesUnsubscribe: ["b"],
    initialResourceVersions: { c: "1" },
  });
  assert.deepEqual(readRequest("delta", delta), {
    node: null,
    request: {
      dialect: "delta",
      typeUrl: TYPES.endpoint,
      nonce: "",
      subscribe: ["a"],
      unsubscribe: ["b"],
      initialVersions: { c: "1" },
    },
  });
});

Deno.test("readRequest() throws a TypeError on other bytes", () => {
  assert.throws(() => readRequest("sotw", Uint8Array.of(0x0a, 0x7f, 1)), TypeError);
});
