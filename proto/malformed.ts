// What is wrong with an input of a codec, and where.

/** Grows its path on the way out, so that the way in costs nothing. */
export class MalformedError extends TypeError {
  override readonly name = "MalformedError";
  readonly path: string;
  readonly reason: string;
  constructor(path: string, reason: string) {
    super(path === "" ? reason : `${path}: ${reason}`);
    this.path = path;
    this.reason = reason;
  }
}

export function malformed(reason: string): MalformedError {
  return new MalformedError("", reason);
}

/** The same error as seen from the outside of `segment`, which is `name`, `[0]` or `["key"]`. */
export function within(segment: string, error: unknown): unknown {
  if (!(error instanceof MalformedError)) return error;
  const { path, reason } = error;
  const join = path === "" || path.startsWith("[") ? "" : ".";
  return new MalformedError(`${segment}${join}${path}`, reason);
}
