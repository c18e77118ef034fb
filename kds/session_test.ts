import assert from "node:assert/strict";
import fc from "fast-check";
import { KINDS } from "../core/kinds.ts";
import type { Draft, Resource, ResourceDescriptor } from "../core/resource.ts";
import type { Change, Op } from "../store/store.ts";
import { encodeResponse } from "./envelope.ts";
import { decodeResource } from "./codec.ts";
import { applyChanges, emptyImage, type Image } from "./image.ts";
import { encodeDownward, enter, openBook } from "./offers.ts";
import {
  type Intaken,
  onWritten,
  openReceiver,
  type Receiver,
  takeAgain,
  takeResponse,
  type Written,
  zoneRules,
} from "./receiver.ts";
import {
  advance,
  endSession,
  onRequest,
  openSender,
  owe,
  rejections,
  resend,
  resendAfter,
  settledRevision,
  takeResponses,
  type Withheld,
} from "./sender.ts";
import { forgive, newTrust, tellsRefusal } from "./trust.ts";
import { type KdsRequest, type KdsResponse, MESSAGE_BYTES_MAX } from "./wire.ts";

const kind = (name: string): ResourceDescriptor => KINDS.find((one) => one.name === name)!;
const DOWN = [kind("Mesh"), kind("Secret")];

/** A global's half of a session, over a table of its own. */
function globalHalf({ bytesMax = MESSAGE_BYTES_MAX, inParts = false } = {}) {
  const table = new Map<string, Resource>();
  let book = openBook();
  const trust = newTrust();
  let sender = openSender(trust);
  let revision = 0;
  const told: Withheld[] = [];
  const options = () => ({
    offers: book.offers,
    systemVersion: `c:${revision}`,
    controlPlane: "global",
    bytesMax,
    inParts,
  });
  const offer = (name: string) => {
    const resource = table.get(name);
    const encoded = resource &&
      encodeDownward(resource, { descriptor: kind(resource.type), hashNames: true });
    for (
      const changed of enter(book, { type: typeOf(name), local: name, encoded: encoded ?? null })
    ) {
      owe(sender, typeOf(name), changed);
    }
  };
  return {
    table,
    get sender() {
      return sender;
    },
    change(name: string, spec: Draft["spec"] | null) {
      revision++;
      if (spec) table.set(name, resource(name, spec, revision));
      else table.delete(name);
      advance(sender, revision);
      offer(name);
    },
    reconnect() {
      sender = openSender(trust);
      book = openBook();
      for (const name of table.keys()) offer(name);
      advance(sender, revision);
    },
    end: () => endSession(sender),
    request: (request: KdsRequest) => onRequest(sender, request, book.offers),
    responses() {
      const { responses, withheld } = takeResponses(sender, options());
      told.push(...withheld);
      return responses;
    },
    told,
    trust,
    rejections: () => [...rejections(sender, book)],
  };
}

const typeOf = (name: string) => name.startsWith("mesh") ? "Mesh" : "Secret";

function resource(name: string, spec: Draft["spec"], version: number): Resource {
  const mesh = typeOf(name) === "Mesh" ? "" : "default";
  const times = { creationTime: "", modificationTime: "" };
  return { type: typeOf(name), mesh, name, labels: {}, spec, version, ...times };
}

/** A zone's half: its store is a table, too. */
function zoneHalf(seed: readonly Resource[] = []) {
  const image: Image = emptyImage(DOWN);
  let revision = 100;
  const commit = (ops: readonly Op[]): Written => {
    revision++;
    const changes = ops.map((op): Change =>
      op.op === "put"
        ? {
          revision,
          key: op.resource,
          resource: { ...resource("", {}, revision), ...op.resource, version: revision },
          previous: null,
        }
        : { revision, key: op.key, resource: null, previous: null }
    );
    return { ok: true, changes };
  };
  applyChanges(
    image,
    seed.map((one) => ({ revision: one.version, key: one, resource: one, previous: null })),
  );
  let receiver: Receiver;
  const reconnect = () => {
    receiver = openReceiver("s", { rules: zoneRules(DOWN), nodeId: "east" });
  };
  reconnect();
  const settle = (intaken: Intaken, write: (ops: readonly Op[]) => Written): KdsRequest | null => {
    let { answer } = intaken;
    for (const { ref, ops } of intaken.writes) {
      const after = onWritten(receiver, ref, { result: write(ops), image });
      answer = settle(after, write) ?? answer;
    }
    return answer;
  };
  return {
    image,
    reconnect,
    commit,
    get receiver() {
      return receiver;
    },
    take: (
      response: KdsResponse,
      { hold = null, write = commit }: {
        readonly hold?: string | null;
        readonly write?: (ops: readonly Op[]) => Written;
      } = {},
    ) => settle(takeResponse(receiver, response, { image, hold }), write),
  };
}

