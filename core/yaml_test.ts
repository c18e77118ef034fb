import assert from "node:assert/strict";
import { parseYaml } from "./yaml.ts";

Deno.test("parseYaml() says what is wrong, and where", () => {
  const cases: readonly (readonly [string, RegExp, number | null])[] = [
    ["a: 1\nb: [", /must end with a \]|Flow sequence/, 9],
    ["a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\n", /the key "c" is there more than once/, 24],
    ["{a: 1, a: 2}", /the key "a"/, 7],
    ['1: a\n"1": b\n', /the key "1"/, 5],
    ["- {a: 1}\n- {b: {c: 1, c: 2}}\n", /the key "c"/, 22],
    ["a: 1\n---\nb: 2\n", /multiple documents/, 5],
    ["a: *b\n", /alias/i, null],
    ["? [a]\n: b\n", /a key must be text/, 2],
    ["a: &x b\nb: 1\n*x : 2\n", /a key must be text/, null],
    ["a: &x [*x]\n", /refers to itself/, null],
    ["a: .nan\n", /finite, is NaN/, null],
    ["a: 1e999\n", /finite, is Infinity/, null],
    ["a: !!binary aGVsbG8=\n", /a Uint8Array is neither text/, null],
    ["%YAML 1.1\n---\na: 2001-01-01\n", /a Date is neither text.*put it in quotes/, null],
    ["a: &a [x,x,x]\n".concat("b: [", "*a,".repeat(200), "]\n"), /alias count/, null],
    ["[".repeat(60_000), /./, null],
  ];
  for (const [text, message, at] of cases) {
    const parsed = parseYaml(text);
    assert(!parsed.ok, text.slice(0, 80));
    assert.match(parsed.message, message);
    if (at !== null) assert.equal(parsed.at, at, text);
  }
});

Deno.test("parseYaml() takes every kind of line break, also alone", () => {
  for (const text of ["a: 1\nb: 2\n", "a: 1\r\nb: 2\r\n", "a: 1\rb: 2\r", "\r{a: 1,\rb: 2}\r"]) {
    assert.deepEqual(parseYaml(text), { ok: true, value: { a: 1, b: 2 } }, JSON.stringify(text));
  }
});

Deno.test("parseYaml() takes what has many keys, and equal ones in different mappings", () => {
  const names = Array.from({ length: 9_000 }, (_, i) => `k${i}`);
  for (const text of [`{${names.join(",")}}`, names.map((name) => `${name}:`).join("\n")]) {
    const parsed = parseYaml(text);
    assert.equal(parsed.ok && Object.keys(parsed.value as object).length, names.length);
  }
  const twins = parseYaml("a: {x: 1}\nb: {x: &x 1}\nc: *x\n");
  assert.deepEqual(twins, { ok: true, value: { a: { x: 1 }, b: { x: 1 }, c: 1 } });
});
