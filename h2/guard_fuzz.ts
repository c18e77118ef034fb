// Fuzzes the frame guard: against a slow guard that looks at one byte at a time, and with the same
// bytes in other pieces.

import assert from "node:assert/strict";
import { concat, type Dice, type Fuzzer, sameBytes, utf8 } from "../tools/fuzz/fuzzer.ts";
import { type Breach, FrameGuard, GUARD_LIMITS, type GuardedRole } from "./guard.ts";

const PREFACE = utf8("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
const HEADER_BYTES = 9;
const [DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, CONTINUATION] = [0, 1, 3, 4, 6, 7, 9];

/**
 * An input is a byte for the role, one for the size of the pieces, and steps: what it is, how long
 * it is in two bytes, and for bytes received or sent these themselves. Time moves by half seconds,
 * so that rates add up exactly.
 */
const STEP = { received: 0, sent: 1, wait: 2, filler: 3 } as const;
type Kind = typeof STEP[keyof typeof STEP];
const KINDS = Object.values(STEP);
const HALF_SECOND_MS = 500;
const STEP_BYTES = 3;

interface Step {
  readonly kind: Kind;
  readonly length: number;
  readonly bytes: Uint8Array;
}

function stepsOf(input: Uint8Array): readonly Step[] {
  const steps: Step[] = [];
  for (let at = 2; at + STEP_BYTES <= input.length;) {
    const kind = KINDS[input[at]! % KINDS.length]!;
    const length = input[at + 1]! << 8 | input[at + 2]!;
    at += STEP_BYTES;
    const own = kind === STEP.received || kind === STEP.sent;
    const bytes = own ? input.subarray(at, at + length) : new Uint8Array();
    if (own) at += bytes.length;
    steps.push({ kind, length, bytes });
  }
  return steps;
}

const COUNTED: ReadonlyMap<number, "reset" | "ping" | "settings"> = new Map([
  [RST_STREAM!, "reset"],
  [PING!, "ping"],
  [SETTINGS!, "settings"],
]);

/** RFC 9113 and docs/http2-guard.md, one byte of a header at a time. */
class SlowGuard {
  breach: Breach | null = null;
  leaving = false;
  readonly open = new Set<number>();
  /** Of the frames received; those that nobody defined are 10. */
  readonly types = new Set<number>();
  readonly #server: boolean;
  readonly #inbound: SlowReader;
  readonly #outbound: SlowReader;
  readonly #tokens = {
    reset: GUARD_LIMITS.reset.burst,
    ping: GUARD_LIMITS.ping.burst,
    settings: GUARD_LIMITS.settings.burst,
  };
  #newest = 0;
  #run = 0;

  constructor(role: GuardedRole) {
    this.#server = role === "server";
    this.#inbound = new SlowReader(this.#server);
    this.#outbound = new SlowReader(!this.#server);
  }

  get lost(): boolean {
    return this.#outbound.lost;
  }

  /** Of the frame that is being received. */
  get payloadBytes(): number {
    return this.#inbound.payload;
  }

  wait(halfSeconds: number): void {
    for (const name of ["reset", "ping", "settings"] as const) {
      const { burst, perSecond } = GUARD_LIMITS[name];
      this.#tokens[name] = Math.min(burst, this.#tokens[name] + halfSeconds * perSecond / 2);
    }
  }

  received(bytes: Uint8Array): Uint8Array {
    const pass: Uint8Array[] = [];
    const reader = this.#inbound;
    for (let at = 0; at < bytes.length && !this.breach;) {
      const rest = bytes.subarray(at, at + (reader.payload || 1));
      at += rest.length;
      if (reader.payload > 0) {
        if (!reader.swallowing) pass.push(rest);
        reader.payload -= rest.length;
        continue;
      }
      reader.head.push(rest[0]!);
      if (reader.preface) {
        if (!reader.isPreface()) this.breach = "bad_preface";
        else if (reader.takePreface()) pass.push(PREFACE);
      } else if (reader.head.length === HEADER_BYTES) {
        const frame = reader.take();
        this.#judge(frame);
        reader.swallowing = frame.type === GOAWAY;
        if (!this.breach && frame.type !== GOAWAY) pass.push(Uint8Array.from(frame.bytes));
      }
    }
    return concat(...pass);
  }

  sent(bytes: Uint8Array): void {
    const reader = this.#outbound;
    for (let at = 0; at < bytes.length && !reader.lost;) {
      const length = Math.min(reader.payload || 1, bytes.length - at);
      if (reader.payload > 0) reader.payload -= length;
      else {
        reader.head.push(bytes[at]!);
        if (reader.preface) {
          reader.lost = !reader.isPreface();
          reader.takePreface();
        } else if (reader.head.length === HEADER_BYTES) this.#note(reader.take());
      }
      at += length;
    }
  }

  #judge({ length, type, flags, stream }: SlowFrame): void {
    this.types.add(Math.min(type, 10));
    this.breach = this.#breachOf(length, type);
    if (this.breach) return;
    if (type === GOAWAY) this.leaving = true;
    else this.#track({ type, flags, stream }, this.#server);
  }

  #breachOf(length: number, type: number): Breach | null {
    if (length > GUARD_LIMITS.frameBytesMax) return "frame_size";
    this.#run = type === CONTINUATION ? this.#run + 1 : 0;
    if (this.#run > GUARD_LIMITS.continuationMax) return "continuation_run";
    const name = COUNTED.get(type);
    if (name === undefined) return null;
    if (this.#tokens[name] < 1) return `${name}_rate`;
    this.#tokens[name]--;
    return null;
  }

  #note({ type, flags, stream }: SlowFrame): void {
    if (type === DATA || type === HEADERS) {
      this.#tokens.ping = Math.min(GUARD_LIMITS.ping.burst, this.#tokens.ping + 1);
    }
    this.#track({ type, flags, stream }, !this.#server);
  }

  #track({ type, flags, stream }: Omit<SlowFrame, "length" | "bytes">, byClient: boolean): void {
    const ends = (type === DATA || type === HEADERS) && (flags & 1) === 1;
    if (type === RST_STREAM) this.open.delete(stream);
    else if (!byClient && ends) this.open.delete(stream);
    else if (byClient && type === HEADERS && stream % 2 === 1 && stream > this.#newest) {
      this.#newest = stream;
      this.open.add(stream);
      if (this.leaving && !this.#server) this.breach = "stream_after_goaway";
    }
  }
}

