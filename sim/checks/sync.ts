// What crosses between global and its zones: all of it, nothing else, and as it was at home.

import assert from "node:assert/strict";
import type { Message } from "../../actors/runtime/actor.ts";
import { UPLINK } from "../../actors/uplink/messages.ts";
import { ORIGIN_LABEL } from "../../core/names.ts";
import {
  type Draft,
  type JsonObject,
  keyText,
  type Resource,
  type ResourceDescriptor,
} from "../../core/resource.ts";
import { isEnabled, type ZoneSpec } from "../../core/zone.ts";
import { decodeResource } from "../../kds/codec.ts";
import { globalToZone, zoneToGlobal } from "../../kds/direction.ts";
import { goesToGlobal, goesToZone, zoneOf } from "../../kds/filter.ts";
import { type Encoded, encodeDownward, encodeUpward } from "../../kds/offers.ts";
import { zoneYields } from "../../kds/predicate.ts";
import { type KdsResponse, KUMA_FEATURES, wireName } from "../../kds/wire.ts";
import { URSA_ZONE_LINKS } from "../../kds/zone_link.ts";
import { type ControlPlane, KINDS } from "../control_plane.ts";
import { canonical } from "./canonical.ts";
import { hears } from "./links.ts";
import type { Check, World } from "../world.ts";

const DESCRIPTORS = KINDS.all();

export function zonesAndGlobalAgree(world: World): Check {
  return {
    name: "zones and global agree",
    atRest() {
      const { global } = world;
      if (!global) return;
      for (const zone of world.zones) {
        if (!global.disk.image.get({ type: "Zone", mesh: "", name: zone.name })) continue;
        for (const descriptor of globalToZone(DESCRIPTORS)) checkDown(global, zone, descriptor);
        for (const descriptor of zoneToGlobal(DESCRIPTORS)) checkUp(global, zone, descriptor);
      }
    },
  };
}

/** A zone has what global has for it, of one type. */
export function hasArrived(global: ControlPlane, zone: ControlPlane, type: string): void {
  checkDown(global, zone, KINDS.byName(type)!);
}

/** Who lost its memory, or is another, takes nothing away that it did not bring. */
export function strangersTakeNothing(world: World): Check {
  /** What the right global took away, and a slow disk has still. */
  const takenBack = new Set<string>();
  const id = ({ name }: ControlPlane, type: string, wire: string) => `${name} ${type} ${wire}`;
  return {
    name: "a global that forgot takes nothing away",
    turned(where, path, msg) {
      if (path !== UPLINK || msg.tag !== "response_received" || world.heldBack.has(where.name)) {
        return;
      }
      const { typeUrl, removed } = (msg as Message & { readonly response: KdsResponse }).response;
      for (const name of removed) takenBack.add(id(where, typeUrl, name));
    },
    committed(where, { changes }) {
      const kept = world.heldBack.get(where.name);
      for (const { key, resource, previous } of changes) {
        const wasTaken = !resource && takenBack.delete(id(where, key.type, wireName(key)));
        if (!kept || wasTaken) continue;
        // What the one before it took away may be on its way still.
        const global: boolean = previous?.labels[ORIGIN_LABEL] === "global" &&
          kept.has(keyText(key));
        const what = `${key.type} ${key.mesh && `${key.mesh}/`}${key.name}`;
        if (previous && hears(where, zoneOf(previous))) continue;
        assert(resource || !global, `${where.name} lost ${what} to a global that was replaced`);
      }
    },
  };
}

function checkDown(
  global: ControlPlane,
  zone: ControlPlane,
  descriptor: ResourceDescriptor,
): void {
  // The zone's own note about its global, and its virtual IPs, never came from there.
  const held = zone.disk.image.list(descriptor.name).filter((resource) =>
    zoneYields(resource, descriptor) && resource.labels[ORIGIN_LABEL] === "global"
  );
  const what = `${descriptor.name}s of global in ${zone.name}`;
  compare(offeredOf(descriptor, global, zone), held, what);
}

/** All that global offers a zone, as it is called there. */
export function offeredTo(global: ControlPlane, zone: ControlPlane): readonly Draft[] {
  return globalToZone(DESCRIPTORS).flatMap((descriptor) => offeredOf(descriptor, global, zone));
}

function offeredOf(
  descriptor: ResourceDescriptor,
  { disk: { image } }: ControlPlane,
  { name: zone, quirks }: ControlPlane,
): readonly Draft[] {
  const features = quirks.plain ? KUMA_FEATURES : [...KUMA_FEATURES, URSA_ZONE_LINKS];
  const isDisabled = (name: string) => {
    const found = image.get({ type: "Zone", mesh: "", name });
    const { ursa = {} } = image.get({ type: "ZoneInsight", mesh: "", name })?.spec ?? {};
    const leftOut = (ursa as JsonObject)["leftOutSince"] !== undefined;
    return found !== undefined && !isEnabled(found.spec as ZoneSpec) || leftOut;
  };
  return image.list(descriptor.name)
    .filter((resource) => goesToZone(resource, { descriptor, zone, isDisabled, features }))
    .map((resource) =>
      arrived(encodeDownward(resource, { descriptor, hashNames: true }), descriptor)
    );
}

function checkUp(
  { disk: { image: there } }: ControlPlane,
  { name: zone, disk: { image: here } }: ControlPlane,
  descriptor: ResourceDescriptor,
): void {
  const offered = here.list(descriptor.name)
    .filter((resource) => goesToGlobal(resource, descriptor))
    .map((resource) => arrived(encodeUpward(resource, { descriptor, zone }), descriptor));
  const held = there.list(descriptor.name).filter((resource) =>
    zoneOf(resource) === zone && resource.labels[ORIGIN_LABEL] !== "global"
  );
  compare(offered, held, `${descriptor.name}s of ${zone} on global`);
}

function arrived(encoded: Encoded, descriptor: ResourceDescriptor): Draft {
  if (!encoded.ok) assert.fail(encoded.reason);
  const decoded = decodeResource(encoded.item, descriptor);
  if (!decoded.ok) assert.fail(decoded.reason);
  return decoded.draft;
}

function compare(offered: readonly Draft[], held: readonly Resource[], what: string): void {
  const texts = (drafts: readonly Draft[]) =>
    new Map(drafts.map((draft) => [keyText(draft), canonical(draft.spec)]));
  const [should, is] = [texts(offered), texts(held)];
  assert.deepEqual([...is.keys()].sort(), [...should.keys()].sort(), what);
  for (const [key, spec] of should) assert.equal(is.get(key), spec, `${what}: ${key}`);
}
