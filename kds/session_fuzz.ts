// Fuzzes what control planes tell each other: as a zone that global talks to, as global that a zone
// talks to, and as the one who answers requests. Afterwards an honest peer must be understood.

import assert from "node:assert/strict";
import { everyKind } from "../cli/kinds.ts";
import { ORIGIN_LABEL, ZONE_LABEL } from "../core/names.ts";
import { sameJson } from "../core/json.ts";
import type { Draft, Resource, ResourceDescriptor } from "../core/resource.ts";
import type { Change, Op } from "../store/store.ts";
import { everyDraft } from "../tests/interop/every_kind.ts";
import { type Fuzzer, sameBytes, shapeOf, utf8 } from "../tools/fuzz/fuzzer.ts";
import { assertJson } from "../tools/fuzz/json_mutations.ts";
import {
  type Message,
  readScript,
  scriptMutations,
  writeScript,
} from "../tools/fuzz/message_script.ts";
import { ADMIN_KINDS, decodeAdminAnswer, decodeAdminRequest } from "./admin.ts";
import { encodeResource } from "./codec.ts";
import { globalToZone, zoneToGlobal } from "./direction.ts";
import { decodeRequest, decodeResponse, encodeRequest, encodeResponse } from "./envelope.ts";
import { emptyImage, type Image } from "./image.ts";
import {
  globalRules,
  type Intaken,
  onWritten,
  openReceiver,
  type Receiver,
  type Rules,
  takeAgain,
  takeResponse,
  type Written,
  zoneRules,
} from "./receiver.ts";
import { onRequest, openSender, type Sender, settledRevision, takeResponses } from "./sender.ts";
import {
  capacityOf,
  type KdsItem,
  type KdsRequest,
  type KdsResponse,
  parseSystemVersion,
  peerInfo,
  wireName,
} from "./wire.ts";

const KINDS = everyKind();
const DOWN = globalToZone(KINDS.all());
const UP = zoneToGlobal(KINDS.all());

/** Who listens: a zone, a global, one without hashed names, and who is asked. */
const LISTENERS = 4;

const DRAFTS = everyDraft(KINDS);

function rulesOf(listener: number): Rules {
  return listener === 0
    ? zoneRules(DOWN)
    : globalRules(UP, { zone: "east", prefixNames: listener === 2 });
}

// --- What is there before -----------------------------------------------------------------------

/** Own resources, which nobody may touch, and copies of the peer's. */
function seed(listener: number): readonly Resource[] {
  const origin = listener === 0 ? "global" : "zone";
  const foreign: Readonly<Record<string, string>> = {
    [ORIGIN_LABEL]: origin,
    ...(listener !== 0 && { [ZONE_LABEL]: "east" }),
  };
  const own = { [ORIGIN_LABEL]: listener === 0 ? "zone" : "global" };
  const others = { [ORIGIN_LABEL]: "zone", [ZONE_LABEL]: "west" };
  const descriptors = rulesOf(listener).descriptors;
  return DRAFTS.filter(({ type }) => descriptors.has(type)).flatMap((draft, index) => [
    resourceOf({ ...draft, labels: foreign }, index + 1),
    resourceOf({ ...draft, name: `${draft.name}-own`, labels: own }, index + 1),
    ...(listener === 0 ? [] : [
      resourceOf({ ...draft, name: `${draft.name}-west`, labels: others }, index + 1),
    ]),
  ]);
}

function resourceOf(draft: Draft, version: number): Resource {
  return { ...draft, version, creationTime: "", modificationTime: "" };
}

const SEEDS = Array.from({ length: 3 }, (_, listener) => seed(listener));

function imageOf(listener: number): Image {
  const image = emptyImage([...rulesOf(listener).descriptors.values()]);
  for (const resource of SEEDS[listener]!) {
    image.get(resource.type)!.set(wireName(resource), resource);
  }
  return image;
}

// --- The receiving side -------------------------------------------------------------------------

