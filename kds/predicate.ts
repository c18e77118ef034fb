// Which of its own resources a receiver lets its peer overwrite or delete.

import type { Resource, ResourceDescriptor } from "../core/resource.ts";
import { TRAVEL } from "../core/travel.ts";
import { isLocal, zoneOf } from "./filter.ts";

/**
 * In a zone: of kinds that only global writes, all; of others, what came from outside.
 * kuma@v2.13.10:pkg/kds/v2/client/zone.go
 */
export function zoneYields(resource: Resource, descriptor: ResourceDescriptor): boolean {
  return !TRAVEL[descriptor.kds].byZone || !isLocal(resource, "zone");
}

/**
 * On global: what belongs to the zone, by label, also where an operator brought it over from
 * another global. Without a label, what global itself wrote of a kind that both write is nobody
 * else's; the rest goes by the prefix of older Kumas, since names with dots are legal: `west.db`
 * may be another zone's.
 */
export function globalYields(
  resource: Resource,
  { descriptor, zone }: { readonly descriptor: ResourceDescriptor; readonly zone: string },
): boolean {
  const owner = zoneOf(resource);
  if (owner !== undefined) return owner === zone;
  if (TRAVEL[descriptor.kds].byGlobal && isLocal(resource, "global")) return false;
  return resource.name.startsWith(`${zone}.`);
}
