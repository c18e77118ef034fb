// Specs as bytes: of their protobuf message, or, of kinds that have none, of their JSON.
//
// What is unknown here is kept: JSON fields where they were written, fields of protobuf as bytes at
// their message, from where they go on to the next peer.

import { isDeeper, isObject, whyNoJson } from "../core/json.ts";
import { MESSAGE_DEPTH_MAX } from "../core/limits.ts";
import type { JsonObject, ResourceDescriptor } from "../core/resource.ts";
import { withDefaults } from "../core/stored/defaults.ts";
import type { Note } from "../core/violation.ts";
import { decode, encode } from "./mod.ts";
import { joinMessage, splitMessage, type Unknown, withoutBytes } from "./split.ts";

type Kind = Pick<ResourceDescriptor, "message" | "defaults">;

/** Throws a TypeError when a value does not fit its field. A message has no room for unknown JSON. */
export function encodeSpec({ message }: Kind, spec: JsonObject): Uint8Array {
  return message === undefined
    ? encodeJson(spec)
    : encode(message, splitMessage(message, spec, { path: "", notes: [] }).known);
}

/** Throws on bytes that are no such spec. */
export function decodeSpec({ message }: Kind, bytes: Uint8Array): JsonObject {
  return message === undefined ? decodeJson(bytes) : decode(message, bytes, { keep: true });
}

export interface WrittenSpec {
  /** Without unknown fields: what is checked. */
  readonly known: JsonObject;
  /** Of fields that the message does not have. */
  readonly notes: readonly Note[];
  /**
   * One spelling for everything that means the same: default values left out, names in camelCase,
   * durations as protobuf writes them; unknown fields where they were. `known` may be another that
   * was made from it.
   */
  canonical(known: JsonObject): Canonical;
}

/** `error` says which value does not fit its field. */
export type Canonical =
  | { readonly ok: true; readonly spec: JsonObject }
  | { readonly ok: false; readonly error: string };

/** A spec as a user or a proxy writes it. */
export function readSpec({ message, defaults = {} }: Kind, written: JsonObject): WrittenSpec {
  if (message === undefined) {
    const known = withDefaults(written, defaults);
    return { known, notes: [], canonical: (spec) => ({ ok: true, spec }) };
  }
  const notes: Note[] = [];
  // Bytes come from the wire alone.
  const { known, unknown } = splitMessage(message, withoutBytes(written), { path: "", notes });
  return {
    known: known as JsonObject,
    notes,
    canonical: (spec) => canonical(message, spec, unknown),
  };
}

function canonical(message: string, spec: JsonObject, unknown: Unknown | null): Canonical {
  try {
    const plain = decode(message, encode(message, spec));
    return { ok: true, spec: joinMessage(plain, unknown) as JsonObject };
  } catch (error) {
    if (error instanceof TypeError || error instanceof RangeError) {
      return { ok: false, error: error.message };
    }
    throw error;
  }
}

export function encodeJson(value: JsonObject): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

/** No bytes are an empty object, as an absent field of protobuf is a default. */
export function decodeJson(bytes: Uint8Array): JsonObject {
  if (bytes.length === 0) return {};
  const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  if (!isObject(value)) throw new TypeError("must be a JSON object");
  if (isDeeper(value, MESSAGE_DEPTH_MAX)) throw new TypeError("is nested too deeply");
  const reason = whyNoJson(value);
  if (reason !== null) throw new TypeError(reason);
  return value;
}
