// When each part of a view last changed, for readers that report late what they read.

import type { ViewKey } from "../../core/mesh_view.ts";

export class ChangedParts {
  readonly #max: number;
  readonly #changedAt = new Map<ViewKey, number>();
  /** Of changes up to this revision it may no longer know the parts. */
  #forgotten = 0;
  #newest = 0;

  /** Names come and go for ever: past `max` parts, all are forgotten and a late reader is told anew. */
  constructor(max = 10_000) {
    this.#max = max;
  }

  add(keys: Iterable<ViewKey>, revision: number): void {
    if (this.#changedAt.size > this.#max) {
      this.#changedAt.clear();
      this.#forgotten = this.#newest;
    }
    for (const key of keys) this.#changedAt.set(key, revision);
    this.#newest = revision;
  }

  /** Whether any of these may have changed after `revision`. */
  hasAfter(revision: number, keys: Iterable<ViewKey>): boolean {
    if (revision < this.#forgotten) return true;
    for (const key of keys) if ((this.#changedAt.get(key) ?? 0) > revision) return true;
    return false;
  }
}
