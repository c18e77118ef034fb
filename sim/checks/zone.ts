// What is true of every zone in which nothing is under way.

import assert from "node:assert/strict";
import { type Inbound, isReady } from "../../core/dataplane.ts";
import type { JsonObject, Resource } from "../../core/resource.ts";
import type { ConfigSpec } from "../../core/mesh.ts";
import { proxyText } from "../../core/proxy.ts";
import type { ZoneIngressSpec } from "../../core/zone.ts";
import { vipConfigName, vipsOf } from "../../dns/vips.ts";
import { availableServices } from "../../xds/topology.ts";
import type { ControlPlane } from "../control_plane.ts";
import type { Check, World } from "../world.ts";
import { actorOf, viewOf } from "./scratch.ts";

export function zonesTellTheTruth(world: World): Check {
  return {
    name: "zones tell the truth",
    atRest() {
      for (const zone of world.zones) {
        assert(zone.kernel, `${zone.name} does not run`);
        checkIngresses(zone);
        checkInsights(world, zone);
        checkStreams(world, zone);
        checkOffered(world, zone);
        checkIdentities(world, zone);
        checkNames(zone);
        checkUplink(zone);
      }
    },
  };
}

function meshesOf({ disk: { image } }: ControlPlane): readonly string[] {
  return image.list("Mesh").map(({ name }) => name);
}

function checkIngresses(zone: ControlPlane): void {
  const offered = meshesOf(zone).flatMap((name) => availableServices(viewOf(zone, name)!));
  for (const { name, spec } of zone.disk.image.list("ZoneIngress")) {
    const ingress = spec as unknown as ZoneIngressSpec;
    if (ingress.zone !== zone.name) continue;
    const services = ingress.availableServices ?? [];
    assert.deepEqual(services, offered, `services of ingress ${name} in ${zone.name}`);
  }
}

function checkInsights(world: World, zone: ControlPlane): void {
  const online = new Set(
    world.envoysOf(zone.name).filter(({ end }) => end).map(({ options: { key } }) =>
      `${key.type}/${key.mesh}/${key.name}`
    ),
  );
  for (
    const [type, proxyType] of [
      ["DataplaneInsight", "dataplane"],
      ["ZoneIngressInsight", "ingress"],
    ] as const
  ) {
    const shown = zone.disk.image.list(type).map(({ mesh, name }) =>
      `${proxyType}/${mesh}/${name}`
    );
    for (const proxy of online) {
      if (!proxy.startsWith(`${proxyType}/`)) continue;
      assert(shown.includes(proxy), `${proxy} is online in ${zone.name} and has no insight`);
    }
    for (const { mesh, name, spec } of zone.disk.image.list(type)) {
      const last = (spec["subscriptions"] as JsonObject[]).at(-1)!;
      const said = last["disconnectTime"] === undefined;
      const is = online.has(`${proxyType}/${mesh}/${name}`);
      assert.equal(said, is, `${type} ${mesh}/${name} of ${zone.name} says online: ${said}`);
    }
  }
}

/** As many streams as proxies, each owned by one actor. */
function checkStreams(world: World, zone: ControlPlane): void {
  const connected = world.envoysOf(zone.name).filter(({ end }) => end);
  const owners = connected.map(({ options: { key } }) => proxyText(key)).sort();
  assert.deepEqual(owners, [...new Set(owners)], `two owners of one proxy in ${zone.name}`);
  const { streams } = zone.ads!;
  assert.equal(streams, connected.length, `streams of proxies open in ${zone.name}`);
}

/** Who listens takes traffic, unless it drains. */
function checkOffered(world: World, zone: ControlPlane): void {
  for (const envoy of world.envoysOf(zone.name)) {
    const { key } = envoy.options;
    if (!envoy.end || !envoy.resource || envoy.draining || key.type !== "dataplane") continue;
    const stored = zone.disk.image.get({ type: "Dataplane", mesh: key.mesh, name: key.name });
    const { inbound = [] } = (stored?.spec["networking"] ?? {}) as {
      readonly inbound?: readonly Inbound[];
    };
    const isUp = envoy.probing?.workload ?? true;
    const wrong = inbound.filter((one) => isReady(one) !== isUp).map(({ port }) => port);
    const what = isUp ? "nobody may use" : "others may use, though its workload does not answer";
    assert.deepEqual(wrong, [], `ports of ${envoy.text} in ${zone.name} that ${what}`);
  }
}

/** Of its own mesh, in time, trusting every root of the mesh and no other. */
function checkIdentities(world: World, zone: ControlPlane): void {
  for (const envoy of world.envoysOf(zone.name)) {
    const { key } = envoy.options;
    const mtls = key.type === "dataplane" ? viewOf(zone, key.mesh)?.mtls : undefined;
    if (!envoy.end || !mtls) continue;
    const identity = actorOf(zone, key)?.identity;
    if (!identity) continue;
    const who = `${envoy.text} in ${zone.name}`;
    assert.equal(identity.backend, mtls.backend, `backend of ${who}`);
    assert(identity.expiresAtMs > zone.nowMs, `certificate of ${who} expired`);
    const roots = mtls.trusted.map((backend) => {
      const name = `${key.mesh}.ca-builtin-cert-${backend}`;
      const secret = zone.disk.image.get({ type: "Secret", mesh: key.mesh, name });
      assert(secret, `${zone.name} trusts ${backend} in ${key.mesh}, but has no certificate of it`);
      return atob(String(secret.spec["data"])).split("\n")[1]!;
    });
    const trusted = identity.trustedCa.split("\n").filter((line) => line && line[0] !== "-");
    assert.deepEqual(trusted.sort(), [...roots].sort(), `roots trusted by ${who}`);
    assert(roots.some((root) => identity.certificateChain.startsWith(`${root}/`)), who);
    const resource = zone.disk.image.get({ type: "Dataplane", mesh: key.mesh, name: key.name });
    const { inbound = [] } = (resource?.spec["networking"] ?? {}) as {
      readonly inbound?: readonly Inbound[];
    };
    for (const { tags } of inbound) {
      const uri = `spiffe://${key.mesh}/${tags["kuma.io/service"]}`;
      assert(identity.certificateChain.includes(uri), `certificate of ${who} is not for ${uri}`);
    }
  }
}

function checkUplink({ name, kernel, config }: ControlPlane): void {
  if (config.global === null) return;
  const uplink = kernel!.peek("uplink") as { readonly session: { readonly up: boolean } | null };
  assert(uplink.session?.up, `${name} is not connected to global`);
}

function checkNames(zone: ControlPlane): void {
  const owners = new Map<string, string>();
  for (const mesh of meshesOf(zone)) {
    const view = viewOf(zone, mesh)!;
    for (const service of view.services.keys()) {
      assert(view.vips.has(service), `${service} of ${mesh} has no virtual IP in ${zone.name}`);
    }
    const config = zone.disk.image.get({ type: "Config", mesh: "", name: vipConfigName(mesh) });
    const vips = config ? vipsOf(config as unknown as Resource<ConfigSpec>) : new Map();
    for (const [service, address] of vips) {
      const owner = owners.get(address) ?? service;
      assert.equal(owner, service, `two services on ${address} in ${zone.name}`);
      owners.set(address, service);
      const told = zone.dns?.table?.addresses.get(`${service}.mesh`);
      assert.equal(told, address, `DNS of ${zone.name} about ${service}.mesh`);
    }
  }
}
