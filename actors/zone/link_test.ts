import assert from "node:assert/strict";
import { KINDS } from "../../core/kinds.ts";
import type { Resource } from "../../core/resource.ts";
import { applyChanges, emptyImage } from "../../kds/image.ts";
import { writeLink } from "../../kds/zone_link.ts";
import { keepLink, linksToReoffer } from "./link.ts";

const AT = { nowMs: 0, self: "zones/east", random: () => 0 };
const LINK = { host: "h", port: 1, certificate: "-----BEGIN CERTIFICATE-----\n" };

function imageWith(...zones: readonly string[]) {
  const image = emptyImage(KINDS);
  for (const zone of zones) {
    const times = { version: 1, creationTime: "", modificationTime: "" };
    const resource: Resource = { ...writeLink(zone, LINK), ...times };
    applyChanges(image, [{ revision: 1, key: resource, resource, previous: null }]);
  }
  return image;
}

Deno.test("keepLink() writes what is news, and takes back what is announced no more", () => {
  const ops = (image: ReturnType<typeof imageWith>, said: typeof LINK | null) =>
    keepLink({ zone: "east", image, said }, AT).flatMap((effect) =>
      effect.do === "send"
        ? (effect.msg as unknown as { ops: readonly { op: string }[] }).ops.map(({ op }) => op)
        : []
    );
  assert.deepEqual(ops(imageWith(), LINK), ["put"]);
  assert.deepEqual(ops(imageWith("east"), LINK), []);
  assert.deepEqual(ops(imageWith("east"), { ...LINK, port: 2 }), ["put"]);
  assert.deepEqual(ops(imageWith("east"), null), ["delete"]);
  assert.deepEqual(ops(imageWith("west"), null), []);
});

Deno.test("a zone that goes out is told of nobody, and nobody of it", () => {
  const image = imageWith("east", "west", "north");
  const names = (changed: string) => linksToReoffer(image, { zone: "east", changed });
  assert.deepEqual(names("west"), ["ursa-zone-link.west."]);
  assert.equal(names("east").length, 3);
  assert.deepEqual(names("other"), []);
});