const ask = (typeUrl: string): KdsRequest => ({
  typeUrl,
  nonce: "",
  nodeId: "east",
  subscribe: ["*"],
  initialVersions: {},
});

Deno.test("a subscribed type is answered once, also with nothing; an unknown type too", () => {
  const global = globalHalf();
  global.request(ask("Mesh"));
  global.request(ask("MeshTimeout"));
  const responses = global.responses();
  assert.deepEqual(responses.map(({ typeUrl, nonce, resources }) => [typeUrl, nonce, resources]), [
    ["Mesh", "1", []],
    ["MeshTimeout", "2", []],
  ]);
  assert.deepEqual(global.responses(), []);
});

Deno.test("one response per type is in flight; what changes meanwhile goes next, once", () => {
  const global = globalHalf();
  global.request(ask("Mesh"));
  assert.equal(global.responses().length, 1);
  global.change("mesh-1", {});
  global.change("mesh-1", { skipCreatingInitialPolicies: ["*"] });
  global.change("mesh-2", {});
  global.change("mesh-2", null);
  assert.deepEqual(global.responses(), []);
  global.request({ ...ask("Mesh"), nonce: "1", subscribe: [] });
  const [next] = global.responses();
  assert.deepEqual(next?.resources.map(({ name }) => name), ["mesh-1."]);
  assert.deepEqual(next?.removed, []);
  assert.equal(next?.systemVersion, "c:4");
  assert.equal(settledRevision(global.sender), 0, "all four changes are on their way");
  global.request({ ...ask("Mesh"), nonce: next!.nonce });
  assert.equal(settledRevision(global.sender), 4);
});

Deno.test("what was rejected is not sent again until it changes", () => {
  const global = globalHalf();
  global.change("mesh-1", {});
  global.request(ask("Mesh"));
  const [first] = global.responses();
  const said = global.request({ ...ask("Mesh"), nonce: first!.nonce, error: "bad" });
  assert.deepEqual(said, { event: "nacked", typeUrl: "Mesh", message: "bad" });
  assert.deepEqual(global.rejections(), [["Mesh", "bad"]]);
  assert.deepEqual(global.responses(), []);
  global.change("mesh-1", { skipCreatingInitialPolicies: ["*"] });
  assert.equal(global.responses().length, 1);
});

Deno.test("what was rejected is sent again after ever longer pauses", () => {
  const global = globalHalf();
  global.change("mesh-1", {});
  global.change("mesh-2", {});
  global.request(ask("Mesh"));
  const [first] = global.responses();
  assert.equal(resendAfter(global.sender, "Mesh"), null);
  global.request({ ...ask("Mesh"), nonce: first!.nonce });
  global.change("mesh-1", { skipCreatingInitialPolicies: ["*"] });
  const pauses = Array.from({ length: 9 }, () => {
    const sent = global.responses();
    assert.deepEqual(sent.flatMap(({ resources }) => resources.map(({ name }) => name)), [
      "mesh-1.",
    ]);
    global.request({ ...ask("Mesh"), nonce: sent[0]!.nonce, error: "bad" });
    const afterMs = resendAfter(global.sender, "Mesh");
    assert.equal(resendAfter(global.sender, "Mesh"), null, "once");
    assert.deepEqual(global.responses(), [], "not before");
    resend(global.sender, "Mesh");
    return afterMs! / 1_000;
  });
  assert.deepEqual(pauses, [10, 20, 40, 80, 160, 320, 600, 600, 600]);
  const [last] = global.responses();
  global.request({ ...ask("Mesh"), nonce: last!.nonce });
  assert.deepEqual(global.rejections(), []);
  assert.equal(resendAfter(global.sender, "Mesh"), null);
});

