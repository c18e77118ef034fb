// Scalar types: how each looks in JSON and on the wire.

import type { Reader, Writer } from "protobufjs/minimal.js";
import type { Json } from "../core/resource.ts";
import { show } from "../core/shape.ts";
import { malformed } from "./malformed.ts";

/** `Value` is what JSON is parsed to before it is written: number, string, Long parts, bytes. */
export interface Scalar<Value> {
  readonly wireType: 0 | 1 | 2 | 5;
  parse(json: unknown): Value;
  isDefault(value: Value): boolean;
  write(writer: Writer, value: Value): void;
  read(reader: Reader): Json;
  readonly zero: Json;
}

export function scalarOf(type: string): Scalar<never> | undefined {
  return SCALARS.get(type) as Scalar<never> | undefined;
}

/** Enum values travel as int32; JSON has their names, or the number of an unknown one. */
export function enumScalar(values: Readonly<Record<string, number>>): Scalar<number> {
  const byName = new Map(Object.entries(values));
  // The first name wins where aliases share a number.
  const byNumber = new Map([...byName].reverse().map(([name, number]) => [number, name]));
  return {
    wireType: 0,
    parse(json) {
      const value = typeof json === "string" ? byName.get(json) : integer(json, INT32);
      if (value === undefined) {
        throw malformed(`must be one of ${[...byName.keys()].join(", ")}, is ${show(json)}`);
      }
      return value;
    },
    isDefault: isZero,
    write: (writer, value) => void writer.int32(value),
    read: (reader) => name(reader.int32()),
    zero: name(0),
  };
  function name(number: number): Json {
    return byNumber.get(number) ?? number;
  }
}

interface Range {
  readonly min: number;
  readonly max: number;
}

const INT32: Range = { min: -(2 ** 31), max: 2 ** 31 - 1 };
const UINT32: Range = { min: 0, max: 2 ** 32 - 1 };
const INT64 = { min: -(2n ** 63n), max: 2n ** 63n - 1n };
const UINT64 = { min: 0n, max: 2n ** 64n - 1n };

const isZero = (value: number) => value === 0;

function integer(json: unknown, { min, max }: Range): number {
  const value = typeof json === "string" && /^-?\d+$/.test(json) ? Number(json) : json;
  if (typeof value !== "number" || !Number.isInteger(value)) {
    throw malformed(`must be an integer, is ${show(json)}`);
  }
  if (value < min || value > max) {
    throw malformed(`must be from ${min} to ${max}, is ${value}`);
  }
  return value;
}

function number(json: unknown): number {
  if (typeof json === "number") return json;
  if (json === "NaN" || json === "Infinity" || json === "-Infinity") return Number(json);
  if (typeof json === "string" && json.trim() !== "" && !Number.isNaN(Number(json))) {
    return Number(json);
  }
  throw malformed(`must be a number, is ${show(json)}`);
}

function renderNumber(value: number): Json {
  return Number.isFinite(value) ? value : String(value);
}

/** The two halves of a 64-bit integer, as protobufjs takes them. */
interface Halves {
  readonly low: number;
  readonly high: number;
  readonly unsigned: boolean;
}

function long(json: unknown, { min, max }: { readonly min: bigint; readonly max: bigint }): Halves {
  const value = bigintOf(json);
  if (value === undefined) throw malformed(`must be an integer, is ${show(json)}`);
  if (value < min || value > max) throw malformed(`must be from ${min} to ${max}, is ${value}`);
  return halvesOf(value);
}

function bigintOf(json: unknown): bigint | undefined {
  if (typeof json === "bigint") return json;
  const isInteger = typeof json === "number"
    ? Number.isInteger(json)
    : typeof json === "string" && /^-?\d{1,20}$/.test(json);
  return isInteger ? BigInt(json as number | string) : undefined;
}

export function halvesOf(value: bigint): Halves {
  const bits = BigInt.asUintN(64, value);
  return {
    low: Number(bits & 0xffff_ffffn) | 0,
    high: Number(bits >> 32n) | 0,
    unsigned: value >= 0n,
  };
}

