import assert from "node:assert/strict";
import type { DataplaneSpec } from "../../core/dataplane.ts";
import type { JsonObject, Labels, Resource } from "../../core/resource.ts";
import {
  byTargetRef,
  gatewayOf,
  type GatewaySpec,
  type Referable,
  selectListeners,
} from "./target_ref.ts";

function resource<Spec>(
  type: string,
  name: string,
  spec: Spec,
  labels: Labels = {},
): Resource<Spec> {
  const [creationTime, modificationTime] = ["", ""];
  return { type, mesh: "m", name, labels, spec, version: 1, creationTime, modificationTime };
}

const policy = (targetRef: JsonObject | undefined, labels: Labels = {}, name = "p") =>
  resource("MeshTimeout", name, { ...(targetRef && { targetRef }) } as JsonObject, labels);

const sidecar = resource<DataplaneSpec>("Dataplane", "web-1", {
  networking: {
    address: "10.0.0.1",
    inbound: [
      { port: 80, name: "main", tags: { "kuma.io/service": "web", version: "v1" } },
      { port: 81, address: "10.0.0.9", tags: { "kuma.io/service": "admin" } },
    ],
  },
}, {
  team: "a",
  "kuma.io/origin": "zone",
  "kuma.io/zone": "east",
  "k8s.kuma.io/namespace": "shop",
});
const delegated = resource<DataplaneSpec>("Dataplane", "edge", {
  networking: { address: "10.0.0.2", gateway: { tags: { "kuma.io/service": "edge" } } },
});
const builtin = resource<DataplaneSpec>("Dataplane", "door", {
  networking: {
    address: "10.0.0.3",
    gateway: { type: "BUILTIN", tags: { "kuma.io/service": "door" } },
  },
}, { "kuma.io/zone": "east", "kuma.io/origin": "zone" });

const gateway = (name: string, labels: Labels = {}) =>
  resource<GatewaySpec>("MeshGateway", name, {
    selectors: [{ match: { "kuma.io/service": "door" } }],
    conf: {
      listeners: [
        { port: 8080, hostname: "a.example", tags: { port: "http" } },
        { port: 8080, hostname: "b.example", tags: { port: "http" } },
        { port: 8443, tags: { port: "https" } },
      ],
    },
  }, labels);

const route = resource("MeshHTTPRoute", "r-hash", {
  targetRef: { kind: "MeshService", name: "admin" },
} as JsonObject, { "kuma.io/display-name": "r" });
const referable: Referable = { gateways: [gateway("door")], httpRoutes: [route] };

function select(targetRef: JsonObject | undefined, dataplane = sidecar, labels: Labels = {}) {
  const found = selectListeners(policy(targetRef, labels), dataplane, referable);
  if (found === null) return "not for it";
  return "warning" in found
    ? found.warning
    : found.map(({ address, port }) => `${address}:${port}`);
}

const BOTH = ["10.0.0.1:80", "10.0.0.9:81"];
const FROM_WEST = { "kuma.io/origin": "zone", "kuma.io/zone": "west" };

