// What a token says about its holder, read from JSON and written to it.

import { isObject } from "../../core/json.ts";
import type { Json, JsonObject } from "../../core/resource.ts";
import { show } from "../../core/shape.ts";
import type { ClaimsOf, TokenKind, TokenOrder } from "../../core/token.ts";

/** Claims that every kind has. RFC 7519 §4.1. */
export interface RegisteredClaims {
  /** "" when the token has none, and cannot be revoked on its own. */
  readonly id: string;
  readonly issuer: string;
  readonly expiresAtMs: number | null;
  readonly notBeforeMs: number | null;
}

/** Says which claim is not what it must be; thrown and caught within this folder. */
export class ClaimError extends TypeError {
  override readonly name = "ClaimError";
}

/** Names as Kuma's structs have them. kuma@v2.13.10:pkg/tokens/builtin/{issuer,zone}/token.go. */
const READERS: { readonly [Kind in TokenKind]: (claims: Claims) => ClaimsOf[Kind] } = {
  dataplane: (claims) => ({
    name: claims.text("Name"),
    mesh: claims.text("Mesh"),
    tags: claims.textLists("Tags"),
    type: claims.text("Type"),
    workload: claims.text("Workload"),
  }),
  zone: (claims) => ({ zone: claims.text("Zone"), scope: claims.texts("Scope") }),
  user: (claims) => ({ name: claims.text("Name"), groups: claims.texts("Groups") }),
};

/** Throws ClaimError. */
export function readClaims<Kind extends TokenKind>(
  kind: Kind,
  payload: JsonObject,
): ClaimsOf[Kind] {
  return READERS[kind](new Claims(payload));
}

/** Throws ClaimError. */
export function readRegistered(payload: JsonObject): RegisteredClaims {
  const claims = new Claims(payload);
  return {
    id: claims.text("jti"),
    issuer: claims.text("iss"),
    expiresAtMs: claims.time("exp"),
    notBeforeMs: claims.time("nbf"),
  };
}

/** The other way round: the payload of a new token. */
export function payloadOf(order: TokenOrder): JsonObject {
  switch (order.kind) {
    case "dataplane": {
      const { name, mesh, tags, type, workload } = order.claims;
      return { Name: name, Mesh: mesh, Tags: tags, Type: type, Workload: workload };
    }
    case "zone":
      return { Zone: order.claims.zone, Scope: order.claims.scope };
    case "user":
      return { Name: order.claims.name, Groups: order.claims.groups };
  }
}

/** The latest time that a date can be: what is later is as good as never. */
const TIME_MS_MAX = 8.64e15;

class Claims {
  readonly #payload: JsonObject;

  constructor(payload: JsonObject) {
    this.#payload = payload;
  }

  text(name: string): string {
    const value = this.#value(name);
    if (value === null) return "";
    if (typeof value !== "string") throw new ClaimError(`${name} must be a string`);
    return value;
  }

  texts(name: string): readonly string[] {
    return textList(name, this.#value(name));
  }

  textLists(name: string): Readonly<Record<string, readonly string[]>> {
    const value = this.#value(name);
    if (value === null) return {};
    if (!isObject(value)) throw new ClaimError(`${name} must be an object of lists`);
    return Object.fromEntries(
      Object.entries(value).map(([key, list]) => [key, textList(`${name}[${show(key)}]`, list)]),
    );
  }

  /** NumericDate: seconds, with or without a fraction. */
  time(name: string): number | null {
    const value = this.#value(name);
    if (value === null) return null;
    if (typeof value !== "number") throw new ClaimError(`${name} must be a number of seconds`);
    return Math.max(-TIME_MS_MAX, Math.min(TIME_MS_MAX, value * 1000));
  }

  /**
   * A claim by its name in any case, as Go's decoder reads it: one that were overlooked would be
   * a restriction that were not applied. One that is there twice could mean either.
   */
  #value(name: string): Json {
    const wanted = name.toLowerCase();
    const found = Object.entries(this.#payload).filter(([key]) => key.toLowerCase() === wanted);
    if (found.length > 1) throw new ClaimError(`${name} is there more than once`);
    return found[0]?.[1] ?? null;
  }
}

function textList(name: string, value: Json): readonly string[] {
  if (value === null) return [];
  if (!Array.isArray(value) || !value.every((item) => typeof item === "string")) {
    throw new ClaimError(`${name} must be a list of strings`);
  }
  return value;
}
