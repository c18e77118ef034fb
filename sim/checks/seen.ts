// What must hold for every single response that a proxy gets, however broken the rest is.

import assert from "node:assert/strict";
import { meshOfVipConfig, vipsOf } from "../../dns/vips.ts";
import type { ConfigSpec } from "../../core/mesh.ts";
import type { DataplaneSpec } from "../../core/dataplane.ts";
import type { Resource } from "../../core/resource.ts";
import { TYPES } from "../../xds/snapshot.ts";
import type { Held } from "../ads_messages.ts";
import type { Check, World } from "../world.ts";

/** Addresses say whose they are: `10.<zone>.<mesh>.<n>`, and `192.168.<zone>.<n>` for what ingresses advertise. */
export function addressOf(zone: number, mesh: number, serial: number): string {
  return `10.${zone}.${mesh}.${serial}`;
}

export const MESHES = ["default", "other", "third"];

/** No endpoint, secret or name of one mesh in another. */
export function meshesStayApart(_world: World): Check {
  /** What was looked at already, by mesh. */
  const clean = new Map(MESHES.map((mesh) => [mesh, new WeakSet<Held>()]));
  return {
    name: "meshes stay apart",
    received({ options: { key }, text }, { typeUrl, resources }) {
      if (key.type !== "dataplane") return;
      const own = MESHES.indexOf(key.mesh);
      const others = MESHES.filter((mesh) => mesh !== key.mesh);
      for (const resource of resources) {
        if (clean.get(key.mesh)!.has(resource)) continue;
        clean.get(key.mesh)!.add(resource);
        const { name, addresses, text: content } = resource;
        if (typeUrl === TYPES.endpoint) {
          for (const address of addresses) {
            const [first, , mesh] = address.split(".");
            const leaked = first === "10" && Number(mesh) !== own;
            if (leaked) assert.fail(`${text} got ${address} as endpoint of ${name}`);
          }
        }
        for (const mesh of others) {
          const words = [`${mesh}-root`, `only-${mesh}`, `spiffe://${mesh}/`];
          for (const word of words) {
            if (content.includes(word)) assert.fail(`${text} got "${word}" in ${name}`);
          }
        }
      }
    },
  };
}

/** At no moment do listeners or routes lead to a cluster that the proxy does not have. */
export function nothingDangles(_world: World): Check {
  return {
    name: "every configuration is consistent",
    applied(envoy, { typeUrl }) {
      if (typeUrl === TYPES.endpoint || typeUrl === TYPES.secret) return;
      // Who rejects clusters has to do without.
      if (envoy.rejected > 0 || !envoy.caughtUp) return;
      const clusters = envoy.runs(TYPES.cluster);
      for (const holder of [TYPES.listener, TYPES.route]) {
        for (const { name, leadsTo } of envoy.runs(holder).values()) {
          for (const cluster of leadsTo) {
            if (clusters.has(cluster)) continue;
            assert.fail(`${name} of ${envoy.text} leads to ${cluster}: unknown`);
          }
        }
      }
    },
  };
}

/** A client is never told to use what its server has not taken over. */
export function serversListenFirst(world: World): Check {
  const listened = (address: string): boolean => {
    for (const envoy of world.envoys.values()) if (envoy.listened.has(address)) return true;
    return false;
  };
  const known = new Set<string>();
  return {
    name: "servers listen first",
    received({ text }, { typeUrl, resources }) {
      if (typeUrl !== TYPES.endpoint) return;
      for (const { name, addresses } of resources) {
        for (const address of addresses) {
          // What an operator wrote, and what ingresses advertise, is offered as it is.
          if (!address.startsWith("10.") || world.writtenByHand.has(address.split(":")[0]!)) {
            continue;
          }
          if (known.has(address)) continue;
          assert(
            listened(address),
            `${text} is sent to ${address} (${name}): nobody listened there`,
          );
          known.add(address);
        }
      }
    },
  };
}

/** What proxies reject does not go unnoticed. */
export function rejectionsAreNoticed(world: World): Check {
  const MANY = 5;
  return {
    name: "rejections are noticed",
    atRest() {
      const noticed = world.counts.get("ursa_xds_nacks_total") ?? 0;
      let rejected = 0;
      for (const envoy of world.envoys.values()) rejected += envoy.rejected;
      assert(noticed > 0 || rejected < MANY, `${rejected} responses were rejected, and none noted`);
    },
  };
}

/** An address stays with its service for as long as there is one, and is no other's. */
export function addressesStay(world: World): Check {
  return {
    name: "virtual IPs are stable and unique",
    committed(where, { changes }) {
      for (const { key, resource, previous } of changes) {
        const mesh = key.type === "Config" ? meshOfVipConfig(key.name) : undefined;
        if (mesh === undefined) continue;
        const before = previous ? vipsOf(previous as unknown as Resource<ConfigSpec>) : new Map();
        const after = resource ? vipsOf(resource as unknown as Resource<ConfigSpec>) : new Map();
        const addresses = new Map<string, string>();
        for (const [service, address] of after) {
          const was = before.get(service);
          assert(
            was === undefined || was === address,
            `${service} of ${mesh} in ${where.name} went from ${was} to ${address}`,
          );
          const owner = addresses.get(address);
          assert(owner === undefined, `${service} and ${owner} on ${address} in ${where.name}`);
          addresses.set(address, service);
        }
        for (const service of before.keys()) {
          if (after.has(service) || !resource) continue;
          const used = where.disk.image.list("Dataplane", mesh).some(({ spec }) => {
            const { networking } = spec as unknown as DataplaneSpec;
            return networking.inbound?.some(({ tags }) => tags["kuma.io/service"] === service);
          });
          assert(!used, `${service} of ${mesh} in ${where.name} lost ${before.get(service)}`);
        }
      }
    },
    tick() {
      for (const zone of world.zones) {
        const table = zone.dns?.table;
        if (!table) continue;
        const owners = new Map<string, string>();
        for (const [name, address] of table.addresses) {
          const service = name.replaceAll(".", "_");
          const owner = owners.get(address) ?? service;
          assert.equal(owner, service, `DNS of ${zone.name} tells ${address} for two names`);
          owners.set(address, service);
        }
      }
    },
  };
}