Deno.test("a removal that was rejected is sent again, too", () => {
  const global = globalHalf();
  global.change("mesh-1", {});
  global.request(ask("Mesh"));
  global.request({ ...ask("Mesh"), nonce: global.responses()[0]!.nonce });
  global.change("mesh-1", null);
  const [removal] = global.responses();
  global.request({ ...ask("Mesh"), nonce: removal!.nonce, error: "it is in use" });
  assert.deepEqual(global.rejections(), [["Mesh", "it is in use"]]);
  assert.equal(resendAfter(global.sender, "Mesh"), 10_000);
  resend(global.sender, "Mesh");
  const [again] = global.responses();
  assert.deepEqual(again?.removed, ["mesh-1."]);
  global.change("mesh-2", {});
  global.request({ ...ask("Mesh"), nonce: again!.nonce, error: "it is in use" });
  const [other] = global.responses();
  global.request({ ...ask("Mesh"), nonce: other!.nonce });
  assert.deepEqual(global.rejections(), [["Mesh", "it is in use"]], "an ACK of something else");
  resendAfter(global.sender, "Mesh");
  resend(global.sender, "Mesh");
  global.change("mesh-2", { skipCreatingInitialPolicies: ["*"] });
  const [both] = global.responses();
  assert.deepEqual([both?.removed, both?.resources.length], [["mesh-1."], 1]);
  global.request({ ...ask("Mesh"), nonce: both!.nonce });
  assert.deepEqual(global.rejections(), []);
});

Deno.test("tellsRefusal() is true once a minute for each type, over all sessions", () => {
  const trust = newTrust();
  const told = [0, 1_000, 59_999, 60_000, 61_000, 120_000]
    .map((ms) => tellsRefusal(trust, "Mesh", ms));
  assert.deepEqual(told, [true, false, false, true, false, true]);
  assert.equal(tellsRefusal(trust, "Secret", 120_001), true);
  assert.equal(tellsRefusal(trust, "Mesh", 5), true, "the clock was set back");
});

Deno.test("an answer to an older response is ignored", () => {
  const global = globalHalf();
  global.request(ask("Mesh"));
  global.responses();
  assert.equal(global.request({ ...ask("Mesh"), nonce: "99" }).event, "ignored");
  assert.equal(global.request({ ...ask("Secret"), nonce: "1" }).event, "ignored");
});

Deno.test("a peer that says what it holds gets the rest only", () => {
  const global = globalHalf();
  global.change("mesh-1", {});
  global.change("mesh-2", {});
  global.request(ask("Mesh"));
  const [full] = global.responses();
  const held = { "mesh-1.": full!.resources[0]!.version, "gone.": "1" };
  global.reconnect();
  global.request({ ...ask("Mesh"), initialVersions: held });
  const [rest] = global.responses();
  assert.deepEqual(rest?.resources.map(({ name }) => name), ["mesh-2."]);
  assert.deepEqual(rest?.removed, ["gone."]);
});

Deno.test("a long later response is cut, and goes on after its ACK", () => {
  const global = globalHalf();
  global.request(ask("Secret"));
  const [first] = global.responses();
  global.request({ ...ask("Secret"), nonce: first!.nonce });
  const data = "A".repeat(1_200_000);
  for (const n of [1, 2, 3]) global.change(`s-${n}`, { data });
  const [one] = global.responses();
  assert.ok(one!.resources.length < 3);
  global.request({ ...ask("Secret"), nonce: one!.nonce });
  assert.ok(settledRevision(global.sender) < 3, "half an answer settles nothing");
  const [two] = global.responses();
  global.request({ ...ask("Secret"), nonce: two!.nonce });
  assert.equal(one!.resources.length + two!.resources.length, 3);
  assert.equal(settledRevision(global.sender), 3);
});

Deno.test("a first response that is too long stops its type alone, by name, until it fits", () => {
  const global = globalHalf({ bytesMax: 10_000 });
  const data = "A".repeat(4_000);
  for (const n of [1, 2, 3, 4]) global.change(`s-${n}`, { data });
  global.change("mesh-1", {});
  global.request(ask("Secret"));
  global.request(ask("Mesh"));
  const [mesh, ...others] = global.responses();
  assert.deepEqual([mesh?.typeUrl, others.length], ["Mesh", 0]);
  assert.match(global.told[0]!.reason, /^4 resources are 1\d{4} bytes, .*largest are s-1/);
  assert.deepEqual(global.responses(), []);
  assert.equal(global.told.length, 1, "told once");
  assert.deepEqual(global.rejections().map(([type]) => type), ["Secret"]);
  global.request({ ...ask("Mesh"), nonce: mesh!.nonce });
  assert.equal(settledRevision(global.sender), 5, "nothing waits for what is not sent");
  global.change("s-4", null);
  global.change("s-3", { data: "AAAA" });
  const [secret] = global.responses();
  assert.deepEqual(secret?.resources.map(({ name }) => name), [
    "s-1.default",
    "s-2.default",
    "s-3.default",
  ]);
  assert.deepEqual(global.rejections(), []);
});

