// Mutations of serialised protocol buffers, which stay readable most of the time.

import { concat, type Dice, utf8 } from "./fuzzer.ts";

interface Field {
  /** Tag and value as they came. */
  readonly whole: Uint8Array;
  readonly number: number;
  readonly wireType: number;
  /** Without tag and length. */
  readonly content: Uint8Array;
}

const [VARINT, FIXED64, LENGTH, FIXED32] = [0, 1, 2, 5];
const DEPTH_MAX = 8;
const VARINTS = [0, 1, 2, 127, 128, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1];

/** A changed copy, in which lengths fit what they count; sometimes they do not. */
export function mutateProto(
  bytes: Uint8Array,
  dice: Dice,
  words: readonly Uint8Array[],
  depth = 0,
): Uint8Array {
  const fields = fieldsOf(bytes);
  if (fields === null || fields.length === 0) return mutateText(bytes, dice, words);
  const at = dice.below(fields.length);
  const field = fields[at]!;
  const parts = fields.map(({ whole }) => whole);
  // Deeper more often than not: what matters lies inside.
  if (field.wireType === LENGTH && depth < DEPTH_MAX && !dice.oneIn(3)) {
    parts[at] = write(field.number, mutateProto(field.content, dice, words, depth + 1));
    return concat(...parts);
  }
  // The last two leave bytes that nobody can read.
  switch (dice.oneIn(12) ? 6 + dice.below(2) : dice.below(6)) {
    case 0:
      parts.splice(at, 1);
      break;
    case 1:
      parts.splice(dice.below(parts.length), 0, field.whole);
      break;
    case 2:
      parts[at] = dice.pick(parts);
      break;
    case 3:
      parts[at] = write(dice.oneIn(2) ? field.number : 1 + dice.below(20), dice.pick(words));
      break;
    case 4:
      parts[at] = concat(varint(field.number << 3 | VARINT!), varint(dice.pick(VARINTS)));
      break;
    case 5:
      parts.push(write(dice.pick([1, 2, 3, 15, 99, 1_000]), field.content));
      break;
    case 6:
      // A length that lies.
      parts[at] = concat(
        varint(field.number << 3 | LENGTH!),
        varint(dice.pick(VARINTS)),
        field.content,
      );
      break;
    case 7:
      parts[at] = concat(varint(field.number << 3 | dice.below(8)), field.content);
      break;
  }
  return concat(...parts);
}

function mutateText(bytes: Uint8Array, dice: Dice, words: readonly Uint8Array[]): Uint8Array {
  const text = new TextDecoder().decode(bytes);
  return dice.pick([
    dice.pick(words),
    new Uint8Array(),
    utf8(text.toUpperCase()),
    utf8(`${text}x`),
    utf8(text.slice(1)),
    concat(bytes, Uint8Array.of(0xff)),
    utf8(text.repeat(2)),
    utf8(text.replaceAll(/\d+/g, String(dice.pick(VARINTS)))),
  ]);
}

/** Null when it is no message. */
function fieldsOf(bytes: Uint8Array): readonly Field[] | null {
  const fields: Field[] = [];
  for (let at = 0; at < bytes.length;) {
    const start = at;
    const tag = readVarint(bytes, at);
    if (!tag) return null;
    at = tag.end;
    const wireType = tag.value & 7;
    let length = wireType === FIXED64 ? 8 : wireType === FIXED32 ? 4 : -1;
    if (wireType === VARINT || wireType === LENGTH) {
      const read = readVarint(bytes, at);
      if (!read) return null;
      length = wireType === LENGTH ? read.value : read.end - at;
      if (wireType === LENGTH) at = read.end;
    }
    if (length < 0 || at + length > bytes.length || tag.value < 8) return null;
    const content = bytes.subarray(at, at + length);
    at += length;
    fields.push({ whole: bytes.subarray(start, at), number: tag.value >>> 3, wireType, content });
  }
  return fields;
}

function readVarint(
  bytes: Uint8Array,
  at: number,
): { readonly value: number; readonly end: number } | null {
  let value = 0;
  for (let shift = 0; shift < 35; shift += 7, at++) {
    const byte = bytes[at];
    if (byte === undefined) return null;
    value += (byte & 127) * 2 ** shift;
    if (byte < 128) return { value, end: at + 1 };
  }
  return null;
}

function write(number: number, content: Uint8Array): Uint8Array {
  return concat(varint(number << 3 | LENGTH!), varint(content.length), content);
}

function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push(rest % 128 | 128);
  return Uint8Array.from([...bytes, rest]);
}
