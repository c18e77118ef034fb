// What one side offers the other now: filtered, mapped and encoded, and by which name it goes.

import type { Draft, Resource, ResourceDescriptor } from "../core/resource.ts";
import { encodeResource } from "./codec.ts";
import { downward, upward } from "./mapper.ts";
import { objection } from "./objection.ts";
import { isBetweenZones, stamped, unstamped } from "./stamp.ts";
import type { KdsItem } from "./wire.ts";

export interface OfferBook {
  readonly offers: Map<string, Map<string, KdsItem>>;
  /** Per type: the name at home to the name on the wire. */
  readonly wireNames: Map<string, Map<string, string>>;
  /** Per type: the name at home to the reason why it is not offered, though it should be. */
  readonly refused: Map<string, Map<string, string>>;
}

export function openBook(): OfferBook {
  return { offers: new Map(), wireNames: new Map(), refused: new Map() };
}

/**
 * Enters, replaces or (null) strikes out what is called `local` at home; names what changed. What
 * cannot be sent leaves the offer as it was: the peer keeps the older state, and loses nothing.
 */
export function enter(
  book: OfferBook,
  entry: { readonly type: string; readonly local: string; readonly encoded: Encoded | null },
): readonly string[] {
  const { type, local, encoded } = entry;
  if (encoded && !encoded.ok) {
    shelf(book.refused, type).set(local, encoded.reason);
    return [];
  }
  book.refused.get(type)?.delete(local);
  const item = encoded?.item ?? null;
  const offers = shelf(book.offers, type);
  const wireNames = shelf(book.wireNames, type);
  const before = wireNames.get(local);
  const changed: string[] = [];
  if (before !== undefined && before !== item?.name) {
    offers.delete(before);
    wireNames.delete(local);
    changed.push(before);
  }
  if (item) {
    offers.set(item.name, item);
    wireNames.set(local, item.name);
    changed.push(item.name);
  }
  return changed;
}

function shelf<Value>(shelves: Map<string, Map<string, Value>>, type: string): Map<string, Value> {
  let found = shelves.get(type);
  if (!found) shelves.set(type, found = new Map());
  return found;
}

export type Encoded =
  | { readonly ok: true; readonly item: KdsItem }
  | { readonly ok: false; readonly reason: string };

type Cache = WeakMap<Resource, Encoded>;

/** Resources are never mutated, so each is encoded once for all zones, and forgotten with it. */
const hashed: Cache = new WeakMap();
const hashedStamped: Cache = new WeakMap();
const plain: Cache = new WeakMap();
const upwards: Cache = new WeakMap();
const upwardsStamped: Cache = new WeakMap();

/** `stamps`: the peer knows what a stamp is. */
export function encodeDownward(
  resource: Resource,
  to: {
    readonly descriptor: ResourceDescriptor;
    readonly hashNames: boolean;
    readonly stamps?: boolean;
  },
): Encoded {
  const { descriptor, hashNames, stamps = false } = to;
  const keeps = stamps && hashNames && isBetweenZones(descriptor);
  const cache = !hashNames ? plain : keeps ? hashedStamped : hashed;
  return once(cache, resource, () => {
    const draft = downward(resource, to);
    return { draft: keeps ? draft : unstamped(draft), descriptor };
  });
}

export function encodeUpward(
  resource: Resource,
  from: {
    readonly descriptor: ResourceDescriptor;
    readonly zone: string;
    readonly stamps?: boolean;
  },
): Encoded {
  const { descriptor, zone, stamps = false } = from;
  const stamp = stamps && isBetweenZones(descriptor);
  return once(stamp ? upwardsStamped : upwards, resource, () => {
    const draft = upward(resource, zone);
    return { draft: stamp ? stamped(draft, resource.version) : unstamped(draft), descriptor };
  });
}

function once(
  cache: Cache,
  resource: Resource,
  map: () => { readonly draft: Draft; readonly descriptor: ResourceDescriptor },
): Encoded {
  let encoded = cache.get(resource);
  if (!encoded) {
    cache.set(resource, encoded = encodeSafely(map));
  }
  return encoded;
}

/** One that cannot be encoded, or read by any peer, must not keep the others at home. */
function encodeSafely(
  map: () => { readonly draft: Draft; readonly descriptor: ResourceDescriptor },
): Encoded {
  try {
    const { draft, descriptor } = map();
    const reason = objection(draft);
    if (reason !== null) return { ok: false, reason };
    return { ok: true, item: encodeResource(draft, descriptor) };
  } catch (error) {
    return { ok: false, reason: error instanceof Error ? error.message : String(error) };
  }
}
