// The resources that one side holds, by kind and wire name, as the hub last told it.

import type { Resource, ResourceDescriptor } from "../core/resource.ts";
import type { Change } from "../store/store.ts";
import { wireName } from "./wire.ts";

export type Image = Map<string, Map<string, Resource>>;

export function emptyImage(descriptors: readonly ResourceDescriptor[]): Image {
  return new Map(descriptors.map(({ name }) => [name, new Map()]));
}

/** The changes that were news. A commit is told twice: by its own answer, and to every subscriber. */
export function applyChanges(image: Image, changes: readonly Change[]): readonly Change[] {
  return changes.filter((change) => {
    const shelf = image.get(change.key.type);
    if (!shelf) return false;
    const name = wireName(change.key);
    const held = shelf.get(name);
    if (held && held.version >= change.revision) return false;
    if (change.resource) shelf.set(name, change.resource);
    else if (!shelf.delete(name)) return false;
    return true;
  });
}

/** Starts over with a full state; the answer names everything that is or was there. */
export function replaceImage(image: Image, changes: readonly Change[]): void {
  for (const shelf of image.values()) shelf.clear();
  applyChanges(image, changes);
}
