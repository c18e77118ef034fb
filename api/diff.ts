// What differs between two JSON values, as steps from one to the other.

import { isObject } from "../core/json.ts";
import type { Json, JsonObject } from "../core/resource.ts";

/** A JSON Patch step (RFC 6902) that also tells what was there before. */
export interface Difference {
  readonly op: "add" | "remove" | "replace";
  /** JSON pointer. */
  readonly path: string;
  readonly before?: Json;
  readonly value?: Json;
}

export function diff(before: Json, after: Json, path = ""): readonly Difference[] {
  if (before === after) return [];
  if (Array.isArray(before) && Array.isArray(after)) {
    const shared = diffFields(byIndex(before.slice(0, after.length)), byIndex(after), path);
    // The last one goes first: what comes after a removed item moves.
    const gone = before.slice(after.length).map((item, index) => ({
      op: "remove" as const,
      path: `${path}/${after.length + index}`,
      before: item as Json,
    }));
    return [...shared, ...gone.reverse()];
  }
  if (isObject(before) && isObject(after)) return diffFields(before, after, path);
  return [{ op: "replace", path, before, value: after }];
}

function diffFields(before: JsonObject, after: JsonObject, path: string): readonly Difference[] {
  const steps: Difference[] = [];
  for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const at = `${path}/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`;
    const [old, now] = [before[key], after[key]];
    if (old === undefined && now !== undefined) steps.push({ op: "add", path: at, value: now });
    else if (now === undefined && old !== undefined) {
      steps.push({ op: "remove", path: at, before: old });
    } else if (old !== undefined && now !== undefined) steps.push(...diff(old, now, at));
  }
  return steps;
}

function byIndex(list: readonly Json[]): JsonObject {
  return Object.fromEntries(list.map((item, index) => [String(index), item]));
}
