// The proto3 JSON mapping, compiled once per message type.

import protobuf, { type Reader, type Writer } from "protobufjs/minimal.js";
import { MESSAGE_DEPTH_MAX } from "../core/limits.ts";
import { compareText, type Json } from "../core/resource.ts";
import { show } from "../core/shape.ts";
import { enumOf, type FieldRow, fieldsOf, hasMessage } from "./bundle.ts";
import { malformed, within } from "./malformed.ts";
import { enumScalar, halvesOf, readVarint64, type Scalar, scalarOf } from "./scalars.ts";
import {
  type Instant,
  parseDuration,
  parseTimestamp,
  renderDuration,
  renderTimestamp,
} from "./well_known.ts";

/** How one message type is written from JSON and read back. */
export interface Codec {
  write(writer: Writer, json: unknown, depth: number): void;
  /** Reads up to position `end` of the reader's buffer. */
  read(reader: Reader, end: number, at: ReadAt): Json;
  /** Its JSON is not an object with a key per field; inside an Any it stands under `value`. */
  readonly special?: true;
}

export interface ReadAt {
  readonly snake: boolean;
  /** Whether unknown fields are kept, under UNKNOWN; else they are skipped. */
  readonly keep: boolean;
  readonly depth: number;
}

/**
 * Where a message keeps the bytes of its unknown fields, in base64: no field of protobuf can have
 * this name.
 */
export const UNKNOWN = "$unknown";

type Output = Record<string, Json>;

const codecs = new Map<string, Codec>();

/** Undefined for a message that the bundle does not have. */
export function codecOf(fullName: string): Codec | undefined {
  const known = codecs.get(fullName);
  if (known || !hasMessage(fullName)) return known;
  const codec = SPECIAL.get(fullName)?.() ?? messageCodec(fullName);
  codecs.set(fullName, codec);
  return codec;
}

function codec(fullName: string): Codec {
  const found = codecOf(fullName);
  if (!found) throw malformed(`has unknown type ${fullName}`);
  return found;
}

// --- Messages ---

interface Field {
  readonly row: FieldRow;
  write(writer: Writer, json: unknown, depth: number): void;
  /** Whether the field can be read from this wire type; what cannot is an unknown field. */
  takes(wireType: number): boolean;
  read(reader: Reader, wireType: number, name: string, out: Output, at: ReadAt): void;
  /** Other members of its oneof: the last one on the wire wins. */
  readonly rivals: readonly FieldRow[];
}

function messageCodec(fullName: string): Codec {
  const rows = fieldsOf(fullName) ?? [];
  const fields = rows.map((row) => compileField(row, rows));
  const hasRivals = fields.some(({ rivals }) => rivals.length > 0);
  const positions = new Map<string, number>();
  rows.forEach(({ name, json }, position) => {
    positions.set(name, position);
    positions.set(json, position);
  });
  const byNumber = new Map(fields.map((field) => [field.row.number, field]));

  function write(writer: Writer, json: unknown, depth: number): void {
    const object = objectOf(json);
    if (depth > MESSAGE_DEPTH_MAX) throw malformed("is nested too deeply");
    const given: number[] = [];
    const names: string[] = [];
    for (const key in object) {
      // A protobuf null says nothing, except where the field is a google.protobuf.Value.
      const position = positions.get(key);
      if (position === undefined) {
        if (key === UNKNOWN) continue;
        throw within(key, malformed("is an unknown field"));
      }
      if (object[key] === undefined || (object[key] === null && !takesNull(rows[position]))) {
        continue;
      }
      if (names[position] !== undefined) throw within(key, malformed("is given twice"));
      names[position] = key;
      given.push(position);
    }
    // Mostly in order already.
    if (given.length > 1) given.sort((a, b) => a - b);
    if (hasRivals) refuseRivals(fields, given, names);
    for (const position of given) {
      const name = names[position] ?? "";
      try {
        fields[position]?.write(writer, object[name], depth + 1);
      } catch (error) {
        throw within(name, error);
      }
    }
    const unknown = object[UNKNOWN];
    if (unknown !== undefined) writer.raw(BYTES.parse(unknown));
  }

  function read(reader: Reader, end: number, at: ReadAt): Json {
    const { snake, keep, depth } = at;
    if (depth > MESSAGE_DEPTH_MAX) throw malformed("is nested too deeply");
    const out: Output = {};
    const inner = { ...at, depth: depth + 1 };
    const unknown: Uint8Array[] = [];
    while (reader.pos < end) {
      const start = reader.pos;
      const tag = reader.uint32();
      if (!readField(tag)) {
        reader.skipType(tag & 7, depth);
        if (keep) unknown.push(reader.buf.subarray(start, reader.pos));
      }
    }
    if (reader.pos !== end) throw malformed("ends inside a field");
    if (unknown.length > 0) out[UNKNOWN] = joined(unknown).toBase64();
    return out;

    function readField(tag: number): boolean {
      const field = byNumber.get(tag >>> 3);
      if (!field?.takes(tag & 7)) return false;
      const { row, rivals } = field;
      for (const rival of rivals) delete out[snake ? rival.name : rival.json];
      const name = snake ? row.name : row.json;
      try {
        field.read(reader, tag & 7, name, out, inner);
      } catch (error) {
        throw within(name, error);
      }
      return true;
    }
  }

  return { write, read };
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function takesNull(row: FieldRow | undefined): boolean {
  return row?.type === "google.protobuf.Value" || row?.type === "google.protobuf.NullValue";
}

function objectOf(json: unknown): Readonly<Record<string, unknown>> {
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw malformed(`must be an object, is ${show(json)}`);
  }
  return json as Readonly<Record<string, unknown>>;
}

