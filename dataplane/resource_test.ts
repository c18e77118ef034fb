import assert from "node:assert/strict";
import { parseProxyResource } from "./resource.ts";

const dataplane = {
  type: "Dataplane",
  mesh: "default",
  name: "web-1",
  networking: { address: "10.0.0.1" },
};

function reasonOf(text: string): string {
  const parsed = parseProxyResource(text, "dataplane");
  return parsed.ok ? "" : parsed.violations[0]!.message;
}

Deno.test("parseProxyResource() reads JSON, and YAML that begins like it", () => {
  assert.equal(reasonOf(JSON.stringify(dataplane)), "");
  assert.equal(
    reasonOf("{type: Dataplane, mesh: default, name: web-1, networking: {address: 10.0.0.1}}"),
    "",
  );
});

Deno.test("parseProxyResource() takes long JSON, but no YAML that would keep it busy for seconds", () => {
  const labels = Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`k${i}`, "v"]));
  assert.equal(reasonOf(JSON.stringify({ ...dataplane, labels })), "");
  const keys = Array.from({ length: 10_000 }, (_, i) => `key-${i}:`).join("\n");
  assert.match(reasonOf(keys), /^is longer than 65536 characters: write it as JSON$/);
});

Deno.test("parseProxyResource() goes into nothing that is nested without reason", () => {
  const deep = `{"a":`.repeat(40_000) + "1" + "}".repeat(40_000);
  assert.match(reasonOf(`{"networking":${deep}}`), /^is nested deeper than 32 levels$/);
  assert.match(reasonOf(`a: ${"[".repeat(100)}${"]".repeat(100)}`), /^is nested deeper/);
  assert.match(reasonOf("[".repeat(60_000)), /^is not YAML/);
});

Deno.test("parseProxyResource() takes what kuma-dp adds to a resource for meta, not for its spec", () => {
  const times = {
    creationTime: "0001-01-01T00:00:00Z",
    modificationTime: "0001-01-01T00:00:00Z",
    kri: "kri_dp_default___web-1_",
  };
  const parsed = parseProxyResource(JSON.stringify({ ...dataplane, ...times }), "dataplane");
  assert.deepEqual(parsed.ok && parsed.resource.spec, { networking: dataplane.networking });
});
