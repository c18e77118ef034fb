// What is wrong with an input, as a list of paths and messages.

/** One thing to mend. `path` as users write it: `conf.split[1].weight`, `sources[0].match["kuma.io/service"]`. */
export interface Violation {
  readonly path: string;
  readonly message: string;
}

/** Something that is accepted, and that the writer should know all the same. */
export type Note = Violation;

/** The same violations, seen from one level further out. */
export function under(prefix: string, violations: readonly Violation[]): readonly Violation[] {
  return violations.map(({ path, message }) => ({
    path: path === "" ? prefix : path.startsWith("[") ? prefix + path : `${prefix}.${path}`,
    message,
  }));
}

export function renderViolation({ path, message }: Violation): string {
  return path === "" ? message : `${path}: ${message}`;
}

/** One line per violation, ready to print below the sentence that names the action. */
export function renderViolations(violations: readonly Violation[]): string {
  return violations.map((violation) => `  ${renderViolation(violation)}`).join("\n");
}
