// Invariants that would be bugs if they broke.

import { BugError } from "./errors.ts";

/** Ends the turn with a BugError unless the condition holds. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new BugError(message);
}

/** The end of a switch over a union: a new member is a compile error here. */
export function unreachable(value: never): never {
  throw new BugError(`Unreachable case: ${JSON.stringify(value)}`);
}
