// A zone's DNS as dns/io/server.ts has it, over the simulated network, and somebody who asks it.

import { Buffer } from "node:buffer";
import dnsPacket from "dns-packet";
import { Responder } from "../dns/io/responder.ts";
import { framed, FrameReader } from "../dns/io/upstream.ts";
import type { ZoneTable } from "../dns/zone_table.ts";
import type { Dice } from "./dice.ts";
import type { DialOptions, End, Handler, Network, Site } from "./network.ts";
import type { Luck } from "./unlucky.ts";

/** From a moment on; null before there is any. */
export interface Told {
  readonly atMs: number;
  readonly table: ZoneTable | null;
}

/** As many tables of the past as answers may still be on their way from. */
const TOLD_KEPT = 200;

export class DnsEdge {
  readonly told: Told[];
  readonly #responder = new Responder({});
  readonly #network: Network;

  constructor(network: Network) {
    this.#network = network;
    this.told = [{ atMs: network.agenda.nowMs, table: null }];
  }

  /** Of now. */
  get table(): ZoneTable | null {
    return this.told.at(-1)?.table ?? null;
  }

  publish(table: ZoneTable): void {
    this.#responder.publish(table);
    this.told.push({ atMs: this.#network.agenda.nowMs, table });
    if (this.told.length > TOLD_KEPT) this.told.shift();
  }

  datagram(query: Uint8Array, answer: (bytes: Uint8Array) => void): void {
    this.#responder.handle(Buffer.from(query), "udp", (bytes) => bytes && answer(bytes));
  }

  accept(end: End): Handler {
    const frames = new FrameReader();
    return {
      frame: (channel, bytes) => {
        for (const query of frames.push(bytes)) {
          this.#responder.handle(Buffer.from(query), "tcp", (answer) => {
            if (answer) end.send(channel, framed(answer));
            else end.close();
          });
        }
      },
      ended: () => end.close(),
      lost: () => {},
    };
  }
}

/** What was asked, of which process, and what came of it. */
export interface Resolved {
  readonly name: string;
  readonly type: "A" | "AAAA";
  readonly rcode: number;
  readonly addresses: readonly string[];
  readonly edge: DnsEdge;
  readonly fromMs: number;
}

export interface Asking {
  readonly network: Network;
  readonly dice: Dice;
  readonly luck: Luck;
  readonly from: Site;
  readonly to: Site;
  /** Who would answer at this moment; null: nobody is there. */
  edge(): DnsEdge | null;
  count(what: string): void;
  answered(resolved: Resolved): void;
  /** What no server may say, whatever it was asked. */
  wrong(message: string): void;
}

const DNS_DIAL: DialOptions = {
  port: "dns",
  timeoutMs: 5_000,
  keepalive: {
    client: { intervalMs: 2_000, timeoutMs: 2_000 },
    server: { intervalMs: 10_000, timeoutMs: 10_000 },
  },
};
const ATTEMPTS = 3;
const AGAIN_MS = 1_000;
const LATE_MS = 1_500;

interface Question {
  readonly id: number;
  readonly name: string;
  readonly type: "A" | "AAAA";
  readonly query: Uint8Array;
  readonly fromMs: number;
  /** Who was asked, and might still answer. */
  readonly edges: Set<DnsEdge>;
  isOver: boolean;
}

/** As a stub resolver does: by datagram, again when nothing comes, over TCP what was cut off. */
export function ask(at: Asking, name: string, type: "A" | "AAAA"): void {
  const { dice, network: { agenda } } = at;
  const id = Math.floor(dice.random() * 0x10000);
  const query = dnsPacket.encode({
    type: "query",
    id,
    flags: dnsPacket.RECURSION_DESIRED,
    questions: [{ type, name, class: "IN" }],
    ...(dice.chance(0.3) && {
      additionals: [{ type: "OPT", name: ".", udpPayloadSize: 1_232, flags: 0, options: [] }],
    }),
  }) as Uint8Array;
  const fromMs = agenda.nowMs;
  const question: Question = { id, name, type, query, fromMs, edges: new Set(), isOver: false };
  const attempt = (left: number): void => {
    if (question.isOver) return;
    if (left === 0) return at.count("dns without an answer");
    send(at, query, (answer, edge) => read(at, question, answer, edge));
    agenda.after(AGAIN_MS, () => attempt(left - 1));
  };
  attempt(ATTEMPTS);
}

