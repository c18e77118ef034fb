// Resources in a text: several YAML documents, with template variables filled in.

import { LineCounter, parseAllDocuments } from "yaml";
import type { JsonObject } from "../../core/resource.ts";
import { CommandError } from "../output.ts";

export interface SourceDocument {
  readonly value: JsonObject;
  /** Where it begins: `routes.yaml:12`. */
  readonly place: string;
}

/** All documents, or an error that names the place of the first mistake: nothing is half read. */
export function readDocuments(content: string, name: string): readonly SourceDocument[] {
  const lines = new LineCounter();
  const documents = parseAllDocuments(content, {
    lineCounter: lines,
    prettyErrors: false,
    logLevel: "silent",
  });
  const placeOf = (offset: number) => `${name}:${lines.linePos(offset).line}`;
  if (!Array.isArray(documents)) return [];
  return documents.flatMap((document) => {
    const [mistake] = document.errors;
    if (mistake) {
      const { line, col } = lines.linePos(mistake.pos[0]);
      throw new CommandError(`${name}:${line}:${col}: malformed YAML: ${mistake.message}`);
    }
    const value = document.toJS();
    if (value === null) return [];
    const place = placeOf(document.contents?.range?.[0] ?? document.range[0]);
    if (typeof value !== "object" || Array.isArray(value)) {
      throw new CommandError(`${place}: a resource must be an object with a type and a name`);
    }
    return [{ value, place }];
  });
}

/** `{{ name }}` becomes the value of `-v name=value`; one that has none is an error. */
export function fillIn(
  content: string,
  name: string,
  variables: ReadonlyMap<string, string>,
): string {
  if (variables.size === 0) return content;
  return content.replace(/\{\{\s*([\w.-]+)\s*\}\}/g, (_, key: string, offset: number) => {
    const value = variables.get(key);
    if (value !== undefined) return value;
    const line = content.slice(0, offset).split("\n").length;
    throw new CommandError(`${name}:${line}: no value for {{${key}}}: give one with -v ${key}=…`);
  });
}
