// Fuzzes the DNS server's way from a query's bytes to an answer's. The answer is read with a parser
// of its own, and compared with what the zone's table says of the name.

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import dnsPacket from "dns-packet";
import { concat, type Dice, type Fuzzer, sameBytes, utf8 } from "../../tools/fuzz/fuzzer.ts";
import { buildZoneTable } from "../zone_table.ts";
import { framed, FrameReader } from "./upstream.ts";
import { type Listener, react, serverFailure } from "./wire.ts";

const LONG = [63, 63, 63, 55].map((length) => "x".repeat(length)).join(".");
const ADDRESSES: Readonly<Record<string, string>> = {
  web: "240.0.0.1",
  "a.b": "240.0.0.2",
  six: "fd00::1",
  [LONG]: "240.0.0.3",
};
const TABLE = buildZoneTable(Object.entries(ADDRESSES), { domain: "mesh", serial: 2 ** 32 + 7 });

const HEADER_BYTES = 12;
const [TYPE_A, TYPE_SOA, TYPE_AAAA, TYPE_OPT] = [1, 6, 28, 41];
const [FORMERR, NOTIMP] = [1, 4];
/** RFC 8085 and RFC 1035: what a datagram may hold with EDNS, and without. */
const [EDNS_BYTES, PLAIN_BYTES] = [1_232, 512];

/** The first byte of an input: who listens, and whether there is a table yet. */
const SETTING = { forwards: 1, tcp: 2, tableless: 4 } as const;

function query(name: string, type: string | number = "A", more: object = {}): Uint8Array {
  return new Uint8Array(dnsPacket.encode({
    type: "query",
    id: 4711,
    flags: 0x100,
    questions: [{ name, type }],
    ...more,
  }));
}

const EDNS = {
  additionals: [{ type: "OPT", name: ".", udpPayloadSize: 4096, flags: 0, options: [] }],
};
const QUERIES: readonly Uint8Array[] = [
  query("web.mesh"),
  query("wEb.MeSh", "AAAA"),
  query("six.mesh", "AAAA", EDNS),
  query("b.mesh"),
  query(`${LONG}.mesh`),
  query(`${LONG}.mesh`, "A", EDNS),
  query("mesh", "SOA"),
  query("mesh", "AXFR"),
  query("nobody.mesh", "ANY"),
  query("example.com", "A", EDNS),
  query("web.mesh", "A", {
    additionals: [{ ...EDNS.additionals[0], options: [{ code: 10, data: Buffer.alloc(8) }] }],
  }),
];

interface ResourceRecord {
  readonly name: string;
  readonly type: number;
  readonly data: Uint8Array;
}

interface Message {
  readonly id: number;
  readonly flags: number;
  readonly questions: readonly string[];
  /** Where the questions end. */
  readonly questionsEnd: number;
  readonly answers: readonly ResourceRecord[];
  readonly authorities: readonly ResourceRecord[];
  readonly additionals: readonly ResourceRecord[];
}

/** A name without compression; a dot inside a label is escaped. */
function readName(bytes: Uint8Array, at: number): { readonly text: string; readonly end: number } {
  let text = "";
  for (;;) {
    const length = bytes[at++];
    assert(length !== undefined && length < 64, "no label begins here");
    if (length === 0) return { text, end: at };
    assert(at + length <= bytes.length, "a label is cut");
    for (const end = at + length; at < end; at++) {
      text += bytes[at] === 0x2e ? "\\." : String.fromCharCode(bytes[at]!);
    }
    text += ".";
  }
}

/** RFC 1035 §4 without compression, read to the last byte. Throws on anything else. */
function parse(bytes: Uint8Array): Message {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = HEADER_BYTES;
  const questions = Array.from({ length: view.getUint16(4) }, () => {
    const { text, end } = readName(bytes, at);
    at = end + 4;
    return text;
  });
  const questionsEnd = at;
  const records = (count: number) =>
    Array.from({ length: count }, (): ResourceRecord => {
      const { text, end } = readName(bytes, at);
      const length = view.getUint16(end + 8);
      const data = bytes.subarray(end + 10, end + 10 + length);
      assert(data.length === length, "a record is cut");
      at = end + 10 + length;
      return { name: text, type: view.getUint16(end), data };
    });
  const answers = records(view.getUint16(6));
  const authorities = records(view.getUint16(8));
  const additionals = records(view.getUint16(10));
  assert(at === bytes.length, "there are bytes behind the message, or too few");
  return {
    id: view.getUint16(0),
    flags: view.getUint16(2),
    questions,
    questionsEnd,
    answers,
    authorities,
    additionals,
  };
}

