import assert from "node:assert/strict";
import { shell } from "./shell_test.ts";

Deno.test("check lists types and fields without effect, over all meshes", () =>
  shell(async ({ run, plane }) => {
    const routing = { defaultForbidMeshExternalServiceAccess: true };
    await plane.put({ type: "Mesh", name: "default", spec: { routing } });
    await plane.put({ type: "Mesh", name: "shop", spec: {} });
    await plane.put({ type: "MeshTimeout", mesh: "shop", name: "t", spec: {} });
    const mtls = { enabledBackend: "hsm", backends: [{ name: "hsm", type: "vault" }] };
    await plane.put({ type: "Mesh", name: "synced", spec: { mtls, meesh: 1 } });
    const { code, out, err } = await run("check");
    assert.equal(code, 3);
    assert.equal(err, "4 without effect\n");
    const lines = out.split("\n").map((line) => line.split(/ {3,}/).slice(0, 4).join(" "));
    assert.deepEqual(lines, [
      "TYPE MESH NAME FIELD",
      "Mesh - default routing.defaultForbidMeshExternalServiceAccess",
      "Mesh - synced mtls.backends[0].type",
      "Mesh - synced meesh",
      "MeshTimeout shop t -",
      "",
    ]);
    const json = JSON.parse((await run("check", "-o", "json")).out);
    assert.equal(json.items[0].reason, "has no effect yet: there are no external services");
  }));

Deno.test("check says nothing where everything has its effect", () =>
  shell(async ({ run, plane }) => {
    await plane.put({ type: "Mesh", name: "default", spec: {} });
    assert.deepEqual(await run("check"), { code: 0, out: "", err: "" });
  }));
