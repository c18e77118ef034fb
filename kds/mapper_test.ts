import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import type { JsonObject, Labels, Resource, ResourceDescriptor } from "../core/resource.ts";
import { KINDS } from "../core/kinds.ts";
import { globalToZone, zoneToGlobal } from "./direction.ts";
import { goesToGlobal, goesToZone, pinToZone } from "./filter.ts";
import { downward, upward } from "./mapper.ts";
import { encodeDownward } from "./offers.ts";
import { globalYields, zoneYields } from "./predicate.ts";
import { KUMA_FEATURES } from "./wire.ts";

const kind = (name: string): ResourceDescriptor => KINDS.find((one) => one.name === name)!;
const ROUTE: ResourceDescriptor = {
  ...kind("Mesh"),
  name: "TrafficRoute",
  scope: "Mesh",
  keepsName: false,
};

function resource(part: Partial<Resource>): Resource {
  return {
    type: "Mesh",
    mesh: "",
    name: "default",
    labels: {},
    spec: {},
    version: 1,
    creationTime: "",
    modificationTime: "",
    ...part,
  };
}

Deno.test("downward() names a global policy as Kuma does", () => {
  const route = resource({ type: "TrafficRoute", mesh: "sync", name: "tr-update" });
  const copy = downward(route, { descriptor: ROUTE, hashNames: true });
  assert.equal(copy.name, "tr-update-4v26476c6bczdf22");
  assert.deepEqual(copy.labels, {
    "kuma.io/display-name": "tr-update",
    "kuma.io/origin": "global",
  });
  assert.equal(downward(route, { descriptor: ROUTE, hashNames: false }).name, "tr-update");
});

Deno.test("downward() leaves a Mesh its name and adds only the origin", () => {
  const copy = downward(resource({}), { descriptor: kind("Mesh"), hashNames: true });
  assert.equal(copy.name, "default");
  assert.deepEqual(copy.labels, { "kuma.io/origin": "global" });
});

Deno.test("an ingress has one name on global and in every other zone", () => {
  const own = resource({ type: "ZoneIngress", name: "ingress", spec: { zone: "kuma-5" } });
  const onGlobal = { ...own, ...upward(own, "kuma-5") };
  assert.equal(onGlobal.name, "ingress-xzfw5c7w6f69x728");
  assert.deepEqual(onGlobal.labels, {
    "kuma.io/display-name": "ingress",
    "kuma.io/origin": "zone",
    "kuma.io/zone": "kuma-5",
  });
  const elsewhere = downward(onGlobal, { descriptor: kind("ZoneIngress"), hashNames: true });
  assert.equal(elsewhere.name, onGlobal.name);
  assert.deepEqual(elsewhere.labels, { ...onGlobal.labels, "kuma.io/origin": "global" });
});

Deno.test("upward() drops what only the zone cares about", () => {
  const insight = resource({
    type: "DataplaneInsight",
    mesh: "default",
    name: "be-1",
    labels: { "kuma.io/deletion-grace-period-started-at": "x" },
    spec: { subscriptions: [{ id: "1", generation: 4 }] },
  });
  const copy = upward(insight, "east");
  assert.deepEqual(copy.spec, { subscriptions: [{ id: "1" }] });
  assert.equal(copy.labels["kuma.io/deletion-grace-period-started-at"], undefined);
});

Deno.test("downward() gives zones the public half of what signs zone tokens, and no more", () => {
  const to = { descriptor: kind("GlobalSecret"), hashNames: true };
  const pair = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const secret = (name: string, content: string) =>
    resource({ type: "GlobalSecret", name, spec: { data: btoa(content) } });
  const pem = pair.privateKey.export({ type: "pkcs1", format: "pem" }).toString();
  const copy = downward(secret("zone-token-signing-key-2", pem), to);
  assert.equal(copy.name, "zone-token-signing-public-key-2");
  assert.deepEqual(copy.labels, { "kuma.io/origin": "global" });
  const wanted = pair.publicKey.export({ type: "pkcs1", format: "pem" });
  assert.equal(atob(String(copy.spec["data"])), wanted);
  const old = downward(secret("zone-token-signing-key", pem), to);
  assert.equal(old.name, "zone-token-signing-public-key");
  assert.throws(() => downward(secret("zone-token-signing-key-1", "x"), to), /holds no readable/);
  const refused = encodeDownward(secret("zone-token-signing-key-1", "x"), to);
  assert.match(refused.ok ? "" : refused.reason, /GlobalSecret "zone-token-signing-key-1" holds/);
});

