// What a fuzzer is: a file `…_fuzz.ts` beside the code that it attacks exports one.

import { seededRandom } from "../../actors/runtime/random.ts";

export interface Fuzzer {
  /** What is attacked, in a line. */
  readonly about: string;
  /** Valid inputs, with which mutations begin; and what was found once. */
  readonly corpus: readonly Uint8Array[];
  /** What means something here, to be put anywhere. */
  readonly words: readonly Uint8Array[];
  /** Mutations that know the form of an input. */
  readonly mutations: readonly Mutation[];
  /** Longer inputs are cut. */
  readonly bytesMax: number;
  /**
   * Throws when a property does not hold. Says what became of the input, in few words: inputs with
   * new words are kept, and mutated further. Depends on nothing but the input.
   */
  check(input: Uint8Array): string;
}

/** `other` is another input, to take pieces from. The input itself stays as it is. */
export type Mutation = (input: Uint8Array, dice: Dice, other: Uint8Array) => Uint8Array;

/** Chance from a seed. */
export class Dice {
  readonly #next: () => number;

  constructor(seed: number) {
    this.#next = seededRandom(seed);
  }

  /** A whole number from 0 up to, and not with, `limit`. */
  below(limit: number): number {
    return Math.floor(this.#next() * limit);
  }

  pick<Item>(items: readonly Item[]): Item {
    return items[this.below(items.length)]!;
  }

  /** True once in `times`. */
  oneIn(times: number): boolean {
    return this.below(times) === 0;
  }
}

const encoder = new TextEncoder();

export function utf8(text: string): Uint8Array {
  return encoder.encode(text);
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let at = 0; at < a.length; at++) if (a[at] !== b[at]) return false;
  return true;
}

/** Words without what differs from input to input: numbers, and what is quoted. */
export function shapeOf(message: string): string {
  return message.replace(/"(?:[^"\\]|\\.)*"/g, '""').replace(/\d+/g, "0").slice(0, 120);
}
