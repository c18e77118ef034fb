// How refusals read: the error body that Kuma's tools parse, and the plain ones of unknown routes.

import type { Violation } from "../core/violation.ts";
import { type ApiAnswer, json, text } from "./exchange.ts";
import type { WriteAnswer } from "./ports.ts";

export interface Problem {
  readonly status: number;
  readonly title: string;
  readonly detail: string;
  readonly violations?: readonly Violation[];
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * `details` and `causes` repeat the rest under the names that kumactl reads.
 * kuma@v2.13.10:pkg/core/rest/errors/types/errors.go.
 */
export function problem(
  { status, title, detail, violations = [], headers = {} }: Problem,
): ApiAnswer {
  const listed = violations.length > 0;
  return json({
    type: "/std-errors",
    status,
    title,
    detail,
    ...(listed && {
      invalid_parameters: violations.map(({ path, message }) => ({ field: path, reason: message })),
    }),
    details: detail,
    ...(listed && {
      causes: violations.map(({ path, message }) => ({ field: path, message })),
    }),
  }, { status, headers });
}

export function badRequest(detail: string): ApiAnswer {
  return problem({ status: 400, title: "Bad Request", detail });
}

export function invalid(title: string, violations: readonly Violation[]): ApiAnswer {
  return problem({ status: 400, title, detail: "Resource is not valid", violations });
}

export function notFound(title: string, violations: readonly Violation[] = []): ApiAnswer {
  return problem({ status: 404, title, detail: "Not found", violations });
}

export function meshNotFound(mesh: string): ApiAnswer {
  const message = `mesh of name ${mesh} is not found`;
  return notFound("Failed to retrieve Mesh", [{ path: "mesh", message }]);
}

export function notAllowed(detail: string): ApiAnswer {
  return problem({ status: 405, title: "Method not allowed", detail });
}

/** Kuma answers unknown routes in plain text, and kuma-dp compares this one. */
export const PAGE_NOT_FOUND = text("404: Page Not Found", 404);

export const NOT_ACCEPTABLE = text(
  "406: Not Acceptable\n\nAvailable representations: application/json",
  406,
);

export function wrongMethod(allowed: string): ApiAnswer {
  const plain = text("405: Method Not Allowed", 405);
  return { ...plain, headers: { ...plain.headers, allow: allowed } };
}

/** What a failed write reads like; `title` names what was tried. */
export function writeProblem(title: string, result: WriteAnswer & { ok: false }): ApiAnswer {
  switch (result.reason) {
    case "conflict":
      return problem({
        status: 409,
        title: "Conflict",
        detail: `somebody else changed it: expected version ${result.expected}, ` +
          `found ${result.actual}; read it again and repeat the change`,
      });
    case "invalid":
      return invalid(title, result.violations);
    case "unavailable":
      return problem({
        status: 503,
        title: "Service unavailable",
        detail: result.error,
        headers: { "retry-after": "1" },
      });
  }
}