Deno.test("a resource that no message holds stays here alone, until it changes", () => {
  const global = globalHalf({ bytesMax: 10_000 });
  global.change("s-1", { data: "AAAA" });
  global.change("s-2", { data: "AAAA" });
  global.request(ask("Secret"));
  const [first] = global.responses();
  global.request({ ...ask("Secret"), nonce: first!.nonce });
  global.change("s-2", { data: "A".repeat(20_000) });
  global.change("s-1", { data: "BBBB" });
  const [next] = global.responses();
  assert.deepEqual(next?.resources.map(({ name }) => name), ["s-1.default"]);
  assert.deepEqual(next?.removed, [], "the peer keeps what it has");
  assert.match(global.told[0]!.reason, /^s-2.default is 15\d+ bytes/);
  assert.match(global.rejections()[0]![1], /^s-2.default is/);
  global.request({ ...ask("Secret"), nonce: next!.nonce });
  assert.equal(settledRevision(global.sender), 4);
  global.change("s-2", { data: "CCCC" });
  assert.deepEqual(global.responses()[0]?.resources.map(({ name }) => name), ["s-2.default"]);
  assert.deepEqual(global.rejections(), []);
});

Deno.test("no response is longer than a message, also with many names to remove", () => {
  const global = globalHalf({ bytesMax: 10_000 });
  for (let n = 0; n < 20; n++) global.change(`s-${n}`, {});
  global.request(ask("Secret"));
  const [first] = global.responses();
  global.request({ ...ask("Secret"), nonce: first!.nonce });
  for (let n = 0; n < 20; n++) global.change(`s-${n}`, null);
  for (let n = 0; n < 40; n++) global.change(`t-${n}`, { data: "A".repeat(300) });
  let told = 0;
  for (let out = global.responses(); out.length > 0; out = global.responses()) {
    assert.ok(encodeResponse(out[0]!).length <= 10_000);
    told += out[0]!.resources.length + out[0]!.removed.length;
    global.request({ ...ask("Secret"), nonce: out[0]!.nonce });
  }
  assert.equal(told, 60);
});

Deno.test("a peer that puts parts together gets a first state of any length", () => {
  const global = globalHalf({ inParts: true });
  const stale = { ...resource("s-old", {}, 1), labels: { "kuma.io/origin": "global" } };
  const zone = zoneHalf([stale]);
  const data = "A".repeat(1_200_000);
  for (const n of [1, 2, 3, 4, 5]) global.change(`s-${n}`, { data });
  global.request(ask("Secret"));
  const held: number[] = [];
  for (let out = global.responses(); out.length > 0; out = global.responses()) {
    // One that goes after it was told is not there in the end, and one that came meanwhile is.
    if (held.length === 0) {
      global.change("s-1", null);
      global.change("s-6", { data: "AAAA" });
    }
    global.request(zone.take(out[0]!)!);
    held.push(zone.image.get("Secret")!.size);
  }
  assert.deepEqual(held, [3, 5, 5], "what is stale goes with the last part, not before");
  assert.deepEqual(
    [...zone.image.get("Secret")!.keys()],
    [2, 3, 4, 5, 6].map((n) => `s-${n}.default`),
  );
  assert.equal(settledRevision(global.sender), 7);
});

