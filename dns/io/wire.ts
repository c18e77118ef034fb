// From the bytes of a query to the bytes of its answer, whatever the bytes are.

import dnsPacket from "dns-packet";
import {
  type Answer,
  answerQuestion,
  failure,
  type Question,
  RCODE,
  type Rcode,
} from "../answer.ts";
import type { ZoneTable } from "../zone_table.ts";

export type Reaction =
  | { readonly do: "send"; readonly bytes: Uint8Array; readonly rcode: Rcode }
  /** Somebody else's name: ask an upstream with these very bytes. */
  | { readonly do: "forward" }
  /** Nothing that could be answered: too short, or itself an answer. */
  | { readonly do: "drop" };

export interface Listener {
  readonly forwards: boolean;
  readonly transport: "udp" | "tcp";
}

/** Without EDNS a datagram holds this much: RFC 1035 §4.2.1. */
const PLAIN_UDP_BYTES = 512;
/** What passes every path unfragmented: the value that resolvers agreed on in 2020. */
const EDNS_UDP_BYTES = 1_232;
const TCP_BYTES = 65_535;

const HEADER_BYTES = 12;
const FLAG = {
  response: 0x8000,
  authoritative: 0x0400,
  truncated: 0x0200,
  recursionDesired: 0x0100,
  recursionAvailable: 0x0080,
  checkingDisabled: 0x0010,
} as const;
const OPCODE_MASK = 0x7800;
const OPT = 41;
/** Type, class, time to live and length of a record, behind its name. */
const RECORD_BYTES = 10;
/** An OPT record, a signature or two: no query has more. */
const ADDITIONALS_MAX = 4;

interface Edns {
  readonly version: number;
  readonly payloadBytes: number;
}

interface Query {
  readonly id: number;
  readonly flags: number;
  readonly question: Question;
  /** Where the question section ends. */
  readonly end: number;
  readonly edns: Edns | null;
}

/** Never throws. */
export function react(bytes: Uint8Array, table: ZoneTable | null, listener: Listener): Reaction {
  if (bytes.length < HEADER_BYTES) return { do: "drop" };
  const view = viewOf(bytes);
  const flags = view.getUint16(2);
  // Answering answers would let two servers talk for ever.
  if (flags & FLAG.response) return { do: "drop" };
  if (flags & OPCODE_MASK) return headerOnly(view, RCODE.notImp);
  const query = readQuery(bytes, view);
  if (!query) return headerOnly(view, RCODE.formErr);
  if (query.edns && query.edns.version !== 0) {
    return encode(bytes, query, failure(RCODE.badVers), listener);
  }
  const answer = answerQuestion(query.question, table, listener);
  return answer === "forward" ? { do: "forward" } : encode(bytes, query, answer, listener);
}

/** The answer to a query that could not be forwarded. */
export function serverFailure(bytes: Uint8Array): Uint8Array {
  const view = viewOf(bytes);
  const end = readQuestion(bytes)?.end;
  if (end === undefined) return header(view, RCODE.servFail);
  const answer = new Uint8Array(bytes.subarray(0, end)); // `slice` of a Buffer does not copy.
  const head = viewOf(answer);
  head.setUint16(2, responseFlags(view.getUint16(2)) | RCODE.servFail);
  for (const count of [6, 8, 10]) head.setUint16(count, 0);
  return answer;
}

