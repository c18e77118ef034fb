import assert from "node:assert/strict";
import { KINDS } from "../core/kinds.ts";
import type { Draft, Resource } from "../core/resource.ts";
import { type Ahead, isBehind, NOT_AHEAD, readAhead, writeAhead } from "./ahead.ts";
import { encodeResource } from "./codec.ts";
import { applyChanges, emptyImage } from "./image.ts";
import { encodeDownward, encodeUpward } from "./offers.ts";
import { peerRules } from "./peer_rules.ts";
import { catchUp, openReceiver, takeResponse, zoneRules } from "./receiver.ts";
import { stamped } from "./stamp.ts";

const KIND = KINDS.find(({ name }) => name === "ZoneIngress")!;
const TIMES = { creationTime: "", modificationTime: "" };

function ingress(version: number, port = 10_001, zone = "west"): Resource {
  return {
    type: "ZoneIngress",
    mesh: "",
    name: "gate",
    labels: {},
    spec: { zone, networking: { address: "127.0.0.1", port } },
    version,
    ...TIMES,
  };
}

const upward = (resource: Resource, zone = "west") => {
  const encoded = encodeUpward(resource, { descriptor: KIND, zone, stamps: true });
  assert.ok(encoded.ok);
  return encoded.item;
};

/** As global holds it, and hands it on. */
function throughGlobal(resource: Resource) {
  const item = upward(resource);
  const image = emptyImage([KIND]);
  const receiver = openReceiver("g", { rules: peerRules([KIND], "west"), nodeId: "g" });
  const [write] = takeResponse(receiver, responseOf([item]), { image, hold: null }).writes;
  const [op] = write!.ops;
  assert.ok(op?.op === "put");
  const onGlobal = { ...op.resource, version: 7, ...TIMES };
  const encoded = encodeDownward(
    { ...onGlobal, labels: { ...onGlobal.labels, "kuma.io/origin": "zone" } },
    { descriptor: KIND, hashNames: true, stamps: true },
  );
  assert.ok(encoded.ok);
  return encoded.item;
}

function responseOf(resources: readonly ReturnType<typeof upward>[], revision = 1) {
  return {
    typeUrl: "ZoneIngress",
    nonce: "1",
    systemVersion: `west:${revision}`,
    controlPlane: "west",
    resources,
    removed: [],
  };
}

/** A zone: what peers and global say becomes its state at once. */
function zone(ahead: Ahead = NOT_AHEAD) {
  const image = emptyImage([KIND]);
  let revision = 0;
  const apply = (draft: Draft) => {
    revision++;
    const resource = { ...draft, version: revision, ...TIMES };
    applyChanges(image, [{ revision, key: resource, resource, previous: null }]);
    return resource;
  };
  const rules = {
    peer: peerRules([KIND], "west"),
    global: zoneRules([KIND], () => ahead),
  };
  const receivers = {
    peer: openReceiver("p", { rules: rules.peer, nodeId: "east" }),
    global: openReceiver("g", { rules: rules.global, nodeId: "east" }),
  };
  const write = (ops: readonly { readonly op: string }[]) => {
    for (const op of ops as readonly { op: string; resource: Draft }[]) {
      if (op.op === "put") apply(op.resource);
    }
    return ops.length;
  };
  return {
    hears: (who: "peer" | "global", ...items: readonly ReturnType<typeof upward>[]) => {
      const taken = takeResponse(receivers[who], responseOf(items), { image, hold: null });
      return {
        written: write(taken.writes.flatMap(({ ops }) => ops)),
        rejected: taken.rejected,
      };
    },
    catchUp: () => write(catchUp(receivers.global, image).flatMap(({ ops }) => ops)),
    ports: () =>
      [...image.get("ZoneIngress")!.values()].map(({ spec }) =>
        (spec["networking"] as { readonly port: number }).port
      ),
  };
}

Deno.test("what a peer says of itself is what global would have said", () => {
  const east = zone();
  assert.equal(east.hears("peer", upward(ingress(5))).written, 1);
  assert.equal(east.hears("global", throughGlobal(ingress(5))).written, 0);
});

