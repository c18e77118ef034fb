// Every kind in a wrong shape, to kuma-cp and to Ursa: what one refuses, the other does.

import assert from "node:assert/strict";
import type { Json, JsonObject } from "../../core/resource.ts";
import { everyKind } from "../../cli/kinds.ts";
import { documentsOf, EVERY_KIND } from "./every_kind.ts";
import { interop } from "./interop.ts";
import { sideBySide } from "./side_by_side.ts";

const META = ["type", "mesh", "name", "labels"];
const KINDS = everyKind();

/** Kuma takes an empty one, which is no use to anybody. */
const REFUSED_BY_URSA = /^(Global)?Secret without data$/;

interop(import.meta.url, {
  peer: "kuma-cp",
  feature: "every kind in wrong shapes: refused by both, or by none",
}, async (bench) => {
  const { ursa, kuma } = await sideBySide(bench, "zone");
  const found: string[] = [];
  for (const document of documentsOf(EVERY_KIND)) {
    for (const { what, body } of variants(document)) {
      const [ours, theirs] = await Promise.all(
        [ursa, kuma].map(({ api }) => put(api, document, body)),
      );
      if (REFUSED_BY_URSA.test(what)) continue;
      if (ours?.status !== theirs?.status) {
        found.push(
          `${what}: ${theirs?.status} by Kuma, ${ours?.status} by Ursa: ${
            (ours?.status === 400 ? ours : theirs)?.text.slice(0, 400)
          }`,
        );
      }
    }
  }
  assert.deepEqual(found, []);
});

interface Variant {
  readonly what: string;
  readonly body: JsonObject;
}

/** The resource itself, and after it what is wrong with it in one place. */
function variants(document: JsonObject): readonly Variant[] {
  const { type } = document;
  const body = (what: string, change: Readonly<Record<string, Json | undefined>>): Variant => ({
    what: `${type} ${what}`,
    body: JSON.parse(JSON.stringify({ ...document, ...change })),
  });
  const right = body("as it should be", {});
  const spec = document["spec"] as JsonObject | undefined;
  if (spec === undefined) {
    return [
      right,
      ...Object.keys(document).filter((key) => !META.includes(key)).flatMap((key) => [
        body(`without ${key}`, { [key]: undefined }),
        body(`with a number for ${key}`, { [key]: 7 }),
      ]),
    ];
  }
  const isPolicy = KINDS.byName(String(type))?.policy !== undefined;
  const inSpec = (what: string, change: Readonly<Record<string, Json | undefined>>) =>
    body(what, { spec: { ...spec, ...change } as JsonObject });
  return [
    right,
    body("without spec", { spec: undefined }),
    body("with a number for spec", { spec: 7 }),
    body("with an empty spec", { spec: {} }),
    inSpec("with a field of tomorrow", { ofTomorrow: 1 }),
    ...Object.keys(spec).flatMap((key) => [
      inSpec(`without ${key}`, { [key]: undefined }),
      inSpec(`with a number for ${key}`, { [key]: 7 }),
      inSpec(`with a string for ${key}`, { [key]: "x" }),
    ]),
    ...(isPolicy
      ? [
        inSpec("of an unknown target", { targetRef: { kind: "Nonsense" } }),
        inSpec("of a mesh with a name", { targetRef: { kind: "Mesh", name: "x" } }),
        inSpec("of a subset without tags", { targetRef: { kind: "MeshSubset" } }),
      ]
      : []),
    ...["to", "from"].filter((key) => key in spec).flatMap((key) => [
      inSpec(`with an empty entry in ${key}`, { [key]: [{}] }),
      inSpec(`to an unknown target in ${key}`, {
        [key]: [{ ...entryOf(spec, key), targetRef: { kind: "Nonsense" } }],
      }),
      inSpec(`without a target in ${key}`, { [key]: [{ ...entryOf(spec, key), targetRef: 7 }] }),
      inSpec(`with a number for default in ${key}`, {
        [key]: [{ ...entryOf(spec, key), default: 7 }],
      }),
    ]),
  ];
}

function entryOf(spec: JsonObject, key: string): JsonObject {
  const [entry] = spec[key] as readonly JsonObject[];
  return entry ?? {};
}

async function put(
  api: string,
  document: JsonObject,
  body: JsonObject,
): Promise<{ readonly status: number; readonly text: string }> {
  const kind = KINDS.byName(String(document["type"]))!;
  const inMesh = kind.scope === "Mesh" ? `/meshes/${document["mesh"]}` : "";
  const response = await fetch(`${api}${inMesh}/${kind.plural}/${document["name"]}`, {
    method: "PUT",
    body: JSON.stringify(body),
    headers: { "content-type": "application/json" },
  });
  const text = await response.text();
  // A first one and a second one are both taken.
  return { status: response.status === 201 ? 200 : response.status, text };
}
