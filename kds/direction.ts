// Which kinds travel which way, and in which order they are applied; derived from their descriptors.

import { compareText, type ResourceDescriptor } from "../core/resource.ts";
import { TRAVEL } from "../core/travel.ts";

/** What stands on others comes later: a policy needs its mesh, a mesh its secrets soon after. */
const FIRST = ["Mesh", "GlobalSecret", "Secret", "Config", "ZoneIngress"];

export function globalToZone(
  descriptors: readonly ResourceDescriptor[],
): readonly ResourceDescriptor[] {
  return inApplyOrder(descriptors.filter(({ kds }) => {
    const { down, across } = TRAVEL[kds];
    return down || across !== "never";
  }));
}

export function zoneToGlobal(
  descriptors: readonly ResourceDescriptor[],
): readonly ResourceDescriptor[] {
  return inApplyOrder(descriptors.filter(({ kds }) => TRAVEL[kds].up));
}

function inApplyOrder(descriptors: readonly ResourceDescriptor[]): readonly ResourceDescriptor[] {
  return [...descriptors].sort((a, b) => rank(a) - rank(b) || compareText(a.name, b.name));
}

function rank({ name, insightOf }: ResourceDescriptor): number {
  const first = FIRST.indexOf(name);
  if (first >= 0) return first;
  return FIRST.length + (insightOf === undefined ? 0 : 1);
}
