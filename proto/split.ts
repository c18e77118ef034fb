// A spec as it is written, split into the fields that its message has and those that it does not.

import { isObject } from "../core/json.ts";
import type { Json, JsonObject } from "../core/resource.ts";
import { unknownField } from "../core/shape.ts";
import type { Note } from "../core/violation.ts";
import { type FieldRow, fieldsOf, hasMessage } from "./bundle.ts";
import { UNKNOWN } from "./codec.ts";

export interface Split {
  /** Names in lowerCamelCase, whichever of the two forms was written. */
  readonly known: Json;
  readonly unknown: Unknown | null;
}

/** The fields that one message does not have, and those of the messages inside it. */
export interface Unknown {
  readonly own: JsonObject;
  /** By field name, list position or map key. */
  readonly inner: ReadonlyMap<string | number, Unknown>;
}

/** `notes`: where what is to be said of unknown fields is added. */
export function splitMessage(
  fullName: string,
  value: Json,
  at: { readonly path: string; readonly notes: Note[] },
): Split {
  if (!isObject(value)) return { known: value, unknown: null };
  const rows = rowsOf(fullName);
  const known: Record<string, Json> = {};
  const own: Record<string, Json> = {};
  const inner = new Map<string | number, Unknown>();
  for (const [name, field] of Object.entries(value)) {
    const path = at.path === "" ? name : `${at.path}.${name}`;
    const row = rows.get(name);
    if (name === UNKNOWN) known[name] = field;
    else if (!row) {
      at.notes.push({ path, message: unknownField(name, namesOf(rows)) });
      set(own, name, field);
    } else {
      const split = splitField(row, field, { path, notes: at.notes });
      known[row.json] = split.known;
      if (split.unknown) inner.set(row.json, split.unknown);
    }
  }
  return { known, unknown: Object.keys(own).length + inner.size > 0 ? { own, inner } : null };
}

function splitField(
  { type, presence }: FieldRow,
  value: Json,
  { path, notes }: { readonly path: string; readonly notes: Note[] },
): Split {
  // Types with a JSON form of their own: what is inside them are no fields.
  if (!hasMessage(type) || type.startsWith("google.protobuf.")) {
    return { known: value, unknown: null };
  }
  if (presence === "repeated" && Array.isArray(value)) {
    const items = value.map((item: Json, index) =>
      splitMessage(type, item, { path: `${path}[${index}]`, notes })
    );
    return { known: items.map(({ known }) => known), unknown: innerOf([...items.entries()]) };
  }
  if (presence === "map" && isObject(value)) {
    const entries = Object.entries(value).map(([key, item]) =>
      [key, splitMessage(type, item, { path: `${path}["${key}"]`, notes })] as const
    );
    return {
      known: Object.fromEntries(entries.map(([key, { known }]) => [key, known])),
      unknown: innerOf(entries),
    };
  }
  return presence === "repeated" || presence === "map"
    ? { known: value, unknown: null }
    : splitMessage(type, value, { path, notes });
}

function innerOf(splits: readonly (readonly [string | number, Split])[]): Unknown | null {
  const inner = new Map(
    splits.flatMap(([key, { unknown }]) => unknown ? [[key, unknown] as const] : []),
  );
  return inner.size > 0 ? { own: {}, inner } : null;
}

/** Puts the unknown fields back where they stood. */
export function joinMessage(known: Json, unknown: Unknown | null): Json {
  if (!unknown) return known;
  if (Array.isArray(known)) {
    return known.map((item: Json, index) => joinMessage(item, unknown.inner.get(index) ?? null));
  }
  if (!isObject(known)) return known;
  const joined: Record<string, Json> = { ...known };
  for (const [key, inner] of unknown.inner) {
    // A message or a list that is given is never a default value, and so is still there.
    const field = known[key];
    if (field !== undefined) set(joined, String(key), joinMessage(field, inner));
  }
  for (const [name, field] of Object.entries(unknown.own)) set(joined, name, field);
  return joined;
}

/** Without the bytes of unknown fields, which are for the wire alone. */
export function withoutBytes<Value extends Json>(value: Value): Value {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(withoutBytes) as unknown as Value;
  return Object.fromEntries(
    Object.entries(value).filter(([name]) => name !== UNKNOWN)
      .map(([name, inner]) => [name, withoutBytes(inner as Json)]),
  ) as Value;
}

/** `__proto__` is a name like any other. */
function set(object: Record<string, Json>, name: string, value: Json): void {
  Object.defineProperty(object, name, {
    value,
    enumerable: true,
    configurable: true,
    writable: true,
  });
}

const ROWS = new Map<string, ReadonlyMap<string, FieldRow>>();

function rowsOf(fullName: string): ReadonlyMap<string, FieldRow> {
  const known = ROWS.get(fullName);
  if (known) return known;
  const rows = new Map(
    (fieldsOf(fullName) ?? []).flatMap((row) =>
      [row.name, row.json, snakeCase(row.json)].map((name) => [name, row] as const)
    ),
  );
  ROWS.set(fullName, rows);
  return rows;
}

function namesOf(rows: ReadonlyMap<string, FieldRow>): readonly string[] {
  return [...rows.values()].map(({ json }) => json);
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
