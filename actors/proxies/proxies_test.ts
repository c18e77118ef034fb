import assert from "node:assert/strict";
import { everyKind } from "../../cli/kinds.ts";
import type { JsonObject } from "../../core/resource.ts";
import { draftOf, ingressResource, mesh, mtls, sidecar } from "../../tests/system/zone_edits.ts";
import { ZoneWorld } from "../../tests/system/zone_world.ts";
import { TYPES } from "../../xds/snapshot.ts";
import { readRegistration } from "./registration.ts";

const AT = { kinds: everyKind(), zone: "east" };

function node(id: string, resource?: unknown, metadata: JsonObject = {}): JsonObject {
  const text = resource === undefined
    ? {}
    : { "dataplane.resource": typeof resource === "string" ? resource : JSON.stringify(resource) };
  return { id, metadata: { ...text, ...metadata } };
}

Deno.test("readRegistration() says what is wrong with a node, whatever it is", () => {
  const web = sidecar({ name: "web" });
  const cases: readonly (readonly [JsonObject, RegExp])[] = [
    [{}, /node id "" is not <mesh>\.<name>/],
    [{ id: 7, metadata: [] } as never, /node id/],
    [node("default"), /is not <mesh>\.<name>/],
    [node("default.Web_1"), /is not <mesh>\.<name>/],
    [node(".web"), /names no mesh/],
    [node("default.web", undefined, { "dataplane.proxyType": "egress" }), /"egress" is not served/],
    [node("default.web", "a: [b"), /is not YAML/],
    [node("default.web", "just text"), /must be a resource/],
    [node("default.web", { ...web, type: "Mesh" }), /must be Dataplane/],
    [
      node("default.web", { ...web, name: "other" }),
      /is default\/other, its node id says default\/web/,
    ],
    [node("default.web", { ...web, mesh: "other" }), /is other\/web/],
    [node("default.web", { ...web, networking: { address: "10.0.0.1" } }), /inbound or a gateway/],
    [
      node(".gate", { ...ingressResource("gate"), zone: "west" }, {
        "dataplane.proxyType": "ingress",
      }),
      /says zone "west", this is zone "east"/,
    ],
    [node("default.web", `${JSON.stringify(web)}${" ".repeat(300_000)}`), /larger than/],
  ];
  for (const [given, wanted] of cases) {
    const registration = readRegistration(given, AT);
    assert(!registration.ok, JSON.stringify(given).slice(0, 200));
    assert.match(registration.reason, wanted);
  }
});

Deno.test("readRegistration() reads who a proxy is, and what it registers with", () => {
  const plain = readRegistration(node("default.web"), AT);
  assert(plain.ok);
  assert.deepEqual(plain.key, { type: "dataplane", mesh: "default", name: "web" });
  assert.equal(plain.resource, null);
  const metadata = {
    "dataplane.proxyType": "ingress",
    dynamicMetadata: { "ursa.instance": "run-1" },
  };
  const gate = readRegistration(node(".gate", ingressResource("gate"), metadata), AT);
  assert(gate.ok);
  assert.deepEqual(gate.key, { type: "ingress", mesh: "", name: "gate" });
  assert.equal(gate.instance, "run-1");
  assert.equal(gate.resource!.labels["ursa.io/registered-by"], "proxy");
});

Deno.test("a proxy of a mesh that is not here is refused, counted, and comes in when it is", () => {
  const at = new ZoneWorld({ seed: 1 });
  const key = { type: "dataplane", mesh: "later", name: "web" } as const;
  const envoy = at.envoy({ key, dialect: "delta", resource: sidecar(key) });
  envoy.connect();
  at.settle();
  assert.equal(envoy.ended?.code, 9);
  assert.match(envoy.ended.message, /mesh "later" is not here: create it, or wait/);
  assert.equal(at.counters.get("ursa_xds_streams_refused_total"), 1);
  assert.deepEqual(at.store.list("Dataplane"), []);
  at.put(mesh("later"));
  at.pass(2_000);
  assert(envoy.running(TYPES.listener).size > 0);
});

