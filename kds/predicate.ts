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
 * On global: what belongs to the zone, by label; only where there is none, by the prefix of older
 * Kumas, since names with dots are legal: `west.db` may be another zone's. What global itself wrote
 * of a kind that both write is nobody else's, whatever its name.
 */
export function globalYields(
  resource: Resource,
  { descriptor, zone }: { readonly descriptor: ResourceDescriptor; readonly zone: string },
): boolean {
  if (TRAVEL[descriptor.kds].byGlobal && isLocal(resource, "global")) return false;
  const owner = zoneOf(resource);
  return owner === undefined ? resource.name.startsWith(`${zone}.`) : owner === zone;
}
