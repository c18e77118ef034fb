// The store in memory: reference implementation, and the simulator's.

import { UnavailableError } from "../core/errors.ts";
import { Batch, StoreImage } from "./image.ts";
import type { Store } from "./store.ts";

export function openMemoryStore(options: { readonly changesMax?: number } = {}): Store {
  const image = new StoreImage(options);
  let open = true;
  return {
    get revision() {
      return image.revision;
    },
    get: (key) => image.get(key),
    list: (type, mesh) => image.list(type, mesh),
    changesSince: (revision) => image.changesSince(revision),
    commit(ops, nowMs) {
      if (!open) return Promise.reject(new UnavailableError("The store is closed", 1_000));
      const judged = new Batch(image).judge(ops, nowMs);
      if (judged.ok) image.apply(judged);
      return Promise.resolve(judged);
    },
    close() {
      open = false;
      return Promise.resolve();
    },
  };
}