Deno.test("what no peer could read stays at home alone, and the peer keeps the older state", () => {
  const global = globalHalf();
  global.change("mesh-1", {});
  global.request(ask("Mesh"));
  const [first] = global.responses();
  global.request({ ...ask("Mesh"), nonce: first!.nonce });
  global.change("mesh-1", { skipCreatingInitialPolicies: ["\ud800"] });
  global.change("mesh-2", {});
  const [next] = global.responses();
  assert.deepEqual(next?.resources.map(({ name }) => name), ["mesh-2."]);
  assert.deepEqual(next?.removed, []);
  assert.deepEqual(global.rejections(), [[
    "Mesh",
    "mesh-1: spec.skipCreatingInitialPolicies[0] is no well-formed Unicode, " +
    "so it cannot be written as UTF-8",
  ]]);
  global.change("mesh-1", { skipCreatingInitialPolicies: ["*"] });
  assert.deepEqual(global.rejections(), []);
});

Deno.test("the first response replaces everything, later ones change what they name", () => {
  const stale = { ...resource("mesh-old", {}, 1), labels: { "kuma.io/origin": "global" } };
  const zone = zoneHalf([stale]);
  const global = globalHalf();
  global.change("mesh-1", {});
  global.request(ask("Mesh"));
  const ack = zone.take(global.responses()[0]!);
  assert.equal(ack?.error, undefined);
  assert.deepEqual([...zone.image.get("Mesh")!.keys()], ["mesh-1."]);
  global.request(ack!);
  global.change("mesh-2", {});
  assert.equal(zone.take(global.responses()[0]!)?.error, undefined);
  assert.deepEqual([...zone.image.get("Mesh")!.keys()], ["mesh-1.", "mesh-2."]);
});

Deno.test("a zone's own Secret of the same name wins; the others are stored, it alone is refused", () => {
  const own = resource("s-1", { data: "b3du" }, 1);
  const zone = zoneHalf([own]);
  const global = globalHalf();
  global.change("s-1", { data: "AAAA" });
  global.change("s-2", { data: "AAAA" });
  global.request(ask("Secret"));
  const nack = zone.take(global.responses()[0]!);
  assert.match(
    nack?.error ?? "",
    /^s-1\.default: exists already, and is not the sender's to change$/,
  );
  assert.deepEqual(nack?.subscribe, ["*"]);
  assert.deepEqual(zone.image.get("Secret")!.get("s-1.default"), own);
  assert.ok(zone.image.get("Secret")!.has("s-2.default"));
});

Deno.test("what a peer accepted is taken as it is, fields that are unknown here included", () => {
  const global = globalHalf();
  const zone = zoneHalf();
  const backends = [{ name: "hsm", type: "vault", mode: "PERMISSIVE", $unknown: "wD4A" }];
  const spec = { mtls: { enabledBackend: "gone", backends } };
  global.change("mesh-1", spec);
  global.request(ask("Mesh"));
  assert.equal(zone.take(global.responses()[0]!)?.error, undefined);
  assert.deepEqual(zone.image.get("Mesh")!.get("mesh-1.")!.spec, spec);
});

Deno.test("one resource that the store refuses is named; the others are written", () => {
  const zone = zoneHalf();
  const global = globalHalf();
  for (const name of ["s-1", "s-2", "s-3"]) global.change(name, { data: "AAAA" });
  global.request(ask("Secret"));
  const nack = zone.take(global.responses()[0]!, {
    write: (ops) =>
      ops.some((op) => op.op === "put" && op.resource.name === "s-2")
        ? { ok: false, reason: "invalid", violations: [{ path: "data", message: "is cursed" }] }
        : zone.commit(ops),
  });
  assert.equal(nack?.error, "s-2.default: data: is cursed");
  assert.deepEqual([...zone.image.get("Secret")!.keys()], ["s-1.default", "s-3.default"]);
});

Deno.test("a resource that cannot be decoded keeps its old copy", () => {
  const zone = zoneHalf();
  const global = globalHalf();
  global.change("mesh-1", {});
  global.request(ask("Mesh"));
  global.request(zone.take(global.responses()[0]!)!);
  zone.reconnect();
  global.reconnect();
  global.request(ask("Mesh"));
  const [response] = global.responses();
  const broken = response!.resources.map((item) => ({ ...item, bytes: new Uint8Array([255]) }));
  const nack = zone.take({ ...response!, resources: broken });
  assert.match(nack?.error ?? "", /^mesh-1\.: cannot be decoded/);
  assert.ok(zone.image.get("Mesh")!.has("mesh-1."));
});

