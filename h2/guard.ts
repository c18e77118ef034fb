// A reader of HTTP/2 frame headers that stands between a socket and the HTTP/2 library.
//
// It decides from frame headers alone, keeps at most 24 bytes, and knows neither sockets nor clocks.
// Why it exists: docs/http2-guard.md.

/** Why a connection is closed; also the label of its counter. */
export type Breach =
  | "bad_preface"
  | "frame_size"
  | "reset_rate"
  | "ping_rate"
  | "settings_rate"
  | "continuation_run"
  | "stream_after_goaway";

/** `burst` at once, `perSecond` in the long run. */
export interface Rate {
  readonly burst: number;
  readonly perSecond: number;
}

export interface GuardLimits {
  /** Our SETTINGS_MAX_FRAME_SIZE: what the peer may send (RFC 9113 §4.2). */
  readonly frameBytesMax: number;
  /** CONTINUATION frames behind one HEADERS frame. */
  readonly continuationMax: number;
  readonly reset: Rate;
  readonly ping: Rate;
  readonly settings: Rate;
}

/** The default of RFC 9113 §6.5.2, which grpc-js does not raise. */
const FRAME_BYTES_DEFAULT = 16_384;
/** The largest length that 24 bits hold. */
const FRAME_BYTES_CAP = 2 ** 24 - 1;

export const GUARD_LIMITS: GuardLimits = {
  frameBytesMax: FRAME_BYTES_DEFAULT,
  // 128 KiB of headers is far above the 8 to 16 KiB that gRPC peers accept.
  continuationMax: 8,
  // A discovery client has a handful of streams and cancels them when it leaves.
  reset: { burst: 200, perSecond: 20 },
  // Keepalives come every few seconds; bandwidth probes are paid for by our own frames (see `sent`).
  ping: { burst: 100, perSecond: 10 },
  // gRPC peers raise their window with a SETTINGS frame whenever their estimate grows.
  settings: { burst: 100, perSecond: 10 },
};