/** A store that does with the next writes as the message's kind says, and then takes everything. */
class Store {
  revision = 1_000;
  /** The type of the response under way: what is written is of no other. */
  expected = "";
  readonly #image: Image;
  readonly #rules: Rules;
  #refusals: readonly Written[] = [];

  constructor(image: Image, rules: Rules) {
    this.#image = image;
    this.#rules = rules;
  }

  willRefuse(kind: number): void {
    const invalid = {
      ok: false,
      reason: "invalid",
      violations: [{ path: "a", message: "b" }],
    } as const;
    this.#refusals = [
      [],
      [invalid],
      [{ ok: false, reason: "conflict" } as const],
      [{ ok: false, reason: "unavailable" } as const, invalid],
    ][kind & 3]!;
  }

  write(ops: readonly Op[]): Written {
    for (const op of ops) this.#check(op);
    const [refusal, ...more] = this.#refusals;
    if (refusal) {
      this.#refusals = more;
      return refusal;
    }
    this.revision++;
    return { ok: true, changes: ops.map((op) => changeOf(op, this.revision)) };
  }

  #check(op: Op): void {
    const { type, mesh, name } = op.op === "put" ? op.resource : op.key;
    const descriptor = this.#rules.descriptors.get(type);
    assert.equal(type, this.expected);
    assert(descriptor, `${type} is nothing that this side takes`);
    assert(/^[0-9a-z._-]{1,253}$/.test(name), `a name such as ${JSON.stringify(name)}`);
    assert((mesh === "") === (descriptor.scope === "Global"), "scope");
    const there = this.#image.get(type)!.get(wireName({ mesh, name }));
    assert(!there || this.#rules.yields(there, descriptor), `${name} is not the peer's`);
    if (op.op === "delete") return;
    assertJson(op.resource);
    const { labels } = op.resource;
    const origin = labels[ORIGIN_LABEL];
    assert(origin === "global" || origin === "zone" && labels[ZONE_LABEL] === "east", "origin");
    checkPassedOn(op.resource, descriptor);
  }
}

function changeOf(op: Op, revision: number): Change {
  return op.op === "put"
    ? { revision, key: op.resource, resource: resourceOf(op.resource, revision), previous: null }
    : { revision, key: op.key, resource: null, previous: null };
}

/** What was taken can be sent on, by the same bytes however often. */
function checkPassedOn(draft: Draft, descriptor: ResourceDescriptor): void {
  const item = encodeResource(draft, descriptor);
  assert.equal(encodeResource(draft, descriptor).version, item.version);
}

/** Until the response is answered, or waits for a store. Writes are answered in order. */
function settle(receiver: Receiver, first: Intaken, { image, store, items }: {
  readonly image: Image;
  readonly store: Store;
  readonly items: number;
}): KdsRequest | null {
  let intaken = first;
  let answer = first.answer;
  const waiting = [...first.writes];
  // Each resource at most twice for each refusal of the store.
  for (let steps = 8 * (items + 8);; steps--) {
    assert(steps > 0, "it goes on and on");
    const next = waiting.shift();
    if (next) {
      intaken = onWritten(receiver, next.ref, { result: store.write(next.ops), image });
    } else if (intaken.again !== null) {
      intaken = takeAgain(receiver, intaken.again, image);
    } else return answer;
    waiting.push(...intaken.writes);
    answer = intaken.answer ?? answer;
  }
}

function checkReceiving(listener: number, messages: readonly Message[]): string {
  const rules = rulesOf(listener);
  const image = imageOf(listener);
  const store = new Store(image, rules);
  const receiver = openReceiver("s", { rules, nodeId: "east" });
  const words: string[] = [];
  for (const { kind, bytes } of messages) {
    const response = decoded(decodeResponse, bytes);
    if (!response) {
      words.push("undecodable");
      continue;
    }
    checkResponse(response);
    store.willRefuse(kind);
    words.push(take(receiver, response, { image, store, hold: (kind & 4) !== 0 }));
  }
  checkOwn(listener, image);
  checkHonest(listener, { image, store, rules });
  return said(words);
}