interface SlowFrame {
  readonly length: number;
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly bytes: readonly number[];
}

class SlowReader {
  head: number[] = [];
  payload = 0;
  swallowing = false;
  lost = false;
  preface: boolean;

  constructor(preface: boolean) {
    this.preface = preface;
  }

  isPreface(): boolean {
    return this.head.every((byte, at) => byte === PREFACE[at]);
  }

  takePreface(): boolean {
    if (this.head.length < PREFACE.length) return false;
    this.preface = false;
    this.head = [];
    return true;
  }

  take(): SlowFrame {
    const bytes = this.head;
    this.head = [];
    const [a, b, c, type, flags, ...id] = bytes as [number, number, number, number, number];
    const [s0, s1, s2, s3] = id as unknown as [number, number, number, number];
    this.payload = a * 65_536 + b * 256 + c;
    const stream = (s0 & 127) * 2 ** 24 + s1 * 65_536 + s2 * 256 + s3;
    return { length: this.payload, type, flags, stream, bytes };
  }
}

function check(input: Uint8Array): string {
  const role: GuardedRole = (input[0] ?? 0) % 2 === 0 ? "server" : "client";
  const pieceBytes = 1 + (input[1] ?? 0) % 64;
  const guard = new FrameGuard(role);
  const inPieces = new FrameGuard(role);
  const slow = new SlowGuard(role);
  let nowMs = 0;
  let received = 0;
  let passed = 0;
  for (const step of stepsOf(input)) {
    if (step.kind === STEP.wait) {
      const halfSeconds = step.length % 16;
      nowMs += halfSeconds * HALF_SECOND_MS;
      slow.wait(halfSeconds);
      continue;
    }
    // The payload of a large frame, without its bytes in the input.
    const filler = Math.min(step.length, slow.payloadBytes);
    const bytes = step.kind === STEP.filler ? new Uint8Array(filler) : step.bytes;
    if (step.kind === STEP.sent) {
      const breach = guard.sent(bytes);
      inPieces.sent(bytes.subarray(0, pieceBytes));
      inPieces.sent(bytes.subarray(pieceBytes));
      slow.sent(bytes);
      // Our own library never does, and nobody says what would follow.
      if (slow.lost) return `${role} begins with a wrong preface of its own`;
      assert.equal(breach, slow.breach);
    } else {
      received += bytes.length;
      const wanted = slow.received(bytes);
      const whole = guard.received(bytes, nowMs);
      passed += whole.pass.reduce((sum, { length }) => sum + length, 0);
      // A piece between two swallowed frames at least is one header long.
      const pieces = 2 + bytes.length / HEADER_BYTES;
      assert(whole.pass.length <= pieces, `${whole.pass.length} pieces of ${bytes.length} bytes`);
      checkPass(whole.pass, wanted, "in one piece");
      checkPass(passInPieces(inPieces, bytes, { pieceBytes, nowMs }), wanted, "in pieces");
      assert.equal(whole.breach, slow.breach);
    }
    for (const each of [guard, inPieces]) {
      assert.equal(each.leaving, slow.leaving, "leaving");
      assert.equal(each.openStreams, slow.open.size, "open streams");
      assert.equal(each.shouldEnd, slow.leaving && slow.open.size === 0, "should end");
    }
  }
  const held = received - passed;
  if (!slow.breach && !slow.leaving) assert(held < PREFACE.length, `${held} bytes are held back`);
  const open = Math.min(slow.open.size, 4);
  const types = [...slow.types].sort((a, b) => a - b).join(",");
  return `${role} ${slow.breach ?? "goes on"}${slow.leaving ? " leaving" : ""}, ${open} open, ` +
    `had ${types}`;
}

