import assert from "node:assert/strict";
import type { JsonObject } from "../core/resource.ts";
import { testPlane } from "./plane_test.ts";

async function plane() {
  const plane = testPlane({ zone: "east" });
  await plane.put({ type: "Mesh", name: "default", spec: {} });
  const labels = { "kuma.io/zone": "east", "kuma.io/mesh": "default" };
  const spec = { networking: { address: "127.0.0.1" } };
  await plane.put({ type: "Dataplane", mesh: "default", name: "web", labels, spec });
  await plane.put({ type: "Secret", mesh: "default", name: "key", spec: { data: "eA==" } });
  return plane;
}

const times = { creationTimestamp: "2026-01-01T00:00:00Z" };

// As Kuma 2.13.10 answered, but for the times.
const OBJECTS: readonly [string, JsonObject][] = [
  ["/meshes/default", {
    kind: "Mesh",
    apiVersion: "kuma.io/v1alpha1",
    metadata: { name: "default", ...times },
    spec: {},
  }],
  ["/meshes/default/dataplanes/web", {
    kind: "Dataplane",
    apiVersion: "kuma.io/v1alpha1",
    metadata: { name: "web", namespace: "kuma-system", ...times },
    mesh: "default",
    spec: { networking: { address: "127.0.0.1" } },
  }],
  ["/meshes/default/secrets/key", {
    kind: "Secret",
    apiVersion: "v1",
    metadata: {
      name: "key",
      namespace: "kuma-system",
      ...times,
      labels: { "kuma.io/mesh": "default" },
    },
    data: { value: "eA==" },
    type: "system.kuma.io/secret",
  }],
];

for (const [path, expected] of OBJECTS) {
  Deno.test(`${path} as a Kubernetes object`, async () => {
    const p = await plane();
    for (const format of ["k8s", "kubernetes"]) {
      const { status, json } = await p.call("GET", `${path}?format=${format}`);
      assert.equal(status, 200);
      json.metadata.creationTimestamp = times.creationTimestamp;
      assert.deepEqual(json, expected);
    }
  });
}

Deno.test("a format is looked at when there is something to format", async () => {
  const p = await plane();
  const statuses = async (query: string) =>
    (await p.call("GET", `/meshes/default/dataplanes/${query}`)).status;
  assert.equal(await statuses("web?format="), 200);
  assert.equal(await statuses("web?format=universal"), 200);
  assert.equal(await statuses("web?format=helm"), 400);
  assert.equal(await statuses("none?format=helm"), 404);
  const { json } = await p.call("GET", "/meshes/default/dataplanes/web?format=k8s&namespace=shop");
  assert.equal(json.metadata.namespace, "shop");
});

Deno.test("a KRI finds its resource, whatever the section", async () => {
  const p = await plane();
  const cases: readonly [string, number, RegExp][] = [
    ["kri_dp_default_east__web_", 200, /"Dataplane"/],
    ["kri_dp_default_east__web_http", 200, /"Dataplane"/],
    ["kri_dp_default_east__web_http?format=k8s", 200, /apiVersion/],
    ["kri_m____default_", 200, /"Mesh"/],
    ["kri_dp_default___web_", 404, /Not found/],
    ["kri_dp_default_west__web_", 404, /Not found/],
    ["kri_zz_default___web_", 400, /short name/],
    ["kri_dp_default", 400, /is no KRI/],
    ["nonsense", 400, /is no KRI/],
  ];
  for (const [kri, expected, shows] of cases) {
    const { status, text } = await p.call("GET", `/_kri/${kri}`);
    assert.equal(status, expected, kri);
    assert.match(text, shows);
  }
});

Deno.test("one overview has an insight, be it an empty one", async () => {
  const p = await plane();
  const { json } = await p.call("GET", "/meshes/default/dataplanes/web/_overview");
  assert.deepEqual(json.dataplaneInsight, {});
});
