import { everyKind } from "../cli/kinds.ts";
import { documentsOf, EVERY_KIND } from "../tests/interop/every_kind.ts";
import { isObject } from "./json.ts";
import type { JsonObject } from "./resource.ts";

/** What cannot be made text, and names that every object has. */
const HOSTILE: readonly unknown[] = [
  ...[{ toString: "" }, [{ toString: "" }], JSON.parse('{"__proto__":null}'), null, NaN],
  ...["__proto__", "constructor", "toString", "\ud800"],
];

/** The value with each of its parts in turn replaced. */
function* replaced(value: unknown, by: unknown): Generator<unknown> {
  yield by;
  if (Array.isArray(value)) {
    for (const [at, item] of value.entries()) {
      for (const other of replaced(item, by)) yield value.with(at, other);
    }
  } else if (isObject(value)) {
    for (const [key, item] of Object.entries(value)) {
      for (const other of replaced(item, by)) yield { ...value, [key]: other };
    }
  }
}

Deno.test("validate() of every kind reports whatever stands in any place, and throws at nothing", () => {
  const kinds = everyKind();
  for (const document of documentsOf(EVERY_KIND)) {
    const kind = kinds.byName(document["type"] as string)!;
    const spec = kind.message === undefined ? document["spec"] : document;
    for (const hostile of HOSTILE) {
      for (const other of replaced(spec, hostile)) kind.validate(other as JsonObject);
    }
  }
});