function refuseRivals(fields: readonly Field[], given: readonly number[], names: string[]): void {
  const seen = new Map<string, number>();
  for (const position of given) {
    const oneof = fields[position]?.row.oneof;
    if (oneof === undefined) continue;
    const other = seen.get(oneof);
    if (other !== undefined) {
      throw within(names[position] ?? "", malformed(`excludes ${names[other]}`));
    }
    seen.set(oneof, position);
  }
}

// --- Fields ---

function compileField(row: FieldRow, rows: readonly FieldRow[]): Field {
  const values = row.type.includes(".") && !enumOf(row.type)
    ? messageField(row)
    : scalarField(row, scalar(row.type));
  const rivals = row.oneof === undefined
    ? []
    : rows.filter((other) => other !== row && other.oneof === row.oneof);
  return { row, rivals, ...values };
}

function scalar(type: string): Scalar<never> {
  const values = enumOf(type);
  const found = values ? enumScalar(values) as unknown as Scalar<never> : scalarOf(type);
  if (!found) throw malformed(`has unknown type ${type}`);
  return found;
}

type FieldCode = Pick<Field, "write" | "takes" | "read">;

const isDelimited = (wireType: number): boolean => wireType === 2;

function scalarField(row: FieldRow, type: Scalar<never>): FieldCode {
  switch (row.presence) {
    case "map":
      return mapField(row, {
        write(writer, json) {
          writer.uint32(2 << 3 | type.wireType);
          type.write(writer, type.parse(json));
        },
        read: (reader) => type.read(reader),
        wireType: type.wireType,
        zero: () => type.zero,
      });
    case "repeated":
      return type.wireType === 2 ? textList(row, type) : packedList(row, type);
    default:
      return {
        write(writer, json) {
          const value = type.parse(json);
          if (row.presence === "implicit" && type.isDefault(value)) return;
          writer.uint32(row.number << 3 | type.wireType);
          type.write(writer, value);
        },
        takes: (wireType) => wireType === type.wireType,
        read(reader, _wireType, name, out) {
          const value = type.read(reader);
          if (row.presence === "explicit" || value !== type.zero) put(out, name, value);
          else delete out[name];
        },
      };
  }
}

function textList(row: FieldRow, type: Scalar<never>): FieldCode {
  return {
    write(writer, json) {
      eachItem(json, (item) => {
        writer.uint32(row.number << 3 | 2);
        type.write(writer, type.parse(item));
      });
    },
    takes: isDelimited,
    read(reader, _wireType, name, out) {
      listAt(out, name).push(type.read(reader));
    },
  };
}

