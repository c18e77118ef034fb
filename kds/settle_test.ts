import assert from "node:assert/strict";
import { KINDS } from "../core/kinds.ts";
import type { Draft, Resource } from "../core/resource.ts";
import { encodeResource } from "./codec.ts";
import { applyChanges, emptyImage } from "./image.ts";
import { openReceiver, settle, takeResponse, zoneRules } from "./receiver.ts";
import type { KdsResponse } from "./wire.ts";

const ZONE_INGRESS = KINDS.find(({ name }) => name === "ZoneIngress")!;

function ingress(name: string, zone = "west"): Draft {
  return {
    type: "ZoneIngress",
    mesh: "",
    name,
    labels: { "kuma.io/origin": "global", "kuma.io/zone": zone },
    spec: { zone, networking: { address: "127.0.0.1", port: 10_001 } },
  };
}

function response(drafts: readonly Draft[], removed: readonly string[] = []): KdsResponse {
  return {
    typeUrl: "ZoneIngress",
    nonce: "1",
    systemVersion: "c:1",
    controlPlane: "global",
    resources: drafts.map((draft) => encodeResource(draft, ZONE_INGRESS)),
    removed,
  };
}

/** A zone that knows these ingresses of others and has just connected. */
function zoneWith(...names: readonly string[]) {
  const image = emptyImage([ZONE_INGRESS]);
  const times = { version: 1, creationTime: "", modificationTime: "" };
  const known = names.map((name): Resource => ({ ...ingress(name), ...times }));
  applyChanges(
    image,
    known.map((resource) => ({ revision: 1, key: resource, resource, previous: null })),
  );
  const receiver = openReceiver("s", { rules: zoneRules([ZONE_INGRESS]), nodeId: "east" });
  const deletes = (writes: readonly { readonly ops: readonly { readonly op: string }[] }[]) =>
    writes.flatMap(({ ops }) => ops).filter(({ op }) => op === "delete").length;
  return {
    take: (...what: Parameters<typeof response>) =>
      deletes(takeResponse(receiver, response(...what), { image, hold: null }).writes),
    settle: () => settle(receiver, image).map(({ resource }) => resource.name),
  };
}

Deno.test("what a new global does not know of other zones stays until it has settled", () => {
  const zone = zoneWith("a", "b");
  assert.equal(zone.take([]), 0);
  assert.equal(zone.take([ingress("b")]), 0);
  assert.deepEqual(zone.settle(), ["a"]);
});

Deno.test("what global takes back by name is gone at once", () => {
  const zone = zoneWith("a");
  assert.equal(zone.take([ingress("a")]), 0);
  assert.equal(zone.take([], ["a"]), 1);
  assert.deepEqual(zone.settle(), []);
});

Deno.test("settle() deletes again what no store has deleted yet", () => {
  const zone = zoneWith("a");
  zone.take([]);
  assert.deepEqual(zone.settle(), ["a"]);
  assert.deepEqual(zone.settle(), ["a"]);
});