const cases: readonly {
  readonly name: string;
  readonly ref?: JsonObject;
  readonly to?: Resource<DataplaneSpec>;
  readonly labels?: Labels;
  readonly selects: readonly string[] | string;
}[] = [
  { name: "no targetRef", selects: BOTH },
  { name: "a mesh", ref: { kind: "Mesh" }, selects: BOTH },
  {
    name: "gateways of a mesh",
    ref: { kind: "Mesh", proxyTypes: ["Gateway"] },
    selects: "not for it",
  },
  {
    name: "gateways, and it is one",
    ref: { kind: "Mesh", proxyTypes: ["Gateway"] },
    to: delegated,
    selects: [],
  },
  { name: "tags", ref: { kind: "MeshSubset", tags: { version: "v1" } }, selects: ["10.0.0.1:80"] },
  { name: "tags of nobody", ref: { kind: "MeshSubset", tags: { x: "y" } }, selects: "not for it" },
  { name: "a service", ref: { kind: "MeshService", name: "admin" }, selects: ["10.0.0.9:81"] },
  {
    name: "a part of a service",
    ref: { kind: "MeshServiceSubset", name: "web", tags: { version: "v2" } },
    selects: "not for it",
  },
  { name: "any dataplane", ref: { kind: "Dataplane" }, selects: BOTH },
  {
    name: "a dataplane's section, by name",
    ref: { kind: "Dataplane", labels: { team: "a" }, sectionName: "main" },
    selects: ["10.0.0.1:80"],
  },
  {
    name: "a dataplane's section, by port",
    ref: { kind: "Dataplane", sectionName: "81" },
    selects: ["10.0.0.9:81"],
  },
  {
    name: "a dataplane with other labels",
    ref: { kind: "Dataplane", labels: { team: "b" } },
    selects: "not for it",
  },
  {
    name: "a dataplane by its name, from its zone",
    ref: { kind: "Dataplane", name: "web-1" },
    labels: { "kuma.io/zone": "east" },
    selects: BOTH,
  },
  {
    name: "a dataplane by its name, from elsewhere",
    ref: { kind: "Dataplane", name: "web-1" },
    selects: "not for it",
  },
  { name: "a delegated gateway", ref: { kind: "Dataplane" }, to: delegated, selects: [] },
  { name: "a builtin gateway", to: builtin, selects: ["10.0.0.3:8080", "10.0.0.3:8443"] },
  {
    name: "a dataplane, not a builtin gateway",
    ref: { kind: "Dataplane" },
    to: builtin,
    selects: "not for it",
  },
  {
    name: "a gateway's listener",
    ref: { kind: "MeshGateway", name: "door", tags: { port: "https" } },
    to: builtin,
    selects: ["10.0.0.3:8443"],
  },
  {
    name: "another gateway",
    ref: { kind: "MeshGateway", name: "window" },
    to: builtin,
    selects: "not for it",
  },
  { name: "a route", ref: { kind: "MeshHTTPRoute", name: "r" }, selects: ["10.0.0.9:81"] },
  {
    name: "a route that is not there",
    ref: { kind: "MeshHTTPRoute", name: "s" },
    selects: 'there is no MeshHTTPRoute "s"',
  },
  {
    name: "what no proxy is",
    ref: { kind: "MeshExternalService", name: "s" },
    selects: "targetRef of kind MeshExternalService selects no proxies",
  },
  { name: "another zone's policy", labels: FROM_WEST, selects: "not for it" },
  {
    name: "a producer's policy, of whatever zone",
    labels: { ...FROM_WEST, "kuma.io/policy-role": "producer" },
    selects: BOTH,
  },
  {
    name: "a consumer's policy of its namespace",
    labels: { "kuma.io/policy-role": "consumer", "k8s.kuma.io/namespace": "shop" },
    selects: BOTH,
  },
  {
    name: "a consumer's policy of another namespace",
    labels: { "kuma.io/policy-role": "consumer", "k8s.kuma.io/namespace": "pay" },
    selects: "not for it",
  },
];

for (const { name, ref, to, labels, selects } of cases) {
  Deno.test(`selectListeners() for ${name}`, () => {
    assert.deepEqual(select(ref, to, labels), selects);
  });
}

Deno.test("gatewayOf() passes over gateways of other zones", () => {
  assert.equal(gatewayOf(builtin, [gateway("far", FROM_WEST), gateway("near")])?.name, "near");
  assert.equal(gatewayOf(delegated, referable.gateways), undefined);
});

Deno.test("byTargetRef() puts what has more right later", () => {
  const inOrder = [
    policy({ kind: "Mesh" }, { "kuma.io/origin": "global" }, "b"),
    policy({ kind: "Mesh" }, { "kuma.io/origin": "global" }, "a"),
    policy({ kind: "Mesh" }, {}, "c"),
    policy({ kind: "Mesh" }, { "kuma.io/origin": "zone" }, "d"),
    policy({ kind: "Mesh" }, { "kuma.io/origin": "zone", "kuma.io/policy-role": "consumer" }, "e"),
    policy({ kind: "Dataplane", labels: {} }, {}, "f"),
    policy({ kind: "Dataplane", labels: {}, sectionName: "x" }, {}, "g"),
    policy({ kind: "Dataplane", name: "x" }, {}, "h"),
    policy({ kind: "MeshSubset" }, {}, "i"),
    policy({ kind: "MeshGateway" }, {}, "j"),
    policy({ kind: "MeshGateway", tags: { a: "b" } }, {}, "k"),
    policy({ kind: "MeshService" }, {}, "l"),
    policy({ kind: "MeshHTTPRoute" }, {}, "m"),
  ];
  const names = byTargetRef([...inOrder].reverse()).map(({ name }) => name);
  assert.deepEqual(names, inOrder.map(({ name }) => name));
});