function packedList(row: FieldRow, type: Scalar<never>): FieldCode {
  return {
    write(writer, json) {
      if (Array.isArray(json) && json.length === 0) return;
      writer.uint32(row.number << 3 | 2).fork();
      eachItem(json, (item) => type.write(writer, type.parse(item)));
      writer.ldelim();
    },
    // Receivers must take both forms.
    takes: (wireType) => wireType === type.wireType || isDelimited(wireType),
    read(reader, wireType, name, out) {
      if (wireType === type.wireType) return listAt(out, name).push(type.read(reader)), undefined;
      const end = endOf(reader);
      while (reader.pos < end) listAt(out, name).push(type.read(reader));
      if (reader.pos !== end) throw malformed("ends inside a number");
    },
  };
}

function messageField(row: FieldRow): FieldCode {
  // Looked up at the first use: message types refer to each other in circles.
  let found: Codec | undefined;
  const type = () => found ??= codec(row.type);
  const write = (writer: Writer, number: number, json: unknown, depth: number) => {
    writer.uint32(number << 3 | 2).fork();
    type().write(writer, json, depth);
    writer.ldelim();
  };
  switch (row.presence) {
    case "map":
      return mapField(row, {
        write: (writer, json, depth) => write(writer, 2, json, depth),
        read: (reader, at) => type().read(reader, endOf(reader), at),
        wireType: 2,
        zero: (at) => type().read(protobuf.Reader.create(new Uint8Array()), 0, at),
      });
    case "repeated":
      return {
        write: (writer, json, depth) =>
          eachItem(json, (item) => write(writer, row.number, item, depth)),
        takes: isDelimited,
        read(reader, _wireType, name, out, at) {
          listAt(out, name).push(type().read(reader, endOf(reader), at));
        },
      };
    default:
      return {
        write: (writer, json, depth) => write(writer, row.number, json, depth),
        takes: isDelimited,
        read(reader, _wireType, name, out, at) {
          put(out, name, type().read(reader, endOf(reader), at));
        },
      };
  }
}

interface MapValue {
  write(writer: Writer, json: unknown, depth: number): void;
  read(reader: Reader, at: ReadAt): Json;
  readonly wireType: number;
  zero(at: ReadAt): Json;
}

/** Entries in byte order of their keys, so that equal maps are equal bytes. */
function mapField(row: FieldRow, value: MapValue): FieldCode {
  const key = scalar(row.key ?? "string");
  return {
    write(writer, json, depth) {
      const object = objectOf(json);
      for (const name of Object.keys(object).sort(compareText)) {
        try {
          writer.uint32(row.number << 3 | 2).fork();
          writer.uint32(1 << 3 | key.wireType);
          key.write(writer, key.parse(mapKey(row.key, name)));
          value.write(writer, object[name], depth);
          writer.ldelim();
        } catch (error) {
          throw within(`["${name}"]`, error);
        }
      }
    },
    takes: isDelimited,
    read(reader, _wireType, name, out, at) {
      const end = endOf(reader);
      let entryKey = key.zero;
      let entryValue: Json | undefined;
      while (reader.pos < end) {
        const tag = reader.uint32();
        if (tag === (1 << 3 | key.wireType)) entryKey = key.read(reader);
        else if (tag === (2 << 3 | value.wireType)) entryValue = value.read(reader, at);
        else reader.skipType(tag & 7, at.depth);
      }
      if (reader.pos !== end) throw malformed("ends inside a map entry");
      const map = (out[name] ??= {}) as Output;
      put(map, String(entryKey), entryValue ?? value.zero(at));
    },
  };
}

/** JSON has only text keys. */
function mapKey(type: string | undefined, name: string): unknown {
  return type === "bool" ? (name === "true" ? true : name === "false" ? false : name) : name;
}

function eachItem(json: unknown, write: (item: unknown) => void): void {
  if (!Array.isArray(json)) throw malformed(`must be a list, is ${show(json)}`);
  for (let position = 0; position < json.length; position++) {
    try {
      write(json[position]);
    } catch (error) {
      throw within(`[${position}]`, error);
    }
  }
}

function listAt(out: Output, name: string): Json[] {
  return (out[name] ??= []) as Json[];
}

/** Keys come from peers: `__proto__` must become a key like any other. */
function put(out: Output, name: string, value: Json): void {
  if (name !== "__proto__") out[name] = value;
  else {Object.defineProperty(out, name, {
      value,
      enumerable: true,
      configurable: true,
      writable: true,
    });}
}