function take(receiver: Receiver, response: KdsResponse, { image, store, hold }: {
  readonly image: Image;
  readonly store: Store;
  readonly hold: boolean;
}): string {
  const { typeUrl, nonce, resources, removed } = response;
  store.expected = typeUrl;
  const before = hold ? new Map(image.get(typeUrl)) : null;
  const held = hold ? "another global" : null;
  const shelf = image.get(typeUrl)?.size ?? 0;
  const items = resources.length + removed.length + shelf;
  const intaken = takeResponse(receiver, response, { image, hold: held });
  const answer = settle(receiver, intaken, { image, store, items });
  assert(answer, "no answer");
  assert.equal(answer.nonce, nonce);
  assert.equal(answer.typeUrl, typeUrl);
  // What is there is neither changed nor deleted while another global is not accepted.
  for (const [name, was] of before ?? []) assert.equal(image.get(typeUrl)!.get(name), was, name);
  const known = KINDS.byName(typeUrl) ? "a type" : "nothing";
  return `${known} ${answer.error === undefined ? "taken" : shapeOf(answer.error).slice(0, 60)}`;
}

/** What is not the peer's is what it was. */
function checkOwn(listener: number, image: Image): void {
  const rules = rulesOf(listener);
  for (const resource of SEEDS[listener]!) {
    if (rules.yields(resource, rules.descriptors.get(resource.type)!)) continue;
    assert.equal(image.get(resource.type)!.get(wireName(resource)), resource, "it was touched");
  }
}

/** Whatever was said before: a new session with an honest peer ends with what that peer has. */
function checkHonest(listener: number, { image, store, rules }: {
  readonly image: Image;
  readonly store: Store;
  readonly rules: Rules;
}): void {
  store.willRefuse(0);
  store.expected = listener === 0 ? "MeshTimeout" : "Dataplane";
  const receiver = openReceiver("t", { rules, nodeId: "east" });
  const descriptor = rules.descriptors.get(store.expected)!;
  const draft = DRAFTS.find(({ type }) => type === descriptor.name)!;
  const item = encodeResource({ ...draft, name: "honest", labels: {} }, descriptor);
  const response: KdsResponse = {
    typeUrl: descriptor.name,
    nonce: "9",
    systemVersion: "",
    controlPlane: "",
    resources: [item],
    removed: [],
  };
  const intaken = takeResponse(receiver, response, { image, hold: null });
  const answer = settle(receiver, intaken, {
    image,
    store,
    items: image.get(descriptor.name)!.size,
  });
  assert.equal(answer?.error, undefined, "an honest peer is refused");
  const name = wireName({ mesh: draft.mesh, name: rules.localName("honest") });
  const there = image.get(descriptor.name)!.get(name);
  assert(there && sameJson(there.spec["targetRef"], draft.spec["targetRef"]), "it is not there");
  const yielding = [...image.get(descriptor.name)!.values()].filter((resource) =>
    resource !== there && rules.yields(resource, descriptor) &&
    !rules.passedOn(resource, descriptor)
  );
  assert.deepEqual(yielding.map(wireName), [], "what the peer does not have is still there");
}

// --- The sending side ---------------------------------------------------------------------------

const OFFERS: ReadonlyMap<string, ReadonlyMap<string, KdsItem>> = new Map(
  DOWN.map((descriptor) => [
    descriptor.name,
    new Map(
      DRAFTS.filter(({ type }) => type === descriptor.name)
        .map((draft) => encodeResource(draft, descriptor)).map((item) => [item.name, item]),
    ),
  ]),
);
const TYPES_MAX = 256;

function checkSending(messages: readonly Message[]): string {
  const sender = openSender();
  const words: string[] = [];
  let inParts = false;
  for (const { kind, bytes } of messages) {
    const request = decoded(decodeRequest, bytes);
    if (!request) {
      words.push("undecodable");
      continue;
    }
    checkRequest(request);
    const peer = peerInfo(request.metadata);
    const { bytesMax } = capacityOf(peer);
    inParts ||= capacityOf(peer).inParts;
    // Some answer what was sent to them, as far as they know its nonce.
    const nonce = kind & 1 ? String(sender.nonce) : request.nonce;
    const said = onRequest(sender, { ...request, nonce }, OFFERS);
    assert(sender.types.size <= TYPES_MAX, "types without end");
    send(sender, { bytesMax: kind & 2 ? 2_000 : bytesMax, inParts });
    words.push(said.event);
  }
  checkHonestAsker(sender, inParts);
  return said(words);
}

