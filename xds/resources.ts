// Resources as bytes, each content once: equal resources of all proxies are one object.

import { contentHash, sha256Hex } from "../core/version.ts";
import type { JsonObject } from "../core/resource.ts";
import { encode, packAny } from "../proto/mod.ts";
import type { EncodedResource, Snapshot, TypeUrl } from "./snapshot.ts";

/** Dead entries are swept when there are this many more than after the last sweep. */
const SWEEP_STEP = 4096;

/**
 * Finds resources again by the text of their JSON, and by their content. Holds none of them: one
 * that no snapshot has any more goes away, and nobody is left to whom a new one could seem different.
 */
class Interned {
  readonly #known = new Map<string, WeakRef<EncodedResource>>();
  #sweepAt = SWEEP_STEP;

  get(key: string): EncodedResource | undefined {
    return this.#known.get(key)?.deref();
  }

  set(key: string, resource: EncodedResource): void {
    this.#known.set(key, new WeakRef(resource));
    if (this.#known.size < this.#sweepAt) return;
    for (const [old, reference] of this.#known) {
      if (!reference.deref()) this.#known.delete(old);
    }
    this.#sweepAt = this.#known.size + SWEEP_STEP;
  }
}

const interned = new Interned();

/** `json` in proto3 JSON with original field names; its name is its xDS name. */
export function encodeResource(typeUrl: TypeUrl, json: JsonObject): EncodedResource {
  const textKey = `text ${sha256Hex(typeUrl + JSON.stringify(json))}`;
  const known = interned.get(textKey);
  if (known) return known;
  const name = (json["name"] ?? json["cluster_name"]) as string;
  const any = packAny(typeUrl, encode(typeUrl.slice(typeUrl.indexOf("/") + 1), json));
  const version = contentHash(any);
  const contentKey = `content ${version}`;
  const resource = interned.get(contentKey) ?? { name, version, any };
  interned.set(contentKey, resource);
  interned.set(textKey, resource);
  return resource;
}

/** What is made of an object and some words, kept as long as the object lives. */
export class Memo<T> {
  readonly #byOwner = new WeakMap<object, Map<string, T>>();

  get(owner: object, key: string, make: () => T): T {
    let known = this.#byOwner.get(owner);
    if (!known) this.#byOwner.set(owner, known = new Map());
    let value = known.get(key);
    if (value === undefined) known.set(key, value = make());
    return value;
  }
}

/** What was last made of an object, as long as everything else that it is made of is the same. */
export class Latest<T> {
  readonly #byOwner = new WeakMap<
    object,
    { readonly parts: readonly unknown[]; readonly value: T }
  >();

  /** `parts`: texts, or objects that never change. */
  get(owner: object, parts: readonly unknown[], make: () => T): T {
    const known = this.#byOwner.get(owner);
    if (known && sameItems(known.parts, parts)) return known.value;
    const value = make();
    this.#byOwner.set(owner, { parts, value });
    return value;
  }
}

function sameItems(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((item, index) => item === b[index]);
}

/** Collects what one proxy is to be told. Of two resources of one name, the first stays. */
export class SnapshotBuilder {
  readonly #resources = new Map<TypeUrl, Map<string, EncodedResource>>();

  add(typeUrl: TypeUrl, json: JsonObject): void {
    this.put(typeUrl, encodeResource(typeUrl, json));
  }

  put(typeUrl: TypeUrl, resource: EncodedResource): void {
    let ofType = this.#resources.get(typeUrl);
    if (!ofType) this.#resources.set(typeUrl, ofType = new Map());
    if (!ofType.has(resource.name)) ofType.set(resource.name, resource);
  }

  build(): Snapshot {
    return { resources: this.#resources };
  }
}
