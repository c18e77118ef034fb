// Inputs that are several messages one after the other: a byte of settings, then for each message a
// byte that says what it is, its length in two bytes, and its bytes.

import { concat, type Dice, type Mutation } from "./fuzzer.ts";
import { mutateProto } from "./proto_mutations.ts";

export interface Message {
  readonly kind: number;
  readonly bytes: Uint8Array;
}

export interface Script {
  readonly setting: number;
  readonly messages: readonly Message[];
}

const MESSAGES_MAX = 12;

export function readScript(input: Uint8Array): Script {
  const messages: Message[] = [];
  for (let at = 1; at + 3 <= input.length && messages.length < MESSAGES_MAX;) {
    const length = input[at + 1]! << 8 | input[at + 2]!;
    const bytes = input.subarray(at + 3, at + 3 + length);
    messages.push({ kind: input[at]!, bytes });
    at += 3 + bytes.length;
  }
  return { setting: input[0] ?? 0, messages };
}

export function writeScript({ setting, messages }: Script): Uint8Array {
  return concat(
    Uint8Array.of(setting),
    ...messages.map(({ kind, bytes }) =>
      concat(Uint8Array.of(kind, bytes.length >> 8, bytes.length & 255), bytes)
    ),
  );
}

/** Mutations of scripts whose messages are protocol buffers. */
export function scriptMutations(words: readonly Uint8Array[]): readonly Mutation[] {
  const changeMessage: Mutation = (input, dice) =>
    changing(input, dice, (message) => ({
      ...message,
      bytes: mutateProto(message.bytes, dice, words).slice(0, 0xffff),
    }));
  const changeKind: Mutation = (input, dice) =>
    changing(input, dice, (message) => ({ ...message, kind: dice.below(256) }));
  const changeSetting: Mutation = (input, dice) =>
    writeScript({ ...readScript(input), setting: dice.below(256) });
  const move: Mutation = (input, dice, other) => {
    const script = readScript(input);
    const from = dice.oneIn(2) ? script : readScript(other);
    const messages = [...script.messages];
    if (from.messages.length === 0) return input;
    messages.splice(dice.below(messages.length + 1), dice.below(2), dice.pick(from.messages));
    return writeScript({ ...script, messages });
  };
  return [changeMessage, changeMessage, changeMessage, changeKind, changeSetting, move, move];
}

function changing(
  input: Uint8Array,
  dice: Dice,
  change: (message: Message) => Message,
): Uint8Array {
  const script = readScript(input);
  if (script.messages.length === 0) return input;
  const at = dice.below(script.messages.length);
  return writeScript({
    ...script,
    messages: script.messages.map((message, index) => index === at ? change(message) : message),
  });
}
