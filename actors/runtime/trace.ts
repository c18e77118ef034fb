// The last turns of the system, for crash reports, `debug` views and comparing runs.

import type { Path } from "./actor.ts";

export interface TurnRecord {
  readonly atMs: number;
  readonly path: Path;
  readonly tag: string;
  readonly from: Path;
  /** What the turn asked for: `send:mesh_changed`, `command:store`, … */
  readonly effects: readonly string[];
  readonly micros: number;
}

/** A ring of the newest records. */
export class Trace {
  readonly #ring: (TurnRecord | undefined)[];
  #next = 0;

  constructor(size: number) {
    this.#ring = new Array(size);
  }

  add(record: TurnRecord): void {
    this.#ring[this.#next % this.#ring.length] = record;
    this.#next++;
  }

  /** Oldest first; of one actor, or of all. */
  last(count: number, path?: Path): readonly TurnRecord[] {
    const size = this.#ring.length;
    const found: TurnRecord[] = [];
    for (let i = this.#next - 1; i >= Math.max(0, this.#next - size) && found.length < count; i--) {
      const record = this.#ring[i % size];
      if (record && (path === undefined || record.path === path)) found.push(record);
    }
    return found.reverse();
  }
}
