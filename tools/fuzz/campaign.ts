// Many inputs from one seed: mutated, checked, and kept when something new became of them.

import { BYTE_MUTATIONS, wordMutation } from "./byte_mutations.ts";
import { concat, Dice, type Fuzzer, type Mutation } from "./fuzzer.ts";

/** Mutations of every other input, which has several: they often undo what made it valid. */
const MUTATIONS_MAX = 5;
/** Words for outcomes are many for some fuzzers; more than this, and the newest are not kept. */
const POOL_MAX = 4_096;

export interface Failure {
  readonly input: Uint8Array;
  readonly error: string;
}

/** The inputs of one fuzzer, one after another: first the corpus, then what is made of it. */
export class Campaign {
  readonly outcomes = new Map<string, number>();
  inputs = 0;
  readonly #fuzzer: Fuzzer;
  readonly #dice: Dice;
  readonly #pool: Uint8Array[];
  readonly #bytes: readonly Mutation[];

  constructor(fuzzer: Fuzzer, seed: number) {
    this.#fuzzer = fuzzer;
    this.#dice = new Dice(seed);
    this.#pool = [...fuzzer.corpus];
    this.#bytes = fuzzer.words.length > 0
      ? [...BYTE_MUTATIONS, wordMutation(fuzzer.words), wordMutation(fuzzer.words)]
      : BYTE_MUTATIONS;
  }

  next(): Uint8Array {
    const known = this.#fuzzer.corpus[this.inputs++];
    if (known) return known;
    const dice = this.#dice;
    let input = dice.pick(this.#pool);
    for (let count = dice.oneIn(2) ? 1 : 2 + dice.below(MUTATIONS_MAX - 1); count > 0; count--) {
      input = this.#mutation()(input, dice, dice.pick(this.#pool));
    }
    const { bytesMax } = this.#fuzzer;
    return input.length > bytesMax ? input.slice(0, bytesMax) : input;
  }

  /** Null when all properties hold. */
  check(input: Uint8Array): Failure | null {
    const copy = input.slice();
    try {
      this.#note(input, this.#fuzzer.check(copy));
    } catch (error) {
      return { input, error: textOf(error) };
    }
    return null;
  }

  #note(input: Uint8Array, outcome: string): void {
    const seen = this.outcomes.get(outcome);
    this.outcomes.set(outcome, (seen ?? 0) + 1);
    if (seen === undefined && this.#pool.length < POOL_MAX) this.#pool.push(input);
  }

  #mutation(): Mutation {
    const { mutations } = this.#fuzzer;
    const knowing = mutations.length > 0 && !this.#dice.oneIn(3);
    return this.#dice.pick(knowing ? mutations : this.#bytes);
  }
}

export function textOf(error: unknown): string {
  return error instanceof Error ? error.stack ?? error.message : String(error);
}

/** The shortest input found that fails in the same way, from some thousands of tries. */
export function minimise(fuzzer: Fuzzer, failure: Failure, triesMax = 5_000): Failure {
  let best = failure;
  let tries = 0;
  const fails = (input: Uint8Array): boolean => {
    if (++tries > triesMax) return false;
    try {
      fuzzer.check(input.slice());
      return false;
    } catch (error) {
      const text = textOf(error);
      if (kindOf(text) !== kindOf(failure.error)) return false;
      best = { input, error: text };
      return true;
    }
  };
  for (let size = Math.ceil(best.input.length / 2); size >= 1 && tries < triesMax;) {
    let at = 0;
    let shorter = false;
    while (at < best.input.length) {
      const rest = without(best.input, at, size);
      if (fails(rest)) shorter = true;
      else at += size;
    }
    if (size === 1 && !shorter) break;
    size = Math.max(1, Math.floor(size / 2));
  }
  return best;
}

function without(input: Uint8Array, at: number, size: number): Uint8Array {
  return concat(input.subarray(0, at), input.subarray(at + size));
}

/** The first line, without what the input brought into it. */
function kindOf(error: string): string {
  return error.split("\n")[0]!.replace(/^\w*Error.*?: /, "").replace(/["'`].*/, "").replace(
    /\d+/g,
    "0",
  ).slice(0, 80);
}
