// Mutations that know nothing of an input but its bytes.

import { concat, type Dice, type Mutation } from "./fuzzer.ts";

/** Values at which counts, lengths and characters change their meaning. */
const EDGES = [0, 1, 9, 10, 32, 34, 46, 63, 64, 92, 127, 128, 192, 254, 255];
/** Longer repetitions are for mutations that know why. */
const REPEATS_MAX = 64;

function flipBit(input: Uint8Array, dice: Dice): Uint8Array {
  const bytes = input.slice();
  const at = dice.below(bytes.length);
  bytes[at] = bytes[at]! ^ 1 << dice.below(8);
  return bytes;
}

function setByte(input: Uint8Array, dice: Dice): Uint8Array {
  const bytes = input.slice();
  bytes[dice.below(bytes.length)] = dice.oneIn(2) ? dice.pick(EDGES) : dice.below(256);
  return bytes;
}

function insertBytes(input: Uint8Array, dice: Dice): Uint8Array {
  const added = Uint8Array.from({ length: 1 + dice.below(4) }, () => dice.below(256));
  return insertAt(input, dice.below(input.length + 1), added);
}

function drop(input: Uint8Array, dice: Dice): Uint8Array {
  const [from, to] = range(input, dice);
  return concat(input.subarray(0, from), input.subarray(to));
}

function repeat(input: Uint8Array, dice: Dice): Uint8Array {
  const [from, to] = range(input, dice);
  const times = 1 + dice.below(dice.oneIn(8) ? REPEATS_MAX : 3);
  const piece = input.subarray(from, to);
  return insertAt(input, to, concat(...Array.from({ length: times }, () => piece)));
}

function cut(input: Uint8Array, dice: Dice): Uint8Array {
  return input.slice(0, dice.below(input.length + 1));
}

function splice(input: Uint8Array, dice: Dice, other: Uint8Array): Uint8Array {
  const [from, to] = range(other, dice);
  return insertAt(input, dice.below(input.length + 1), other.subarray(from, to));
}

function cross(input: Uint8Array, dice: Dice, other: Uint8Array): Uint8Array {
  return concat(
    input.subarray(0, dice.below(input.length + 1)),
    other.subarray(dice.below(other.length + 1)),
  );
}

export const BYTE_MUTATIONS: readonly Mutation[] = [
  flipBit,
  setByte,
  insertBytes,
  drop,
  repeat,
  cut,
  splice,
  cross,
];

/** One of the fuzzer's words, put in or over what is there. */
export function wordMutation(words: readonly Uint8Array[]): Mutation {
  return (input, dice) => {
    const at = dice.below(input.length + 1);
    const word = dice.pick(words);
    if (dice.oneIn(2)) return insertAt(input, at, word);
    return concat(input.subarray(0, at), word, input.subarray(at + word.length));
  };
}

function insertAt(input: Uint8Array, at: number, added: Uint8Array): Uint8Array {
  return concat(input.subarray(0, at), added, input.subarray(at));
}

/** Short ones more often than long ones. */
function range(input: Uint8Array, dice: Dice): readonly [number, number] {
  const from = dice.below(input.length + 1);
  const most = input.length - from;
  const length = dice.below(1 + Math.min(most, dice.oneIn(4) ? most : 12));
  return [from, from + length];
}
