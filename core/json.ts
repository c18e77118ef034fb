// Small words about JSON values of unknown shape.

import type { Json, JsonObject } from "./resource.ts";

/** For input from outside: an object, and neither null nor a list. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The value if it is an object; what is missing or something else is an empty one. */
export function objectOf(value: unknown): JsonObject {
  return isObject(value) ? value : {};
}

/** The value if it is a text; what is missing or something else is an empty one. */
export function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/**
 * A text, number or truth value as text; what is missing or something else is an empty one: the
 * conversion of an object from outside may throw.
 */
export function wordOf(value: unknown): string {
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean"
    ? String(value)
    : "";
}

/** The value if it is a list; what is missing or something else is an empty one. */
export function listOf(value: unknown): readonly Json[] {
  return Array.isArray(value) ? value : [];
}

/** The objects of a list; what is missing or something else is passed over. */
export function objectsOf(value: unknown): readonly JsonObject[] {
  return listOf(value).filter(isObject);
}

/** Whether it nests further than so many levels: input from outside may go as deep as it likes. */
export function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  return levels === 0 || Object.values(value).some((inner) => isDeeper(inner, levels - 1));
}

/** Equality, whatever the order of keys; a field that is undefined is an absent one. */
export function sameJson(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a) || Array.isArray(b)) {
    return Array.isArray(a) && Array.isArray(b) && a.length === b.length &&
      a.every((item, index) => sameJson(item, b[index]));
  }
  const left = a as Record<string, unknown>;
  const right = b as Record<string, unknown>;
  for (const key in left) if (!sameJson(left[key], right[key])) return false;
  for (const key in right) if (right[key] !== undefined && left[key] === undefined) return false;
  return true;
}

/**
 * Why it could not be written as JSON and read again as the same; null when it could. Parsers make
 * more than JSON has: infinities, dates, what contains itself.
 */
export function whyNoJson(value: unknown): string | null {
  const done = new Set<object>();
  const around = new Set<object>();
  // Values to look at, and objects to leave again: no recursion, for it may be deep.
  const waiting: (readonly [unknown, leave?: true])[] = [[value]];
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    const [item, leave] = next;
    if (typeof item === "number" && !Number.isFinite(item)) {
      return `a number must be finite, is ${item}`;
    }
    if (typeof item !== "object" || item === null) continue;
    if (leave) {
      around.delete(item);
      done.add(item);
      continue;
    }
    if (around.has(item)) return "something refers to itself";
    if (done.has(item)) continue;
    if (!Array.isArray(item) && Object.getPrototypeOf(item) !== Object.prototype) {
      const kind = Object.prototype.toString.call(item).slice("[object ".length, -1);
      return `a ${kind} is neither text, number, list nor mapping: put it in quotes`;
    }
    around.add(item);
    waiting.push([item, true]);
    for (const inner of Object.values(item)) waiting.push([inner]);
  }
  return null;
}