function send(
  sender: Sender,
  capacity: { readonly bytesMax: number; readonly inParts: boolean },
): readonly KdsResponse[] {
  const before = new Set(
    [...sender.types].filter(([, { inFlight }]) => inFlight).map(([typeUrl]) => typeUrl),
  );
  const { responses } = takeResponses(sender, {
    offers: OFFERS,
    systemVersion: "c:1",
    controlPlane: "global",
    ...capacity,
  });
  const types = new Set<string>();
  for (const response of responses) {
    assert(!before.has(response.typeUrl), "two responses of one type in flight");
    assert(!types.has(response.typeUrl), "two responses of one type at once");
    types.add(response.typeUrl);
    const bytes = encodeResponse(response);
    assert(bytes.length <= Math.max(capacity.bytesMax, 1_024 + 160), `${bytes.length} bytes`);
  }
  return responses;
}

/** Whoever begins anew and ACKs everything has all that is offered, in as many steps as it takes. */
function checkHonestAsker(sender: Sender, inParts: boolean): void {
  const typeUrl = "MeshTimeout";
  if (!sender.types.has(typeUrl) && sender.types.size >= TYPES_MAX) return;
  const ask = { typeUrl, nodeId: "east", subscribe: ["*"], initialVersions: {} };
  onRequest(sender, { ...ask, nonce: "" }, OFFERS);
  const has = new Map<string, string>();
  for (let steps = 0; steps < 20; steps++) {
    const responses = send(sender, { bytesMax: 10_000_000, inParts });
    const response = responses.find((one) => one.typeUrl === typeUrl);
    for (const { name, version } of response?.resources ?? []) has.set(name, version);
    for (const { typeUrl: type, nonce } of responses) {
      onRequest(sender, { ...ask, typeUrl: type, nonce, subscribe: [] }, OFFERS);
    }
    if (!response) break;
  }
  const wanted = [...OFFERS.get(typeUrl)!].map(([name, { version }]) => [name, version]);
  assert.deepEqual([...has], wanted, "it has not got all");
  settledRevision(sender);
}

/** What messages came to, each word once: the same again is nothing new. */
function said(words: readonly string[]): string {
  return [...new Set(words)].sort().join(", ");
}

// --- Bytes and values ---------------------------------------------------------------------------

/** Null for what is no such message, said by the two errors that the edges expect. */
function decoded<Value>(decode: (bytes: Uint8Array) => Value, bytes: Uint8Array): Value | null {
  try {
    return decode(bytes);
  } catch (error) {
    assert(error instanceof Error && !(error instanceof assert.AssertionError));
    return null;
  }
}

/** Written and read again it says the same. */
function checkResponse(response: KdsResponse): void {
  parseSystemVersion(response.systemVersion);
  const again = decodeResponse(encodeResponse(response));
  assert.equal(again.typeUrl, response.typeUrl);
  assert.equal(again.nonce, response.nonce);
  assert.deepEqual(again.removed, response.removed);
  assert.equal(again.resources.length, response.resources.length);
  for (const [at, { name, version, bytes }] of response.resources.entries()) {
    const other = again.resources[at]!;
    assert(other.name === name && other.version === version && sameBytes(other.bytes, bytes));
  }
}

function checkRequest(request: KdsRequest): void {
  assertJson(request.metadata ?? {});
  assertJson(request.initialVersions);
  assert.deepEqual(decodeRequest(encodeRequest(request)), request);
}

/** Questions about Envoys and their answers. */
function checkAdmin(messages: readonly Message[]): string {
  return said(messages.map(({ kind, bytes }) => {
    const asked = decoded((it) => decodeAdminRequest(ADMIN_KINDS[kind % 3]!, it), bytes);
    const answered = decoded((it) => decodeAdminAnswer(ADMIN_KINDS[kind % 3]!, it), bytes);
    if (asked) assertJson(asked);
    return `${asked ? "asked" : "no question"}, ${answered ? "answered" : "no answer"}`;
  }));
}