/** A 64-bit varint, read here because protobufjs loses precision where package long is missing. */
export function readVarint64(reader: Reader): bigint {
  let value = 0n;
  for (let shift = 0n; shift < 70n; shift += 7n) {
    const byte = reader.buf[reader.pos];
    if (byte === undefined || reader.pos >= reader.len) throw malformed("ends inside a number");
    reader.pos++;
    value |= BigInt(byte & 0x7f) << shift;
    if (byte < 0x80) return BigInt.asUintN(64, value);
  }
  throw malformed("has a number of more than 64 bits");
}

function int32(
  range: Range,
  write: Scalar<number>["write"],
  read: (reader: Reader) => number,
): Scalar<number> {
  return {
    wireType: 0,
    parse: (json) => integer(json, range),
    isDefault: isZero,
    write,
    read,
    zero: 0,
  };
}

function int64(range: typeof INT64, signed: (bits: bigint) => bigint): Scalar<Halves> {
  return {
    wireType: 0,
    parse: (json) => long(json, range),
    isDefault: ({ low, high }) => low === 0 && high === 0,
    write: (writer, value) => void writer.uint64(value as unknown as number),
    read: (reader) => String(signed(readVarint64(reader))),
    zero: "0",
  };
}

const TEXT: Scalar<string> = {
  wireType: 2,
  parse(json) {
    if (typeof json !== "string") throw malformed(`must be a string, is ${show(json)}`);
    return json;
  },
  isDefault: (value) => value === "",
  write: (writer, value) => void writer.string(value),
  read: (reader) => reader.string(),
  zero: "",
};

const BYTES: Scalar<Uint8Array> = {
  wireType: 2,
  parse: bytesOf,
  isDefault: (value) => value.length === 0,
  write: (writer, value) => void writer.bytes(value),
  read: (reader) => reader.bytes().toBase64(),
  zero: "",
};

const BOOL: Scalar<boolean> = {
  wireType: 0,
  parse(json) {
    if (typeof json !== "boolean") throw malformed(`must be true or false, is ${show(json)}`);
    return json;
  },
  isDefault: (value) => !value,
  write: (writer, value) => void writer.bool(value),
  read: (reader) => reader.bool(),
  zero: false,
};

const DOUBLE: Scalar<number> = {
  wireType: 1,
  parse: number,
  // Negative zero is a value of its own.
  isDefault: (value) => Object.is(value, 0),
  write: (writer, value) => void writer.double(value),
  read: (reader) => renderNumber(reader.double()),
  zero: 0,
};

const FLOAT: Scalar<number> = {
  ...DOUBLE,
  wireType: 5,
  write: (writer, value) => void writer.float(value),
  read: (reader) => renderNumber(shortest(reader.float())),
};

/** The fewest digits that mean the same 32 bits: 62.9, and not 62.900001525878906. */
function shortest(value: number): number {
  for (let digits = 6; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return short;
  }
  return value;
}

/** Those that the bundle has; Envoy and Kuma use no others. */
const SCALARS: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  ["string", TEXT],
  ["bytes", BYTES],
  ["bool", BOOL],
  ["double", DOUBLE],
  ["float", FLOAT],
  ["int32", int32(INT32, (writer, value) => void writer.int32(value), (reader) => reader.int32())],
  [
    "uint32",
    int32(UINT32, (writer, value) => void writer.uint32(value), (reader) => reader.uint32()),
  ],
  ["int64", int64(INT64, (bits) => BigInt.asIntN(64, bits))],
  ["uint64", int64(UINT64, (bits) => bits)],
]);

/** Base64 with or without padding, in either alphabet. */
function bytesOf(json: unknown): Uint8Array {
  if (json instanceof Uint8Array) return json;
  if (typeof json === "string") {
    try {
      const alphabet = /[-_]/.test(json) ? "base64url" : "base64";
      return Uint8Array.fromBase64(json, { alphabet });
    } catch {
      // Said below.
    }
  }
  throw malformed("must be base64");
}