Deno.test("goesToZone() keeps at home what a zone must not have", () => {
  const to = (descriptor: ResourceDescriptor, disabled: readonly string[] = []) => ({
    descriptor,
    zone: "east",
    features: KUMA_FEATURES,
    isDisabled: (zone: string) => disabled.includes(zone),
  });
  const config = (name: string) => resource({ type: "Config", name });
  assert.ok(goesToZone(config("kuma-cluster-id"), to(kind("Config"))));
  assert.ok(!goesToZone(config("kuma-default-dns-vips"), to(kind("Config"))));
  const secret = (name: string) => resource({ type: "GlobalSecret", name });
  assert.ok(!goesToZone(secret("user-token-signing-key-1"), to(kind("GlobalSecret"))));
  assert.ok(goesToZone(secret("zone-token-signing-key-1"), to(kind("GlobalSecret"))));
  assert.ok(!goesToZone(secret("zone-token-signing-keys"), to(kind("GlobalSecret"))));
  assert.ok(goesToZone(secret("zone-token-revocations"), to(kind("GlobalSecret"))));
  assert.ok(
    !goesToZone(
      resource({ labels: { "kuma.io/kds-sync": "disabled" } }),
      to(kind("Mesh")),
    ),
  );
  const ingress = (zone: string) =>
    resource({
      type: "ZoneIngress",
      labels: { "kuma.io/origin": "zone", "kuma.io/zone": zone },
    });
  assert.ok(goesToZone(ingress("west"), to(kind("ZoneIngress"))));
  assert.ok(!goesToZone(ingress("east"), to(kind("ZoneIngress"))));
  assert.ok(!goesToZone(ingress("west"), to(kind("ZoneIngress"), ["west"])));
  const dataplane = resource({ type: "Dataplane", labels: { "kuma.io/origin": "zone" } });
  assert.ok(!goesToZone(dataplane, to(kind("Dataplane"))));
});

Deno.test("goesToGlobal() sends what was made in the zone", () => {
  const dataplane = (origin?: string) =>
    resource({ type: "Dataplane", labels: origin ? { "kuma.io/origin": origin } : {} });
  assert.ok(goesToGlobal(dataplane(), kind("Dataplane")));
  assert.ok(goesToGlobal(dataplane("zone"), kind("Dataplane")));
  assert.ok(!goesToGlobal(dataplane("global"), kind("Dataplane")));
  assert.ok(!goesToGlobal(resource({ type: "Secret" }), kind("Secret")));
});

Deno.test("pinToZone() does not take a zone's word for its name", () => {
  const pinned = pinToZone("ZoneIngress", {
    zone: "evil",
    availableServices: [{ tags: { "kuma.io/zone": "evil", a: "b" } }, { tags: { a: "b" } }],
  }, "east");
  assert.ok(pinned.rewritten);
  assert.deepEqual(pinned.spec, {
    zone: "east",
    availableServices: [{ tags: { "kuma.io/zone": "east", a: "b" } }, { tags: { a: "b" } }],
  });
  const dataplane = {
    networking: {
      inbound: [{ port: 1, tags: { "kuma.io/zone": "evil" } }],
      gateway: { tags: { "kuma.io/zone": "evil" } },
    },
  };
  assert.deepEqual(pinToZone("Dataplane", dataplane, "east").spec, {
    networking: {
      inbound: [{ port: 1, tags: { "kuma.io/zone": "east" } }],
      gateway: { tags: { "kuma.io/zone": "east" } },
    },
  });
  assert.ok(!pinToZone("Mesh", { a: 1 }, "east").rewritten);
});

