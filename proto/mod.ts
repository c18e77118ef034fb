// Protocol buffers as JSON: every message that Ursa puts on a wire or takes from one.
//
// Resources live as proto3 JSON in the whole of Ursa and become bytes only at its edges, here.
// Equal JSON gives equal bytes: fields by number, map entries by key. Decoding leaves default
// values out, skips unknown fields unless told to keep them, and never trusts a length or a depth.
// Both throw a TypeError whose message begins with the path of what is wrong.

import protobuf from "protobufjs/light.js";
import type { JsonObject } from "../core/resource.ts";
import { enumOf, type FieldRow, fieldsOf, hasMessage } from "./bundle.ts";
import { type Codec, codecOf, writeAny } from "./codec.ts";

export { UNKNOWN } from "./codec.ts";

/**
 * proto3 JSON → bytes. On top of the standard mapping, durations may be written as Go does
 * (`1m30s`), `bytes` may be a Uint8Array, and so may the `value` of an Any.
 */
export function encode(fullName: string, json: unknown): Uint8Array {
  const writer = new protobuf.Writer();
  codecFor(fullName).write(writer, json, 0);
  return bytesOf(writer);
}

/**
 * bytes → proto3 JSON; `snake` gives field names as in the .proto files, as Envoy's dumps do, and
 * `keep` the unknown fields of each message, under UNKNOWN, from where `encode` writes them again.
 */
export function decode(
  fullName: string,
  bytes: Uint8Array,
  { snake = false, keep = false }: { readonly snake?: boolean; readonly keep?: boolean } = {},
): JsonObject {
  // A plain view: protobufjs reads a Node Buffer through another, slower class.
  const view = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    const at = { snake, keep, depth: 0 };
    return codecFor(fullName).read(new protobuf.Reader(view), view.length, at) as JsonObject;
  } catch (error) {
    // The reader's own word for a message that ends too early.
    if (error instanceof RangeError || error instanceof Error && !(error instanceof TypeError)) {
      throw new TypeError(`Cannot decode ${fullName}: ${error.message}`, { cause: error });
    }
    throw error;
  }
}

/** Bytes of a google.protobuf.Any around a value that is encoded already. */
export function packAny(typeUrl: string, value: Uint8Array): Uint8Array {
  const writer = new protobuf.Writer();
  writeAny(writer, typeUrl, value);
  return bytesOf(writer);
}

/** In a buffer of its own: protobufjs would hand out a piece of a pool, and keep all of that alive. */
function bytesOf(writer: protobuf.Writer): Uint8Array {
  return writer.finish(true).slice();
}

export function knows(fullName: string): boolean {
  return hasMessage(fullName);
}

/**
 * The protobufjs type, for edges that handle messages without JSON in between. Fields have their
 * JSON names; an Any stays `{typeUrl, value}`.
 */
export function messageType(fullName: string): protobuf.Type {
  let type = types.get(fullName);
  if (!type) {
    type = protobuf.Root.fromJSON({ nested: nestedOf(fullName) }).lookupType(fullName);
    types.set(fullName, type);
  }
  return type;
}

const types = new Map<string, protobuf.Type>();

function codecFor(fullName: string): Codec {
  const codec = codecOf(fullName);
  if (!codec) throw new TypeError(`Unknown message ${fullName}`);
  return codec;
}

type Nested = Record<string, protobuf.AnyNestedObject>;

/** protobufjs' own form of the descriptors that a message reaches. */
function nestedOf(fullName: string): Nested {
  const root: Nested = {};
  const seen = new Set<string>();
  const waiting = [fullName];
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (seen.has(name)) continue;
    seen.add(name);
    const values = enumOf(name);
    const rows = fieldsOf(name);
    if (values) place(root, name, { values });
    else if (rows) {
      place(root, name, {
        fields: Object.fromEntries(rows.map((row) => [row.json, fieldJson(row)])),
      });
      waiting.push(...rows.map(({ type }) => type).filter((type) => type.includes(".")));
    } else throw new TypeError(`Unknown message ${name}`);
  }
  return root;
}

function fieldJson({ number: id, type, presence, key }: FieldRow): protobuf.IField {
  const field = { id, type: type.includes(".") ? `.${type}` : type };
  if (presence === "map") return { ...field, keyType: key } as protobuf.IMapField;
  return presence === "repeated" ? { ...field, rule: "repeated" } : field;
}

/** Messages nest in namespaces and in each other. */
function place(root: Nested, fullName: string, content: object): void {
  const path = fullName.split(".");
  const last = path.pop() ?? "";
  let space = root;
  for (const part of path) {
    const owner = (space[part] ??= {}) as { nested?: Nested };
    space = owner.nested ??= {};
  }
  space[last] = Object.assign(space[last] ?? {}, content);
}