/** Where the question section of a message with one question ends; undefined when it has none. */
export function questionEnd(bytes: Uint8Array): number | undefined {
  return readQuestion(bytes)?.end;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function readQuery(bytes: Uint8Array, view: DataView): Query | null {
  const [questions, answers, authorities, additionals] = [4, 6, 8, 10].map((at) =>
    view.getUint16(at)
  ) as [number, number, number, number];
  if (questions !== 1 || answers + authorities > 0 || additionals > ADDITIONALS_MAX) return null;
  const read = readQuestion(bytes);
  if (!read) return null;
  const edns = readEdns(bytes, { start: read.end, count: additionals });
  if (edns === "malformed") return null;
  return { id: view.getUint16(0), flags: view.getUint16(2), ...read, edns };
}

/**
 * The question's name with what is no plain character escaped, so that a dot inside a label never
 * looks like one between two.
 */
function readQuestion(
  bytes: Uint8Array,
): { readonly question: Question; readonly end: number } | null {
  const labels: string[] = [];
  let at = HEADER_BYTES;
  for (;;) {
    const length = bytes[at];
    // Queries have one name, at the front: nothing for a compression pointer to point to.
    if (length === undefined || length > 63) return null;
    at++;
    if (length === 0) break;
    if (at + length > bytes.length) return null;
    labels.push(labelText(bytes.subarray(at, at + length)));
    at += length;
    if (at - HEADER_BYTES > 254) return null; // RFC 1035 §2.3.4: 255 with the root.
  }
  const end = at + 4;
  if (end > bytes.length) return null;
  const view = viewOf(bytes);
  const name = labels.join(".");
  return { question: { name, type: view.getUint16(at), class: view.getUint16(at + 2) }, end };
}

function labelText(label: Uint8Array): string {
  let text = "";
  for (const byte of label) {
    const isPlain = byte > 0x20 && byte < 0x7f && byte !== 0x2e && byte !== 0x5c;
    text += isPlain ? String.fromCharCode(byte) : `\\${String(byte).padStart(3, "0")}`;
  }
  return text;
}

/**
 * RFC 6891 §6.1.1: at most one OPT record, named by the root. What other records say does not
 * matter; dns-packet would follow their names wherever they point to.
 */
function readEdns(
  bytes: Uint8Array,
  { start, count }: { readonly start: number; readonly count: number },
): Edns | null | "malformed" {
  const view = viewOf(bytes);
  let edns: Edns | null = null;
  let at = start;
  for (let read = 0; read < count; read++) {
    const name = at;
    at = nameEnd(bytes, at);
    if (at + RECORD_BYTES > bytes.length) return "malformed";
    if (view.getUint16(at) === OPT) {
      if (edns || bytes[name] !== 0) return "malformed";
      edns = { payloadBytes: view.getUint16(at + 2), version: view.getUint8(at + 5) };
    }
    at += RECORD_BYTES + view.getUint16(at + 8);
    if (at > bytes.length) return "malformed";
  }
  return edns;
}

/** Behind a name, which may end with a pointer; beyond the message when it does not end. */
function nameEnd(bytes: Uint8Array, start: number): number {
  for (let at = start;;) {
    const length = bytes[at];
    if (length === 0) return at + 1;
    if (length !== undefined && length >= 0xc0) return at + 2;
    if (length === undefined || length > 63) return bytes.length + 1;
    at += 1 + length;
  }
}

function responseFlags(queryFlags: number): number {
  return FLAG.response | (queryFlags & (FLAG.recursionDesired | FLAG.checkingDisabled));
}

function headerOnly(query: DataView, rcode: Rcode): Reaction {
  return { do: "send", bytes: header(query, rcode), rcode };
}

function header(query: DataView, rcode: Rcode): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES);
  const view = viewOf(bytes);
  view.setUint16(0, query.getUint16(0));
  view.setUint16(2, responseFlags(query.getUint16(2)) | (query.getUint16(2) & OPCODE_MASK) | rcode);
  return bytes;
}

function encode(bytes: Uint8Array, query: Query, answer: Answer, listener: Listener): Reaction {
  const question = bytes.subarray(HEADER_BYTES, query.end);
  const whole = assemble(query, question, answer, listener);
  const { rcode } = answer;
  if (whole.length <= room(query.edns, listener)) return { do: "send", bytes: whole, rcode };
  const cut = { ...answer, answers: [], authorities: [] };
  return { do: "send", bytes: assemble(query, question, cut, listener, FLAG.truncated), rcode };
}

function room(edns: Edns | null, { transport }: Listener): number {
  if (transport === "tcp") return TCP_BYTES;
  if (!edns) return PLAIN_UDP_BYTES;
  return Math.min(Math.max(edns.payloadBytes, PLAIN_UDP_BYTES), EDNS_UDP_BYTES);
}

/** The question goes back as it came, byte by byte: clients compare it, letter case included. */
function assemble(
  { id, flags, edns }: Query,
  question: Uint8Array,
  { rcode, authoritative, answers, authorities }: Answer,
  { forwards }: Listener,
  extraFlags = 0,
): Uint8Array {
  const opt = {
    type: "OPT",
    name: ".",
    udpPayloadSize: EDNS_UDP_BYTES,
    extendedRcode: rcode >> 4,
    ednsVersion: 0,
    flags: 0,
    options: [],
  };
  const records: Uint8Array = dnsPacket.encode({
    type: "response",
    id,
    flags: responseFlags(flags) | (authoritative ? FLAG.authoritative : 0) |
      (forwards ? FLAG.recursionAvailable : 0) | (rcode & 0xf) | extraFlags,
    questions: [],
    answers,
    authorities,
    additionals: edns ? [opt] : [],
  });
  // dns-packet does not compress names, so that records may move behind the question.
  const message = new Uint8Array(records.length + question.length);
  message.set(records.subarray(0, HEADER_BYTES));
  viewOf(message).setUint16(4, 1);
  message.set(question, HEADER_BYTES);
  message.set(records.subarray(HEADER_BYTES), HEADER_BYTES + question.length);
  return message;
}
