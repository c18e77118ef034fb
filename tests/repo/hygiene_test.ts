import assert from "node:assert/strict";
import { read, textFiles } from "./files.ts";

/** Spelt so that this file does not trip over itself. */
const UNWANTED: readonly [RegExp, string][] = [
  [/\b(TO[D]O|FIX[M]E|X[X]X)\b/, "unfinished work belongs into an issue"],
  [/\bDeno\.test\.(only|ignore)\b|\bignore: true\b.*Deno\.test/, "every test runs"],
  [/--allow-al[l]\b|\bdeno run -A\b|\bargs: \["(run|test)", "-A"/, "name the permissions"],
  [/[ \t]+$/m, "trailing space"],
  [/\r/, "carriage return"],
];

Deno.test("no file has what nobody wants to find", async () => {
  const found: string[] = [];
  for (const file of await textFiles()) {
    if (/\.gen\.|\.lock$/.test(file)) continue;
    const text = await read(file);
    for (const [pattern, why] of UNWANTED) {
      const match = pattern.exec(text);
      if (!match) continue;
      const line = text.slice(0, match.index).split("\n").length;
      found.push(`${file}:${line}: ${JSON.stringify(match[0])}: ${why}`);
    }
    if (text !== "" && !text.endsWith("\n")) found.push(`${file}: no newline at its end`);
  }
  assert.deepEqual(found, []);
});

Deno.test("file names say what is inside", async () => {
  const drawers = /(^|\/)(utils?|helpers?|common|misc|types|index)\.ts$/;
  const files = (await textFiles()).filter((file) => file.endsWith(".ts"));
  assert.deepEqual(files.filter((file) => drawers.test(file) || !/^[a-z0-9_./]+$/.test(file)), []);
});

Deno.test("every source file says in its first line what lives there", async () => {
  const silent: string[] = [];
  for (const file of await textFiles()) {
    if (!file.endsWith(".ts") || file.endsWith("_test.ts")) continue;
    if (!/^(\/\/ |\/\*\*)/.test(await read(file))) silent.push(file);
  }
  assert.deepEqual(silent, []);
});
