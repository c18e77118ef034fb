// Mutations of JSON values: another value, key or place for some part of the whole.

import type { Dice } from "./fuzzer.ts";

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** What parsers and checks stumble over. */
const VALUES: readonly Json[] = [
  null,
  true,
  0,
  -1,
  1.5,
  1e21,
  2 ** 53,
  65_536,
  "",
  "*",
  "a",
  "0",
  "kuma.io/service",
  "\u0000",
  "\ud800",
  "__proto__",
  "constructor",
  "é\u202e",
  "x".repeat(300),
  [],
  {},
  [null],
  [[]],
  { "": null },
  // Its conversion to text throws.
  { toString: "" },
];
const KEYS = ["__proto__", "constructor", "toString", "", "type", "a.b", "\ud800", "kuma.io/zone"];

/** A place in a value: what holds it, and under which key. */
interface Place {
  readonly holder: Json[] | { [key: string]: Json };
  readonly key: string;
}

/** A mutated copy. `words`: values that mean something where this goes. */
export function mutateJson(value: unknown, dice: Dice, words: readonly unknown[] = []): unknown {
  // Parsed: a key __proto__ stays a key.
  const root: Json = JSON.parse(JSON.stringify({ root: value }));
  const places = placesOf(root);
  const { holder, key } = dice.pick(places);
  const other = dice.pick(places);
  const some = () =>
    clone((dice.oneIn(2) && words.length > 0 ? dice.pick(words) : dice.pick(VALUES)) as Json);
  switch (dice.below(8)) {
    case 0:
    case 1:
      put(holder, key, some());
      break;
    case 2:
      if (key !== "root") remove(holder, key);
      break;
    case 3:
      put(holder, key, clone(at(other)));
      break;
    case 4:
      add(at({ holder, key }), dice, some());
      break;
    case 5:
      rename(holder, key, dice);
      break;
    case 6:
      put(
        holder,
        key,
        dice.oneIn(2) ? [at({ holder, key })] : { [dice.pick(KEYS)]: at({ holder, key }) },
      );
      break;
    case 7:
      put(holder, key, twisted(at({ holder, key }), dice));
      break;
  }
  return (root as { root: Json }).root;
}

function placesOf(root: Json): readonly Place[] {
  const places: Place[] = [];
  const visit = (holder: Json) => {
    if (typeof holder !== "object" || holder === null) return;
    for (const key of Object.keys(holder)) {
      places.push({ holder, key });
      visit(at({ holder, key }));
    }
  };
  visit(root);
  return places;
}

function at({ holder, key }: Place): Json {
  return Object.getOwnPropertyDescriptor(holder, key)?.value ?? null;
}

function put(holder: Place["holder"], key: string, value: Json): void {
  Object.defineProperty(holder, key, {
    value,
    configurable: true,
    enumerable: true,
    writable: true,
  });
}

function remove(holder: Place["holder"], key: string): void {
  if (Array.isArray(holder)) holder.splice(Number(key), 1);
  else delete holder[key];
}

function add(target: Json, dice: Dice, value: Json): void {
  if (typeof target !== "object" || target === null) return;
  if (Array.isArray(target)) target.push(value);
  else put(target, dice.pick(KEYS), value);
}

function rename(holder: Place["holder"], key: string, dice: Dice): void {
  if (Array.isArray(holder) || key === "root") return;
  const value = at({ holder, key });
  remove(holder, key);
  const snake = key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  put(
    holder,
    dice.pick([snake, key.toUpperCase(), `${key}s`, key.slice(1), dice.pick(KEYS)]),
    value,
  );
}

/** The same in another type, or a bit beside. */
function twisted(value: Json, dice: Dice): Json {
  if (typeof value === "number") {
    return dice.pick([value + 1, -value, `${value}`, value + 0.5, value * 2 ** 32]);
  }
  if (typeof value === "string") {
    return dice.pick([
      value.toUpperCase(),
      `${value} `,
      value + value,
      value.slice(1),
      [value],
      `.${value}`,
    ]);
  }
  if (Array.isArray(value)) return dice.oneIn(2) ? [...value, ...value] : { ...value };
  return dice.pick<Json>([JSON.stringify(value), 0, [value]]);
}

function clone(value: Json): Json {
  return typeof value === "object" && value !== null ? JSON.parse(JSON.stringify(value)) : value;
}

/** How many values it holds, itself included; up to a number. */
export function sizeOf(value: unknown, most: number): number {
  let size = 0;
  const waiting = [value];
  while (waiting.length > 0 && size <= most) {
    const next = waiting.pop();
    size++;
    if (typeof next === "object" && next !== null) waiting.push(...Object.values(next));
  }
  return size;
}

/** Throws when anything in it is no JSON: what is put into a store must come out as it was. */
export function assertJson(value: unknown): void {
  switch (typeof value) {
    case "boolean":
    case "string":
      return;
    case "number":
      if (Number.isFinite(value)) return;
      break;
    case "object":
      if (value === null) return;
      if (Array.isArray(value)) {
        for (const item of value) assertJson(item);
        return;
      }
      if (Object.getPrototypeOf(value) === Object.prototype) {
        for (const item of Object.values(value)) assertJson(item);
        return;
      }
  }
  throw new Error(`this is no JSON: ${Object.prototype.toString.call(value)} ${String(value)}`);
}
