// `/tokens/…`: tokens that this control plane issues.

import { durationMs } from "../core/duration.ts";
import { isObject } from "../core/json.ts";
import type { JsonObject } from "../core/resource.ts";
import { integerOf, isAbsent, show } from "../core/shape.ts";
import { PROXY_TYPES, type TokenKind, type TokenOrder } from "../core/token.ts";
import type { Violation } from "../core/violation.ts";
import { type Action, refuse } from "./access.ts";
import { answer, type ApiAnswer, type ApiOutcome, text } from "./exchange.ts";
import type { IssueAnswer } from "./ports.ts";
import { badRequest, invalid, problem } from "./problem.ts";
import type { Call, Route } from "./route.ts";

const KINDS: readonly TokenKind[] = ["dataplane", "zone", "user"];

export const TOKEN_ROUTES: readonly Route[] = KINDS.map((kind) => ({
  method: "POST",
  path: `/tokens/${kind}`,
  handler: (call) => issue(kind, call),
}));

const ACTIONS: Readonly<Record<TokenKind, Action>> = {
  dataplane: "generateDpToken",
  zone: "generateZoneToken",
  user: "generateUserToken",
};

const NOT_ISSUED = "Could not issue a token";

function issue(kind: TokenKind, call: Call): ApiOutcome {
  const denied = refuse(ACTIONS[kind], `generate ${kind} tokens`, call);
  if (denied) return answer(denied);
  const body = bodyOf(call.request.body);
  if (typeof body === "string") return answer(badRequest(body));
  const fields = new TokenFields(body);
  const order = ORDERS[kind](fields);
  if (fields.violations.length > 0) return answer(invalid("Invalid request", fields.violations));
  return { do: "issue_token", order, by: call.request.user.name, then: issued };
}

function issued(result: IssueAnswer): ApiAnswer {
  if (result.ok) return text(result.token);
  const { message: detail } = result;
  switch (result.reason) {
    case "disabled":
      return problem({ status: 400, title: NOT_ISSUED, detail });
    case "no_key":
      return problem({ status: 404, title: "Signing Key not found", detail });
    case "broken_key":
      return problem({ status: 500, title: NOT_ISSUED, detail });
  }
}

/** kuma@v2.13.10:pkg/tokens/builtin/server/webservice.go: who says nothing gets ten years. */
const VALID_FOR_DEFAULT_MS = 10 * 365 * 24 * 3_600_000;

const ORDERS: Readonly<Record<TokenKind, (fields: TokenFields) => TokenOrder>> = {
  dataplane: (fields) => ({
    kind: "dataplane",
    claims: {
      name: fields.text("name"),
      mesh: fields.required("mesh"),
      tags: fields.textLists("tags"),
      type: fields.oneOf("type", PROXY_TYPES),
      workload: fields.text("workload"),
    },
    validForMs: fields.duration("validFor") ?? VALID_FOR_DEFAULT_MS,
  }),
  zone: (fields) => ({
    kind: "zone",
    claims: { zone: fields.text("zone"), scope: fields.requiredTexts("scope") },
    validForMs: fields.duration("validFor") ?? VALID_FOR_DEFAULT_MS,
  }),
  user: (fields) => {
    fields.required("validFor");
    return {
      kind: "user",
      claims: { name: fields.required("name"), groups: fields.texts("groups") },
      validForMs: fields.duration("validFor") ?? 0,
    };
  },
};

/** Reads a request's fields, and keeps what is wrong with them. */
class TokenFields {
  readonly violations: Violation[] = [];
  readonly #body: JsonObject;

  constructor(body: JsonObject) {
    this.#body = body;
  }

  text(name: string): string {
    const value = this.#body[name];
    if (isAbsent(value)) return "";
    if (typeof value === "string") return value;
    this.#wrong(name, `must be a string, is ${show(value)}`);
    return "";
  }

  required(name: string): string {
    const value = this.text(name);
    if (value === "" && !this.violations.some(({ path }) => path === name)) {
      this.#wrong(name, "cannot be empty");
    }
    return value;
  }

  oneOf(name: string, words: readonly string[]): string {
    const value = this.text(name);
    if (value !== "" && !words.includes(value)) {
      this.#wrong(name, `must be one of ${words.join(", ")}, is ${show(value)}`);
    }
    return value;
  }

  texts(name: string): readonly string[] {
    return this.#textList(name, this.#body[name]);
  }

  requiredTexts(name: string): readonly string[] {
    if (isAbsent(this.#body[name])) this.#wrong(name, "cannot be empty");
    return this.texts(name);
  }

  textLists(name: string): Readonly<Record<string, readonly string[]>> {
    const value = this.#body[name];
    if (isAbsent(value)) return {};
    if (!isObject(value)) {
      this.#wrong(name, `must be an object of lists, is ${show(value)}`);
      return {};
    }
    return Object.fromEntries(
      Object.entries(value).map(([key, list]) => [
        key,
        this.#textList(`${name}[${JSON.stringify(key)}]`, list),
      ]),
    );
  }

  /** Milliseconds; undefined when nothing is said. */
  duration(name: string): number | undefined {
    const value = this.text(name);
    if (value === "") return undefined;
    const length = durationMs(value);
    if (length !== null && integerOf(length) !== undefined && length > 0) return length;
    this.#wrong(name, `must be a duration of more than 0, such as 24h, is ${show(value)}`);
    return undefined;
  }

  #textList(path: string, value: unknown): readonly string[] {
    if (isAbsent(value)) return [];
    if (Array.isArray(value) && value.every((item) => typeof item === "string")) return value;
    this.#wrong(path, `must be a list of strings, is ${show(value)}`);
    return [];
  }

  #wrong(path: string, message: string): void {
    this.violations.push({ path, message });
  }
}

/** The object, or what is wrong with it. */
function bodyOf(bytes: Uint8Array): JsonObject | string {
  try {
    const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    return isObject(value) ? value as JsonObject : "the body must be a JSON object";
  } catch (error) {
    return `the body must be JSON: ${(error as Error).message}`;
  }
}
