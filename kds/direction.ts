// Which kinds travel which way, and in which order they are applied; derived from their descriptors.

import { compareText, type ResourceDescriptor } from "../core/resource.ts";
import { TRAVEL } from "../core/travel.ts";

/** What stands on others comes later: a policy needs its mesh, a mesh its secrets soon after. */
const FIRST = ["Mesh", "GlobalSecret", "Secret", "Config", "ZoneIngress"];

export const globalToZone = oncePerList((descriptors) =>
  inApplyOrder(descriptors.filter(({ kds }) => {
    const { down, across } = TRAVEL[kds];
    return down || across !== "never";
  }))
);

export const zoneToGlobal = oncePerList((descriptors) =>
  inApplyOrder(descriptors.filter(({ kds }) => TRAVEL[kds].up))
);

type Descriptors = readonly ResourceDescriptor[];

/** Asked with each change, of a list that never does. */
function oncePerList(select: (all: Descriptors) => Descriptors): (all: Descriptors) => Descriptors {
  const known = new WeakMap<Descriptors, Descriptors>();
  return (all) => {
    const found = known.get(all) ?? select(all);
    known.set(all, found);
    return found;
  };
}

function inApplyOrder(descriptors: readonly ResourceDescriptor[]): readonly ResourceDescriptor[] {
  return [...descriptors].sort((a, b) => rank(a) - rank(b) || compareText(a.name, b.name));
}

function rank({ name, insightOf }: ResourceDescriptor): number {
  const first = FIRST.indexOf(name);
  if (first >= 0) return first;
  return FIRST.length + (insightOf === undefined ? 0 : 1);
}