Deno.test("global's older word waits, and its newer one holds", () => {
  const east = zone(new Map([["west", 9]]));
  east.hears("peer", upward(ingress(9, 10_009)));
  assert.equal(east.hears("global", throughGlobal(ingress(5, 10_005))).written, 0);
  assert.deepEqual(east.ports(), [10_009]);
  assert.equal(east.hears("global", throughGlobal(ingress(12, 10_012))).written, 1);
  assert.deepEqual(east.ports(), [10_012]);
  assert.equal(east.catchUp(), 0, "the older word was taken back by the newer one");
});

Deno.test("what a zone took away does not come back with global's older word", () => {
  const east = zone(new Map([["west", 9]]));
  assert.equal(east.hears("global", throughGlobal(ingress(5))).written, 0);
  assert.deepEqual(east.ports(), []);
});

Deno.test("catchUp() takes global's word when its zone has not come back to it", () => {
  const east = zone(new Map([["west", 9]]));
  east.hears("peer", upward(ingress(9, 10_009)));
  east.hears("global", throughGlobal(ingress(5, 10_005)));
  assert.equal(east.catchUp(), 1);
  assert.deepEqual(east.ports(), [10_005]);
  assert.equal(east.catchUp(), 0);
});

Deno.test("isBehind() looks at the zone that is spoken of alone", () => {
  const labels = stamped({ ...ingress(5), labels: { "kuma.io/zone": "west" } }, 5);
  assert.equal(isBehind(labels, undefined, new Map([["north", 9]])), false);
  assert.equal(isBehind(labels, undefined, new Map([["west", 4]])), false);
  assert.equal(isBehind(labels, undefined, new Map([["west", 5]])), true);
});

Deno.test("readAhead() reads what writeAhead() wrote, and nothing else", () => {
  const note = { ...writeAhead("west", 9), version: 1, ...TIMES };
  assert.deepEqual(readAhead([note]), new Map([["west", 9]]));
  for (const config of ["", "[", "[1]", "3", '{"revision":"9"}', 3]) {
    const spec = { config } as Resource["spec"];
    assert.deepEqual(readAhead([{ ...note, spec }]), NOT_AHEAD, String(config));
  }
  assert.deepEqual(readAhead([{ ...note, name: "other" }]), NOT_AHEAD);
});

Deno.test("a peer speaks of its own zone's ingresses alone", () => {
  assert.deepEqual([...peerRules(KINDS, "west").descriptors.keys()], ["ZoneIngress"]);
  const own = ingress(5);
  const tagged = (zone: string) => ({
    ...own,
    spec: {
      ...own.spec,
      availableServices: [{
        mesh: "default",
        tags: { "kuma.io/service": "w", "kuma.io/zone": zone },
      }],
    },
  });
  const cases: readonly (readonly [string, ReturnType<typeof upward>, RegExp | null])[] = [
    ["its own", upward(tagged("west")), null],
    ["another zone's", upward(own, "north"), /speaks for zone "north", but "west" says it/],
    ["another zone's spec", upward(ingress(5, 1, "north")), /speaks for zone "north"/],
    ["another zone's service", upward(tagged("north")), /speaks for zone "north"/],
    ["a foreign name", renamed(own), /a name that is not its zone's/],
  ];
  for (const [what, item, expected] of cases) {
    const { written, rejected } = zone().hears("peer", item);
    assert.equal(written, expected ? 0 : 1, what);
    if (expected) assert.match(rejected.join(), expected, what);
  }
});

function renamed({ type, mesh, spec }: Resource) {
  const labels = {
    "kuma.io/display-name": "gate",
    "kuma.io/origin": "zone",
    "kuma.io/zone": "west",
  };
  return encodeResource({ type, mesh, name: "other", labels, spec }, KIND);
}

Deno.test("who does not know stamps is sent none", () => {
  const plain = encodeUpward(ingress(5), { descriptor: KIND, zone: "west" });
  assert.ok(plain.ok);
  assert.ok(!new TextDecoder().decode(plain.item.bytes).includes("ursa.io"));
  const down = (stamps: boolean) => {
    const encoded = encodeDownward(
      { ...ingress(5), labels: { "ursa.io/revision": "5", "kuma.io/zone": "west" } },
      { descriptor: KIND, hashNames: true, stamps },
    );
    assert.ok(encoded.ok);
    return new TextDecoder().decode(encoded.item.bytes).includes("ursa.io");
  };
  assert.deepEqual([down(true), down(false)], [true, false]);
});
