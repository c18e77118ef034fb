import assert from "node:assert/strict";
import fc from "fast-check";
import type { ConfigSpec } from "../core/mesh.ts";
import type { Resource } from "../core/resource.ts";
import type { Op } from "../store/store.ts";
import {
  allocateVips,
  meshOfVipConfig,
  servicesByMesh,
  vipConfigName,
  type VipOutcome,
  vipRange,
  vipsOf,
} from "./vips.ts";

const CIDR = "240.0.0.0/4";
const GRACE_MS = 60_000;

/** A store of Config resources, and one zone's allocation over it. */
class Zone {
  readonly configs = new Map<string, Resource<ConfigSpec>>();
  cidr = CIDR;
  nowMs = 1_000;
  #version = 0;

  put(name: string, config: string): void {
    const time = "2026-01-01T00:00:00Z";
    this.configs.set(name, {
      type: "Config",
      mesh: "",
      name,
      labels: {},
      spec: { config },
      version: ++this.#version,
      creationTime: time,
      modificationTime: time,
    });
  }

  /** Allocates for these services and stores what comes out. */
  have(services: Readonly<Record<string, readonly string[]>>): VipOutcome {
    const outcome = allocateVips({
      services: new Map(Object.entries(services).map(([mesh, names]) => [mesh, new Set(names)])),
      configs: [...this.configs.values()],
      cidr: this.cidr,
      nowMs: this.nowMs,
      graceMs: GRACE_MS,
    });
    for (const op of outcome.ops) this.#apply(op);
    return outcome;
  }

  #apply(op: Op): void {
    const name = op.op === "put" ? op.resource.name : op.key.name;
    assert.equal(op.expected, this.configs.get(name)?.version ?? 0);
    if (op.op === "delete") this.configs.delete(name);
    else this.put(name, String(op.resource.spec["config"]));
  }

  vips(mesh: string): Readonly<Record<string, string>> {
    const config = this.configs.get(vipConfigName(mesh));
    return config ? Object.fromEntries(vipsOf(config)) : {};
  }

  /** Name and address pairs over all meshes. */
  all(): readonly (readonly [string, string])[] {
    return [...this.configs.values()].flatMap((config) => [...vipsOf(config)]);
  }
}

Deno.test("allocateVips() writes Kuma's JSON", () => {
  const zone = new Zone();
  zone.have({ default: ["web", "backend"] });
  const config = zone.configs.get("kuma-default-dns-vips")?.spec.config ?? "";
  assert.deepEqual(JSON.parse(config), {
    "0:backend": {
      address: "240.0.0.1",
      outbounds: [{ Port: 0, TagSet: { "kuma.io/service": "backend" }, Origin: "service" }],
    },
    "0:web": {
      address: "240.0.0.2",
      outbounds: [{ Port: 0, TagSet: { "kuma.io/service": "web" }, Origin: "service" }],
    },
  });
});

Deno.test("allocateVips() changes nothing when nothing is new", () => {
  const zone = new Zone();
  zone.have({ default: ["web"] });
  assert.deepEqual(zone.have({ default: ["web"] }), {
    ops: [],
    nextReleaseAtMs: null,
    exhausted: [],
  });
});

Deno.test("allocateVips() gives a name the same address in every mesh", () => {
  const zone = new Zone();
  zone.have({ one: ["web"] });
  zone.have({ one: ["web"], two: ["web", "api"] });
  assert.equal(zone.vips("two")["web"], zone.vips("one")["web"]);
  assert.notEqual(zone.vips("two")["api"], zone.vips("two")["web"]);
});

Deno.test("allocateVips() keeps an address for the grace time, and gives it back to its name", () => {
  const zone = new Zone();
  zone.have({ default: ["api", "web"] });
  const address = zone.vips("default")["web"];
  zone.nowMs = 5_000;
  assert.equal(zone.have({ default: ["api"] }).nextReleaseAtMs, 65_000);
  assert.equal(zone.vips("default")["web"], address);
  zone.nowMs = 64_999;
  zone.have({ default: ["api", "other"] });
  assert.notEqual(zone.vips("default")["other"], address);
  assert.equal(zone.have({ default: ["api", "other", "web"] }).nextReleaseAtMs, null);
  assert.equal(zone.vips("default")["web"], address);

  zone.have({ default: ["api", "other"] });
  zone.nowMs = 200_000;
  zone.have({ default: ["api", "other"] });
  assert.equal(zone.vips("default")["web"], undefined);
});