Deno.test("after a restart of the door every proxy comes back, and those that do not are let go", () => {
  const at = new ZoneWorld({ seed: 1 });
  at.put(mesh("default"));
  at.settle();
  const [stays, goes] = ["stays", "goes"].map((name) => {
    const key = { type: "dataplane", mesh: "default", name } as const;
    return at.envoy({ key, dialect: "delta", resource: sidecar(key) });
  }) as [ReturnType<typeof at.envoy>, ReturnType<typeof at.envoy>];
  stays.connect();
  goes.connect();
  at.pass(20_000);
  at.kernel.send("proxies", { tag: "nonsense" });
  at.settle();
  assert.deepEqual([stays.ended?.code, goes.ended?.code], [14, 14]);
  at.pass(900);
  goes.connect();
  at.settle();
  goes.disconnect();
  at.pass(60_000);
  assert(stays.stream);
  assert.deepEqual(at.store.list("Dataplane").map(({ name }) => name), ["stays"]);
  at.check();
});

Deno.test("after a restart of the door nobody keeps a certificate for who does not come back", () => {
  const at = new ZoneWorld({ seed: 1 });
  at.put(mesh("default", mtls("ca-1", "ca-1")));
  at.settle();
  const key = { type: "dataplane", mesh: "default", name: "web" } as const;
  at.put(draftOf(sidecar(key)));
  const envoy = at.envoy({ key, dialect: "delta", resource: null });
  envoy.connect();
  at.settle();
  const holders = () => (at.kernel.peek("identity") as { holders: Map<string, unknown> }).holders;
  assert.deepEqual([...holders().keys()], ["dataplane/default/web"]);
  envoy.disconnect();
  at.kernel.send("proxies", { tag: "nonsense" });
  at.settle();
  assert.deepEqual([...holders().keys()], []);
});

Deno.test("another zone's ingress stays when a control plane starts, though nobody here brings it", () => {
  const at = new ZoneWorld({ seed: 1 });
  const gate = draftOf(ingressResource("gate-1-of-west"));
  at.put({
    ...gate,
    labels: { "ursa.io/registered-by": "proxy", "kuma.io/origin": "global" },
    spec: { ...gate.spec, zone: "west" },
  });
  at.settle();
  at.kernel.send("proxies", { tag: "nonsense" });
  at.pass(60_000);
  assert.deepEqual(at.store.list("ZoneIngress").map(({ name }) => name), ["gate-1-of-west"]);
});

Deno.test("an ingress cannot register under the name of another zone's, nor take it away", () => {
  const at = new ZoneWorld({ seed: 1 });
  const theirs = draftOf(ingressResource("gate-of-west", "10.9.9.9"));
  const labels = {
    "kuma.io/origin": "global",
    "kuma.io/zone": "west",
    "ursa.io/registered-by": "proxy",
  };
  at.put(mesh("default"), { ...theirs, labels, spec: { ...theirs.spec, zone: "west" } });
  at.settle();
  const stored = at.store.list("ZoneIngress")[0]!;
  const key = { type: "ingress", mesh: "", name: "gate-of-west" } as const;
  const thief = at.envoy({ key, dialect: "delta", resource: ingressResource(key.name) });
  thief.connect();
  at.pass(500);
  assert.equal(thief.ended?.code, 7);
  assert.match(thief.ended.message, /"gate-of-west" is another zone's: choose another name/);
  const gone = at.leave(key, "deregister");
  at.pass(60_000);
  assert.deepEqual(gone(), { ok: false, reason: "unknown" });
  assert.equal(at.store.list("ZoneIngress")[0], stored);
  // A name that is free again is anybody's.
  at.delete({ type: "ZoneIngress", mesh: "", name: key.name });
  at.pass(2_000);
  assert(thief.stream);
});
