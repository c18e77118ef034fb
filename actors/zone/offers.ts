// What a zone is offered: of each of global's resources what goes there, as the zone is able to read it.

import type { ResourceDescriptor } from "../../core/resource.ts";
import { TRAVEL } from "../../core/travel.ts";
import { isEnabled, type ZoneSpec } from "../../core/zone.ts";
import { globalToZone } from "../../kds/direction.ts";
import { goesToZone, zoneOf } from "../../kds/filter.ts";
import { encodeDownward, enter } from "../../kds/offers.ts";
import { advance, owe } from "../../kds/sender.ts";
import { HASH_SUFFIX, parseWireName, wireName } from "../../kds/wire.ts";
import { URSA_ZONE_LINKS } from "../../kds/zone_link.ts";
import type { Effect } from "../runtime/actor.ts";
import { linksToReoffer } from "./link.ts";
import { isLeftOut } from "./reach.ts";
import type { State } from "./state.ts";
import { tellUnsendable } from "../session/session.ts";
import { peerOf } from "./peer.ts";

export function offerAll(state: State): readonly Effect[] {
  const { down, image, args, revision } = state;
  advance(down!.sender, revision);
  return globalToZone(args.descriptors).flatMap((descriptor) =>
    [
      ...new Set([
        ...image!.get(descriptor.name)?.keys() ?? [],
        ...down!.book.wireNames.get(descriptor.name)?.keys() ?? [],
      ]),
    ].flatMap((local) => offer(state, descriptor, local))
  );
}

/** Compares what is offered under a name with what is there now. */
function offer(state: State, descriptor: ResourceDescriptor, local: string): readonly Effect[] {
  const { down, image, args } = state;
  const resource = image!.get(descriptor.name)?.get(local);
  const { features } = down!;
  const to = {
    descriptor,
    zone: args.zone,
    features,
    isDisabled: (name: string) => isDisabled(state, name),
  };
  const encoded = resource && goesToZone(resource, to)
    ? encodeDownward(resource, {
      descriptor,
      hashNames: features.includes(HASH_SUFFIX),
      stamps: features.includes(URSA_ZONE_LINKS),
    })
    : null;
  for (const name of enter(down!.book, { type: descriptor.name, local, encoded })) {
    owe(down!.sender, descriptor.name, name);
  }
  if (!encoded || encoded.ok) return [];
  const { reason } = encoded;
  return tellUnsendable(peerOf(args.zone), { type: descriptor.name, name: local, reason });
}

/** By an operator, or since nothing is heard of it. */
function isDisabled({ image }: State, zone: string): boolean {
  const found = image?.get("Zone")?.get(wireName({ mesh: "", name: zone }));
  return found !== undefined && !isEnabled(found.spec as ZoneSpec) || isLeftOut(image, zone);
}

export function reoffer(state: State, type: string, local: string): readonly Effect[] {
  if (type === "Zone") return reofferZone(state, local);
  const descriptor = globalToZone(state.args.descriptors).find(({ name }) => name === type);
  return descriptor ? offer(state, descriptor, local) : [];
}

/** A zone was disabled or enabled: what it sends across leaves the others, or comes back. */
export function reofferZone(state: State, zoneLocal: string): readonly Effect[] {
  const across = globalToZone(state.args.descriptors).filter(({ kds }) =>
    TRAVEL[kds].across !== "never"
  );
  const { args: { zone, descriptors }, image } = state;
  const config = descriptors.find(({ name }) => name === "Config");
  const links = linksToReoffer(image!, { zone, changed: parseWireName(zoneLocal).name });
  return [
    ...across.flatMap((descriptor) =>
      [...image!.get(descriptor.name) ?? []]
        .filter(([, resource]) => `${zoneOf(resource)}.` === zoneLocal)
        .flatMap(([local]) => offer(state, descriptor, local))
    ),
    ...(config ? links.flatMap((local) => offer(state, config, local)) : []),
  ];
}
