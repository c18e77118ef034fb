import assert from "node:assert/strict";
import type { JsonObject } from "../core/resource.ts";
import { testPlane } from "./plane_test.ts";

async function plane() {
  const plane = testPlane();
  for (const name of ["default", "shop"]) await plane.put({ type: "Mesh", name, spec: {} });
  const put = (mesh: string, name: string, networking: JsonObject, labels = {}) =>
    plane.put({ type: "Dataplane", mesh, name, labels, spec: { networking } });
  await put("default", "web-2", { inbound: [{ port: 1, tags: { "kuma.io/service": "web" } }] });
  await put("default", "web-1", { inbound: [{ port: 1, tags: { version: "v2" } }] }, { team: "a" });
  await put("default", "edge", { gateway: { tags: { "kuma.io/service": "edge" } } });
  await put("shop", "api-1", { inbound: [{ port: 1, tags: { "kuma.io/service": "api" } }] });
  return plane;
}

const names = ({ items }: { items: JsonObject[] }) => items.map(({ name }) => name);

Deno.test("lists are sorted by mesh and name, over one mesh or all", async () => {
  const p = await plane();
  const all = (await p.call("GET", "/dataplanes")).json;
  assert.deepEqual(names(all), ["edge", "web-1", "web-2", "api-1"]);
  assert.deepEqual([all.total, all.next], [4, null]);
  assert.deepEqual(names((await p.call("GET", "/meshes/shop/dataplanes")).json), ["api-1"]);
});

Deno.test("pages link to the next one with the other parameters kept", async () => {
  const p = await plane();
  const first = (await p.call("GET", "/dataplanes?size=3&name=e")).json;
  assert.deepEqual([names(first), first.total], [["edge", "web-1", "web-2"], 3]);
  const { json } = await p.call("GET", "/dataplanes?size=2");
  assert.equal(json.next, "http://localhost:5681/dataplanes?offset=2&size=2");
  const rest = (await p.call("GET", json.next)).json;
  assert.deepEqual([names(rest), rest.next], [["web-2", "api-1"], null]);
  assert.equal((await p.call("GET", "/dataplanes?size=0")).json.items.length, 4);
  assert.deepEqual((await p.call("GET", "/dataplanes?offset=99")).json.items, []);
});

Deno.test("filters choose by name, label, tag and gateway", async () => {
  const p = await plane();
  const cases: readonly [string, readonly string[]][] = [
    ["name=web", ["web-1", "web-2"]],
    ["filter[labels.team]=a", ["web-1"]],
    ["filter[labels.team]=b", []],
    ["tag=kuma.io/service:we", ["web-2"]],
    ["tag=kuma.io/service:*", ["edge", "web-2", "api-1"]],
    ["tag=service:we", []],
    ["tag=version:v2&tag=kuma:x", []],
    ["tag=nocolon", ["edge", "web-1", "web-2", "api-1"]],
    ["gateway=true", ["edge"]],
    ["gateway=delegated", ["edge"]],
    ["gateway=builtin", []],
    ["gateway=false", ["web-1", "web-2", "api-1"]],
  ];
  for (const [query, expected] of cases) {
    assert.deepEqual(names((await p.call("GET", `/dataplanes?${query}`)).json), expected, query);
  }
});

Deno.test("bad paging and filters are refused by field", async () => {
  const p = await plane();
  const cases: readonly [string, RegExp][] = [
    ["size=1001", /Invalid page size/],
    ["size=x", /Invalid page size/],
    ["size=-1", /Invalid page size/],
    ["offset=x", /invalid offset/],
    ["filter[name]=x", /only supported on labels/],
    ["filter[labels.a]x=x", /advanced filters/],
    ["gateway=maybe", /\/dataplanes\.gateway[^]*must be one of/],
  ];
  for (const [query, message] of cases) {
    const { status, text } = await p.call("GET", `/dataplanes?${query}`);
    assert.equal(status, 400, query);
    assert.match(text, message);
  }
});

Deno.test("overviews join a resource with what is reported about it, under both paths", async () => {
  const p = await plane();
  const spec = { subscriptions: [{ id: "1" }] };
  await p.put({ type: "DataplaneInsight", mesh: "default", name: "web-1", spec });
  const paths = ["/meshes/default/dataplanes/_overview", "/meshes/default/dataplanes+insights"];
  for (const path of paths) {
    const { items } = (await p.call("GET", `${path}?name=web`)).json;
    assert.deepEqual(Object.keys(items[0]), [
      "type",
      "mesh",
      "name",
      "creationTime",
      "modificationTime",
      "labels",
      "dataplane",
      "dataplaneInsight",
    ]);
    assert.equal(items[0].type, "DataplaneOverview");
    assert.deepEqual(items[0].dataplaneInsight, spec);
    assert.equal(items[1].dataplaneInsight, undefined);
  }
  for (
    const path of [
      "/meshes/default/dataplanes/web-1/_overview",
      "/meshes/default/dataplanes+insights/web-1",
    ]
  ) assert.deepEqual((await p.call("GET", path)).json.dataplaneInsight, spec);
});