/** Reads a length, and says where what it counts will end. */
function endOf(reader: Reader): number {
  const length = reader.uint32();
  const end = reader.pos + length;
  if (end > reader.len) throw malformed("is longer than the message that holds it");
  return end;
}

// --- Types with a JSON form of their own ---

const SPECIAL: ReadonlyMap<string, () => Codec> = new Map([
  ["google.protobuf.Any", anyCodec],
  ["google.protobuf.Duration", () => instantCodec(parseDuration, renderDuration)],
  ["google.protobuf.Timestamp", () => instantCodec(parseTimestamp, renderTimestamp)],
  ["google.protobuf.Struct", structCodec],
  ["google.protobuf.Value", valueCodec],
  ["google.protobuf.ListValue", listCodec],
  ...["Bool", "Bytes", "Double", "Float", "Int32", "Int64", "String", "UInt32", "UInt64"].map(
    (name) => [`google.protobuf.${name}Value`, () => wrapperCodec(name.toLowerCase())] as const,
  ),
]);

/** A bare value; its default is a message of no bytes. */
function wrapperCodec(type: string): Codec {
  const value = scalar(type);
  const field = scalarField(
    { name: "value", json: "value", number: 1, type, presence: "implicit" },
    value,
  );
  return {
    special: true,
    write: (writer, json, depth) => field.write(writer, json, depth),
    read(reader, end, at) {
      const out: Output = {};
      readFields(reader, end, at, (number, wireType) => {
        if (number !== 1 || !field.takes(wireType)) return false;
        field.read(reader, wireType, "value", out, at);
        return true;
      });
      return out["value"] ?? value.zero;
    },
  };
}

function readFields(
  reader: Reader,
  end: number,
  at: ReadAt,
  read: (number: number, wireType: number) => boolean,
): void {
  while (reader.pos < end) {
    const tag = reader.uint32();
    if (!read(tag >>> 3, tag & 7)) reader.skipType(tag & 7, at.depth);
  }
  if (reader.pos !== end) throw malformed("ends inside a field");
}

function instantCodec(parse: (text: string) => Instant, render: (at: Instant) => string): Codec {
  return {
    special: true,
    write(writer, json) {
      if (typeof json !== "string") throw malformed(`must be a string, is ${show(json)}`);
      const { seconds, nanos } = parse(json);
      if (seconds !== 0n) writer.uint32(1 << 3).int64(halvesOf(seconds) as unknown as number);
      if (nanos !== 0) writer.uint32(2 << 3).int32(nanos);
    },
    read(reader, end, at) {
      let seconds = 0n;
      let nanos = 0;
      readFields(reader, end, at, (number, wireType) => {
        if (wireType !== 0 || number > 2) return false;
        if (number === 1) seconds = BigInt.asIntN(64, readVarint64(reader));
        else nanos = reader.int32();
        return true;
      });
      return render({ seconds, nanos });
    },
  };
}

/** kind: null_value 1, number_value 2, string_value 3, bool_value 4, struct_value 5, list_value 6. */
function valueCodec(): Codec {
  function write(writer: Writer, json: unknown, depth: number): void {
    if (depth > MESSAGE_DEPTH_MAX) throw malformed("is nested too deeply");
    if (json === null) writer.uint32(1 << 3).int32(0);
    else if (typeof json === "number") writer.uint32(2 << 3 | 1).double(json);
    else if (typeof json === "string") writer.uint32(3 << 3 | 2).string(json);
    else if (typeof json === "boolean") writer.uint32(4 << 3).bool(json);
    else {
      const [number, type] = Array.isArray(json)
        ? [6, "ListValue"] as const
        : [5, "Struct"] as const;
      writer.uint32(number << 3 | 2).fork();
      codec(`google.protobuf.${type}`).write(writer, json, depth);
      writer.ldelim();
    }
  }
  function read(reader: Reader, end: number, at: ReadAt): Json {
    if (at.depth > MESSAGE_DEPTH_MAX) throw malformed("is nested too deeply");
    let value: Json = null;
    readFields(reader, end, at, (number, wireType) => {
      switch (number << 3 | wireType) {
        case 1 << 3:
          reader.int32();
          value = null;
          return true;
        case 2 << 3 | 1:
          value = renderFinite(reader.double());
          return true;
        case 3 << 3 | 2:
          value = reader.string();
          return true;
        case 4 << 3:
          value = reader.bool();
          return true;
        case 5 << 3 | 2:
          value = codec("google.protobuf.Struct").read(reader, endOf(reader), at);
          return true;
        case 6 << 3 | 2:
          value = codec("google.protobuf.ListValue").read(reader, endOf(reader), at);
          return true;
        default:
          return false;
      }
    });
    return value;
  }
  return { special: true, write, read };
}

