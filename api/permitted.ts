// Which kinds may be written here: global and its zones own different ones.

import { ORIGIN_LABEL } from "../core/names.ts";
import type { Resource, ResourceDescriptor } from "../core/resource.ts";
import { TRAVEL } from "../core/travel.ts";
import { isZoneProvided } from "./labels.ts";
import type { ControlPlane } from "./ports.ts";

const AT_GLOBAL =
  "On global control plane you can not modify dataplane resources with 'kumactl apply' or via the " +
  "HTTP API. You can still use 'kumactl' or the HTTP API to modify them on the zone control plane.\n";
const IN_ZONE =
  "On zone control plane you can only modify zone resources with 'kumactl apply' or via the HTTP " +
  "API. You can still use 'kumactl' or the HTTP API to modify the rest of the resource on the " +
  "global control plane.\n";

/** Why this kind cannot be written here; null when it can. kuma@v2.13.10:pkg/api-server (texts). */
export function whyReadOnly(kind: ResourceDescriptor, control: ControlPlane): string | null {
  if (kind.readOnly) return `${kind.name} is written by control planes alone.\n`;
  const { byGlobal, byZone } = TRAVEL[kind.kds];
  if (control.mode === "global" && !byGlobal) return AT_GLOBAL;
  if (control.federated && !byZone) return IN_ZONE;
  return null;
}

/** A zone's copy of what came from global would be overwritten, so changing it is refused. */
export function whyCopy(
  existing: Resource | undefined,
  kind: ResourceDescriptor,
  control: ControlPlane,
): string | null {
  const copied = control.federated && isZoneProvided(kind) &&
    existing?.labels[ORIGIN_LABEL] === "global";
  return copied ? IN_ZONE : null;
}
