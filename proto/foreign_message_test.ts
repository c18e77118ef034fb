// Messages as only a peer could have accepted them, for tests of those who read them.

import fc from "fast-check";
import type { Json, JsonObject } from "../core/resource.ts";
import { enumOf, fieldsOf } from "./bundle.ts";

export const WORDS = [
  "",
  "a",
  "*",
  "default",
  "x",
  "ca-1",
  "Mesh",
  "127.0.0.1",
  "5s",
  "kuma.io/service",
];
const word = fc.constantFrom(...WORDS);
const number = fc.constantFrom(0, 1, 80, 65_535);

/** Whatever protobuf can carry of a message: right types, and nothing else that is right. */
export function foreignMessage(fullName: string, depth = 0): fc.Arbitrary<JsonObject> {
  const rows = depth > 5 ? [] : fieldsOf(fullName) ?? [];
  const oneofs = new Set<string>();
  const usable = rows.filter(({ oneof }) => {
    if (oneof === undefined || !oneofs.has(oneof)) return oneofs.add(oneof ?? ""), true;
    return false;
  });
  const fields = usable.map(({ json, type, presence }) => {
    const one = valueOf(type, depth);
    const some = presence === "repeated"
      ? fc.array(one, { maxLength: 2 })
      : presence === "map"
      ? fc.dictionary(fc.constantFrom("a", "kuma.io/service", "kuma.io/protocol"), one)
      : one;
    return [json, some] as const;
  });
  return fc.record(Object.fromEntries(fields), { requiredKeys: [], noNullPrototype: true }) as //
  fc.Arbitrary<JsonObject>;
}

function valueOf(type: string, depth: number): fc.Arbitrary<Json> {
  const values = enumOf(type);
  if (values) return fc.constantFrom(...Object.keys(values));
  switch (type) {
    case "string":
    case "google.protobuf.StringValue":
      return word;
    case "bool":
    case "google.protobuf.BoolValue":
      return fc.boolean();
    case "bytes":
    case "google.protobuf.BytesValue":
      return fc.constantFrom("", "AAAA");
    case "google.protobuf.Duration":
      return fc.constantFrom("0s", "5s");
    case "google.protobuf.Timestamp":
      return fc.constantFrom("2026-11-22T12:00:00Z", "0001-01-01T00:00:00Z");
    case "google.protobuf.Struct":
      return fc.dictionary(word, fc.jsonValue({ maxDepth: 1 }) as fc.Arbitrary<Json>);
    default:
      return fieldsOf(type) && !type.startsWith("google.")
        ? foreignMessage(type, depth + 1)
        : number;
  }
}
