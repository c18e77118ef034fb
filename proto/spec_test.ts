import assert from "node:assert/strict";
import fc from "fast-check";
import protobuf from "protobufjs/minimal.js";
import { KINDS } from "../core/kinds.ts";
import type { Json, JsonObject } from "../core/resource.ts";
import { fieldsOf } from "./bundle.ts";
import { UNKNOWN } from "./mod.ts";
import { decodeSpec, encodeSpec, readSpec } from "./spec.ts";
import { withoutBytes } from "./split.ts";

const MESSAGES = KINDS.flatMap(({ message }) => message === undefined ? [] : [message]);

/** Fields whose numbers nobody has, of every wire type. */
const strangers: fc.Arbitrary<string> = fc.array(
  fc.record({
    number: fc.integer({ min: 1_000, max: 100_000 }),
    wireType: fc.constantFrom(0, 1, 2, 5),
    bytes: fc.uint8Array({ minLength: 8, maxLength: 8 }),
  }),
  { minLength: 1, maxLength: 3 },
).map((fields) => {
  const writer = new protobuf.Writer();
  for (const { number, wireType, bytes } of fields) {
    writer.uint32((number << 3 | wireType) >>> 0);
    if (wireType === 0) writer.uint32(bytes[0]!);
    else if (wireType === 2) writer.bytes(bytes);
    else writer.raw(bytes.subarray(0, wireType === 1 ? 8 : 4));
  }
  return writer.finish().slice().toBase64();
});

/** Messages with unknown fields in each of the messages inside them. */
function specs(message: string, depth = 0): fc.Arbitrary<JsonObject> {
  const inner = (fieldsOf(message) ?? []).filter(({ type, oneof }) =>
    depth < 5 && oneof === undefined && fieldsOf(type) && !type.startsWith("google.protobuf.")
  );
  const fields = Object.fromEntries(inner.map(({ json, type, presence }) => {
    const one = specs(type, depth + 1);
    switch (presence) {
      case "repeated":
        return [json, fc.array(one, { minLength: 1, maxLength: 2 })];
      case "map":
        return [
          json,
          fc.dictionary(fc.constantFrom("a", "b"), one, { minKeys: 1, noNullPrototype: true }),
        ];
      default:
        return [json, one];
    }
  }));
  return fc.record({ ...fields, [UNKNOWN]: strangers }, { noNullPrototype: true }) as fc.Arbitrary<
    JsonObject
  >;
}

Deno.test("unknown fields survive decoding, the store and encoding, in messages of every depth", () => {
  for (const message of new Set(MESSAGES)) {
    fc.assert(
      fc.property(specs(message), (spec) => {
        const bytes = encodeSpec({ message }, spec);
        const stored = JSON.parse(JSON.stringify(decodeSpec({ message }, bytes)));
        assert.deepEqual(stored, spec);
        assert.deepEqual(encodeSpec({ message }, stored), bytes);
        assert.ok(!JSON.stringify(withoutBytes(stored)).includes(UNKNOWN));
      }),
      { numRuns: 10 },
    );
  }
});

Deno.test("a field that comes in another wire type than its own is an unknown one", () => {
  const kind = { message: "kuma.system.v1alpha1.Config" };
  const bytes = new Uint8Array([1 << 3, 5, 1 << 3 | 2, 1, 0x61]);
  const spec = decodeSpec(kind, bytes);
  assert.deepEqual(spec, { config: "a", [UNKNOWN]: bytes.slice(0, 2).toBase64() });
  assert.deepEqual(
    encodeSpec(kind, spec),
    new Uint8Array([...bytes.slice(2), ...bytes.slice(0, 2)]),
  );
});

Deno.test("readSpec() keeps unknown JSON where it stood, beside the one spelling of what is known", () => {
  const kind = { message: "kuma.mesh.v1alpha1.TrafficRoute" };
  const written: JsonObject = {
    sourcez: 1,
    conf: {
      load_balancer: { round_robin: {}, weighty: true },
      http: [{}, { match: { path: { prefix: "/" }, host: null }, destination: { a: "b" } }],
    },
    sources: [{ match: { a: "b" }, matchLabels: { c: "d" } }],
    destinations: [],
    [UNKNOWN]: "AAAA",
  };
  const { known, notes, canonical } = readSpec(kind, written);
  assert.deepEqual(notes.map(({ path }) => path), [
    "sourcez",
    "conf.load_balancer.weighty",
    "conf.http[1].match.host",
    "sources[0].matchLabels",
  ]);
  assert.match(notes[0]!.message, /did you mean sources\?$/);
  const stored = canonical(known);
  assert.ok(stored.ok);
  assert.deepEqual(stored.spec, {
    sourcez: 1,
    conf: {
      loadBalancer: { roundRobin: {}, weighty: true },
      http: [{}, { match: { path: { prefix: "/" }, host: null }, destination: { a: "b" } }],
    },
    sources: [{ match: { a: "b" }, matchLabels: { c: "d" } }],
  });
  assert.deepEqual(encodeSpec(kind, stored.spec), encodeSpec(kind, known));
});

Deno.test("readSpec() says which value does not fit", () => {
  const { known, canonical } = readSpec({ message: "kuma.system.v1alpha1.Config" }, { config: 1 });
  const stored = canonical(known);
  assert.match(stored.ok ? "" : stored.error, /^config: /);
});

Deno.test("a kind without a message keeps its JSON, unless it is none, or has no end", () => {
  const spec = { a: [1, { b: null }] } satisfies Json;
  assert.deepEqual(decodeSpec({}, encodeSpec({}, spec)), spec);
  assert.deepEqual(decodeSpec({}, new Uint8Array()), {});
  const bytes = (text: string) => new TextEncoder().encode(text);
  const infinite = '{"a":1e999}';
  for (
    const text of [
      "[]",
      "null",
      "{",
      "1",
      infinite,
      `{"a":${"[".repeat(9_999)}${"]".repeat(9_999)}}`,
    ]
  ) {
    assert.throws(() => decodeSpec({}, bytes(text)));
  }
  assert.throws(() => decodeSpec({}, new Uint8Array([0x7b, 0xff, 0x7d])));
});