/** Nothing that is said to it may hurt it. */
export function sayNonsense(at: Asking, name: string): void {
  const { dice } = at;
  const id = Math.floor(dice.random() * 0x10000);
  const query = dnsPacket.encode({
    type: "query",
    id,
    questions: [{ type: "A", name, class: "IN" }],
  }) as Uint8Array;
  const bent = query.slice(0, Math.ceil(dice.between(0, query.length)));
  for (let n = 0; n < 4 && bent.length > 2; n++) {
    bent[2 + Math.floor(dice.random() * (bent.length - 2))] = Math.floor(dice.random() * 256);
  }
  send(at, bent, (answer) => {
    at.count("dns answers to nonsense");
    const isAnswer = answer.length >= 12 && (answer[2]! & 0x80) !== 0;
    if (!isAnswer || answer[0] !== bent[0] || answer[1] !== bent[1]) {
      at.wrong(`what came back for ${bent.toHex()} is no answer: ${answer.toHex()}`);
    }
  });
}

type Heard = (answer: Uint8Array, edge: DnsEdge) => void;

/** Both ways may lose, double and overtake. */
function send(at: Asking, query: Uint8Array, heard: Heard): void {
  const { from, to, edge } = at;
  datagram(at, [from, to], query, () => {
    const asked = to.alive && !to.paused ? edge() : null;
    asked?.datagram(
      query,
      (answer) => datagram(at, [to, from], answer, () => heard(answer, asked)),
    );
  });
}

function datagram(
  { network, dice, luck, count }: Asking,
  [from, to]: readonly [Site, Site],
  bytes: Uint8Array,
  arrives: () => void,
): void {
  const link = network.link(from.name, to.name);
  if (!link.open || dice.chance(link.loss) || luck.strikes("a datagram is lost")) {
    return count("datagrams lost");
  }
  const copies = luck.strikes("a datagram comes twice") ? 2 : 1;
  for (let copy = 0; copy < copies; copy++) {
    const late = luck.strikes("a datagram is overtaken") ? dice.between(0, LATE_MS) : 0;
    network.agenda.after(link.delayMs + dice.random() * link.jitterMs + late, () => {
      network.journal.bytes(bytes);
      arrives();
    });
  }
}

interface Decoded {
  readonly type: string;
  readonly id: number;
  readonly flags: number;
  readonly flag_tc: boolean;
  readonly questions: readonly { readonly name: string }[];
  readonly answers: readonly { readonly type: string; readonly data: unknown }[];
}

function read(at: Asking, question: Question, bytes: Uint8Array, edge: DnsEdge): void {
  // A second answer is compared as well: it must have been right, too.
  const answer = dnsPacket.decode(Buffer.from(bytes)) as Decoded;
  const { name, type, id, fromMs } = question;
  const [asked] = answer.questions;
  if (answer.type !== "response" || answer.id !== id || asked?.name !== name) {
    return at.wrong(`${name} was asked as ${id}, ${asked?.name} was answered as ${answer.id}`);
  }
  if (answer.flag_tc) {
    at.count("dns over TCP");
    return question.isOver ? undefined : overTcp(at, question);
  }
  question.isOver = true;
  const rcode = answer.flags & 0xf;
  const addresses = answer.answers.flatMap(({ type, data }) =>
    type === "A" || type === "AAAA" ? [String(data)] : []
  );
  at.count(`dns rcode ${rcode}`);
  at.answered({ name, type, rcode, addresses, edge, fromMs });
}

function overTcp(at: Asking, question: Question): void {
  question.isOver = true;
  at.network.dial(at.from, at.to, DNS_DIAL, (end) => {
    if (typeof end === "string") return at.count("dns without an answer");
    const edge = at.edge();
    const frames = new FrameReader();
    end.handler = {
      frame: (_channel, bytes) => {
        for (const answer of frames.push(bytes)) if (edge) read(at, question, answer, edge);
        end.close();
      },
      ended: () => end.close(),
      lost: () => at.count("dns without an answer"),
    };
    end.send("dns", framed(question.query));
  });
}