function renderFinite(value: number): Json {
  return Number.isFinite(value) ? value : String(value);
}

const VALUE_ROW = { name: "fields", json: "fields", number: 1, type: "google.protobuf.Value" };

function structCodec(): Codec {
  return soleField(messageField({ ...VALUE_ROW, presence: "map", key: "string" }), () => ({}));
}

function listCodec(): Codec {
  return soleField(messageField({ ...VALUE_ROW, presence: "repeated" }), () => []);
}

/** A message whose JSON is that of its only field, number 1. */
function soleField(field: FieldCode, empty: () => Json): Codec {
  return {
    special: true,
    write(writer, json, depth) {
      field.write(writer, json, depth + 1);
    },
    read(reader, end, at) {
      const out: Output = {};
      readFields(reader, end, at, (number, wireType) => {
        if (number !== 1 || !field.takes(wireType)) return false;
        field.read(reader, wireType, "value", out, { ...at, depth: at.depth + 1 });
        return true;
      });
      return out["value"] ?? empty();
    },
  };
}

/**
 * `{"@type": URL, …fields}`, or `{"@type": URL, "value": base64}` when the type is unknown here.
 * Bytes under `value` (a Uint8Array) are taken as they are, whatever the type.
 */
function anyCodec(): Codec {
  function write(writer: Writer, json: unknown, depth: number): void {
    const { "@type": url = "", ...rest } = objectOf(json);
    if (typeof url !== "string") throw within(`["@type"]`, malformed("must be a string"));
    const type = codecOf(typeNameOf(url));
    const inner = new protobuf.Writer();
    if (type && !type.special && !(rest["value"] instanceof Uint8Array)) {
      type.write(inner, rest, depth + 1);
    } else {
      for (const key in rest) {
        if (key !== "value") {
          throw within(key, malformed(`is unknown: "${url}" is no type known here`));
        }
      }
      if (type?.special && !(rest["value"] instanceof Uint8Array)) {
        writeSpecial(type, inner, rest["value"], depth);
      } else if (rest["value"] !== undefined) inner.raw(BYTES.parse(rest["value"]));
    }
    writeAny(writer, url, inner.finish());
  }
  function read(reader: Reader, end: number, at: ReadAt): Json {
    let url = "";
    let bytes: Uint8Array = new Uint8Array();
    readFields(reader, end, at, (number, wireType) => {
      if (wireType !== 2 || number > 2) return false;
      if (number === 1) url = reader.string();
      else bytes = reader.bytes();
      return true;
    });
    const type = codecOf(typeNameOf(url));
    if (!type) {
      return url === "" && bytes.length === 0 ? {} : { "@type": url, value: bytes.toBase64() };
    }
    const inner = { ...at, depth: at.depth + 1 };
    const value = type.read(new protobuf.Reader(bytes), bytes.length, inner);
    return type.special ? { "@type": url, value } : { "@type": url, ...value as Output };
  }
  return { special: true, write, read };
}

const BYTES = scalarOf("bytes") as unknown as Scalar<Uint8Array>;

function writeSpecial(type: Codec, writer: Writer, json: unknown, depth: number): void {
  try {
    type.write(writer, json, depth + 1);
  } catch (error) {
    throw within("value", error);
  }
}

export function writeAny(writer: Writer, url: string, value: Uint8Array): void {
  if (url !== "") writer.uint32(1 << 3 | 2).string(url);
  if (value.length > 0) writer.uint32(2 << 3 | 2).bytes(value);
}

function typeNameOf(url: string): string {
  return url.slice(url.lastIndexOf("/") + 1);
}