Deno.test("predicates: who may overwrite what", () => {
  assert.ok(zoneYields(resource({}), kind("Mesh")));
  assert.ok(!zoneYields(resource({ type: "Secret" }), kind("Secret")));
  const copy = { "kuma.io/origin": "global" };
  assert.ok(zoneYields(resource({ type: "Secret", labels: copy }), kind("Secret")));
  assert.ok(!zoneYields(resource({ type: "ZoneIngress" }), kind("ZoneIngress")));
  const east = { descriptor: kind("Dataplane"), zone: "east" };
  assert.ok(globalYields(resource({ labels: { "kuma.io/zone": "east" } }), east));
  assert.ok(globalYields(resource({ name: "east.be-1" }), east));
  assert.ok(!globalYields(resource({ labels: { "kuma.io/zone": "west" } }), east));
  const dotted = resource({ name: "east.be-1", labels: { "kuma.io/zone": "west" } });
  assert.ok(!globalYields(dotted, east), "a name says nothing where a label does");
  const timeout = (labels: Labels) => resource({ type: "MeshTimeout", name: "east.mt", labels });
  const both = { descriptor: kind("MeshTimeout"), zone: "east" };
  assert.ok(!globalYields(timeout({}), both), "a global's own is nobody else's");
  assert.ok(globalYields(timeout({ "kuma.io/zone": "east" }), both), "brought over by hand");
  assert.ok(globalYields(timeout({ "kuma.io/zone": "east", "kuma.io/origin": "zone" }), both));
});

Deno.test("directions follow from the descriptors, in the order in which kinds depend", () => {
  const down = globalToZone(KINDS).map(({ name }) => name);
  assert.deepEqual(down.slice(0, 5), ["Mesh", "GlobalSecret", "Secret", "Config", "ZoneIngress"]);
  assert.deepEqual(down.slice(5), [...down.slice(5)].sort());
  const up = zoneToGlobal(KINDS).map(({ name }) => name);
  const insights = ["DataplaneInsight", "ZoneEgressInsight", "ZoneIngressInsight"];
  assert.equal(up[0], "ZoneIngress");
  assert.deepEqual(up.slice(-3), insights);
});

// What a kuma-cp 2.13.10 asked of its peer, in both directions.
Deno.test("kinds travel the ways that Kuma's do", () => {
  const policies = [
    ...["MeshAccessLog", "MeshCircuitBreaker", "MeshFaultInjection", "MeshHTTPRoute"],
    ...["MeshHealthCheck", "MeshLoadBalancingStrategy", "MeshMetric", "MeshPassthrough"],
    ...["MeshProxyPatch", "MeshRateLimit", "MeshRetry", "MeshTCPRoute", "MeshTLS", "MeshTimeout"],
    ...["MeshTrace", "MeshTrafficPermission"],
  ];
  const both = [
    ...["HostnameGenerator", "MeshExternalService", "MeshGateway", "MeshIdentity", "MeshTrust"],
  ];
  const across = ["MeshService", "ZoneIngress"];
  const down = [
    ...["CircuitBreaker", "Config", "ExternalService", "FaultInjection", "GlobalSecret"],
    ...["HealthCheck", "Mesh", "MeshGatewayRoute", "MeshMultiZoneService", "ProxyTemplate"],
    ...["RateLimit", "Retry", "Secret", "ServiceInsight", "Timeout", "TrafficLog"],
    ...["TrafficTrace", "VirtualOutbound"],
  ];
  const up = [
    ...["Dataplane", "DataplaneInsight", "Workload", "ZoneEgress", "ZoneEgressInsight"],
    "ZoneIngressInsight",
  ];
  const names = (kinds: readonly ResourceDescriptor[]) => kinds.map(({ name }) => name).sort();
  assert.deepEqual(names(globalToZone(KINDS)), [...policies, ...both, ...across, ...down].sort());
  assert.deepEqual(names(zoneToGlobal(KINDS)), [...policies, ...both, ...across, ...up].sort());
});

