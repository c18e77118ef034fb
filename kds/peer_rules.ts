// How a zone takes what another zone says of itself: as if it had come through global, and nothing else.

import { objectOf, objectsOf, wordOf } from "../core/json.ts";
import {
  DISPLAY_NAME_LABEL,
  hashedName,
  NAMESPACE_LABEL,
  ORIGIN_LABEL,
  ZONE_LABEL,
} from "../core/names.ts";
import type { Draft, ResourceDescriptor } from "../core/resource.ts";
import { isLocal, zoneOf } from "./filter.ts";
import { globalRules, type Rules, zoneRules } from "./receiver.ts";
import { isBetweenZones } from "./stamp.ts";

export function peerRules(all: readonly ResourceDescriptor[], peer: string): Rules {
  const descriptors = all.filter(isBetweenZones);
  const onGlobal = globalRules(descriptors, { zone: peer, prefixNames: false });
  const here = zoneRules(descriptors);
  return {
    ...here,
    refuse: (draft) => refusal(draft, peer),
    admit: (draft, there) => here.admit(onGlobal.admit(draft, there), there),
    yields: (resource) => !isLocal(resource, "zone") && zoneOf(resource) === peer,
    passedOn: () => false,
  };
}

function refusal({ name, mesh, labels, spec }: Draft, peer: string): string | null {
  const claimed = [
    labels[ZONE_LABEL],
    spec["zone"] ?? peer,
    ...objectsOf(spec["availableServices"]).map(({ tags }) => objectOf(tags)[ZONE_LABEL] ?? peer),
  ].find((zone) => zone !== peer);
  if (claimed !== undefined || labels[ZONE_LABEL] === undefined) {
    return `speaks for zone "${wordOf(claimed)}", but "${peer}" says it`;
  }
  if (labels[ORIGIN_LABEL] !== "zone") return "is not of a zone's own making";
  const displayName = labels[DISPLAY_NAME_LABEL] ?? "";
  const namespace = labels[NAMESPACE_LABEL];
  const own = hashedName({ mesh, displayName, zone: peer, ...(namespace && { namespace }) });
  return name === own ? null : "has a name that is not its zone's";
}
