import assert from "node:assert/strict";
import { KINDS } from "../core/kinds.ts";
import type { Resource } from "../core/resource.ts";
import type { Op } from "../store/store.ts";
import { digestOf, mismatches, readDigests, writeDigests } from "./digest.ts";
import { applyChanges, emptyImage, type Image } from "./image.ts";
import { encodeDownward, enter, openBook } from "./offers.ts";
import {
  heldVersions,
  onWritten,
  openReceiver,
  receiverStandings,
  subscription,
  takeResponse,
  zoneRules,
} from "./receiver.ts";
import { onRequest, openSender, owe, senderStandings, takeResponses } from "./sender.ts";
import type { KdsResponse } from "./wire.ts";

Deno.test("digestOf() goes by names and versions, in any order", () => {
  const digest = digestOf(new Map([["a.", "1"], ["b.", "2"]]));
  assert.equal(digestOf(new Map([["b.", "2"], ["a.", "1"]])), digest);
  assert.notEqual(digestOf(new Map([["a.", "1"], ["b.", "3"]])), digest);
  assert.notEqual(digestOf(new Map([["a.", "1"]])), digest);
});

Deno.test("mismatches() compares what stands after the same response", () => {
  const told = { Mesh: { nonce: "1", digest: "a" }, Secret: { nonce: "2", digest: "a" } };
  const own = { Mesh: { nonce: "1", digest: "b" }, Secret: { nonce: "3", digest: "b" } };
  assert.deepEqual(mismatches(told, own), ["Mesh"]);
  assert.deepEqual(mismatches(told, {}), []);
});

Deno.test("readDigests() takes what has the right shape", () => {
  const digests = { down: { Mesh: { nonce: "1", digest: "a" } }, up: {} };
  assert.deepEqual(readDigests(writeDigests(digests)), digests);
  for (const text of ["", "null", "{}", "[1]", "[[],1]"]) assert.equal(readDigests(text), null);
  assert.deepEqual(readDigests('[[["Mesh",1,"a"],7,["Mesh"]],[]]'), { down: {}, up: {} });
});

const MESH = KINDS.find(({ name }) => name === "Mesh")!;
let revision = 0;

function mesh(name: string, labels: Resource["labels"] = {}): Resource {
  const times = { creationTime: "", modificationTime: "" };
  return { type: "Mesh", mesh: "", name, labels, spec: {}, version: ++revision, ...times };
}

/** A global and a zone that have synced some meshes. */
class Pair {
  readonly book = openBook();
  readonly sender = openSender();
  readonly receiver = openReceiver("s", { rules: zoneRules([MESH]), nodeId: "east" });
  readonly image: Image = emptyImage([MESH]);

  constructor(...names: readonly string[]) {
    this.offer(...names);
    onRequest(this.sender, subscription("Mesh", { nodeId: "east" }), this.book.offers);
    this.sync();
  }

  offer(...names: readonly string[]): void {
    for (const local of names) {
      const encoded = encodeDownward(mesh(local), { descriptor: MESH, hashNames: true });
      for (const name of enter(this.book, { type: "Mesh", local, encoded })) {
        owe(this.sender, "Mesh", name);
      }
    }
  }

  responses(): readonly KdsResponse[] {
    const options = { systemVersion: "c:1", controlPlane: "", bytesMax: 1e6, inParts: true };
    return takeResponses(this.sender, { ...options, offers: this.book.offers }).responses;
  }

  /** What was sent for it: names, removed ones with a `-`. */
  sync(): readonly string[] {
    return this.responses().flatMap((response) => {
      let taken = takeResponse(this.receiver, response, { image: this.image, hold: null });
      for (const { ref, ops } of taken.writes) {
        const result = { ok: true as const, changes: ops.map(changeOf) };
        taken = onWritten(this.receiver, ref, { result, image: this.image });
      }
      onRequest(this.sender, taken.answer!, this.book.offers);
      const { resources, removed } = response;
      return [...resources.map(({ name }) => name), ...removed.map((name) => `-${name}`)];
    });
  }

  alter(name: string, resource: Resource | null): void {
    const key = { type: "Mesh", mesh: "", name };
    const change = { revision: ++revision, key, resource, previous: null };
    applyChanges(this.image, [change]);
  }

  differs(): readonly string[] {
    return mismatches(receiverStandings(this.receiver, this.image), senderStandings(this.sender));
  }

  compare(): readonly string[] {
    const held = heldVersions(this.receiver, "Mesh", this.image)!;
    onRequest(this.sender, subscription("Mesh", { nodeId: "east", held }), this.book.offers);
    return this.sync();
  }
}

function changeOf(op: Op) {
  const key = op.op === "put" ? op.resource : op.key;
  const resource = op.op === "put" ? { ...mesh(key.name), ...op.resource } : null;
  return { revision: ++revision, key, resource, previous: null };
}

Deno.test("a copy that was altered, lost or made up is found, and only that is sent again", () => {
  const pair = new Pair("a", "b", "c", "d");
  assert.deepEqual(pair.differs(), []);
  pair.alter("a", mesh("a", { altered: "yes" }));
  pair.alter("b", null);
  pair.alter("e", mesh("e", { "kuma.io/origin": "global" }));
  assert.deepEqual(pair.differs(), ["Mesh"]);
  assert.deepEqual(pair.compare(), ["a.", "b.", "-e."]);
  assert.deepEqual(pair.differs(), []);
  const names = ["a.", "b.", "c.", "d."];
  assert.deepEqual([...pair.image.get("Mesh")!.keys()].sort(), names);
});

Deno.test("a copy that is written again as it was is no difference", () => {
  const pair = new Pair("a");
  pair.alter("a", { ...pair.image.get("Mesh")!.get("a.")!, version: ++revision });
  assert.deepEqual(pair.differs(), []);
});

Deno.test("what is under way is not compared, and what goes meanwhile leaves no ghost", () => {
  const pair = new Pair("a");
  pair.offer("b");
  const [crossing] = pair.responses();
  assert.deepEqual(pair.differs(), [], "a response is in flight");
  // The zone asks with what it has before it hears of b, and b goes before it is asked for.
  for (const name of enter(pair.book, { type: "Mesh", local: "b", encoded: null })) {
    owe(pair.sender, "Mesh", name);
  }
  const held = heldVersions(pair.receiver, "Mesh", pair.image)!;
  assert.deepEqual(crossing!.resources.map(({ name }) => name), ["b."]);
  onRequest(pair.sender, subscription("Mesh", { nodeId: "east", held }), pair.book.offers);
  assert.deepEqual(pair.sync(), ["-b."]);
});
