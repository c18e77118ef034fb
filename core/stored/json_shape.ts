// Words for specs that are plain JSON: names have one spelling, whole numbers are numbers, and null is
// a value like any other.

import { isObject, textOf } from "../json.ts";
import {
  type Check,
  type Fields,
  list,
  matching,
  object,
  type Report,
  type Shape,
  show,
  text,
} from "../shape.ts";

export function record(checks: Readonly<Record<string, Check>>, shape: Shape = {}): Check {
  return object(checks, { ...shape, exact: true });
}

export function whole(
  { min = 0, max = 2 ** 31 - 1 }: { readonly min?: number; readonly max?: number } = {},
): Check {
  return (value, path, report) => {
    if (!Number.isInteger(value) || (value as number) < min || (value as number) > max) {
      report(path, `must be a whole number from ${min} to ${max}, is ${show(value)}`);
    }
  };
}

export function oneOf(names: readonly string[]): Check {
  return (value, path, report) => {
    if (typeof value !== "string" || !names.includes(value)) {
      const wanted = names.length === 1 ? names[0] : `one of ${names.join(", ")}`;
      report(path, `must be ${wanted}, is ${show(value)}`);
    }
  };
}

export const portNumber: Check = whole({ min: 1, max: 65_535 });

/** A whole number, or a decimal one in a string. */
export function ratio(min: number, max: number): Check {
  return (value, path, report) => {
    const number = typeof value === "string" && /^[+-]?(\d+\.?\d*|\.\d+)$/.test(value)
      ? Number(value)
      : value;
    const isRight = typeof number === "number" &&
      (typeof value === "string" || Number.isInteger(value));
    if (!isRight || number < min || number > max) {
      const range = max === Infinity ? `${min} or more` : `from ${min} to ${max}`;
      report(path, `must be a number ${range}, decimals in a string; is ${show(value)}`);
    }
  };
}

export const percent: Check = ratio(0, 100);

/** One field for each type, which must be there. */
export function tagged(
  types: Readonly<Record<string, string>>,
): (fields: Fields, path: string, report: Report) => void {
  return (fields, path, report) => {
    const type = textOf(fields["type"]);
    const name = Object.hasOwn(types, type) ? types[type] : undefined;
    if (name !== undefined && fields[name] === undefined) {
      report(`${path}.${name}`, "must be defined");
    }
  };
}

export const strings: Check = list(text);

const HEADER_NAME = matching(/^[a-z0-9!#$%&'*+\-.^_`|~]{1,256}$/, "a header name in lower case");

export const header: Check = record({ name: HEADER_NAME, value: text }, {
  required: ["name", "value"],
});

const HEADERS_MAX = 16;

/** At most so many as Kuma takes. */
export function few(check: Check): Check {
  return (value, path, report) => {
    list(check)(value, path, report);
    if (Array.isArray(value) && value.length > HEADERS_MAX) {
      report(path, `must have ${HEADERS_MAX} elements at most, has ${value.length}`);
    }
  };
}

export const headerEdits: Check = record({ set: few(header), add: few(header) });

const HEADER_MATCH = ["Exact", "Present", "RegularExpression", "Absent", "Prefix"];

export const headerMatch: Check = record({
  type: oneOf(HEADER_MATCH),
  name: HEADER_NAME,
  value: text,
}, {
  required: ["name"],
  also({ type, value }, path, report) {
    if ((type === "Present" || type === "Absent") && value) {
      report(`${path}.value`, "must not be defined");
    }
  },
});

export const headerName: Check = HEADER_NAME;

export function anything(): void {}

export function lengthOf(value: unknown): number {
  return Array.isArray(value) ? value.length : 0;
}

export function kindOf(targetRef: unknown): string {
  return isObject(targetRef) && typeof targetRef["kind"] === "string" ? targetRef["kind"] : "";
}
