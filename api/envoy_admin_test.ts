import assert from "node:assert/strict";
import { testPlane } from "./plane_test.ts";

const DATAPLANE = {
  type: "Dataplane",
  mesh: "default",
  name: "web-1",
  spec: {
    networking: {
      address: "127.0.0.1",
      inbound: [{ port: 8080, tags: { "kuma.io/service": "web" } }],
    },
  },
};

async function plane(answer?: string) {
  const made = testPlane();
  await made.put({ type: "Mesh", name: "default", spec: {} });
  await made.put(DATAPLANE);
  if (answer === undefined) return made;
  const body = new TextEncoder().encode(answer);
  Object.assign(made.ports, { envoyAdmin: () => Promise.resolve({ ok: true, body }) });
  return made;
}

const WEB = "/meshes/default/dataplanes/web-1";

Deno.test("what a proxy's Envoy says is passed on as it is", async () => {
  const made = await plane('{"configs": []}');
  const xds = await made.call("GET", `${WEB}/xds`);
  assert.deepEqual([xds.status, xds.text], [200, '{"configs": []}']);
  assert.equal(xds.headers["content-type"], "application/json");
  assert.equal((await made.call("GET", `${WEB}/stats`)).headers["content-type"], "text/plain");
  const json = await made.call("GET", `${WEB}/clusters?format=json`);
  assert.equal(json.headers["content-type"], "application/json");
});

Deno.test("the query says what Envoy is asked", async () => {
  const made = await plane();
  for (
    const [path, question] of [
      ["xds", { kind: "xds", includeEds: false }],
      ["xds?include_eds=true", { kind: "xds", includeEds: true }],
      ["stats", { kind: "stats", format: "text", usedOnly: true }],
      ["stats?usedonly=0&format=json", { kind: "stats", format: "json", usedOnly: false }],
      ["clusters?format=yaml", { kind: "clusters", format: "text" }],
    ] as const
  ) {
    const { status, json } = await made.call("GET", `${WEB}/${path}`);
    assert.deepEqual([status, json.title], [400, "Could not execute admin operation"]);
    assert.equal(json.detail, `Dataplane web-1: ${JSON.stringify(question)}`);
  }
});

Deno.test("of a proxy that is not there nobody is asked, and nothing else is a question", async () => {
  const made = await plane("never");
  const missing = await made.call("GET", "/meshes/default/dataplanes/web-2/xds");
  assert.deepEqual([missing.status, missing.json.title], [404, "Could not get dataplane resource"]);
  assert.equal((await made.call("GET", "/zoneingresses/in-1/stats")).status, 404);
  assert.equal((await made.call("GET", `${WEB}/secrets`)).status, 404);
  assert.equal((await made.call("GET", `${WEB}/_overview`)).status, 200);
});
