// Specs as users write them, brought into the one form that is stored: canonical proto3 JSON.

import type protobuf from "protobufjs";
import type { Json, JsonObject, ResourceDescriptor } from "../core/resource.ts";
import { messageType } from "../proto/mod.ts";
import { canonicalSpec } from "../proto/spec.ts";

export interface Tidied {
  readonly spec: JsonObject;
  /** Paths of fields that the message does not have. They are left out. */
  readonly unknown: readonly string[];
}

/** Types with a JSON form of their own: what is inside them are no fields. */
const OPAQUE = /^\.?google\.protobuf\./;

/**
 * Names in lowerCamelCase, whichever of the two forms was written, and without unknown fields:
 * Kuma ignores those without a word, we name them in a warning.
 */
export function tidySpec({ message }: ResourceDescriptor, written: JsonObject): Tidied {
  if (message === undefined) return { spec: written, unknown: [] };
  const unknown: string[] = [];
  const spec = tidyMessage(messageType(message), written, { path: "", unknown });
  return { spec: spec as JsonObject, unknown };
}

/**
 * The stored form: defaults left out, durations and enums in their canonical spelling.
 * Returns a sentence when a value does not fit its field.
 */
export function storedSpec(
  kind: ResourceDescriptor,
  spec: JsonObject,
): { readonly ok: true; readonly spec: JsonObject } | {
  readonly ok: false;
  readonly error: string;
} {
  try {
    return { ok: true, spec: canonicalSpec(kind, spec) };
  } catch (error) {
    if (error instanceof TypeError || error instanceof RangeError) {
      return { ok: false, error: error.message };
    }
    throw error;
  }
}

interface Walk {
  readonly path: string;
  readonly unknown: string[];
}

function tidyMessage(type: protobuf.Type, value: Json, { path, unknown }: Walk): Json {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  const fields = fieldsByName(type);
  const kept: [string, Json][] = [];
  for (const [name, inner] of Object.entries(value)) {
    const at = path === "" ? name : `${path}.${name}`;
    const field = fields.get(name);
    if (!field) unknown.push(at);
    else kept.push([camelCase(field.name), tidyField(field, inner, { path: at, unknown })]);
  }
  return Object.fromEntries(kept);
}

function tidyField(field: protobuf.Field, value: Json, { path, unknown }: Walk): Json {
  const type = field.resolve().resolvedType;
  if (type === null || !("fields" in type) || OPAQUE.test(type.fullName)) return value;
  const message = type as protobuf.Type;
  if (field.repeated) {
    if (!Array.isArray(value)) return value;
    return value.map((item, index) =>
      tidyMessage(message, item, { path: `${path}[${index}]`, unknown })
    );
  }
  if (!field.map) return tidyMessage(message, value, { path, unknown });
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      key,
      tidyMessage(message, item, { path: `${path}["${key}"]`, unknown }),
    ]),
  );
}

const FIELDS = new WeakMap<protobuf.Type, ReadonlyMap<string, protobuf.Field>>();

function fieldsByName(type: protobuf.Type): ReadonlyMap<string, protobuf.Field> {
  const known = FIELDS.get(type);
  if (known) return known;
  const fields = new Map<string, protobuf.Field>();
  for (const field of type.fieldsArray) {
    for (const name of [field.name, camelCase(field.name), snakeCase(field.name)]) {
      fields.set(name, field);
    }
  }
  FIELDS.set(type, fields);
  return fields;
}

function camelCase(name: string): string {
  return name.replace(/_([a-z0-9])/gi, (_, letter: string) => letter.toUpperCase());
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
