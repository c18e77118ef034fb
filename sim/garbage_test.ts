// What is stored of every kind makes no sense: nothing ends for it, and all else goes on.

import assert from "node:assert/strict";
import type { Json, JsonObject, Resource } from "../core/resource.ts";
import { mesh } from "../tests/system/zone_edits.ts";
import { KINDS } from "./control_plane.ts";
import { draftOf } from "../tests/system/zone_edits.ts";
import { World } from "./world.ts";

const NONSENSE: readonly Json[] = [null, 7, "text", [], [null], [7], {}, [{}]];
/** Which parts of a spec are read, of any kind. */
const PARTS = [
  ["networking", "address", "inbound", "outbound", "gateway", "advertisedAddress"],
  ["mtls", "enabledBackend", "backends"],
  ["routing"],
  ["constraints", "dataplaneProxy"],
  ["sources", "match"],
  ["destinations", "match"],
  ["conf", "split", "destination"],
  ["availableServices", "tags"],
  ["subscriptions", "status"],
  ["mTLS"],
  ["data"],
  ["config"],
  ["targetRef"],
  ["to"],
  ["from"],
  ["rules"],
];

function* specs(): Generator<JsonObject> {
  for (const [part, ...inner] of PARTS) {
    for (const value of NONSENSE) {
      yield { [part!]: value };
      for (const name of inner) {
        yield { [part!]: { [name]: value } };
        yield { [part!]: [{ [name]: value }] };
      }
    }
  }
}

/** Of mesh "garbage", and names that say what a resource is for. */
function garbage(origin: string): readonly Resource[] {
  const at = { version: 1, creationTime: "2026-01-01T00:00:00Z", modificationTime: "" };
  return KINDS.all().flatMap(({ name: type, scope }) =>
    [...specs()].map((spec, i): Resource => ({
      type,
      mesh: scope === "Global" ? "" : "garbage",
      name: type === "Config" ? `kuma-garbage-${i}-dns-vips` : `garbage-${i}`,
      labels: i % 2 === 0 ? {} : { "kuma.io/origin": origin, "kuma.io/zone": "west" },
      spec,
      ...at,
    }))
  );
}

for (const where of ["global", "east"]) {
  Deno.test(`a store of ${where} full of what makes no sense keeps nothing else from going on`, () => {
    const world = new World({ seed: 1, zones: 1, global: true, bad: 0 });
    const plane = world.plane(where);
    world.write(world.global!, [{ op: "put", resource: mesh("default") }]);
    world.run(2_000);
    plane.kill(false);
    const { revision, resources } = plane.disk.copy();
    const nonsense = garbage(where === "global" ? "zone" : "global");
    plane.disk.load({ revision: revision + 1, resources: [...resources, ...nonsense] });
    world.start(plane);
    const proxy = draftOf({
      type: "Dataplane",
      mesh: "default",
      name: "web-1",
      networking: {
        address: "10.0.0.1",
        inbound: [{ port: 80, tags: { "kuma.io/service": "w" } }],
      },
    });
    world.run(5_000);
    world.write(world.zone("east"), [{ op: "put", resource: proxy }]);
    world.write(world.global!, [{ op: "put", resource: mesh("later") }]);
    world.run(5_000);
    const { disk } = world.zone("east");
    assert.ok(disk.image.get({ type: "Mesh", mesh: "", name: "later" }), "a mesh arrives");
    const up = world.global!.disk.image.list("Dataplane", "default");
    assert.equal(up.length, 1, "a proxy arrives");
  });
}