Deno.test("allocateVips() removes the Config of a mesh that is gone", () => {
  const zone = new Zone();
  zone.have({ default: ["web"] });
  zone.have({});
  zone.nowMs += GRACE_MS;
  zone.have({});
  assert.equal(zone.configs.size, 0);
});

Deno.test("allocateVips() reports services for which no address is left", () => {
  const zone = new Zone();
  zone.cidr = "127.128.5.0/30";
  assert.deepEqual(zone.have({ default: ["a", "b", "c", "d"] }).exhausted, ["c", "d"]);
  assert.deepEqual(zone.vips("default"), { a: "127.128.5.1", b: "127.128.5.2" });
  assert.deepEqual(zone.have({ default: ["b", "c"] }).exhausted, ["c"]);
  zone.nowMs += GRACE_MS;
  assert.deepEqual(zone.have({ default: ["b", "c"] }).exhausted, []);
  assert.deepEqual(zone.vips("default"), { b: "127.128.5.2", c: "127.128.5.1" });
});

Deno.test("allocateVips() mends another installation's data: two names on one address, one name on two", () => {
  const zone = new Zone();
  zone.put(
    "kuma-one-dns-vips",
    '{"0:web":{"address":"240.0.0.9"},"0:gone":{"address":"240.0.0.3"}}',
  );
  zone.put(
    "kuma-two-dns-vips",
    '{"0:api":{"address":"240.0.0.9"},"0:web":{"address":"240.0.0.4"},"0:late":{"address":"240.0.0.3"}}',
  );
  zone.have({ one: ["web"], two: ["api", "web", "late"] });
  assert.deepEqual(zone.vips("one"), { web: "240.0.0.9" });
  assert.deepEqual(zone.vips("two"), { api: "240.0.0.10", late: "240.0.0.3", web: "240.0.0.9" });
});

Deno.test("allocateVips() moves services when the range changes, and takes IPv6 ranges", () => {
  const zone = new Zone();
  zone.have({ default: ["web"] });
  zone.cidr = "fd00:abcd::/64";
  zone.have({ default: ["web"] });
  assert.deepEqual(zone.vips("default"), { web: "fd00:abcd::1" });
});

Deno.test("allocateVips() leaves other Config resources and other entries alone", () => {
  const zone = new Zone();
  zone.put("kuma-cluster-id", "some-id");
  zone.put("kuma-default-dns-vips", '{"1:host":{"address":"240.0.0.7"}}');
  zone.have({ default: ["web"] });
  const json = JSON.parse(zone.configs.get("kuma-default-dns-vips")?.spec.config ?? "");
  assert.deepEqual(Object.keys(json), ["0:web", "1:host"]);
  assert.equal(zone.configs.get("kuma-cluster-id")?.spec.config, "some-id");
  zone.have({});
  zone.nowMs += GRACE_MS;
  zone.have({});
  assert.deepEqual(
    Object.keys(JSON.parse(zone.configs.get("kuma-default-dns-vips")?.spec.config ?? "")),
    [
      "1:host",
    ],
  );
});

Deno.test("allocateVips() survives any text in a Config", () => {
  fc.assert(fc.property(
    fc.oneof(
      fc.string(),
      fc.json(),
      fc.dictionary(fc.string().map((s) => `0:${s}`), fc.jsonValue()).map((v) => JSON.stringify(v)),
    ),
    (text) => {
      const zone = new Zone();
      zone.put("kuma-default-dns-vips", text);
      zone.have({ default: ["web"] });
      assert.ok(zone.vips("default")["web"]?.startsWith("240."));
    },
  ));
});