function check(input: Uint8Array): string {
  const setting = input[0] ?? 0;
  const bytes = input.subarray(1);
  const listener: Listener = {
    forwards: (setting & SETTING.forwards) !== 0,
    transport: setting & SETTING.tcp ? "tcp" : "udp",
  };
  const table = setting & SETTING.tableless ? null : TABLE;
  const before = bytes.slice();
  const reaction = react(bytes, table, listener);
  assert(sameBytes(bytes, before), "the query was changed");
  checkFrames(bytes);
  const isAnswer = bytes.length >= HEADER_BYTES && (bytes[2]! & 0x80) !== 0;
  if (reaction.do === "drop") {
    assert(bytes.length < HEADER_BYTES || isAnswer, "a query was dropped");
    return "drop";
  }
  assert(bytes.length >= HEADER_BYTES && !isAnswer, "an answer was answered");
  const asked = questionOf(bytes);
  if (reaction.do === "forward") {
    assert(listener.forwards && table !== null && asked !== null, "nothing to forward");
    assert(!isUnderDomain(asked.name), `${asked.name} is ours, and was forwarded`);
    checkFailure(bytes);
    return "forward";
  }
  const answer = checkAnswer(bytes, reaction.bytes, listener);
  const rcode = reaction.rcode & 0xf;
  assert((answer.flags & 0xf) === rcode, "the header has another result");
  if (reaction.rcode > 0xf) {
    // In the TTL of the OPT record; parse() keeps no TTLs, dns-packet does.
    const [opt] = dnsPacket.decode(Buffer.from(reaction.bytes)).additionals;
    assert(opt.extendedRcode === reaction.rcode >> 4, "EDNS has another result");
  }
  checkRecords(answer, asked, table !== null);
  checkId(bytes, reaction.bytes, () => react(bytes, table, listener));
  const cut = answer.flags & 0x200 ? " cut" : "";
  const counts = [answer.questions, answer.answers, answer.authorities, answer.additionals];
  return `${listener.transport} rcode ${reaction.rcode}${cut} ${counts.map((it) => it.length)}`;
}

interface Asked {
  readonly name: string;
  readonly type: number;
}

/** Null when there is no question. */
function questionOf(bytes: Uint8Array): Asked | null {
  if (!isName(bytes, HEADER_BYTES)) return null;
  const { text, end } = readName(bytes, HEADER_BYTES);
  if (end + 4 > bytes.length) return null;
  return { name: text.toLowerCase(), type: bytes[end]! << 8 | bytes[end + 1]! };
}

function isName(bytes: Uint8Array, at: number): boolean {
  while (bytes[at] !== undefined && bytes[at] !== 0 && bytes[at]! < 64) at += 1 + bytes[at]!;
  return bytes[at] === 0;
}

function isUnderDomain(name: string): boolean {
  return name === "mesh." || name.endsWith(".mesh.") && !name.endsWith("\\.mesh.");
}

function checkAnswer(query: Uint8Array, bytes: Uint8Array, listener: Listener): Message {
  const answer = parse(bytes);
  assert.equal(dnsPacket.decode(Buffer.from(bytes)).type, "response");
  const flags = query[2]! << 8 | query[3]!;
  assert(answer.id === (query[0]! << 8 | query[1]!), "the id is another");
  assert((answer.flags & 0x8000) !== 0, "it is no response");
  assert((answer.flags & 0x7900) === (flags & 0x7900), "operation or RD are others");
  assert(answer.questions.length <= 1, "more than one question");
  const rcode = answer.flags & 0xf;
  if (answer.questions.length === 0) assert(rcode === FORMERR || rcode === NOTIMP, `${rcode}`);
  else {
    const { questionsEnd: end } = answer;
    assert(
      sameBytes(bytes.subarray(HEADER_BYTES, end), query.subarray(HEADER_BYTES, end)),
      "the question is another",
    );
  }
  const edns = answer.additionals.length > 0;
  const most = listener.transport === "tcp" ? 65_535 : edns ? EDNS_BYTES : PLAIN_BYTES;
  assert(bytes.length <= most, `${bytes.length} bytes`);
  // No amplifier: a name, a record and the SOA at most.
  assert(bytes.length <= 2 * query.length + 120, `${bytes.length} for ${query.length} bytes`);
  return answer;
}

/** What is in the answer is what the table says of the name that was asked for. */
function checkRecords(answer: Message, asked: Asked | null, hasTable: boolean): void {
  const { answers, authorities, additionals, flags } = answer;
  if (!hasTable) assert(answers.length + authorities.length === 0, "an answer without a table");
  assert(additionals.every(({ type, name }) => type === TYPE_OPT && name === ""), "additionals");
  assert(authorities.every(({ type, name }) => type === TYPE_SOA && name === "mesh."), "authority");
  for (const { name, type, data } of answers) {
    assert(asked !== null && name.toLowerCase() === asked.name, `${name} was not asked for`);
    if (type === TYPE_SOA) {
      assert.equal(asked.name, "mesh.");
      continue;
    }
    const address = ADDRESSES[asked.name.replace(/\.mesh\.$/, "")];
    assert(address !== undefined, `${asked.name} has no address`);
    assert.equal(type, address.includes(":") ? TYPE_AAAA : TYPE_A);
    assert.equal(textOfAddress(data), address);
  }
  const known = asked && ADDRESSES[asked.name.replace(/\.mesh\.$/, "")];
  if (known !== undefined && asked?.name.endsWith(".mesh.")) {
    assert((flags & 0xf) !== 3, "a name that exists was denied");
  }
}

