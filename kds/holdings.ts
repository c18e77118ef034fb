// What a receiver took of what it was sent, and whether its store still has it so.

import { sameJson } from "../core/json.ts";
import type { Resource } from "../core/resource.ts";

interface Taken {
  /** As the sender calls it. */
  readonly version: string;
  /** As it was stored. */
  readonly resource: Resource;
}

export interface Holdings {
  /** By type and the name on the wire. */
  readonly taken: Map<string, Map<string, Taken>>;
  /** By type, the response after whose answer this is so. */
  readonly nonces: Map<string, string>;
}

/** In the place of the version of what is not as it was taken, or never was. */
export const ALTERED = "";

export function noHoldings(): Holdings {
  return { taken: new Map(), nonces: new Map() };
}

/** A response, or a part of one, was taken as far as it could be. */
export function hold(
  { taken }: Holdings,
  typeUrl: string,
  { took, left, shelf, whole }: {
    /** Names to versions. */
    readonly took: ReadonlyMap<string, string>;
    /** Names that are gone, or of which it is not known what is there. */
    readonly left: Iterable<string>;
    readonly shelf: ReadonlyMap<string, Resource>;
    /** What is not named is not there. */
    readonly whole: ReadonlySet<string> | null;
  },
): void {
  const held = taken.get(typeUrl) ?? new Map<string, Taken>();
  taken.set(typeUrl, held);
  if (whole) { for (const name of held.keys()) if (!whole.has(name)) held.delete(name); }
  for (const name of left) held.delete(name);
  for (const [name, version] of took) {
    const resource = shelf.get(name);
    if (resource) held.set(name, { version, resource });
    else held.delete(name);
  }
}

/**
 * Names to versions of what is there now. `concerns`: of what was never taken, what would have to
 * have been; `ignores`: names that are known to differ.
 */
export function holdingsOf(
  { taken }: Holdings,
  typeUrl: string,
  { shelf, concerns, ignores }: {
    readonly shelf: ReadonlyMap<string, Resource>;
    readonly concerns: (resource: Resource) => boolean;
    readonly ignores: (name: string) => boolean;
  },
): ReadonlyMap<string, string> {
  const held = taken.get(typeUrl);
  const versions = new Map<string, string>();
  for (const [name, resource] of shelf) {
    if (ignores(name)) continue;
    const before = held?.get(name);
    if (before) versions.set(name, isAsTaken(before, resource) ? before.version : ALTERED);
    else if (concerns(resource)) versions.set(name, ALTERED);
  }
  return versions;
}

function isAsTaken({ resource: taken }: Taken, there: Resource): boolean {
  return taken === there ||
    sameJson(taken.spec, there.spec) && sameJson(taken.labels, there.labels);
}
