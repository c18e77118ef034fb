// The domain errors, and the one that means a bug. Edges translate them in one table each.

import { renderViolations, type Violation } from "./violation.ts";

/** The input cannot be accepted; every violation is listed. */
export class InvalidError extends TypeError {
  override readonly name = "InvalidError";
  readonly violations: readonly Violation[];
  constructor(message: string, violations: readonly Violation[] = []) {
    const count = violations.length;
    super(
      count === 0
        ? message
        : `${message}: ${count} violation${count === 1 ? "" : "s"}\n${
          renderViolations(violations)
        }`,
    );
    this.violations = violations;
  }
}

/** Not now: trying again may help. */
export class UnavailableError extends Error {
  override readonly name = "UnavailableError";
  readonly retryAfterMs: number;
  constructor(message: string, retryAfterMs: number) {
    super(message);
    this.retryAfterMs = retryAfterMs;
  }
}

/** An invariant does not hold. Only the kernel catches it: the actor restarts. */
export class BugError extends Error {
  override readonly name = "BugError";
}
