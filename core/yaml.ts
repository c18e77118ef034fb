// YAML of anybody, read in a time that grows with its length alone.

import { type Document, isScalar, parseDocument, type Scalar, visit } from "yaml";

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
    const document = parseDocument(text, {
      prettyErrors: false,
      // Silent would pass over all documents but the first.
      logLevel: "error",
      uniqueKeys: false,
    });
    const [mistake] = document.errors;
    if (mistake) return { ok: false, message: mistake.message, at: mistake.pos[0] };
    const again = keyAgain(document);
    if (again) {
      const message = `the key ${JSON.stringify(again.value)} is there more than once`;
      return { ok: false, message, at: again.range?.[0] ?? null };
    }
    return { ok: true, value: document.toJS({ maxAliasCount: ALIASES_MAX }) };
  } catch (error) {
    return { ok: false, message: error instanceof Error ? error.message : String(error), at: null };
  }
}

/** The first key of a mapping that has it already; `1` and `"1"` are one name. */
function keyAgain(document: Document): Scalar | null {
  let again: Scalar | null = null;
  visit(document, {
    Map(_, { items }) {
      const names = new Set<string>();
      for (const { key } of items) {
        if (!isScalar(key)) continue;
        const name = String(key.value);
        if (names.has(name)) {
          again = key;
          return visit.BREAK;
        }
        names.add(name);
      }
    },
  });
  return again;
}
