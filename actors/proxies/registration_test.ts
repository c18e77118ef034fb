import assert from "node:assert/strict";
import { everyKind } from "../../cli/kinds.ts";
import type { JsonObject } from "../../core/resource.ts";
import { readRegistration } from "./registration.ts";

const kinds = everyKind();

function reasonOf(id: string, metadata: JsonObject): string {
  const read = readRegistration({ id, metadata }, { kinds, zone: "east" });
  return read.ok ? "" : read.reason;
}

function resource(more: JsonObject = {}): string {
  const inbound = [{ port: 80, tags: { "kuma.io/service": "web" } }];
  const networking = { address: "10.0.0.1", inbound };
  return JSON.stringify({ type: "Dataplane", mesh: "default", name: "web-1", networking, ...more });
}

Deno.test("readRegistration() says what is wrong with a node", () => {
  const cases: readonly [string, JsonObject, RegExp][] = [
    ["default.web-1", {}, /^$/],
    ["default.web-1", { "dataplane.resource": resource() }, /^$/],
    ["web-1", {}, /is not <mesh>.<name>/],
    ["default.Web_1", {}, /is not <mesh>.<name>/],
    [".web-1", {}, /names no mesh/],
    ["default.web-1", { "dataplane.proxyType": "egress" }, /is not served/],
    ["default.web-2", { "dataplane.resource": resource() }, /its node id says default\/web-2/],
    ["default.web-1", { "dataplane.resource": "[" }, /is not YAML/],
    ["default.web-1", { "dataplane.resource": resource({ networking: {} }) }, /is not valid/],
    ["default.web-1", { "dataplane.resource": "a".repeat(300_000) }, /larger than 262144/],
  ];
  for (const [id, metadata, reason] of cases) assert.match(reasonOf(id, metadata), reason);
});

Deno.test("readRegistration() takes no label that makes a proxy look like something else", () => {
  const cases: readonly [unknown, RegExp][] = [
    [{ team: "a", "kuma.io/origin": "global", "kuma.io/zone": "west" }, /^$/],
    [JSON.parse('{"constructor":"a","toString":"b"}'), /^$/],
    [JSON.parse('{"__proto__":"a"}'), /__proto__"\]: the key must be/],
    [{ "kuma.io/display-name": "web-1", "kuma.io/mesh": "default" }, /^$/],
    [{ "kuma.io/display-name": "db-1" }, /display-name"\]: must be "web-1", its name/],
    [{ "kuma.io/mesh": "other" }, /mesh"\]: must be "default" here, is "other"/],
    [{ "kuma.io/workload": "Web" }, /workload"\]: must be a DNS label/],
    [{ team: "a b" }, /team"\]: the value must be letters/],
    [{ team: 7 }, /labels: must be an object of strings/],
    [{ team: { name: "a" } }, /labels: must be an object of strings/],
    ["team", /labels: must be an object of strings/],
  ];
  for (const [labels, reason] of cases) {
    const text = resource({ labels: labels as JsonObject });
    assert.match(reasonOf("default.web-1", { "dataplane.resource": text }), reason);
  }
});

Deno.test("readRegistration() does not repeat what is long", () => {
  const long = "x".repeat(1_000_000);
  assert(reasonOf(long, {}).length < 200);
  assert(reasonOf(`.${long}`, {}).length < 200);
  assert(reasonOf("default.web-1", { "dataplane.proxyType": long }).length < 200);
});

Deno.test("readRegistration() takes no node that would fill the link to global", () => {
  const metadata = { "dataplane.resource": resource() };
  assert.equal(reasonOf("default.web-1", { ...metadata, note: "x".repeat(60_000) }), "");
  assert.match(
    reasonOf("default.web-1", { ...metadata, note: "x".repeat(70_000) }),
    /^its node metadata is larger than 65536 bytes$/,
  );
});

Deno.test("readRegistration() keeps what nobody here knows, and says so", () => {
  const text = resource({ probes: { port: 1 }, sidecar: { speed: 9 } });
  const metadata = { "dataplane.resource": text };
  const read = readRegistration({ id: "default.web-1", metadata }, { kinds, zone: "east" });
  assert.ok(read.ok);
  assert.deepEqual(read.notes.map(({ path }) => path), ["sidecar", "probes"]);
  assert.deepEqual(read.resource?.spec["sidecar"], { speed: 9 });
});