function textOfAddress(data: Uint8Array): string {
  if (data.length === 4) return data.join(".");
  return data[15] === 1 && data[0] === 0xfd && data.subarray(1, 15).every((byte) => byte === 0)
    ? "fd00::1"
    : data.toHex();
}

/** The server keeps answers by the bytes behind the id: nothing but the id may depend on it. */
function checkId(query: Uint8Array, answer: Uint8Array, ask: () => ReturnType<typeof react>): void {
  query[0] = query[0]! ^ 0xff;
  const again = ask();
  assert(again.do === "send" && again.bytes[0] === query[0], "the id is not the query's");
  assert(sameBytes(again.bytes.subarray(2), answer.subarray(2)), "the answer depends on the id");
  query[0] = query[0]! ^ 0xff;
}

function checkFailure(query: Uint8Array): void {
  const failure = parse(serverFailure(query));
  assert(failure.id === (query[0]! << 8 | query[1]!), "the failure has another id");
  assert((failure.flags & 0x800f) === 0x8002, "the failure is none");
}

/** Messages over TCP come out as they went in, however the stream is cut. */
function checkFrames(bytes: Uint8Array): void {
  const stream = concat(framed(bytes), framed(new Uint8Array()), framed(bytes));
  const step = 1 + (bytes.length % 7);
  const reader = new FrameReader();
  const messages: Uint8Array[] = [];
  const size = Math.max(step, stream.length >> 3);
  for (let at = 0; at < stream.length; at += size) {
    messages.push(...reader.push(stream.subarray(at, at + size)));
  }
  assert(messages.length === 3, "frames were lost");
  assert(sameBytes(messages[0]!, bytes) && sameBytes(messages[2]!, bytes), "frames were changed");
}

// --- Mutations that know DNS --------------------------------------------------------------------

/** The header's flags and counts. */
function changeHeader(input: Uint8Array, dice: Dice): Uint8Array {
  if (input.length < 1 + HEADER_BYTES) return input;
  const bytes = input.slice();
  const at = 3 + 2 * dice.below(5);
  bytes[at] = dice.oneIn(3) ? dice.below(256) : bytes[at]!;
  bytes[at + 1] = dice.below(dice.oneIn(3) ? 256 : 4);
  return bytes;
}

function changeSetting(input: Uint8Array, dice: Dice): Uint8Array {
  const bytes = input.slice();
  if (bytes.length > 0) bytes[0] = dice.below(8);
  return bytes;
}

/** Another name before the type of the question, or at any place. */
function changeName(input: Uint8Array, dice: Dice): Uint8Array {
  const start = 1 + HEADER_BYTES;
  let end = start;
  while (end < input.length && input[end] !== 0) end += 1 + input[end]!;
  const labels = Array.from({ length: dice.below(5) }, () => dice.pick(LABELS));
  const tail = dice.oneIn(8) ? Uint8Array.of(0xc0, dice.below(256)) : Uint8Array.of(0);
  return concat(input.subarray(0, start), ...labels, ...MESH, tail, input.subarray(end + 1));
}

const label = (bytes: Uint8Array) => concat(Uint8Array.of(bytes.length), bytes);
const LABELS = [
  ...["web", "WEB", "a", "b", "six", "mesh", "web.mesh", "\0", "x".repeat(63), "com"],
  "é\\.",
].map((text) => label(utf8(text)));
const MESH = [label(utf8("mesh"))];

/** One more record behind, counted or not: most often an OPT record. */
function addRecord(input: Uint8Array, dice: Dice): Uint8Array {
  const data = Uint8Array.from({ length: dice.below(24) }, () => dice.below(256));
  const type = dice.pick([TYPE_OPT, TYPE_OPT, TYPE_A, TYPE_SOA, 250, 0, 255]);
  const size = dice.pick([0, 512, 1_232, 4_096, 65_535]);
  const head = [0, type >> 8, type & 255, size >> 8, size & 255, 0, dice.below(3), 0, 0];
  const record = concat(Uint8Array.from(head), Uint8Array.of(0, data.length), data);
  const bytes = concat(input, record);
  if (bytes.length > 12 && !dice.oneIn(4)) bytes[12] = bytes[12]! + 1;
  return bytes;
}

function changeCase(input: Uint8Array, dice: Dice): Uint8Array {
  return input.map((byte, at) =>
    at > HEADER_BYTES && isLetter(byte) && dice.oneIn(2) ? byte ^ 32 : byte
  );
}

function isLetter(byte: number): boolean {
  return (byte | 32) >= 0x61 && (byte | 32) <= 0x7a;
}

export const fuzzer: Fuzzer = {
  about: "packets to the DNS server, over UDP and TCP",
  corpus: QUERIES.flatMap((bytes) => [0, 1, 2, 7].map((set) => concat(Uint8Array.of(set), bytes))),
  words: [...LABELS, Uint8Array.of(0xc0, 0x0c), Uint8Array.of(0, 41), Uint8Array.of(0, 255, 0, 1)],
  mutations: [changeHeader, changeSetting, changeName, addRecord, changeCase],
  bytesMax: 1_400,
  check,
};
