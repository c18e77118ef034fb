// What happened in a run: always as a hash, and as lines to read when somebody asks for them.

const LINES_MAX = 200_000;

export interface Line {
  readonly atMs: number;
  readonly where: string;
  readonly what: string;
  /** Steps of the plan and what checkers say, as opposed to what followed. */
  readonly bold: boolean;
}

export class Journal {
  readonly lines: Line[] = [];
  readonly #readable: boolean;
  #a = 0x811c9dc5;
  #b = 0x01000193;

  constructor(readable: boolean) {
    this.#readable = readable;
  }

  /** Of everything noted so far. */
  get hash(): string {
    return [this.#a, this.#b].map((half) => (half >>> 0).toString(16).padStart(8, "0")).join("");
  }

  number(value: number): void {
    this.#a = Math.imul(this.#a ^ (value & 0xffff), 0x01000193);
    this.#b = Math.imul(this.#b ^ (value >>> 8), 0x85ebca6b) ^ (this.#a >>> 13);
  }

  text(value: string): void {
    for (let i = 0; i < value.length; i++) {
      this.#a = Math.imul(this.#a ^ value.charCodeAt(i), 0x01000193);
    }
    this.#b = Math.imul(this.#b ^ this.#a, 0x85ebca6b) ^ value.length;
  }

  bytes(value: Uint8Array): void {
    let a = this.#a;
    // Every byte of the small ones, a part of each word of the large ones.
    const stride = value.length > 512 ? 3 : 1;
    for (let i = 0; i < value.length; i += stride) a = Math.imul(a ^ value[i]!, 0x01000193);
    this.#a = a;
    this.#b = Math.imul(this.#b ^ a, 0x85ebca6b) ^ value.length;
  }

  /** `what` is only made when somebody reads. */
  line(atMs: number, where: string, what: () => string, bold = false): void {
    if (!this.#readable) return;
    this.lines.push({ atMs, where, what: what(), bold });
    if (this.lines.length > LINES_MAX) this.lines.splice(0, LINES_MAX / 2);
  }
}
