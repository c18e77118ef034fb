// Named timers of all actors in one heap: idle actors cost nothing.

import type { Message, Path } from "./actor.ts";

export interface Due {
  readonly atMs: number;
  readonly path: Path;
  readonly name: string;
  readonly msg: Message;
  /** The number of this setting: a replaced or cancelled one is no longer current. */
  readonly setting: number;
}

/** Fewer than this that are no longer current are not worth sorting out. */
const STALE_MIN = 1024;

/** A binary heap by time, then by setting, so that equal times fire in the order they were set. */
export class Timers {
  #heap: Due[] = [];
  readonly #current = new Map<string, number>();
  #settings = 0;

  set(path: Path, name: string, msg: Message, atMs: number): void {
    const setting = ++this.#settings;
    this.#current.set(keyOf(path, name), setting);
    this.#heap.push({ atMs, path, name, msg, setting });
    this.#up(this.#heap.length - 1);
    this.#sweep();
  }

  /** How many are kept, those that were replaced or cancelled included. */
  get size(): number {
    return this.#heap.length;
  }

  cancel(path: Path, name: string): void {
    this.#current.delete(keyOf(path, name));
  }

  /** All timers of an actor die with its incarnation. */
  cancelAll(path: Path): void {
    const prefix = keyOf(path, "");
    for (const key of this.#current.keys()) if (key.startsWith(prefix)) this.#current.delete(key);
  }

  /** When the next one may fire; a cancelled one may make this earlier than needed, never later. */
  get nextAtMs(): number | undefined {
    this.#dropStale();
    return this.#heap[0]?.atMs;
  }

  /** The next timer that is due, each once. */
  takeDue(nowMs: number): Due | undefined {
    this.#dropStale();
    const top = this.#heap[0];
    if (!top || top.atMs > nowMs) return undefined;
    this.#pop();
    this.#current.delete(keyOf(top.path, top.name));
    return top;
  }

  /** One that is set anew again and again, each time for an hour hence, must not fill the heap. */
  #sweep(): void {
    if (this.#heap.length < STALE_MIN + 2 * this.#current.size) return;
    // A sorted list is a heap.
    this.#heap = this.#heap.filter((due) => this.#isCurrent(due))
      .sort((a, b) => (earlier(a, b) ? -1 : 1));
  }

  #isCurrent({ path, name, setting }: Due): boolean {
    return this.#current.get(keyOf(path, name)) === setting;
  }

  #dropStale(): void {
    for (let top = this.#heap[0]; top; top = this.#heap[0]) {
      if (this.#isCurrent(top)) return;
      this.#pop();
    }
  }

  #pop(): void {
    const last = this.#heap.pop();
    if (last && this.#heap.length > 0) {
      this.#heap[0] = last;
      this.#down(0);
    }
  }

  #up(index: number): void {
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!this.#swapIfEarlier(index, parent)) return;
      index = parent;
    }
  }

  #down(index: number): void {
    for (;;) {
      const left = 2 * index + 1;
      if (left >= this.#heap.length) return;
      const right = left + 1;
      const child = right < this.#heap.length && earlier(this.#heap[right]!, this.#heap[left]!)
        ? right
        : left;
      if (!this.#swapIfEarlier(child, index)) return;
      index = child;
    }
  }

  #swapIfEarlier(child: number, parent: number): boolean {
    const a = this.#heap[child]!;
    const b = this.#heap[parent]!;
    if (!earlier(a, b)) return false;
    this.#heap[child] = b;
    this.#heap[parent] = a;
    return true;
  }
}

function earlier(a: Due, b: Due): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.setting < b.setting);
}

function keyOf(path: Path, name: string): string {
  return `${path}\n${name}`;
}
