// What an object from outside must look like: checks that report everything wrong, and never throw.

import { isIp, isUnspecified } from "./address.ts";
import { VIOLATIONS_MAX } from "./limits.ts";
import { nearest } from "./nearest.ts";
import { SERVICE_TAG, TAG_NAME, TAG_VALUE } from "./tags.ts";
import type { Note, Violation } from "./violation.ts";
import type { ResourceDescriptor } from "./resource.ts";
import { isObject } from "./json.ts";

/** Called with what is wrong. */
export interface Report {
  (path: string, message: string): void;
  /** What is accepted, and yet worth a word. */
  readonly note: (path: string, message: string) => void;
}

/** Looks at a value that is there. */
export type Check = (value: unknown, path: string, report: Report) => void;

export type Fields = Readonly<Record<string, unknown>>;

/** All violations at once, up to a bound: nobody reads the ten-thousandth. */
export function violationsOf(check: Check, value: unknown): readonly Violation[] {
  return findingsOf(check, value).violations;
}

/** What a descriptor says of its specs, by one check. */
export function checkedBy(check: Check): Pick<ResourceDescriptor, "validate" | "notes"> {
  return {
    validate: (spec) => findingsOf(check, spec).violations,
    notes: (spec) => findingsOf(check, spec).notes,
  };
}

function findingsOf(check: Check, value: unknown) {
  const violations: Violation[] = [];
  const notes: Note[] = [];
  const addTo = (findings: Violation[]) => (path: string, message: string) => {
    if (findings.length < VIOLATIONS_MAX) findings.push({ path, message });
  };
  check(value, "", Object.assign(addTo(violations), { note: addTo(notes) }));
  return { violations, notes };
}

/** proto3 JSON: null says no more than absence. */
export function isAbsent(value: unknown): value is null | undefined {
  return value === undefined || value === null;
}

export function join(path: string, name: string): string {
  return path === "" ? name : `${path}.${name}`;
}

export function keyed(path: string, key: string): string {
  return `${path}["${key}"]`;
}