Deno.test("allocateVips(): addresses are unique, stable while needed, kept in grace, whatever happens", () => {
  const name = fc.constantFrom("a", "b", "c", "d", "e", "f");
  const step = fc.record({
    one: fc.uniqueArray(name),
    two: fc.uniqueArray(name),
    passMs: fc.integer({ min: 0, max: GRACE_MS }),
  });
  fc.assert(fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
    const zone = new Zone();
    const lastSeen = new Map<string, { readonly address: string; readonly atMs: number }>();
    for (const { one, two, passMs } of steps) {
      zone.nowMs += passMs;
      const { exhausted, nextReleaseAtMs } = zone.have({ one, two });
      assert.deepEqual(exhausted, []);
      const owners = new Map<string, string>();
      const addresses = new Map<string, string>();
      for (const [name, address] of zone.all()) {
        assert.equal(owners.get(address) ?? name, name, "two names on one address");
        assert.equal(addresses.get(name) ?? address, address, "one name on two addresses");
        owners.set(address, name);
        addresses.set(name, address);
      }
      for (const service of one) assert.ok(zone.vips("one")[service], `${service} has an address`);
      for (const service of two) assert.ok(zone.vips("two")[service], `${service} has an address`);
      for (const [service, seen] of lastSeen) {
        if (zone.nowMs - seen.atMs >= GRACE_MS) continue;
        assert.equal(addresses.get(service), seen.address, `${service} keeps its address`);
      }
      for (const service of [...one, ...two]) {
        lastSeen.set(service, { address: addresses.get(service) ?? "", atMs: zone.nowMs });
      }
      assert.ok(nextReleaseAtMs === null || nextReleaseAtMs > zone.nowMs);
      assert.deepEqual(zone.have({ one, two }).ops, [], "idempotent");
    }
  }));
});

Deno.test("vipsOf() gives the same map for the same resource", () => {
  const zone = new Zone();
  zone.have({ default: ["web"] });
  const config = zone.configs.get("kuma-default-dns-vips") as Resource<ConfigSpec>;
  assert.equal(vipsOf(config), vipsOf(config));
});

Deno.test("meshOfVipConfig() is the inverse of vipConfigName()", () => {
  for (const mesh of ["default", "a-dns-vips", "kuma-b"]) {
    assert.equal(meshOfVipConfig(vipConfigName(mesh)), mesh);
  }
  for (const name of ["kuma-cluster-id", "kuma-dns-vips"]) {
    assert.equal(meshOfVipConfig(name), undefined);
  }
});

Deno.test("vipRange() leaves out the edges of a network, and refuses what is none", () => {
  assert.deepEqual(vipRange("10.0.0.0/29"), { first: 0x0a000001n, last: 0x0a000006n, bits: 32 });
  assert.deepEqual(vipRange("10.0.0.7/29"), { first: 0x0a000001n, last: 0x0a000006n, bits: 32 });
  assert.deepEqual(vipRange("10.0.0.1/32"), { first: 0x0a000001n, last: 0x0a000001n, bits: 32 });
  assert.throws(() => vipRange("10.0.0.0"), /is not an address range/);
});

const resource = (type: string, mesh: string, spec: unknown): Resource => {
  const time = "2026-01-01T00:00:00Z";
  return {
    type,
    mesh,
    name: "x",
    labels: {},
    spec: spec as never,
    version: 1,
    creationTime: time,
    modificationTime: time,
  };
};

const inbound = (service: string, more: object = {}) => ({
  port: 80,
  tags: { "kuma.io/service": service },
  ...more,
});

const dataplane = (mesh: string, ...inbounds: readonly object[]) =>
  resource("Dataplane", mesh, { networking: { address: "127.0.0.1", inbound: inbounds } });

const ingress = (zone: string, ...services: readonly (readonly [string, string])[]) =>
  resource("ZoneIngress", "", {
    zone,
    networking: { port: 10001 },
    availableServices: services.map(([mesh, service]) => ({
      mesh,
      tags: { "kuma.io/service": service },
    })),
  });

Deno.test("servicesByMesh() counts inbounds here and services of other zones", () => {
  const services = servicesByMesh(
    [
      dataplane("one", inbound("web", { state: "NotReady" }), inbound("admin")),
      dataplane("one", inbound("web")),
      dataplane("two", inbound("ignored", { state: "Ignored" }), inbound("none", { port: 49151 })),
    ] as never[],
    [ingress("east", ["one", "own"]), ingress("west", ["two", "billing"])] as never[],
    "east",
  );
  assert.deepEqual(
    services,
    new Map([["one", new Set(["web", "admin"])], ["two", new Set(["billing"])]]),
  );
});
