// Specs as bytes: of their protobuf message, or, of kinds that have none, of their JSON.

import { isObject } from "../core/json.ts";
import type { JsonObject, ResourceDescriptor } from "../core/resource.ts";
import { decode, encode } from "./mod.ts";

type Kind = Pick<ResourceDescriptor, "message">;

/** Throws a TypeError when a value does not fit its field. */
export function encodeSpec({ message }: Kind, spec: JsonObject): Uint8Array {
  return message === undefined ? encodeJson(spec) : encode(message, spec);
}

/** Throws on bytes that are no such spec. */
export function decodeSpec({ message }: Kind, bytes: Uint8Array): JsonObject {
  return message === undefined ? decodeJson(bytes) : decode(message, bytes);
}

/** One spelling for everything that means the same: default values left out, names in camelCase. */
export function canonicalSpec(kind: Kind, spec: JsonObject): JsonObject {
  return kind.message === undefined ? spec : decodeSpec(kind, encodeSpec(kind, spec));
}

export function encodeJson(value: JsonObject): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

/** No bytes are an empty object, as an absent field of protobuf is a default. */
export function decodeJson(bytes: Uint8Array): JsonObject {
  if (bytes.length === 0) return {};
  const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  if (!isObject(value)) throw new TypeError("must be a JSON object");
  return value;
}