const PREFACE = new TextEncoder().encode("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
const HEADER_BYTES = 9;

const DATA = 0;
const HEADERS = 1;
const RST_STREAM = 3;
const SETTINGS = 4;
const PING = 6;
const GOAWAY = 7;
const CONTINUATION = 9;
const END_STREAM = 0x1;

/** Which side the guarded library plays: a server's peer starts with the preface, a client's does not. */
export type GuardedRole = "server" | "client";

export interface GuardRead {
  /** What the HTTP/2 library may see: the input without the swallowed frames, in order. */
  readonly pass: readonly Uint8Array[];
  readonly breach: Breach | null;
}

interface FrameHeader {
  readonly length: number;
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
}

/**
 * The guard of one connection. `received` gets the peer's bytes and says what to pass on, `sent`
 * gets our own. How the bytes are cut into chunks makes no difference.
 *
 * GOAWAY frames of the peer are swallowed; `shouldEnd` then turns true as soon as no stream is open.
 */
export class FrameGuard {
  readonly #role: GuardedRole;
  readonly #limits: GuardLimits;
  readonly #reset: TokenBucket;
  readonly #ping: TokenBucket;
  readonly #settings: TokenBucket;
  readonly #inbound: FrameReader;
  readonly #outbound: FrameReader;
  readonly #open = new Set<number>();
  #newest = 0;
  #continuations = 0;
  #leaving = false;
  #breach: Breach | null = null;

  constructor(role: GuardedRole, limits: GuardLimits = GUARD_LIMITS) {
    this.#role = role;
    this.#limits = {
      ...limits,
      frameBytesMax: Math.min(limits.frameBytesMax, FRAME_BYTES_CAP),
    };
    this.#reset = new TokenBucket(limits.reset);
    this.#ping = new TokenBucket(limits.ping);
    this.#settings = new TokenBucket(limits.settings);
    this.#inbound = new FrameReader(role === "server");
    this.#outbound = new FrameReader(role === "client");
  }

  /** The peer said GOAWAY. */
  get leaving(): boolean {
    return this.#leaving;
  }

  /** The peer said GOAWAY and no stream is open: the connection has no further use. */
  get shouldEnd(): boolean {
    return this.#leaving && this.#open.size === 0;
  }

  get openStreams(): number {
    return this.#open.size;
  }

  received(chunk: Uint8Array, nowMs: number): GuardRead {
    if (this.#breach) return { pass: [], breach: this.#breach };
    const pass: Uint8Array[] = [];
    const ok = this.#inbound.read(
      chunk,
      (header) => this.#judge(header, nowMs),
      (bytes) => pass.push(bytes),
    );
    if (!ok && !this.#breach) this.#breach = "bad_preface";
    return { pass, breach: this.#breach };
  }

  /** Whether our own bytes so far end with a whole frame, so that one more may follow. */
  get sentWhole(): boolean {
    return this.#outbound.whole;
  }

  /** Own bytes pass unchanged; they tell which streams are open. */
  sent(chunk: Uint8Array): Breach | null {
    this.#outbound.read(chunk, (header) => this.#note(header), () => {});
    return this.#breach;
  }

  #judge(header: FrameHeader, nowMs: number): Verdict {
    const breach = this.#breachOf(header, nowMs);
    if (breach) {
      this.#breach = breach;
      return "stop";
    }
    if (header.type === GOAWAY) {
      this.#leaving = true;
      return "swallow";
    }
    if (header.type === RST_STREAM) this.#open.delete(header.stream);
    else if (this.#role === "server") this.#openedBy(header);
    else if (endsStream(header)) this.#open.delete(header.stream);
    return this.#breach ? "stop" : "pass";
  }

  #note(header: FrameHeader): Verdict {
    if (header.type === DATA || header.type === HEADERS) {
      // grpc-go and gRPC C-core measure bandwidth with one PING for each DATA frame they get.
      this.#ping.refund();
    }
    if (header.type === RST_STREAM) this.#open.delete(header.stream);
    else if (this.#role === "client") this.#openedBy(header);
    else if (endsStream(header)) this.#open.delete(header.stream);
    return "pass";
  }

  /** The client opens streams, with growing odd numbers; an old number is the trailers of its stream. */
  #openedBy({ type, stream }: FrameHeader): void {
    if (type !== HEADERS || stream % 2 === 0 || stream <= this.#newest) return;
    this.#newest = stream;
    this.#open.add(stream);
    // The peer would not answer it, and the library does not know that the peer is leaving.
    if (this.#leaving && this.#role === "client") this.#breach = "stream_after_goaway";
  }

  #breachOf({ length, type }: FrameHeader, nowMs: number): Breach | null {
    if (length > this.#limits.frameBytesMax) return "frame_size";
    this.#continuations = type === CONTINUATION ? this.#continuations + 1 : 0;
    if (this.#continuations > this.#limits.continuationMax) return "continuation_run";
    if (type === RST_STREAM && !this.#reset.take(nowMs)) return "reset_rate";
    if (type === PING && !this.#ping.take(nowMs)) return "ping_rate";
    if (type === SETTINGS && !this.#settings.take(nowMs)) return "settings_rate";
    return null;
  }
}

/** A GOAWAY frame of ours that tells the peer why (RFC 9113 §6.8), with the reason as debug data. */
export function farewell(breach: Breach): Uint8Array {
  const reason = new TextEncoder().encode(breach);
  const frame = new Uint8Array(HEADER_BYTES + 8 + reason.length);
  const view = new DataView(frame.buffer);
  view.setUint16(1, 8 + reason.length);
  view.setUint8(3, GOAWAY);
  view.setUint32(HEADER_BYTES + 4, ERROR_CODES[breach]);
  frame.set(reason, HEADER_BYTES + 8);
  return frame;
}

/** RFC 9113 §7. */
const ERROR_CODES: Readonly<Record<Breach, number>> = {
  bad_preface: 0x1,
  frame_size: 0x6,
  reset_rate: 0xb,
  ping_rate: 0xb,
  settings_rate: 0xb,
  continuation_run: 0xb,
  stream_after_goaway: 0x0,
};

function endsStream({ type, flags }: FrameHeader): boolean {
  return (type === DATA || type === HEADERS) && (flags & END_STREAM) !== 0;
}

type Verdict = "pass" | "swallow" | "stop";

/** Cuts a byte stream at frame borders. Holds back an unfinished header, never a payload. */
class FrameReader {
  readonly #held = new Uint8Array(PREFACE.length);
  #heldBytes = 0;
  #preface: boolean;
  #payload = 0;
  #swallowing = false;

  constructor(preface: boolean) {
    this.#preface = preface;
  }

  get whole(): boolean {
    return this.#payload === 0 && this.#heldBytes === 0;
  }

  /** False when the verdict was "stop" or the preface is not HTTP/2's. */
  read(
    chunk: Uint8Array,
    judge: (header: FrameHeader) => Verdict,
    pass: (bytes: Uint8Array) => void,
  ): boolean {
    // Bytes from `from` to `at` are to be passed on together.
    let from = 0;
    let at = 0;
    const flush = () => {
      if (at > from) pass(chunk.subarray(from, at));
    };
    while (at < chunk.length) {
      if (this.#payload > 0) {
        const take = Math.min(this.#payload, chunk.length - at);
        this.#payload -= take;
        if (this.#swallowing) {
          flush();
          from = at + take;
        }
        at += take;
        continue;
      }
      const wanted = this.#preface ? PREFACE.length : HEADER_BYTES;
      const take = Math.min(wanted - this.#heldBytes, chunk.length - at);
      // A header that is whole in this chunk is passed with its neighbours, without a copy.
      const whole = take === wanted;
      const head = whole ? chunk.subarray(at, at + wanted) : this.#hold(chunk, at, take);
      if (!whole) {
        flush();
        from = at + take;
      }
      if (this.#preface && !startsLikePreface(head)) {
        if (whole) flush();
        return false;
      }
      at += take;
      if (head.length < wanted) continue;
      this.#heldBytes = 0;
      if (this.#preface) {
        this.#preface = false;
        if (!whole) pass(head.slice());
        continue;
      }
      const header = parseHeader(head);
      const verdict = judge(header);
      if (verdict === "stop") {
        if (whole) {
          at -= take;
          flush();
        }
        return false;
      }
      this.#payload = header.length;
      this.#swallowing = verdict === "swallow";
      if (this.#swallowing) {
        if (whole) {
          at -= take;
          flush();
          at += take;
          from = at;
        }
      } else if (!whole) {
        pass(head.slice());
      }
    }
    flush();
    return true;
  }

  #hold(chunk: Uint8Array, at: number, take: number): Uint8Array {
    this.#held.set(chunk.subarray(at, at + take), this.#heldBytes);
    this.#heldBytes += take;
    return this.#held.subarray(0, this.#heldBytes);
  }
}

function startsLikePreface(bytes: Uint8Array): boolean {
  return bytes.every((byte, index) => byte === PREFACE[index]);
}

/** RFC 9113 §4.1. */
function parseHeader(bytes: Uint8Array): FrameHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, HEADER_BYTES);
  return {
    length: (view.getUint16(0) << 8) | view.getUint8(2),
    type: view.getUint8(3),
    flags: view.getUint8(4),
    stream: view.getUint32(5) & 0x7fff_ffff,
  };
}

/** Counts down from `burst`, and fills again with time. */
class TokenBucket {
  readonly #rate: Rate;
  #tokens: number;
  #filledAtMs: number | null = null;

  constructor(rate: Rate) {
    this.#rate = rate;
    this.#tokens = rate.burst;
  }

  take(nowMs: number): boolean {
    const since = nowMs - (this.#filledAtMs ?? nowMs);
    this.#filledAtMs = nowMs;
    this.#fill((since / 1000) * this.#rate.perSecond);
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }

  refund(): void {
    this.#fill(1);
  }

  #fill(tokens: number): void {
    this.#tokens = Math.min(this.#rate.burst, this.#tokens + Math.max(0, tokens));
  }
}
