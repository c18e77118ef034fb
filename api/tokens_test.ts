import assert from "node:assert/strict";
import fc from "fast-check";
import { orderIn, testPlane } from "./plane_test.ts";

const DAY_MS = 24 * 3_600_000;

Deno.test("POST /tokens/… orders what its body says, with Kuma's defaults", async () => {
  const none = { name: "", mesh: "default", tags: {}, type: "", workload: "" };
  const cases: readonly (readonly [string, object, object])[] = [
    ["dataplane", { mesh: "default" }, { claims: none, validForMs: 3650 * DAY_MS }],
    [
      "dataplane",
      {
        name: "web-1",
        mesh: "default",
        tags: { "kuma.io/service": ["web"] },
        type: "dataplane",
        workload: "w",
        validFor: "24h0m0s",
      },
      {
        claims: {
          name: "web-1",
          mesh: "default",
          tags: { "kuma.io/service": ["web"] },
          type: "dataplane",
          workload: "w",
        },
        validForMs: DAY_MS,
      },
    ],
    // As Go's nil maps and slices arrive.
    [
      "dataplane",
      { mesh: "default", tags: null, validFor: "1h" },
      { claims: none, validForMs: DAY_MS / 24 },
    ],
    [
      "zone",
      { zone: "east", scope: ["ingress"], validFor: "24h" },
      { claims: { zone: "east", scope: ["ingress"] }, validForMs: DAY_MS },
    ],
    ["zone", { scope: [] }, { claims: { zone: "", scope: [] }, validForMs: 3650 * DAY_MS }],
    [
      "user",
      { name: "jane", groups: ["team"], validFor: "24h" },
      { claims: { name: "jane", groups: ["team"] }, validForMs: DAY_MS },
    ],
    [
      "user",
      { name: "jane", groups: null, validFor: "24h" },
      { claims: { name: "jane", groups: [] }, validForMs: DAY_MS },
    ],
  ];
  for (const [kind, body, wanted] of cases) {
    const { status, headers, text } = await testPlane().call("POST", `/tokens/${kind}`, { body });
    assert.deepEqual([status, headers["content-type"]], [200, "text/plain"], text);
    assert.deepEqual(orderIn(text), { kind, ...wanted });
  }
});

Deno.test("POST /tokens/… lists everything that is wrong with its body", async () => {
  const cases: readonly (readonly [string, unknown, readonly string[]])[] = [
    ["dataplane", {}, ["mesh: cannot be empty"]],
    ["dataplane", { mesh: 1 }, ["mesh: must be a string, is 1"]],
    ["dataplane", { mesh: "m", validFor: "1d" }, [
      'validFor: must be a duration of more than 0, such as 24h, is "1d"',
    ]],
    ["dataplane", { mesh: "m", validFor: "0s" }, [
      'validFor: must be a duration of more than 0, such as 24h, is "0s"',
    ]],
    ["dataplane", { type: "egres" }, [
      "mesh: cannot be empty",
      'type: must be one of dataplane, ingress, egress, is "egres"',
    ]],
    ["dataplane", { mesh: "m", tags: { a: "b" } }, [
      'tags["a"]: must be a list of strings, is "b"',
    ]],
    ["dataplane", { mesh: "m", tags: [] }, ["tags: must be an object of lists, is a list"]],
    ["zone", {}, ["scope: cannot be empty"]],
    ["zone", { scope: "ingress" }, ['scope: must be a list of strings, is "ingress"']],
    ["user", {}, ["validFor: cannot be empty", "name: cannot be empty"]],
    ["user", { name: "jane", validFor: "0" }, [
      'validFor: must be a duration of more than 0, such as 24h, is "0"',
    ]],
  ];
  for (const [kind, body, wanted] of cases) {
    const { status, json } = await testPlane().call("POST", `/tokens/${kind}`, { body });
    assert.deepEqual([status, json.title], [400, "Invalid request"], JSON.stringify(body));
    const found = json.invalid_parameters.map((
      { field, reason }: Record<string, string>,
    ) => `${field}: ${reason}`);
    assert.deepEqual(found, wanted);
  }
  for (const body of ["", "{", "[]", '"x"', "null"]) {
    const { status, json } = await testPlane().call("POST", "/tokens/zone", { body });
    assert.equal(status, 400);
    assert.match(json.detail, /^the body must be /);
  }
});

Deno.test("POST /tokens/… answers whatever it is sent", async () => {
  const plane = testPlane();
  const field = fc.constantFrom("name", "mesh", "tags", "type", "validFor", "scope", "groups", "x");
  const body = fc.oneof(fc.jsonValue(), fc.dictionary(field, fc.jsonValue()), fc.string());
  await fc.assert(fc.asyncProperty(
    fc.constantFrom("dataplane", "zone", "user"),
    body,
    async (kind, content) => {
      const { status } = await plane.call("POST", `/tokens/${kind}`, { body: content });
      return status === 200 || status === 400;
    },
  ));
});

Deno.test("POST /tokens/… is for those who may, one kind at a time", async () => {
  const access = { generateDpToken: { users: ["jane"], groups: [] } };
  const plane = testPlane({}, { access });
  const jane = { peer: "10.0.0.9", headers: { authorization: "Bearer of-jane" } };
  const ask = async (kind: string, options: object) =>
    (await plane.call("POST", `/tokens/${kind}`, { body: { mesh: "m", scope: [] }, ...options }))
      .status;
  assert.equal(await ask("dataplane", jane), 200);
  assert.equal(await ask("zone", jane), 403);
  assert.equal(await ask("user", jane), 403);
  assert.equal(await ask("zone", {}), 200);
  assert.equal(await ask("dataplane", { peer: "10.0.0.9" }), 403);
});

Deno.test("POST /tokens/… without a signing key is a 404 that says so", async () => {
  const body = { mesh: "keyless" };
  const { status, json } = await testPlane().call("POST", "/tokens/dataplane", { body });
  assert.deepEqual([status, json.title], [404, "Signing Key not found"]);
  assert.equal((await testPlane().call("GET", "/tokens/dataplane")).status, 405);
  assert.equal((await testPlane().call("POST", "/tokens/other")).status, 404);
});
