// Which of its own resources a receiver lets its peer overwrite or delete.

import type { Resource, ResourceDescriptor } from "../core/resource.ts";
import { isLocal, zoneOf } from "./filter.ts";

/**
 * In a zone: of kinds that only global writes, all; of others, what came from outside.
 * kuma@v2.13.10:pkg/kds/v2/client/zone.go
 */
export function zoneYields(resource: Resource, descriptor: ResourceDescriptor): boolean {
  return descriptor.kds === "global" || !isLocal(resource, "zone");
}

/**
 * On global: what belongs to the zone, by label; only where there is none, by the prefix of older
 * Kumas, since names with dots are legal: `west.db` may be another zone's.
 */
export function globalYields(resource: Resource, zone: string): boolean {
  const owner = zoneOf(resource);
  return owner === undefined ? resource.name.startsWith(`${zone}.`) : owner === zone;
}