function passInPieces(
  guard: FrameGuard,
  bytes: Uint8Array,
  { pieceBytes, nowMs }: { readonly pieceBytes: number; readonly nowMs: number },
): readonly Uint8Array[] {
  // Large frames in pieces of one byte would be all that is done here.
  const size = Math.max(pieceBytes, bytes.length >> 6);
  const pass: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += size) {
    // A held header is handed out as a copy, the rest as views of what was received.
    pass.push(...guard.received(bytes.slice(at, at + size), nowMs).pass);
  }
  return pass;
}

function checkPass(pass: readonly Uint8Array[], wanted: Uint8Array, how: string): void {
  const got = concat(...pass);
  if (sameBytes(got, wanted)) return;
  assert.fail(
    `passed ${how}: ${got.toHex().slice(0, 200)}, must be ${wanted.toHex().slice(0, 200)}`,
  );
}

// --- Valid connections, and mutations that know frames ------------------------------------------

function frame(
  type: number,
  stream = 0,
  { flags = 0, payload = new Uint8Array() } = {},
): Uint8Array {
  const head = new Uint8Array(HEADER_BYTES);
  const view = new DataView(head.buffer);
  view.setUint16(1, payload.length);
  view.setUint8(3, type);
  view.setUint8(4, flags);
  view.setUint32(5, stream);
  return concat(head, payload);
}

function step(kind: Kind, bytes: Uint8Array, length = bytes.length): Uint8Array {
  return concat(Uint8Array.of(kind, length >> 8, length & 255), bytes);
}

const received = (...frames: readonly Uint8Array[]) => step(STEP.received, concat(...frames));
const sent = (...frames: readonly Uint8Array[]) => step(STEP.sent, concat(...frames));
const wait = (halfSeconds: number) => step(STEP.wait, new Uint8Array(), halfSeconds);
const payload = (length: number) => ({ payload: new Uint8Array(length).fill(7) });
const times = (count: number, bytes: Uint8Array) =>
  concat(...Array.from({ length: count }, () => bytes));

