import assert from "node:assert/strict";
import { everyKind } from "../../cli/kinds.ts";
import type { JsonObject } from "../../core/resource.ts";
import { type TestPlane, testPlane } from "../plane_test.ts";
import { MESH, RESOURCES } from "./exclusive_mesh_test.ts";
import recorded from "./exclusive.recorded.json" with { type: "json" };

/** As a zone's global has it: such a mesh cannot be written here yet, and comes from peers all the same. */
async function plane(): Promise<TestPlane> {
  const plane = testPlane({ zone: "z" }, { kinds: everyKind() });
  for (const resource of RESOURCES) {
    const { type, mesh = "", name, labels = {}, spec, ...rest } = resource as
      & Record<string, string>
      & {
        readonly labels?: Record<string, string>;
        readonly spec?: JsonObject;
      };
    await plane.put({
      type: type ?? "",
      mesh,
      name: name ?? "",
      labels: type === "Mesh" ? labels : { ...labels, ...labelsOf(type, mesh) },
      spec: spec ?? rest,
    });
  }
  return plane;
}

function labelsOf(type: string | undefined, mesh: string): Record<string, string> {
  return {
    "kuma.io/env": "universal",
    "kuma.io/origin": "zone",
    "kuma.io/zone": "z",
    ...(mesh && { "kuma.io/mesh": mesh }),
    ...(type === "Dataplane" && { "kuma.io/proxy-type": "sidecar" }),
  };
}

const world = await plane();

/** kuma-cp 2.13.10 answered these questions with the same status and contents. */
for (const [path, [status, body]] of Object.entries(recorded)) {
  Deno.test(`${path} is what Kuma tells as well`, async () => {
    const answer = await world.call("GET", path);
    assert.deepEqual([answer.status, answer.json], [status, body]);
  });
}

Deno.test("in other meshes all of it is 400, after what is not there", async () => {
  const { put, call } = testPlane({}, { kinds: everyKind() });
  await put({ type: "Mesh", name: MESH, spec: {} });
  await put({ type: "Dataplane", mesh: MESH, name: "web-1", spec: { networking: {} } });
  const at = (name: string, what: string) =>
    call("GET", `/meshes/${MESH}/dataplanes/${name}/${what}`);
  for (const what of ["_policies", "_layout", "_inbounds/x/_policies", "_outbounds/x/_routes"]) {
    const { status, json } = await at("web-1", what);
    assert.deepEqual([status, json.title], [400, "Bad Request"]);
    assert.match(json.detail, /Exclusive/);
  }
  assert.equal((await at("nobody", "_policies")).status, 404);
  assert.equal((await at("nobody", "_layout")).status, 400);
});

Deno.test("a template of a host name with what nobody knows is told by name", async () => {
  const { put, call } = testPlane({}, { kinds: everyKind() });
  await put({ type: "Mesh", name: MESH, spec: {} });
  await put({ type: "MeshService", mesh: MESH, name: "api", spec: {} });
  const template = "{{ .Name }}.{{ .Color }}";
  const selector = { meshService: {} };
  await put({ type: "HostnameGenerator", name: "bad", spec: { selector, template } });
  const { status, json } = await call("GET", `/meshes/${MESH}/meshservices/api/_hostnames`);
  assert.equal(status, 400);
  assert.match(json.detail, /\{\{ \.Color \}\}/);
});