Deno.test("nothing is acknowledged before the store has it; a store that was away is tried again", () => {
  const zone = zoneHalf();
  const global = globalHalf();
  global.change("mesh-1", {});
  global.request(ask("Mesh"));
  const [response] = global.responses();
  assert.equal(
    zone.take(response!, { write: () => ({ ok: false, reason: "unavailable" }) }),
    null,
  );
  const again = takeAgain(zone.receiver, "Mesh", zone.image);
  assert.equal(again.writes.length, 1);
  const { ref, ops } = again.writes[0]!;
  const done = onWritten(zone.receiver, ref, { result: zone.commit(ops), image: zone.image });
  assert.equal(done.answer?.nonce, response!.nonce);
});

Deno.test("while held, what is new is added, and nothing is deleted or overwritten", () => {
  const origin = { labels: { "kuma.io/origin": "global" } };
  const zone = zoneHalf([
    { ...resource("mesh-old", {}, 1), ...origin },
    { ...resource("mesh-1", { skipCreatingInitialPolicies: ["*"] }, 1), ...origin },
  ]);
  const global = globalHalf();
  global.change("mesh-1", {});
  global.change("mesh-2", {});
  global.request(ask("Mesh"));
  const nack = zone.take(global.responses()[0]!, { hold: "a stranger" });
  assert.equal(nack?.error, "2 changes are held back: a stranger");
  assert.deepEqual([...zone.image.get("Mesh")!.keys()], ["mesh-old.", "mesh-1.", "mesh-2."]);
  assert.deepEqual(zone.image.get("Mesh")!.get("mesh-1.")!.spec, {
    skipCreatingInitialPolicies: ["*"],
  });
});

/**
 * As Kuma: responses are handled in their order, and one that cannot be decoded ends the session.
 * Comes back until nothing is left to say; the answer is how often it came.
 */
function converse(
  global: ReturnType<typeof globalHalf>,
  zone: ReturnType<typeof zoneHalf>,
  isPoison: (spec: Draft["spec"]) => boolean,
): number {
  const reads = (response: KdsResponse) =>
    response.resources.every((item) => {
      const read = decodeResource(item, kind(response.typeUrl));
      return read.ok && !isPoison(read.draft.spec);
    });
  for (let sessions = 1;; sessions++) {
    assert.ok(sessions < 20, "it goes on and on");
    zone.reconnect();
    global.reconnect();
    for (const { name } of DOWN) global.request(ask(name));
    if (talk()) return sessions;
    global.end();
  }

  function talk(): boolean {
    for (let out = global.responses(); out.length > 0; out = global.responses()) {
      for (const response of out) {
        if (!reads(response)) return false;
        global.request(zone.take(response)!);
      }
    }
    return true;
  }
}

const POISON = { data: "cG9pc29u" };
const isPoison = (spec: Draft["spec"]) => spec["data"] === POISON.data;

function inZone(zone: ReturnType<typeof zoneHalf>) {
  return Object.fromEntries(
    [...zone.image.get("Secret")!.values()].map(({ name, spec }) => [name, spec["data"]]),
  );
}