function check(input: Uint8Array): string {
  const { setting, messages } = readScript(input);
  const listener = setting % (LISTENERS + 1);
  if (listener < 3) return `${listener} ${checkReceiving(listener, messages)}`;
  return listener === 3 ? `asked ${checkSending(messages)}` : `admin ${checkAdmin(messages)}`;
}

// --- Recorded sessions --------------------------------------------------------------------------

interface Line {
  readonly request?: string;
  readonly response?: string;
}

function recorded(who: "zone" | "global"): readonly Line[] {
  const file = new URL(`./testdata/kuma_cp_${who}.jsonl`, import.meta.url);
  return Deno.readTextFileSync(file).trim().split("\n").slice(1).map((line) => JSON.parse(line));
}

function bytesOf(lines: readonly Line[], field: keyof Line): readonly Uint8Array[] {
  return lines.flatMap((line) => {
    const base64 = line[field];
    return base64 === undefined ? [] : [Uint8Array.fromBase64(base64)];
  }).filter(({ length }) => length < 3_000);
}

const OWN_RESPONSES = DRAFTS.flatMap((draft) => {
  const descriptor = DOWN.find(({ name }) => name === draft.type);
  if (!descriptor) return [];
  const resources = [encodeResource(draft, descriptor)];
  return [encodeResponse({
    typeUrl: draft.type,
    nonce: "1",
    systemVersion: "cluster-1:7",
    controlPlane: "global",
    resources,
    removed: ["gone.shop"],
  })];
});
const ASKS = ["Mesh", "MeshTimeout", "Secret"].map((typeUrl) =>
  encodeRequest({
    typeUrl,
    nonce: "",
    nodeId: "east",
    metadata: {
      features: ["ursa-parts"],
      config: '{"multizone":{"zone":{"kds":{"maxMsgSize":5000}}}}',
    },
    subscribe: ["*"],
    initialVersions: { "slow.shop": "1" },
  })
);
const REQUESTS = [...bytesOf(recorded("zone"), "request"), ...ASKS];

const CORPUS = [
  ...bytesOf(recorded("global"), "response").map((bytes) => script(0, [bytes])),
  ...bytesOf(recorded("zone"), "response").map((bytes, at) => script(1 + at % 2, [bytes])),
  ...OWN_RESPONSES.map((bytes, at) => script(at % 3, [bytes])),
  script(0, OWN_RESPONSES.slice(0, 4)),
  ...REQUESTS.map((bytes) => script(3, [bytes])),
  script(3, ASKS, 1),
  script(3, [...ASKS, ...ASKS], 3),
  ...REQUESTS.slice(0, 2).map((bytes) => script(4, [bytes])),
];

function script(setting: number, messages: readonly Uint8Array[], kind = 0): Uint8Array {
  return writeScript({ setting, messages: messages.map((bytes) => ({ kind, bytes })) });
}

const WORDS = [
  ...["Mesh", "MeshTimeout", "Dataplane", "Secret", "ZoneIngress", "Nothing", "", "1", "2", "*"],
  ...[
    "slow.shop",
    "slow-own.shop",
    "web-1-west.shop",
    "shop.",
    "shop",
    "a.b.c",
    "UPPER",
    "é",
    "\0",
  ],
  ...[ORIGIN_LABEL, ZONE_LABEL, "east", "west", "global", "zone", "__proto__", "c:1:more", "c:x"],
  ...[
    "type.googleapis.com/kuma.mesh.v1alpha1.KumaResource",
    "{}",
    "[]",
    "null",
    '{"a":1e999}',
    "{",
  ],
].map(utf8);

export const fuzzer: Fuzzer = {
  about: "messages between zones and global, both ways",
  corpus: CORPUS,
  words: WORDS,
  mutations: scriptMutations(WORDS),
  bytesMax: 4_096,
  check,
};
