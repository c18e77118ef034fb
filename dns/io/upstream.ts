// Asking other resolvers about names that are not the mesh's.

import { randomInt } from "node:crypto";
import { createSocket } from "node:dgram";
import { connect, isIPv6 } from "node:net";
import { questionEnd } from "./wire.ts";

export interface Upstream {
  readonly hostname: string;
  readonly port: number;
}

const DNS_PORT = 53;

/** `9.9.9.9`, `9.9.9.9:5353`, `[2620:fe::9]:53` or `2620:fe::9`. */
export function parseUpstream(text: string): Upstream {
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d+))?$/.exec(text) ?? [];
  return {
    hostname: bracketed ?? plain ?? text,
    port: port === undefined ? DNS_PORT : Number(port),
  };
}

export interface Forwarding {
  readonly upstreams: readonly Upstream[];
  /** For each of them. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

const SERVFAIL = 2;
const REFUSED = 5;

/**
 * The answer of the first upstream that has one, with the query's id; null when none answers in
 * time. One that fails or refuses is passed over, unless no other says anything.
 */
export async function forward(
  query: Uint8Array,
  transport: "udp" | "tcp",
  { upstreams, timeoutMs, signal }: Forwarding,
): Promise<Uint8Array | null> {
  const end = questionEnd(query);
  if (end === undefined) return null;
  let poor: Uint8Array | null = null;
  for (const upstream of upstreams) {
    if (signal.aborted) return null;
    const limit = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
    // An id of our own: who asks us must not be able to choose what we ask with.
    const sent = new Uint8Array(query); // A copy: `slice` of a Buffer would be the same bytes.
    new DataView(sent.buffer).setUint16(0, randomInt(0x10000));
    const answer = await (transport === "udp" ? askUdp : askTcp)(
      sent,
      (reply) => isAnswerTo(reply, sent, end),
      { upstream, signal: limit },
    );
    if (!answer) continue;
    const restored = new Uint8Array(answer);
    restored.set(query.subarray(0, 2));
    const rcode = (restored[3] ?? 0) & 0xf;
    if (rcode !== SERVFAIL && rcode !== REFUSED) return restored;
    poor ??= restored;
  }
  return poor;
}

/** Id, direction and question must be ours: anybody can send a datagram. */
function isAnswerTo(reply: Uint8Array, query: Uint8Array, end: number): boolean {
  if (reply.length < end || ((reply[2] ?? 0) & 0x80) === 0) return false;
  if (reply[0] !== query[0] || reply[1] !== query[1]) return false;
  for (let at = 12; at < end; at++) {
    if (reply[at] !== query[at]) return false;
  }
  return true;
}

interface Ask {
  readonly upstream: Upstream;
  readonly signal: AbortSignal;
}

type Matches = (reply: Uint8Array) => boolean;

/** A socket, thus a port, for each question: what an impostor would have to guess besides the id. */
function askUdp(
  query: Uint8Array,
  matches: Matches,
  { upstream, signal }: Ask,
): Promise<Uint8Array | null> {
  return new Promise((resolve) => {
    const type = isIPv6(upstream.hostname) ? "udp6" : "udp4";
    const socket = createSocket({ type, recvBufferSize: 0x10000 });
    let done = false;
    const finish = (answer: Uint8Array | null) => {
      if (done) return;
      done = true;
      signal.removeEventListener("abort", giveUp);
      socket.close();
      resolve(answer);
    };
    const giveUp = () => finish(null);
    signal.addEventListener("abort", giveUp);
    socket.on("error", giveUp);
    socket.on("message", (reply) => matches(reply) && finish(reply));
    socket.connect(upstream.port, upstream.hostname, () => {
      if (!done) socket.send(query, (error) => error && giveUp());
    });
  });
}

function askTcp(
  query: Uint8Array,
  matches: Matches,
  { upstream, signal }: Ask,
): Promise<Uint8Array | null> {
  return new Promise((resolve) => {
    const socket = connect({ host: upstream.hostname, port: upstream.port });
    const frames = new FrameReader();
    const finish = (answer: Uint8Array | null) => {
      signal.removeEventListener("abort", giveUp);
      socket.destroy();
      resolve(answer);
    };
    const giveUp = () => finish(null);
    signal.addEventListener("abort", giveUp);
    socket.on("error", giveUp);
    socket.on("close", giveUp);
    socket.on("connect", () => socket.write(framed(query)));
    socket.on("data", (chunk: Uint8Array) => {
      for (const reply of frames.push(chunk)) {
        if (matches(reply)) finish(reply);
      }
    });
  });
}

/** A message as TCP carries it: its length first. RFC 1035 §4.2.2. */
export function framed(message: Uint8Array): Uint8Array {
  const frame = new Uint8Array(2 + message.length);
  new DataView(frame.buffer).setUint16(0, message.length);
  frame.set(message, 2);
  return frame;
}

/** Messages out of a TCP stream, however it was cut. Holds one message at most. */
export class FrameReader {
  #rest: Uint8Array = new Uint8Array(0);

  push(chunk: Uint8Array): readonly Uint8Array[] {
    let bytes = new Uint8Array(chunk);
    if (this.#rest.length > 0) {
      bytes = new Uint8Array(this.#rest.length + chunk.length);
      bytes.set(this.#rest);
      bytes.set(chunk, this.#rest.length);
    }
    const messages: Uint8Array[] = [];
    let at = 0;
    while (bytes.length - at >= 2) {
      const end = at + 2 + ((bytes[at] ?? 0) << 8 | (bytes[at + 1] ?? 0));
      if (end > bytes.length) break;
      messages.push(bytes.slice(at + 2, end));
      at = end;
    }
    this.#rest = bytes.slice(at);
    return messages;
  }
}
