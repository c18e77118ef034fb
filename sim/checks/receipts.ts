// Receipts: they never say more than is true, take nothing back, and at rest say everything.

import assert from "node:assert/strict";
import { RECEIPTS, type ReceiptsMsg } from "../../actors/receipts/messages.ts";
import { receiptOf, type ReceiptsState } from "../../actors/receipts/receipts.ts";
import type { Receipt } from "../../core/receipt.ts";
import { proxyText } from "../../core/proxy.ts";
import type { ControlPlane } from "../control_plane.ts";
import type { Envoy } from "../envoy.ts";
import type { Check, World } from "../world.ts";
import { actorOf, isWaiting, runsWhatIsStored } from "./scratch.ts";
import { hasArrived } from "./sync.ts";

/** One of so many claims is held against what is so. */
const SAMPLE = 10;
/** Of each control plane, in each second: the newest ones, which change. */
const LOOKED_AT = 3;
/** Longer than receipts wait in a mailbox. */
const SETTLED_MS = 1_000;
/** A mesh that begins knows whom it concerns only when they have come to it. */
const MESH_BEGUN_MS = 5_000;
const POLICIES = ["Mesh", "TrafficPermission", "TrafficRoute"];

export function receiptsComplete(world: World): Check {
  return {
    name: "receipts are complete at rest",
    atRest() {
      for (const plane of world.planes) {
        const state = receiptsOf(plane)!;
        for (const revision of state.entries.keys()) {
          const receipt = receiptOf(state, revision)!;
          const { pending } = receipt.proxies;
          assert(
            receipt.complete && pending === 0,
            `receipt of ${plane.name} not complete: ${JSON.stringify(receipt)}`,
          );
        }
      }
    },
  };
}

export function receiptsClaimNothingFalse(world: World): Check {
  /** Of the last commit that proxies, or zones, could notice. */
  const changed = new Map<ControlPlane, { readonly revision: number; readonly atMs: number }>();
  const meshesAtMs = new Map<ControlPlane, number>();
  const earlier = new Map<ControlPlane, Map<number, Receipt>>();
  let claims = 0;
  return {
    name: "receipts claim nothing false",
    started(plane) {
      changed.delete(plane);
      earlier.delete(plane);
    },
    committed(plane, { revision, changes }) {
      if (changes.every(({ key: { type } }) => type.endsWith("Insight"))) return;
      changed.set(plane, { revision, atMs: world.nowMs });
      const begun = changes.some(({ key, resource, previous }) =>
        key.type === "Mesh" && (resource === null || previous === null)
      );
      if (begun) meshesAtMs.set(plane, world.nowMs);
    },
    turned(plane, path, msg) {
      if (path !== RECEIPTS) return;
      const claim = msg as ReceiptsMsg;
      if (claim.tag !== "proxy_progress" && claim.tag !== "zone_progress") return;
      const newest = changed.get(plane);
      // Nothing came behind the change that is spoken of: what is so now, is what it made.
      if (!newest || claim.revision < newest.revision) return;
      if (world.nowMs - (meshesAtMs.get(plane) ?? -Infinity) < MESH_BEGUN_MS) return;
      if (++claims % SAMPLE !== 0) return;
      if (claim.tag === "zone_progress") {
        world.count("receipts held against what zones have");
        // Who takes nothing away for this global keeps more than it was told of.
        if (world.isHeld(claim.zone)) return;
        for (const type of POLICIES) {
          if (claim.rejected?.[type] === undefined) {
            hasArrived(plane, world.zone(claim.zone), type);
          }
        }
        return;
      }
      const proxy = claim.proxy.slice("dataplanes/".length);
      if (claim.outcome.state === "acked") checkTaken(world, plane, proxy);
      const state = receiptsOf(plane)!;
      if (state.incomplete.size > 0 || !state.entries.has(newest.revision)) return;
      // Nobody owes anything: whoever was there has it.
      const there = world.dice.checks.pick(world.envoysOf(plane.name));
      checkTaken(world, plane, proxyText(there.options.key), newest.atMs);
    },
    tick() {
      for (const plane of world.planes) {
        const state = receiptsOf(plane);
        if (!state) continue;
        const now = new Map(
          [...state.entries.keys()].slice(-LOOKED_AT).map((revision) =>
            [revision, receiptOf(state, revision)!] as const
          ),
        );
        for (const [revision, before] of earlier.get(plane) ?? []) {
          const after = now.get(revision) ?? receiptOf(state, revision);
          if (after) checkForward(before, after, `receipt ${revision} of ${plane.name}`);
        }
        earlier.set(plane, now);
      }
    },
  };
}

function receiptsOf({ kernel }: ControlPlane): ReceiptsState | undefined {
  return kernel?.peek(RECEIPTS) as ReceiptsState | undefined;
}

/** It runs what is stored, as far as it can be told. */
function checkTaken(world: World, zone: ControlPlane, proxy: string, thereMs = Infinity): void {
  const envoy = only(world.envoysNamed(zone.name, proxy).filter(({ running }) => running));
  if (!envoy?.end || envoy.nacks > 0 || envoy.warmingMs > 0) return;
  const { key } = envoy.options;
  // Its process may have begun anew while the zone stood still.
  const sinceMs = zone.ads!.servedSince(envoy.end) ?? Infinity;
  if (sinceMs > Math.min(thereMs, world.nowMs - SETTLED_MS)) return;
  const actor = actorOf(zone, key);
  if (!actor?.stream || isWaiting(actor)) return;
  world.count("receipts held against what proxies run");
  runsWhatIsStored(zone, envoy, actor);
}

function only(envoys: readonly Envoy[]): Envoy | undefined {
  return envoys.length === 1 ? envoys[0] : undefined;
}

/** Who answered has answered, and what is complete stays so. */
function checkForward(before: Receipt, after: Receipt, what: string): void {
  const states = new Map(after.perProxy.map(({ proxy, state }) => [proxy, state]));
  for (const { proxy, state } of before.complete ? before.perProxy : []) {
    assert.equal(states.get(proxy), state, `${what}: ${proxy} was ${state}`);
  }
  const zones = new Map(after.zones?.map((zone) => [zone.zone, zone]));
  for (const { zone, delivered } of before.zones ?? []) {
    assert(!delivered || zones.get(zone)?.delivered, `${what}: it had been delivered to ${zone}`);
  }
  assert(!before.complete || after.complete || after.zones, `${what} was complete`);
}
