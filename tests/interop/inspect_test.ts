// The same mesh in kuma-cp and in Ursa, and the same questions about it.

import assert from "node:assert/strict";
import { MESH, RESOURCES } from "../../api/inspect/inspected_mesh_test.ts";
import type { Rest } from "../../cli/demo/rest.ts";
import { until } from "../../cli/demo/until.ts";
import type { Json, JsonObject } from "../../core/resource.ts";
import { interop } from "./interop.ts";
import { KumaCp } from "./kuma.ts";

const PROXIES = ["web-1", "api-1", "db-1", "edge"];
const POLICIES = [
  ...["traffic-permissions/all", "traffic-permissions/web-to-api", "traffic-routes/all"],
  ...["timeouts/all", "health-checks/to-api", "circuit-breakers/to-db", "retries/from-web"],
  ...["traffic-logs/all", "traffic-traces/web", "proxytemplates/all", "fault-injections/api"],
  ...["rate-limits/api", "meshtimeouts/all", "meshtimeouts/to-api", "meshtimeouts/web"],
  ...["meshtimeouts/admin", "meshtimeouts/shadow", "meshtimeouts/gateways", "meshtimeouts/route"],
  ...["meshtrafficpermissions/web", "meshmetrics/web", "meshhttproutes/api-canary"],
];
const QUESTIONS = [
  ...PROXIES.flatMap((name) =>
    ["policies", "rules", "_rules"].map((what) => `dataplanes/${name}/${what}`)
  ),
  ...["meshgateways/door/_rules", "meshgateways/window/_rules"],
  ...POLICIES.flatMap((policy) => [`${policy}/dataplanes`, `${policy}/_resources/dataplanes`]),
  ...["meshgateways/door/dataplanes", "meshgateways/nope/dataplanes"],
  ...["dataplanes/nope/policies", "meshtimeouts/nope/_resources/dataplanes"],
  ...["service-insights", "service-insights/web", "service-insights/nobody"],
  "service-insights?type=external",
];

interop(import.meta.url, {
  peer: "kuma-cp",
  feature: "inspection of proxies, policies and services answers the same",
}, async (bench) => {
  const kuma = await bench.keep(new KumaCp({ ...bench, name: "z", mode: "zone" })).start();
  const { controlPlane: { rest } } = await bench.cluster.startZone("z");
  for (const side of [kuma.rest, rest]) await writeAll(side);
  // kuma-cp counts a while after what it counts.
  await until("kuma-cp counted", async () => {
    const insight = await kuma.rest.find<{ resources?: JsonObject }>(`/mesh-insights/${MESH}`);
    return insight?.resources?.["ExternalService"] !== undefined || "not yet";
  });
  for (const question of QUESTIONS) {
    const path = `/meshes/${MESH}/${question}`;
    assert.deepEqual(await ask(rest, path), await ask(kuma.rest, path), path);
  }
});

async function writeAll(rest: Rest): Promise<void> {
  const { resources } = await rest.get<{ resources: JsonObject[] }>("/_resources");
  for (const resource of RESOURCES) {
    const kind = resources.find(({ name }) => name === resource["type"]);
    const collection = kind?.["scope"] === "Mesh" ? `meshes/${MESH}/${kind["path"]}` : "meshes";
    const response = await fetch(`${rest.address}/${collection}/${resource["name"]}`, {
      method: "PUT",
      body: JSON.stringify(resource),
      headers: { "content-type": "application/json" },
    });
    assert.equal(response.status, 201, await response.text());
  }
}

/** Apart from times, which are each one's own. */
async function ask(rest: Rest, path: string): Promise<readonly [number, Json]> {
  const response = await fetch(rest.address + path);
  const answer = withoutTimes(await response.json());
  return [response.status, path.endsWith("/rules") ? inOrder(answer) : answer];
}

/** Kuma tells rules of different types in no order, and fields in another. */
function inOrder(answer: Json): Json {
  const { items = [] } = answer as JsonObject;
  return (items as Json[]).map((item) => JSON.stringify(item)).sort();
}

function withoutTimes(value: Json): Json {
  if (Array.isArray(value)) return value.map(withoutTimes);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value as JsonObject)
      .filter(([key]) => key !== "creationTime" && key !== "modificationTime")
      .sort(([a], [b]) => a < b ? -1 : 1)
      .map(([key, inner]) => [key, withoutTimes(inner)]),
  );
}
