// Words of the command line: kinds, durations, `key=value` pairs.

import { durationMs as parseDuration } from "../../core/duration.ts";
import type { ResourceDescriptor } from "../../core/resource.ts";
import { nearest } from "../../core/nearest.ts";
import { CommandError, EXIT } from "../output.ts";

/** The kind that a word means: its argument, its plural, or its type name in any case. */
export function kindOf(word: string, kinds: readonly ResourceDescriptor[]): ResourceDescriptor {
  const wanted = word.toLowerCase();
  const kind = kinds.find((one) => wordsOf(one).includes(wanted));
  if (kind && !kind.internal) return kind;
  const near = nearest(wanted, kinds.filter(({ internal }) => !internal).flatMap(wordsOf));
  throw new CommandError(
    `There is no type "${word}"${near ? `, did you mean "${near}"?` : "."} ` +
      `Types: ${typeList(kinds)}`,
    EXIT.usage,
  );
}

function wordsOf({ name, plural, alternativePlurals = [], args }: ResourceDescriptor): string[] {
  return [...args, plural, ...alternativePlurals, name.toLowerCase(), `${name.toLowerCase()}s`];
}

export function typeList(kinds: readonly ResourceDescriptor[]): string {
  return kinds.filter(({ internal }) => !internal).map(({ args, plural }) => args[0] ?? plural)
    .sort().join(", ");
}

/** Go's spelling: `30s`, `1m30s`, `500ms`. */
export function durationMs(given: string, option: string): number {
  const value = parseDuration(given);
  if (value !== null) return value;
  throw new CommandError(
    `${option} must be a duration such as 30s or 1m30s, is "${given}"`,
    EXIT.usage,
  );
}

export function pairs(given: readonly string[], option: string): ReadonlyMap<string, string> {
  return new Map(given.map((pair) => {
    const equals = pair.indexOf("=");
    if (equals > 0) return [pair.slice(0, equals), pair.slice(equals + 1)];
    throw new CommandError(`${option} must be key=value, is "${pair}"`, EXIT.usage);
  }));
}

export function revisionNumber(given: string): number {
  if (/^\d{1,15}$/.test(given)) return Number(given);
  throw new CommandError(`A revision is a whole number, not "${given}"`, EXIT.usage);
}
