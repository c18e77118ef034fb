// What is to happen in a simulated world: events by virtual time, then in the order they were added.

interface Entry {
  readonly atMs: number;
  readonly sequence: number;
  readonly run: () => void;
}

export class Agenda {
  nowMs = 0;
  readonly #heap: Entry[] = [];
  #sequence = 0;

  at(atMs: number, run: () => void): void {
    this.#push({ atMs: Math.max(atMs, this.nowMs), sequence: ++this.#sequence, run });
  }

  after(ms: number, run: () => void): void {
    this.at(this.nowMs + ms, run);
  }

  get size(): number {
    return this.#heap.length;
  }

  /** Events so far. */
  get sequence(): number {
    return this.#sequence;
  }

  /** Runs everything up to and including `untilMs`. */
  runUntil(untilMs: number): void {
    for (let next = this.#heap[0]; next && next.atMs <= untilMs; next = this.#heap[0]) {
      this.#pop();
      this.nowMs = next.atMs;
      next.run();
    }
    this.nowMs = untilMs;
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    let index = heap.length;
    heap.push(entry);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!earlier(entry, heap[parent]!)) break;
      heap[index] = heap[parent]!;
      index = parent;
    }
    heap[index] = entry;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && earlier(heap[child + 1]!, heap[child]!)) child++;
      if (!earlier(heap[child]!, last)) break;
      heap[index] = heap[child]!;
      index = child;
    }
    heap[index] = last;
  }
}

function earlier(a: Entry, b: Entry): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.sequence < b.sequence);
}
