// A proxy is registered while its lease lives, and no longer.

import assert from "node:assert/strict";
import { REGISTERED_BY_LABEL, REGISTERED_BY_PROXY } from "../../actors/dataplane/messages.ts";
import { type ProxyKey, proxyText } from "../../core/proxy.ts";
import type { Resource, ResourceKey } from "../../core/resource.ts";
import { isLocal } from "../../kds/filter.ts";
import { keepaliveOf } from "../../xds/lease.ts";
import type { ControlPlane } from "../control_plane.ts";
import type { Envoy } from "../envoy.ts";
import type { Check, World } from "../world.ts";
import { calmOf } from "./calm.ts";

/** To be registered, to be deregistered, and between two looks. */
const LATE_MS = 2_500;
/** A stream that is open for so long is no attempt that will be refused. */
const SETTLED_MS = 1_500;
/** What begins anew gives everybody a full lease. */
const DISTURBED_MS = 20_000;

export function leasesHold(world: World): Check {
  const calm = calmOf(world);
  /** By zone and proxy. */
  const deadSinceMs = new Map<string, number>();
  const aliveAtMs = new Map<string, number>();
  const startedAtMs = new Map<ControlPlane, number>();
  const disturbedAtMs = new Map<ControlPlane, number>();
  let crashes = 0;
  const isCalm = (zone: ControlPlane) =>
    calm.is(zone) && world.nowMs - (disturbedAtMs.get(zone) ?? -DISTURBED_MS) >= DISTURBED_MS;

  const look = (zone: ControlPlane, proxy: ProxyKey): void => {
    const text = proxyText(proxy);
    const id = `${zone.name} ${text}`;
    const envoys = world.envoysNamed(zone.name, text);
    if (envoys.some((envoy) => isHeard(zone, envoy, world))) aliveAtMs.set(id, world.nowMs);
    if (
      envoys.some((envoy) => couldBeHeard(zone, envoy, world) || mayStillArrive(zone, envoy, world))
    ) {
      deadSinceMs.delete(id);
      return;
    }
    const sinceMs = deadSinceMs.get(id) ?? world.nowMs;
    deadSinceMs.set(id, sinceMs);
    const { endpointLeaseMs } = zone.config;
    const forMs = world.nowMs - sinceMs;
    assert(
      !isCalm(zone) || forMs <= endpointLeaseMs + LATE_MS,
      `${text} of ${zone.name} is registered, and gone for ${forMs} ms`,
    );
  };

  return {
    name: "leases hold",
    started(plane) {
      startedAtMs.set(plane, world.nowMs);
    },
    tick() {
      calm.tick();
      const crashed = world.counts.get("step crash") ?? 0;
      for (const zone of world.zones) {
        if (crashed !== crashes) disturbedAtMs.set(zone, world.nowMs);
        if (!zone.kernel || zone.site.paused) continue;
        for (const proxy of leased(zone)) look(zone, proxy);
      }
      crashes = crashed;
    },
    committed(where, { changes }) {
      if (changes.some(({ key, resource }) => key.type === "Mesh" && !resource)) {
        disturbedAtMs.set(where, world.nowMs);
      }
      if (!world.zones.includes(where)) return;
      for (const { key, resource } of changes) {
        // It was there, if only between two looks.
        const proxy = resource && proxyOf(key, resource);
        if (proxy) deadSinceMs.delete(`${where.name} ${proxyText(proxy)}`);
      }
      if (!isCalm(where)) return;
      for (const { key, resource, previous } of changes) {
        const proxy = resource || !previous ? null : proxyOf(key, previous);
        if (!proxy || leaves(world, where, proxy)) continue;
        const id = `${where.name} ${proxyText(proxy)}`;
        const { endpointLeaseMs } = where.config;
        // What is heard is an answer to a ping, or was a moment before one.
        const leastMs = endpointLeaseMs - keepaliveOf(endpointLeaseMs).intervalMs;
        const heardMs: number = world.nowMs - (aliveAtMs.get(id) ?? 0);
        const startedMs: number = world.nowMs - (startedAtMs.get(where) ?? 0);
        assert(
          heardMs >= leastMs,
          `${proxy.name} of ${where.name} was deregistered ${heardMs} ms after it was heard`,
        );
        assert(
          startedMs >= endpointLeaseMs - 1,
          `${proxy.name} was deregistered ${startedMs} ms after ${where.name} began`,
        );
      }
    },
  };
}

function leased({ disk: { image } }: ControlPlane): readonly ProxyKey[] {
  return ["Dataplane", "ZoneIngress"].flatMap((type) => image.list(type)).flatMap((resource) =>
    proxyOf(resource, resource) ?? []
  );
}

/** Null: nobody registered it here, or somebody wrote it. */
function proxyOf({ type, mesh, name }: ResourceKey, resource: Resource): ProxyKey | null {
  if (type !== "Dataplane" && type !== "ZoneIngress") return null;
  if (!isLocal(resource, "zone")) return null;
  if (resource.labels[REGISTERED_BY_LABEL] !== REGISTERED_BY_PROXY) return null;
  return { type: type === "Dataplane" ? "dataplane" : "ingress", mesh, name };
}

function couldBeHeard(zone: ControlPlane, { running, options }: Envoy, { network }: World) {
  const { name } = options.site;
  return running && network.link(name, zone.name).open && network.link(zone.name, name).open;
}

/** What it sent before it ended waits behind a cut. */
function mayStillArrive(zone: ControlPlane, { running, options }: Envoy, { network }: World) {
  return !running && !network.link(options.site.name, zone.name).open;
}

function isHeard(zone: ControlPlane, envoy: Envoy, world: World): boolean {
  const { end, options: { key } } = envoy;
  if (!end?.connection.echoes || !zone.ads) return false;
  return zone.ads.openSince(`${key.mesh}.${key.name}`)
    .some((sinceMs) => world.nowMs - sinceMs >= SETTLED_MS);
}

/** By its own word, with its mesh, or since its token was taken away. */
function leaves(world: World, zone: ControlPlane, proxy: ProxyKey): boolean {
  const { type, mesh } = proxy;
  const key = { type: "Mesh", mesh: "", name: mesh };
  if (type === "dataplane" && !zone.disk.image.get(key)) return true;
  const isWithdrawn = (token: string | null) =>
    token !== null && world.tokens.withdrawn(zone, token) !== null;
  // Its stream may have been opened with the token before.
  return world.envoysNamed(zone.name, proxyText(proxy)).some(({ draining, token, tokenBefore }) =>
    draining || isWithdrawn(token) || isWithdrawn(tokenBefore)
  );
}
