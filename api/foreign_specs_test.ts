import assert from "node:assert/strict";
import fc from "fast-check";
import type { Json, JsonObject } from "../core/resource.ts";
import { foreignMessage, WORDS } from "../proto/foreign_message_test.ts";
import { decodeSpec, encodeSpec } from "../proto/spec.ts";
import { INSIGHT_ROUTES } from "./insights/routes.ts";
import { INSPECT_ROUTES } from "./inspect/routes.ts";
import { KRI_ROUTES } from "./kri.ts";
import { testPlane } from "./plane_test.ts";

const NAMES = [
  ...["targetRef", "kind", "name", "to", "from", "rules", "default", "labels", "tags", "matches"],
  ...["selector", "dataplaneTags", "meshService", "matchLabels", "ports", "port", "backendRefs"],
  ...["template", "path", "hostnames", "sectionName", "proxyTypes", "http", "appProtocol"],
];
const KINDS = ["Mesh", "MeshSubset", "MeshService", "MeshGateway", "MeshHTTPRoute", "Dataplane"];

const { json } = fc.letrec<{ json: Json }>((tie) => ({
  json: fc.oneof(
    { maxDepth: 6, withCrossShrink: true },
    fc.constantFrom(null, true, 0, 80, -1, ...WORDS, ...KINDS),
    fc.array(tie("json"), { maxLength: 2 }),
    fc.dictionary(fc.constantFrom(...NAMES), tie("json"), { maxKeys: 4, noNullPrototype: true }),
  ),
}));
const anySpec = fc.dictionary(fc.constantFrom(...NAMES), json, {
  maxKeys: 5,
  noNullPrototype: true,
}) as fc.Arbitrary<JsonObject>;

Deno.test("whatever other control planes accepted, every question about it has an answer", async () => {
  const kinds = testPlane().ports.kinds.all();
  const specs = fc.record(
    Object.fromEntries(
      [...kinds].map((kind) => [
        kind.name,
        kind.message === undefined ? anySpec : foreignMessage(kind.message),
      ]),
    ),
  );
  await fc.assert(
    fc.asyncProperty(specs, async (all) => {
      const plane = testPlane({ mode: "global" });
      const paths: string[] = [];
      for (const kind of kinds) {
        const mesh = kind.scope === "Mesh" ? "default" : "";
        const name = kind.name === "Mesh" ? "default" : "x";
        // As it comes by KDS.
        const spec = decodeSpec(kind, encodeSpec(kind, all[kind.name] as JsonObject));
        await plane.put({ type: kind.name, mesh, name, spec });
        if (kind.internal) continue;
        const at = mesh === "" ? "" : `/meshes/${mesh}`;
        paths.push(`${at}/${kind.plural}`, `${at}/${kind.plural}/${name}`);
        if (kind.insightOf === undefined) paths.push(`${at}/${kind.plural}/_overview`);
      }
      const places: Readonly<Record<string, string>> = { mesh: "default", plural: "meshtimeouts" };
      for (const { path, method } of [...INSPECT_ROUTES, ...INSIGHT_ROUTES, ...KRI_ROUTES]) {
        if (method === "GET") {
          paths.push(path.replace(/\{(\w+)\}/g, (_, place: string) => places[place] ?? "x"));
        }
      }
      for (const path of paths) {
        const { status } = await plane.call("GET", path);
        assert.ok(status < 500, `${path}: ${status}`);
      }
    }),
    { numRuns: 10 },
  );
});
