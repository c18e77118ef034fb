// What zones know of each other: nothing that the other has not said, and, with global there, nothing
// that has not come through it.

import assert from "node:assert/strict";
import { ORIGIN_LABEL } from "../../core/names.ts";
import { notesOfAhead } from "../../kds/ahead.ts";
import { zoneOf } from "../../kds/filter.ts";
import type { PeersStatus } from "../../actors/peers/messages.ts";
import type { ControlPlane } from "../control_plane.ts";
import { canonical } from "./canonical.ts";
import type { Check, World } from "../world.ts";

/** By zone, every state that its ingresses ever had. */
export function zonesSpeakForThemselves(world: World): Check {
  const said = new Map<string, Set<string>>();
  return {
    name: "zones speak for themselves",
    committed(where, { changes }) {
      for (const { key, resource } of changes) {
        if (key.type !== "ZoneIngress" || !resource || where === world.global) continue;
        const isCopy = resource.labels[ORIGIN_LABEL] === "global";
        const zone = isCopy ? zoneOf(resource) ?? "" : where.name;
        const state = canonical(resource.spec["availableServices"] ?? []);
        const own = said.get(zone) ?? new Set();
        if (isCopy) {
          assert(
            own.has(state),
            `${where.name} has of ${zone} what ${zone} never said: ${key.name}`,
          );
        } else said.set(zone, own.add(state));
      }
    },
  };
}

function peersOf({ kernel }: ControlPlane): PeersStatus | undefined {
  const found = kernel?.actors().find(({ path }) => path === "peers")?.summary;
  return found as unknown as PeersStatus | undefined;
}

/** What one zone has of another may be the other's own word. */
export function hears(zone: ControlPlane, other: string | undefined): boolean {
  return peersOf(zone)?.peers.some((peer) => peer.hears && peer.zone === other) ?? false;
}

export function linksAreForOutages(world: World): Check {
  return {
    name: "with global there, its word alone holds",
    atRest() {
      if (!world.global) return;
      for (const zone of world.zones) {
        const status = peersOf(zone);
        if (!status) continue;
        const { alone, peers } = status;
        const { name, disk } = zone;
        assert(!alone, `${name} takes itself for alone`);
        const linked = peers.filter(({ linkedSince }) => linkedSince !== null);
        assert.deepEqual(linked, [], `links of ${name}`);
        const notes = notesOfAhead(disk.image.list("Config")).map(({ name }) => name);
        assert.deepEqual(notes, [], `${name} is ahead of global`);
      }
    },
  };
}
