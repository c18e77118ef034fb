// Request bodies: JSON or YAML text to a value, or a sentence with the position of the mistake.

import { isDeeper, whyNoJson } from "../core/json.ts";
import { YAML_CHARS_MAX } from "../core/limits.ts";
import type { Json, JsonObject } from "../core/resource.ts";
import { parseYaml } from "../core/yaml.ts";
import { jsonMistakeAt } from "./json_position.ts";

/** No resource is nested this deep; deeper input is an attack on whoever walks it. */
const DEPTH_MAX = 64;
export type Parsed =
  | { readonly ok: true; readonly value: JsonObject }
  | { readonly ok: false; readonly error: string };

export type BodyFormat = "json" | "yaml";

/** From the Content-Type header; undefined when it is neither. None at all means JSON. */
export function bodyFormat(contentType: string | null): BodyFormat | undefined {
  const type = contentType?.split(";")[0]?.trim().toLowerCase() ?? "";
  if (type === "" || type === "*/*" || type === "application/json") return "json";
  return /^(application|text)\/(x-)?yaml$/.test(type) ? "yaml" : undefined;
}

export function parseBody(bytes: Uint8Array, format: BodyFormat): Parsed {
  let content: string;
  try {
    content = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return { ok: false, error: "the body is not UTF-8" };
  }
  if (content.trim() === "") return { ok: false, error: "the body is empty" };
  const parsed = format === "json" ? parseJson(content) : readYaml(content);
  if (!parsed.ok) return parsed;
  const { value } = parsed;
  // JSON has numbers that no number holds, such as 1e999.
  const reason = whyNoJson(value);
  if (reason !== null) return { ok: false, error: `malformed body: ${reason}` };
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return { ok: false, error: `the body must be an object, is ${wordFor(value)}` };
  }
  if (isDeeper(value, DEPTH_MAX)) {
    return { ok: false, error: `the body is nested deeper than ${DEPTH_MAX} levels` };
  }
  return { ok: true, value: value as JsonObject };
}

type AnyJson = { readonly ok: true; readonly value: Json } | {
  readonly ok: false;
  readonly error: string;
};

function parseJson(content: string): AnyJson {
  try {
    return { ok: true, value: JSON.parse(content) };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const reason = message.replace(/ in JSON at position.*$/s, "").replace(/, (\.\.\.)?"[^]*$/, "");
    return {
      ok: false,
      error: `malformed JSON at ${placeOf(content, jsonMistakeAt(content))}: ${reason}`,
    };
  }
}

function readYaml(content: string): AnyJson {
  if (content.length > YAML_CHARS_MAX) {
    const error = `the body is YAML of more than ${YAML_CHARS_MAX} characters: send it as JSON`;
    return { ok: false, error };
  }
  const parsed = parseYaml(content);
  if (parsed.ok) return { ok: true, value: parsed.value as Json };
  const { message, at } = parsed;
  const place = at === null ? "" : ` at ${placeOf(content, at)}`;
  return { ok: false, error: `malformed YAML${place}: ${message}` };
}

function placeOf(content: string, position: number): string {
  const before = content.slice(0, position).split("\n");
  return `line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1}`;
}

function wordFor(value: Json): string {
  return value === null ? "null" : Array.isArray(value) ? "a list" : `a ${typeof value}`;
}
