import assert from "node:assert/strict";
import { buildZoneTable, lookUp } from "./zone_table.ts";

const table = (vips: Readonly<Record<string, string>>, domain = "mesh") =>
  buildZoneTable(Object.entries(vips), { domain, serial: 1 });

Deno.test("lookUp() finds services in any letter case, and tells what else a name may be", () => {
  const zone = table({ web: "240.0.0.1", "a.b.c": "240.0.0.2", six: "fd00::1" });
  const cases: readonly (readonly [string, string])[] = [
    ["web.mesh", "address"],
    ["WEB.Mesh", "address"],
    ["a.b.c.mesh", "address"],
    ["b.c.mesh", "branch"],
    ["c.mesh", "branch"],
    ["mesh", "apex"],
    ["other.mesh", "nothing"],
    ["x.web.mesh", "nothing"],
    ["web", "outside"],
    ["web.mesh.example", "outside"],
    ["webmesh", "outside"],
    ["", "outside"],
    // The Kelvin sign is a letter K to Unicode, and no letter at all to DNS.
    ["\u212a.mesh", "nothing"],
  ];
  for (const [name, found] of cases) assert.equal(lookUp(zone, name).found, found, name);
  assert.deepEqual(lookUp(zone, "web.mesh"), { found: "address", address: "240.0.0.1", family: 4 });
  assert.deepEqual(lookUp(zone, "six.mesh"), { found: "address", address: "fd00::1", family: 6 });
});

Deno.test("buildZoneTable() adds dots for underscores, and a service's own name wins", () => {
  const zone = table({
    "web_default_svc_80": "240.0.0.1",
    "a_b": "240.0.0.2",
    "a.b": "240.0.0.3",
  });
  assert.deepEqual(Object.fromEntries(zone.addresses), {
    "web_default_svc_80.mesh": "240.0.0.1",
    "web.default.svc.80.mesh": "240.0.0.1",
    "a_b.mesh": "240.0.0.2",
    "a.b.mesh": "240.0.0.3",
  });
});

Deno.test("buildZoneTable() leaves out what can be no name", () => {
  const bad = [
    "",
    "a..b",
    ".a",
    "a.",
    "x".repeat(64),
    "a b",
    "wéb",
    "a\\b",
    `${"a.".repeat(125)}b`,
  ];
  const zone = table(Object.fromEntries(bad.map((name) => [name, "240.0.0.1"])));
  assert.deepEqual([...zone.addresses.keys()], []);
});

Deno.test("buildZoneTable() serves another domain", () => {
  const zone = table({ web: "240.0.0.1" }, "svc.example");
  assert.equal(lookUp(zone, "web.svc.example").found, "address");
  assert.equal(lookUp(zone, "example").found, "outside");
  assert.equal(lookUp(zone, "web.mesh").found, "outside");
});
