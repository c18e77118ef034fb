import assert from "node:assert/strict";
import fc from "fast-check";
import { parseBody } from "./body.ts";
import { jsonMistakeAt } from "./json_position.ts";

Deno.test("parseBody() takes long JSON, but no YAML that would keep it busy for minutes", () => {
  const keys = Array.from({ length: 10_000 }, (_, i) => `key-${i}`);
  const bytes = (text: string) => new TextEncoder().encode(text);
  const json = JSON.stringify(Object.fromEntries(keys.map((key) => [key, "v"])));
  assert.ok(parseBody(bytes(json), "json").ok);
  const yaml = keys.map((key) => `${key}: v`).join("\n");
  assert.deepEqual(parseBody(bytes(yaml), "yaml"), {
    ok: false,
    error: "the body is YAML of more than 65536 characters: send it as JSON",
  });
  assert.ok(parseBody(bytes(yaml.slice(0, yaml.indexOf("key-2000"))), "yaml").ok);
});

Deno.test("jsonMistakeAt() points at the first character that cannot be", () => {
  const cases: readonly [string, number][] = [
    ['{"a": x}', 6],
    ["{} {}", 3],
    ["[1,]", 3],
    ["[1 2]", 3],
    ['{"a" 1}', 5],
    ["{1}", 1],
    ['{"a":1,}', 7],
    ["[}", 1],
    ['"a', 0],
    ["", 0],
    ["{", 1],
    ['{"a":[1,', 8],
    ["  ]", 2],
  ];
  for (const [text, at] of cases) assert.equal(jsonMistakeAt(text), at, text);
});

Deno.test("jsonMistakeAt() passes over a string once, however long and whether or not it ends", () => {
  for (const piece of ["a", "\\n", "a\\u00e9", "\\\\"]) {
    const text = `["${piece.repeat(100_000)}`;
    assert.equal(jsonMistakeAt(text), 1);
    assert.equal(jsonMistakeAt(`${text}"`), text.length + 1);
    assert.equal(jsonMistakeAt(`${text}\\x"]`), 1);
  }
});

Deno.test("parseBody() refuses a number that no number holds", () => {
  const error = "malformed body: a number must be finite, is Infinity";
  assert.deepEqual(parseBody(new TextEncoder().encode('{"a":[1e999]}'), "json"), {
    ok: false,
    error,
  });
});

Deno.test("jsonMistakeAt() agrees with the engine about what is JSON", () => {
  fc.assert(fc.property(fc.json(), fc.nat(), (text, cut) => {
    assert.equal(jsonMistakeAt(text), text.length);
    const part = text.slice(0, cut % (text.length + 1));
    assert.ok(jsonMistakeAt(part) <= part.length);
  }));
});