const CALL = [
  received(frame(SETTINGS), frame(HEADERS, 1, payload(30)), frame(DATA, 1, payload(40))),
  sent(frame(SETTINGS), frame(SETTINGS, 0, { flags: 1 }), frame(HEADERS, 1, payload(20))),
  sent(frame(DATA, 1, payload(50)), frame(HEADERS, 1, { flags: 1 })),
];
const START = received(PREFACE);
const OPENING = sent(PREFACE, frame(HEADERS, 1), frame(HEADERS, 3));
const AWAY = frame(GOAWAY, 0, payload(8));
const CONNECTIONS: readonly (readonly Uint8Array[])[] = [
  [START, ...CALL, received(AWAY)],
  [START, ...CALL, received(frame(HEADERS, 3), AWAY), sent(frame(RST_STREAM, 3, payload(4)))],
  [START, received(times(100, frame(PING, 0, payload(8)))), wait(2), received(frame(PING))],
  [START, received(times(200, frame(RST_STREAM, 1, payload(4)))), wait(1)],
  [START, received(times(100, frame(SETTINGS)))],
  [START, received(frame(HEADERS, 1), times(8, frame(CONTINUATION, 1, payload(3))))],
  [
    START,
    received(frame(DATA, 1).with(1, 64)),
    step(STEP.filler, new Uint8Array(), 16_384),
    received(frame(PING)),
  ],
  [
    OPENING,
    received(frame(SETTINGS), frame(HEADERS, 1, { flags: 1 }), AWAY),
    received(frame(PING)),
  ],
  [OPENING, received(AWAY), sent(frame(HEADERS, 5))],
];

/** A frame of any kind, in a step of its own, between two others. */
function insertFrame(input: Uint8Array, dice: Dice): Uint8Array {
  const long = dice.oneIn(6) ? dice.pick([16_383, 16_384, 16_385, 2 ** 24 - 1]) : 0;
  const made = frame(dice.oneIn(8) ? dice.below(256) : dice.below(10), dice.below(8), {
    flags: dice.below(2),
    payload: new Uint8Array(dice.below(12)),
  });
  if (long > 0) made.set([long >> 16, long >> 8 & 255, long & 255]);
  const count = dice.oneIn(6) ? 1 + dice.below(120) : 1;
  const bytes = step(dice.oneIn(3) ? STEP.sent : STEP.received, times(count, made));
  return insertStep(input, dice, bytes);
}

function insertWait(input: Uint8Array, dice: Dice): Uint8Array {
  return insertStep(input, dice, wait(dice.below(16)));
}

function insertFiller(input: Uint8Array, dice: Dice): Uint8Array {
  const length = dice.pick([1, 8, 9, 16_383, 16_384, dice.below(20_000)]);
  return insertStep(input, dice, step(STEP.filler, new Uint8Array(), length));
}

function insertStep(input: Uint8Array, dice: Dice, added: Uint8Array): Uint8Array {
  const borders = [2];
  for (const { kind, bytes } of stepsOf(input)) {
    const own = kind === STEP.received || kind === STEP.sent;
    borders.push(borders.at(-1)! + STEP_BYTES + (own ? bytes.length : 0));
  }
  const at = Math.min(dice.pick(borders), input.length);
  return concat(input.subarray(0, at), added, input.subarray(at));
}

function changeRole(input: Uint8Array, dice: Dice): Uint8Array {
  const bytes = input.slice();
  if (bytes.length > 1) bytes.set([dice.below(2), dice.below(64)]);
  return bytes;
}

export const fuzzer: Fuzzer = {
  about: "bytes to the HTTP/2 frame guard, of both roles",
  corpus: CONNECTIONS.map((steps, at) => concat(Uint8Array.of(at > 6 ? 1 : 0, at), ...steps)),
  words: [PREFACE, AWAY, frame(HEADERS, 5, { flags: 1 }), frame(RST_STREAM, 1), frame(PING)],
  mutations: [insertFrame, insertFrame, insertWait, insertFiller, changeRole],
  bytesMax: 8_192,
  check,
};