Deno.test("goesToZone() keeps from a peer what it cannot read", () => {
  const to = (type: string, features: readonly string[] = KUMA_FEATURES) => ({
    descriptor: kind(type),
    zone: "east",
    features,
    isDisabled: () => false,
  });
  const bare = resource({ type: "MeshTimeout", spec: { to: [] } });
  assert.ok(goesToZone(bare, to("MeshTimeout")));
  assert.ok(!goesToZone(bare, to("MeshTimeout", [])));
  const whole = { ...bare, spec: { targetRef: { kind: "Mesh" } } };
  assert.ok(goesToZone(whole, to("MeshTimeout", [])));
  const generator = (selector: string) =>
    resource({ type: "HostnameGenerator", spec: { selector: { [selector]: {} } } });
  assert.ok(goesToZone(generator("meshMultiZoneService"), to("HostnameGenerator")));
  assert.ok(!goesToZone(generator("meshMultiZoneService"), to("HostnameGenerator", [])));
  assert.ok(goesToZone(generator("meshService"), to("HostnameGenerator", [])));
});

Deno.test("goesToZone() passes on what producers of another zone wrote, and nothing else of it", () => {
  const to = { descriptor: kind("MeshTimeout"), zone: "east", isDisabled: () => false };
  const labels = {
    "kuma.io/origin": "zone",
    "kuma.io/zone": "west",
    "kuma.io/policy-role": "producer",
    "k8s.kuma.io/namespace": "shop",
  };
  const spec = {
    targetRef: { kind: "Mesh" },
    to: [{ targetRef: { kind: "MeshService", name: "api" } }],
  };
  const goes = (part: Partial<Resource>, more: Partial<Parameters<typeof goesToZone>[1]> = {}) =>
    goesToZone(resource({ type: "MeshTimeout", labels, spec, ...part }), {
      ...to,
      features: KUMA_FEATURES,
      ...more,
    });
  assert.ok(goes({}));
  assert.ok(!goes({}, { features: ["hash-suffix"] }), "the peer does not know producers");
  assert.ok(!goes({}, { zone: "west" }), "it is its own");
  assert.ok(!goes({}, { isDisabled: () => true }));
  const { "kuma.io/policy-role": _, ...unsaid } = labels;
  assert.ok(!goes({ labels: unsaid }));
  assert.ok(!goes({ labels: { ...labels, "k8s.kuma.io/namespace": "" } }), "Universal has none");
  const target = (targetRef: JsonObject) => ({ spec: { ...spec, to: [{ targetRef }] } });
  assert.ok(!goes(target({ kind: "MeshService", name: "api", namespace: "other" })));
  assert.ok(!goes(target({ kind: "Mesh" })), "it speaks for its callers, not for itself");
  assert.ok(!goes({ spec: { ...spec, from: [{}] } }));
  const only = (zone: string) => ({
    spec: { ...spec, targetRef: { kind: "MeshSubset", tags: { "kuma.io/zone": zone } } },
  });
  assert.ok(goes(only("east")));
  assert.ok(!goes(only("north")));
});

Deno.test("a status goes up, and stays where it was found out", () => {
  const service = resource({
    type: "MeshService",
    mesh: "default",
    name: "api",
    status: { vips: [{ ip: "241.0.0.1" }] },
  });
  const onGlobal = upward(service, "west");
  assert.deepEqual(onGlobal.status, service.status);
  const copy = downward({ ...service, ...onGlobal }, {
    descriptor: kind("MeshService"),
    hashNames: true,
  });
  assert.equal(copy.status, undefined);
  assert.equal(copy.labels["kuma.io/zone"], "west");
});