/** How a value is shown in a message: never more than a line of it. */
export function show(value: unknown): string {
  if (typeof value === "object" && value !== null) {
    return Array.isArray(value) ? "a list" : "an object";
  }
  const text = typeof value === "string" ? JSON.stringify(value) : String(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

export interface Shape {
  readonly required?: readonly string[];
  /** JSON that was never protobuf has one spelling of each name. */
  readonly exact?: true;
  /** Looks at the whole, after its fields; only at an object. */
  readonly also?: (fields: Fields, path: string, report: Report) => void;
}

/**
 * An object of these fields; names may be in lowerCamelCase or snake_case. Others may come from a
 * peer that knows more, and so are no violation.
 */
export function object(
  checks: Readonly<Record<string, Check>>,
  { required = [], exact, also }: Shape = {},
): Check {
  const known = new Map(Object.entries(checks));
  return (value, path, report) => {
    if (!isObject(value)) return report(path, `must be an object, is ${show(value)}`);
    const fields: Record<string, unknown> = {};
    for (const [written, inner] of Object.entries(value)) {
      const name = exact ? written : camelCase(written);
      const check = known.get(name);
      if (!check) report.note(join(path, written), unknownField(written, known.keys()));
      else if (exact ? inner !== undefined : !isAbsent(inner)) {
        fields[name] = inner;
        check(inner, join(path, written), report);
      }
    }
    for (const name of required) {
      if (fields[name] === undefined) report(join(path, name), "must be set");
    }
    also?.(fields, path, report);
  };
}

function camelCase(name: string): string {
  return name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

/** What is said of a field that nobody here reads. */
export function unknownField(name: string, known: Iterable<string>): string {
  const near = nearest(name, known);
  const what = "no such field is known here: it is kept, and has no effect";
  return near === undefined ? what : `${what}; did you mean ${near}?`;
}

export function list(check: Check): Check {
  return (value, path, report) => {
    if (!Array.isArray(value)) return report(path, `must be a list, is ${show(value)}`);
    value.forEach((item, index) => check(item, `${path}[${index}]`, report));
  };
}

export function nonEmptyList(check: Check): Check {
  return (value, path, report) => {
    if (Array.isArray(value) && value.length === 0) report(path, "must have at least one element");
    else list(check)(value, path, report);
  };
}

/** Names of any spelling, and each value by the same check. */
export function map(check: Check): Check {
  return (value, path, report) => {
    if (!isObject(value)) return report(path, `must be an object, is ${show(value)}`);
    for (const [name, inner] of Object.entries(value)) check(inner, keyed(path, name), report);
  };
}

/** What is wrong when none of these fields is set. */
export function oneSet(names: readonly string[], message?: string): NonNullable<Shape["also"]> {
  return (fields, path, report) => {
    if (names.every((name) => fields[name] === undefined)) {
      report(path, message ?? `must have one of ${names.join(", ")}`);
    }
  };
}

/** What is wrong when none of these fields is set, or more than one. */
export function onlyOneSet(names: readonly string[]): NonNullable<Shape["also"]> {
  return (fields, path, report) => {
    const set = names.filter((name) => fields[name] !== undefined);
    if (set.length !== 1) report(path, `must have exactly one of ${names.join(", ")}`);
  };
}

/** All of these, in this order. */
export function all(...checks: readonly Check[]): Check {
  return (value, path, report) => checks.forEach((check) => check(value, path, report));
}

/**
 * What users may write, and the protocol carries, but nothing here acts on yet. Where being there
 * says something, `evenEmpty` notes it also without content.
 */
export function noEffect(why: string, { evenEmpty = false } = {}): Check {
  return (value, path, report) => {
    if (evenEmpty || !isEmpty(value)) report.note(path, `has no effect yet: ${why}`);
  };
}

/** As `noEffect`, and what there is must have its shape all the same. */
export function kept(why: string, check: Check): Check {
  return all(noEffect(why), check);
}

/**
 * What nothing here acts on yet, and what its writer relies on: to take it and do nothing would be
 * dangerous (docs/adr/0009). `evenEmpty` as with `noEffect`.
 */
export function refuse(why: string, { evenEmpty = false } = {}): Check {
  return (value, path, report) => {
    if (evenEmpty || !isEmpty(value)) {
      report(path, `has no effect yet and must be left out: ${why}`);
    }
  };
}

/** Whether it says nothing that absence would not: some peers write defaults out. */
function isEmpty(value: unknown, depth = 0): boolean {
  if (isAbsent(value) || value === false || value === 0 || value === "") return true;
  if (typeof value !== "object" || depth > 2) return false;
  return Object.values(value).every((inner) => isEmpty(inner, depth + 1));
}

export const bool: Check = (value, path, report) => {
  if (typeof value !== "boolean") report(path, `must be true or false, is ${show(value)}`);
};

export const text: Check = (value, path, report) => {
  if (typeof value !== "string") report(path, `must be a string, is ${show(value)}`);
};

export const nonEmptyText: Check = (value, path, report) => {
  if (typeof value !== "string") report(path, `must be a string, is ${show(value)}`);
  else if (value === "") report(path, "must not be empty");
};

/** A whole number, as a number or in decimal digits: proto3 JSON takes both. */
export function integer(
  { min, max = 2 ** 32 - 1 }: { readonly min: number; readonly max?: number },
): Check {
  return (value, path, report) => {
    const number = integerOf(value);
    if (number === undefined || number < min || number > max) {
      report(path, `must be a whole number from ${min} to ${max}, is ${show(value)}`);
    }
  };
}

export function integerOf(value: unknown): number | undefined {
  const number = typeof value === "string" && /^\d{1,15}$/.test(value) ? Number(value) : value;
  return typeof number === "number" && Number.isInteger(number) ? number : undefined;
}

export const port: Check = integer({ min: 1, max: 65_535 });

/** A port, or 0 for what is not set. */
export const optionalPort: Check = integer({ min: 0, max: 65_535 });

/** A number with or without decimals; proto3 JSON takes its text too. */
export function decimal(
  { min = -Infinity, max = Infinity }: { readonly min?: number; readonly max?: number } = {},
): Check {
  return (value, path, report) => {
    const number = typeof value === "string" && /^-?\d+(\.\d+)?$/.test(value)
      ? Number(value)
      : value;
    if (typeof number !== "number" || !(number >= min && number <= max)) {
      const range = max === Infinity ? "" : ` from ${min} to ${max}`;
      report(path, `must be a number${range}, is ${show(value)}`);
    }
  };
}

export const percentage: Check = decimal({ min: 0, max: 100 });

export function matching(pattern: RegExp, what: string): Check {
  return (value, path, report) => {
    if (typeof value !== "string" || !pattern.test(value)) {
      report(path, `must be ${what}, is ${show(value)}`);
    }
  };
}

/** A length of time, as proto3 JSON or Go writes it. */
export const duration: Check = matching(
  /^(0|(\d+(\.\d*)?(ns|us|µs|ms|s|m|h))+)$/,
  "a duration such as 5s",
);

/** A length of time that is more than none, as proto3 JSON or Go writes it. */
export const positiveDuration: Check = (value, path, report) => {
  const isDuration = typeof value === "string" && /^(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$/.test(value);
  if (!isDuration || !/[1-9]/.test(value)) {
    report(path, `must be a duration such as 5s, and more than none, is ${show(value)}`);
  }
};

/** Names in the order of their numbers: proto3 JSON takes both. */
export function oneOf(
  names: readonly string[],
  refused: Readonly<Record<string, string>> = {},
): Check {
  const allowed = names.filter((name) => !Object.hasOwn(refused, name));
  return (value, path, report) => {
    const name = typeof value === "number" ? names[value] : value;
    if (typeof name !== "string" || !names.includes(name)) {
      const wanted = allowed.length === 1 ? allowed[0] : `one of ${allowed.join(", ")}`;
      report(path, `must be ${wanted}, is ${show(value)}`);
    } else if (Object.hasOwn(refused, name)) {
      report(path, `must not be ${name}: ${refused[name]}`);
    }
  };
}

/** An address of one host, by number: names are not resolved. */
export const hostIp: Check = (value, path, report) => {
  if (typeof value !== "string" || !isIp(value)) {
    report(path, `must be an IP address (host names are not resolved yet), is ${show(value)}`);
  } else if (isUnspecified(value)) {
    report(path, `must be the address of one host, is ${show(value)}`);
  }
};

/** An address to listen on, or "" for what is not set. */
export const listenIp: Check = (value, path, report) => {
  if (value !== "" && (typeof value !== "string" || !isIp(value))) {
    report(path, `must be an IP address, is ${show(value)}`);
  }
};

/** Tags of something that exists, and so of no wildcard. kuma@v2.13.10:pkg/core/resources/apis/mesh/validators.go. */
export const tags: Check = (value, path, report) => {
  if (!isObject(value)) return report(path, `must be an object of tags, is ${show(value)}`);
  for (const [name, tag] of Object.entries(value)) {
    const at = keyed(path, name);
    if (!TAG_NAME.test(name)) {
      report(at, "must have a name of letters, digits, and . - _ : / only");
    }
    if (typeof tag !== "string" || !TAG_VALUE.test(tag)) {
      report(at, `must be letters, digits, and . - _ : only, is ${show(tag)}`);
    }
  }
};

export const serviceTags: Check = (value, path, report) => {
  tags(value, path, report);
  if (isObject(value) && !Object.hasOwn(value, SERVICE_TAG)) {
    report(keyed(path, SERVICE_TAG), "must be set");
  }
};
