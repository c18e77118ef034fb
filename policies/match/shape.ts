// Readers of unknown input that collect violations instead of throwing.

import { isObject } from "../../core/json.ts";
import type { Violation } from "../../core/violation.ts";

export type Fields = Readonly<Record<string, unknown>>;

export class Findings {
  readonly violations: Violation[] = [];

  add(path: string, message: string): void {
    this.violations.push({ path, message });
  }

  /** The value as an object; undefined when it is none. A peer may know more fields than we do. */
  object(value: unknown, path: string): Fields | undefined {
    if (isObject(value)) return value;
    this.add(path, value === undefined ? "must be set" : "must be an object");
    return undefined;
  }

  list(value: unknown, path: string): readonly unknown[] {
    if (value === undefined) return [];
    if (Array.isArray(value)) return value;
    this.add(path, "must be a list");
    return [];
  }

  text(value: unknown, path: string): string | undefined {
    if (typeof value === "string" && value !== "") return value;
    this.add(path, value === undefined || value === "" ? "must not be empty" : "must be a string");
    return undefined;
  }

  /** A whole number in a range, as a JSON number or its decimal text. */
  integer(
    value: unknown,
    path: string,
    { min, max }: { readonly min: number; readonly max: number },
  ): number | undefined {
    const number = typeof value === "string" && /^\d+$/.test(value) ? Number(value) : value;
    if (
      typeof number === "number" && Number.isInteger(number) && number >= min && number <= max
    ) return number;
    this.add(
      path,
      value === undefined
        ? "must be set"
        : `must be a whole number from ${min} to ${max}, is ${JSON.stringify(value)}`,
    );
    return undefined;
  }
}
