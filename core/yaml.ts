// YAML of anybody, read in a time that grows with its length alone.

import { type Document, isNode, isScalar, parseDocument, visit } from "yaml";
import { whyNoJson } from "./json.ts";
import { show } from "./shape.ts";

/** Repetitions by reference: more are an attack on whoever walks what comes out. */
const ALIASES_MAX = 100;

export type ParsedYaml =
  | { readonly ok: true; readonly value: unknown }
  /** `at`: where in the text; null when that is not known. */
  | { readonly ok: false; readonly message: string; readonly at: number | null };

/**
 * Never throws. Keys are looked at here, since the library compares each of a mapping with each:
 * some ten thousand keys, which fit into 64 KiB, took it seconds.
 */
export function parseYaml(text: string): ParsedYaml {
  try {
    // The library knows a CR before an LF only; YAML 1.2 §5.4 takes each for the end of a line.
    const document = parseDocument(text.replaceAll(/\r(?!\n)/g, "\n"), {
      prettyErrors: false,
      // Silent would pass over all documents but the first.
      logLevel: "error",
      uniqueKeys: false,
    });
    const [mistake] = document.errors;
    if (mistake) return { ok: false, message: mistake.message, at: mistake.pos[0] };
    const wrong = wrongKey(document);
    if (wrong) return { ok: false, ...wrong };
    const value: unknown = document.toJS({ maxAliasCount: ALIASES_MAX });
    const reason = whyNoJson(value);
    return reason === null ? { ok: true, value } : { ok: false, message: reason, at: null };
  } catch (error) {
    return { ok: false, message: error instanceof Error ? error.message : String(error), at: null };
  }
}

interface WrongKey {
  readonly message: string;
  readonly at: number | null;
}

/**
 * The first key of a mapping that has it already, `1` and `"1"` being one name; or that is no text,
 * so that nobody can tell.
 */
function wrongKey(document: Document): WrongKey | null {
  let wrong: WrongKey | null = null;
  const found = (key: unknown, message: string) => {
    wrong = { message, at: isNode(key) ? key.range?.[0] ?? null : null };
    return visit.BREAK;
  };
  visit(document, {
    Map(_, { items }) {
      const names = new Set<string>();
      for (const { key } of items) {
        if (!isScalar(key)) return found(key, "a key must be text: no list, mapping or reference");
        const name = String(key.value);
        if (names.has(name)) {
          return found(key, `the key ${show(key.value)} is there more than once`);
        }
        names.add(name);
      }
    },
  });
  return wrong;
}