Deno.test("what ends the peer's stream is found and kept back; its older state stays there", () => {
  const global = globalHalf();
  const zone = zoneHalf();
  for (const n of [1, 2, 3]) global.change(`s-${n}`, { data: "AAAA" });
  global.change("mesh-1", {});
  assert.equal(converse(global, zone, isPoison), 1);
  global.change("s-2", POISON);
  global.change("s-1", { data: "BBBB" });
  assert.equal(converse(global, zone, isPoison), 4, "both new ones were suspect");
  assert.deepEqual(inZone(zone), { "s-1": "BBBB", "s-2": "AAAA", "s-3": "AAAA" });
  assert.match(global.rejections()[0]![1], /^s-2.default ended the peer's stream/);
  assert.equal(settledRevision(global.sender), 6);
  assert.equal(converse(global, zone, isPoison), 1, "it is not tried again");
  global.change("s-2", { data: "CCCC" });
  assert.equal(converse(global, zone, isPoison), 1);
  assert.deepEqual(inZone(zone), { "s-1": "BBBB", "s-2": "CCCC", "s-3": "AAAA" });
  assert.deepEqual(global.rejections(), []);
  assert.equal(global.trust.cautious, false);
});

Deno.test("of many that are new, only the one that ends the stream stays behind", () => {
  const global = globalHalf();
  const zone = zoneHalf();
  global.change("s-0", { data: "AAAA" });
  converse(global, zone, isPoison);
  for (const n of [1, 2, 3, 4]) global.change(`s-${n}`, n === 3 ? POISON : { data: "AAAA" });
  assert.ok(converse(global, zone, isPoison) <= 4);
  assert.deepEqual(Object.keys(inZone(zone)).sort(), ["s-0", "s-1", "s-2", "s-4"]);
  forgive(global.trust);
  converse(global, zone, () => false);
  assert.equal(Object.keys(inZone(zone)).length, 5, "another process of the peer's is asked again");
});

Deno.test("while nothing of a type is known to be safe, it alone stops", () => {
  const global = globalHalf();
  const held = { ...resource("s-1", { data: "AAAA" }, 1), labels: { "kuma.io/origin": "global" } };
  const zone = zoneHalf([held]);
  global.change("s-1", { data: "BBBB" });
  global.change("s-2", POISON);
  global.change("mesh-1", {});
  assert.equal(converse(global, zone, isPoison), 3);
  assert.deepEqual(inZone(zone), { "s-1": "AAAA" }, "nothing was deleted");
  assert.ok(zone.image.get("Mesh")!.has("mesh-1."));
  assert.match(global.rejections()[0]![1], /one of these changes: s-1.default, s-2.default$/);
  assert.equal(settledRevision(global.sender), 3);
  global.change("s-2", { data: "CCCC" });
  converse(global, zone, isPoison);
  assert.deepEqual(inZone(zone), { "s-1": "BBBB", "s-2": "CCCC" });
});

Deno.test("a connection that is cut again and again accuses nobody", () => {
  const global = globalHalf();
  for (const n of [1, 2, 3]) global.change(`s-${n}`, { data: "AAAA" });
  for (let n = 0; n < 5; n++) {
    global.reconnect();
    global.request(ask("Secret"));
    assert.equal(global.responses()[0]?.resources.length, 3);
  }
  assert.deepEqual(global.rejections(), []);
});

Deno.test("a refusal is remembered until what was refused changes", () => {
  const global = globalHalf();
  global.change("s-1", { data: "AAAA" });
  global.request(ask("Secret"));
  global.request({ ...ask("Secret"), nonce: global.responses()[0]!.nonce, error: "s-1 exists" });
  global.change("s-2", { data: "AAAA" });
  global.request({ ...ask("Secret"), nonce: global.responses()[0]!.nonce });
  assert.deepEqual(global.rejections(), [["Secret", "s-1 exists"]]);
  global.change("s-1", null);
  global.request({ ...ask("Secret"), nonce: global.responses()[0]!.nonce });
  assert.deepEqual(global.rejections(), []);
});

Deno.test("whatever is lost on the way, both sides agree in the end", () => {
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ do: fc.constant("put" as const), n: fc.nat(4) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant("delete" as const), n: fc.nat(4) }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant("exchange" as const), n: fc.nat(3) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("cut" as const), n: fc.nat(1) }) },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const global = globalHalf();
      const zone = zoneHalf();
      const connect = () => {
        zone.reconnect();
        global.reconnect();
        for (const { name } of DOWN) global.request(ask(name));
      };
      // `kept`: how many messages arrive before the line is cut.
      const exchange = (kept: number) => {
        let left = kept;
        for (let out = global.responses(); out.length > 0; out = global.responses()) {
          for (const response of out) {
            if (left-- <= 0) return connect();
            const answer = zone.take(response);
            if (left-- <= 0) return connect();
            global.request(answer!);
          }
        }
      };
      connect();
      let count = 0;
      for (const { do: what, n } of steps) {
        const name = n % 2 ? `mesh-${n}` : `s-${n}`;
        if (what === "put") {
          count++;
          global.change(
            name,
            n % 2
              ? { skipCreatingInitialPolicies: [String(count)] }
              : { data: "AAAA".repeat(count) },
          );
        } else if (what === "delete") global.change(name, null);
        else if (what === "exchange") exchange(n === 0 ? Infinity : n);
        else connect();
      }
      exchange(Infinity);
      const there = DOWN.flatMap(({ name }) => [...zone.image.get(name)!.values()]);
      assert.deepEqual(
        there.map(({ name, spec }) => [name, spec]).sort(),
        [...global.table.values()].map(({ name, spec }) => [name, spec]).sort(),
      );
    }),
    { numRuns: 200 },
  );
});
