// The network between simulated processes: connections that keep order, over links that do not behave.
//
// What is lost is sent again by TCP, so a link that loses or is cut only makes frames wait: until it
// is whole, or until a side that hears nothing gives up (keepalive) and the other learns of it, or
// does not. Streams of one connection keep their own order each, as HTTP/2 does.

import type { Agenda } from "./agenda.ts";
import { Dice } from "./dice.ts";
import type { Journal } from "./journal.ts";

/** A machine with one process on it; a new process at the same place is a new incarnation. */
export interface Site {
  readonly name: string;
  /** Something listens, or could dial. */
  alive: boolean;
  /** Stopped by a signal: the machine answers, the process does not. */
  paused: boolean;
  incarnation: number;
}

/** One direction between two sites. */
export interface Link {
  delayMs: number;
  jitterMs: number;
  /** Of frames that TCP has to send again. */
  loss: number;
  /** 8 bits a millisecond are a kbit a second. */
  kbits: number;
  /** Until what was sent before has left. */
  busyUntilMs: number;
  open: boolean;
  closedAtMs: number;
}

export interface Ended {
  readonly code: number;
  readonly message: string;
}

/** What a side of a connection does about what comes in. */
export interface Handler {
  frame(channel: string, bytes: Uint8Array): void;
  /** The peer ended one stream. */
  ended(channel: string, why: Ended): void;
  /** The connection is gone. */
  lost(reason: string): void;
}

export interface Keepalive {
  readonly intervalMs: number;
  readonly timeoutMs: number;
}

export interface DialOptions {
  readonly port: string;
  readonly timeoutMs: number;
  readonly keepalive: { readonly client: Keepalive; readonly server: Keepalive };
}

export type Accept = (end: End) => Handler;

/** TCP's first retransmission of a SYN. */
const SYN_AGAIN_MS = 1_000;
/** And of anything else. */
const AGAIN_MS = 200;

type Item =
  & { readonly atMs: number }
  & (
    | { readonly bytes: Uint8Array }
    | { readonly ended: Ended }
  );

export class Network {
  readonly agenda: Agenda;
  readonly journal: Journal;
  readonly counts = new Map<string, number>();
  /** How much later than it should a frame comes. */
  late: () => number = () => 0;
  readonly #seed: number;
  readonly #sites = new Map<string, Site>();
  readonly #links = new Map<string, Link>();
  readonly #listeners = new Map<string, Accept>();
  readonly #connections = new Set<Connection>();
  #serial = 0;

  constructor(agenda: Agenda, journal: Journal, seed: number) {
    this.agenda = agenda;
    this.journal = journal;
    this.#seed = seed;
  }

  site(name: string): Site {
    let site = this.#sites.get(name);
    if (!site) {
      site = { name, alive: false, paused: false, incarnation: 0 };
      this.#sites.set(name, site);
    }
    return site;
  }

  link(from: string, to: string): Link {
    const name = `${from}>${to}`;
    let link = this.#links.get(name);
    if (!link) {
      // Within a machine room, until somebody says otherwise.
      const fast = { delayMs: 0.2, jitterMs: 0.3, loss: 0, kbits: Infinity, busyUntilMs: 0 };
      link = { ...fast, open: true, closedAtMs: 0 };
      this.#links.set(name, link);
    }
    return link;
  }

  links(): readonly Link[] {
    return [...this.#links.values()];
  }

  get connections(): number {
    return this.#connections.size;
  }

  count(what: string, by = 1): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + by);
  }

  listen(site: Site, port: string, accept: Accept): void {
    this.#listeners.set(`${site.name}:${port}`, accept);
  }

  /** Calls `done` with this side's end, or with the reason why there is none. */
  dial(from: Site, to: Site, options: DialOptions, done: (end: End | string) => void): void {
    const { agenda } = this;
    const { incarnation } = from;
    const deadlineMs = agenda.nowMs + options.timeoutMs;
    const dice = new Dice(this.#seed, `dial ${from.name} ${++this.#serial}`);
    const there = this.link(from.name, to.name);
    const back = this.link(to.name, from.name);
    const answer = (end: End | string) => {
      if (from.alive && from.incarnation === incarnation) done(end);
    };
    const attempt = (againMs: number): void => {
      if (!from.alive || from.incarnation !== incarnation) return;
      if (!there.open || !back.open || dice.chance(there.loss)) {
        this.count("syn lost");
        if (agenda.nowMs + againMs >= deadlineMs) {
          return agenda.at(deadlineMs, () => answer("the peer does not answer"));
        }
        return agenda.after(againMs, () => attempt(againMs * 2));
      }
      const accept = this.#listeners.get(`${to.name}:${options.port}`);
      const roundMs = there.delayMs + back.delayMs + dice.random() * there.jitterMs;
      if (!to.alive || !accept) {
        this.count("refused");
        return agenda.after(roundMs, () => answer("connection refused"));
      }
      const listening = to.incarnation;
      agenda.after(roundMs, () => {
        if (!from.alive || from.incarnation !== incarnation) return;
        if (!to.alive || to.incarnation !== listening) return answer("connection reset");
        this.count("connections");
        const connection = new Connection(this, { client: from, server: to, dice, options });
        this.#connections.add(connection);
        connection.server.handler = accept(connection.server);
        answer(connection.client);
      });
    };
    attempt(SYN_AGAIN_MS);
  }

  forget(connection: Connection): void {
    this.#connections.delete(connection);
  }

  /** Cuts or mends one direction. */
  set(from: string, to: string, open: boolean): void {
    const link = this.link(from, to);
    if (link.open === open) return;
    link.open = open;
    link.closedAtMs = this.agenda.nowMs;
    this.#wake((connection) => connection.uses(link));
  }

  /** A process stopped or went on. */
  stirred(site: Site): void {
    this.#wake((connection) => connection.client.site === site || connection.server.site === site);
  }

  /** The process is gone; `silent`: so is its machine, and nobody tells the peers. */
  died(site: Site, silent: boolean): void {
    for (const connection of [...this.#connections]) {
      for (const end of [connection.client, connection.server]) {
        if (end.site !== site || !end.open) continue;
        if (silent) end.vanish();
        else end.reset("the process ended");
      }
    }
  }

  /** Of two sites: what a middle box does when it loses its table. */
  resetBetween(a: string, b: string): number {
    const found = [...this.#connections].filter(({ client, server }) =>
      client.site.name === a && server.site.name === b
    );
    for (const { client, server } of found) {
      client.lose("connection reset");
      server.lose("connection reset");
    }
    return found.length;
  }

  between(client: string, server: string): readonly Connection[] {
    return [...this.#connections].filter((connection) =>
      connection.client.site.name === client && connection.server.site.name === server
    );
  }

  /** Bytes that were sent to a process and that it has not taken yet. */
  waiting(site: string): number {
    return [...this.#connections].flatMap(({ client, server }) => [client, server])
      .reduce((sum, end) => end.peer.site.name === site ? sum + end.waiting : sum, 0);
  }

  #wake(concerned: (connection: Connection) => boolean): void {
    for (const connection of [...this.#connections]) {
      if (concerned(connection)) connection.stir();
    }
  }
}

interface Parties {
  readonly client: Site;
  readonly server: Site;
  readonly dice: Dice;
  readonly options: DialOptions;
}

export class Connection {
  readonly client: End;
  readonly server: End;
  readonly network: Network;
  readonly dice: Dice;
  /** When a ping could be answered again last, if not for long. */
  echoedAtMs = 0;

  constructor(network: Network, { client, server, dice, options }: Parties) {
    this.network = network;
    this.dice = dice;
    this.client = new End(this, client, {
      out: network.link(client.name, server.name),
      keepalive: options.keepalive.client,
    });
    this.server = new End(this, server, {
      out: network.link(server.name, client.name),
      keepalive: options.keepalive.server,
    });
  }

  uses(link: Link): boolean {
    return this.client.out === link || this.server.out === link;
  }

  other(end: End): End {
    return end === this.client ? this.server : this.client;
  }

  /** Whether a ping would be answered. */
  get echoes(): boolean {
    return this.client.out.open && this.server.out.open &&
      [this.client, this.server].every(({ site, open }) => open && !site.paused);
  }

  /** Something about its links or processes changed. */
  stir(): void {
    this.client.pumpAll();
    this.server.pumpAll();
    if (this.echoes) {
      this.echoedAtMs = this.network.agenda.nowMs;
      return;
    }
    this.client.suspect();
    this.server.suspect();
  }

  closed(): void {
    if (!this.client.open && !this.server.open) this.network.forget(this);
  }
}

/** One side of a connection: what it sends is queued here, for each stream in order. */
export class End {
  readonly connection: Connection;
  readonly site: Site;
  readonly out: Link;
  handler: Handler | null = null;
  open = true;
  /** Its machine is gone, without a word. */
  gone = false;
  goneAtMs = 0;
  /** Frames are taken from the wire only this long after they came: a slow reader. */
  readingDelayMs = 0;
  readonly #keepalive: Keepalive;
  readonly #queues = new Map<string, Item[]>();
  readonly #pumping = new Set<string>();
  #suspected = false;
  #heardAtMs: number;
  /** The last answer to a ping, for a side that waits for the next one. */
  #pongedAtMs = 0;

  constructor(
    connection: Connection,
    site: Site,
    { out, keepalive }: { readonly out: Link; readonly keepalive: Keepalive },
  ) {
    this.connection = connection;
    this.site = site;
    this.out = out;
    this.#keepalive = keepalive;
    this.#heardAtMs = connection.network.agenda.nowMs;
  }

  /** For how long nothing has come in, answers to pings included. */
  get silentMs(): number {
    const { nowMs } = this.connection.network.agenda;
    const pongedAtMs = this.#suspected ? this.#pongedAtMs : nowMs - this.#keepalive.intervalMs;
    return nowMs - Math.max(this.#heardAtMs, pongedAtMs);
  }

  get peer(): End {
    return this.connection.other(this);
  }

  get waiting(): number {
    return [...this.#queues.values()].flat().reduce(
      (sum, item) => "bytes" in item ? sum + item.bytes.length : sum,
      0,
    );
  }

  send(channel: string, bytes: Uint8Array): void {
    this.#push(channel, { atMs: this.#arrivalMs(bytes.length), bytes });
  }

  /** Ends one stream; the peer reads everything before it. */
  end(channel: string, why: Ended): void {
    this.#push(channel, { atMs: this.#arrivalMs(), ended: why });
  }

  /** Closes the connection in order: the peer reads what was sent, then that it is over. */
  close(): void {
    if (!this.open) return;
    this.open = false;
    const { peer } = this;
    const atMs = this.#arrivalMs();
    const last = Math.max(atMs, ...[...this.#queues.values()].map((items) => items.at(-1)!.atMs));
    this.connection.network.agenda.at(last, () => this.#tell(peer, "the peer closed"));
    this.connection.closed();
  }

  /** As a process that is killed: its system says so at once, and what was queued is lost. */
  reset(reason: string): void {
    if (!this.open) return;
    this.open = false;
    this.#queues.clear();
    this.connection.network.agenda.at(
      this.#arrivalMs(),
      () => this.#tell(this.peer, reason),
    );
    this.connection.closed();
  }

  /** As a machine that loses power. */
  vanish(): void {
    this.open = false;
    this.gone = true;
    this.goneAtMs = this.connection.network.agenda.nowMs;
    this.#queues.clear();
    this.connection.stir();
    this.connection.closed();
  }

  /** This side's own discovery that there is no connection any more. */
  lose(reason: string): void {
    if (!this.open) return;
    this.open = false;
    this.#queues.clear();
    this.connection.closed();
    this.handler?.lost(reason);
  }

  pumpAll(): void {
    for (const channel of this.#queues.keys()) this.#pump(channel);
  }

  /** Hears nothing: gives up unless that changes within the time of a ping and its answer. */
  suspect(sinceMs = this.connection.network.agenda.nowMs): void {
    if (!this.open || this.#suspected) return;
    this.#suspected = true;
    const { intervalMs, timeoutMs } = this.#keepalive;
    const { network, dice } = this.connection;
    const pingMs = dice.random() * intervalMs;
    this.#pongedAtMs = sinceMs + pingMs - intervalMs;
    network.agenda.at(Math.max(network.agenda.nowMs, sinceMs + pingMs + timeoutMs), () => {
      if (!this.open || this.site.paused || this.connection.echoes) {
        this.#suspected = false;
        return;
      }
      const closedAtMs = Math.max(
        this.out.open ? 0 : this.out.closedAtMs,
        this.peer.out.open ? 0 : this.peer.out.closedAtMs,
        this.peer.goneAtMs,
        // Of a process that stands still again and again.
        this.connection.echoedAtMs,
      );
      // It was whole for a while, and is silent anew.
      if (closedAtMs > sinceMs) {
        this.#suspected = false;
        return this.suspect(closedAtMs);
      }
      network.count("keepalive");
      const { peer } = this;
      this.lose("keepalive: no answer");
      network.agenda.at(this.#arrivalMs(), () => this.#tell(peer, "connection reset"));
    });
  }

  #push(channel: string, item: Item): void {
    if (!this.open) return;
    const { peer, connection: { network } } = this;
    if (peer.gone && peer.site.alive) {
      // Somebody new lives there, and knows no such connection.
      network.agenda.after(2 * this.out.delayMs, () => this.lose("connection reset"));
    }
    const queue = this.#queues.get(channel);
    if (queue) queue.push(item);
    else this.#queues.set(channel, [item]);
    this.#pump(channel);
  }

  #arrivalMs(bytes = 0): number {
    const { network, dice } = this.connection;
    const { agenda } = network;
    const { delayMs, jitterMs, loss } = this.out;
    const jitter = jitterMs > 0 ? dice.random() * jitterMs : 0;
    const leavesMs = Math.max(agenda.nowMs, this.out.busyUntilMs) + bytes * 8 / this.out.kbits;
    this.out.busyUntilMs = leavesMs;
    let atMs = leavesMs + delayMs + jitter + network.late();
    if (loss > 0) {
      for (let againMs = AGAIN_MS; dice.chance(loss); againMs *= 2) {
        network.count("sent again");
        atMs += againMs;
      }
    }
    return atMs;
  }

  #pump(channel: string): void {
    const queue = this.#queues.get(channel);
    const { network, dice } = this.connection;
    const { agenda } = network;
    const head = queue?.[0];
    if (!head || this.#pumping.has(channel)) return;
    const { peer } = this;
    if (!this.out.open || peer.site.paused || peer.gone) {
      network.count("held");
      return;
    }
    // What waited behind a cut is sent again a moment after it is mended.
    const lateMs = this.out.closedAtMs > head.atMs ? dice.random() * AGAIN_MS : 0;
    this.#pumping.add(channel);
    agenda.at(Math.max(head.atMs, agenda.nowMs) + lateMs + peer.readingDelayMs, () => {
      this.#pumping.delete(channel);
      if (this.#queues.get(channel) !== queue) return;
      if (!this.out.open || peer.site.paused || peer.gone) return;
      queue!.shift();
      if (queue!.length === 0) this.#queues.delete(channel);
      this.#deliver(channel, head);
      this.#pump(channel);
    });
  }

  #deliver(channel: string, item: Item): void {
    const { peer, connection: { network } } = this;
    if (!peer.open) return;
    const { journal, agenda } = network;
    peer.#heardAtMs = agenda.nowMs;
    journal.number(agenda.nowMs * 1000);
    journal.text(peer.site.name);
    if ("bytes" in item) {
      journal.bytes(item.bytes);
      peer.handler?.frame(channel, item.bytes);
    } else {
      journal.text(item.ended.message);
      peer.handler?.ended(channel, item.ended);
    }
  }

  #tell(peer: End, reason: string): void {
    // A word that gets lost: the peer finds out by its keepalive, if it has one.
    if (!this.out.open) return peer.suspect();
    if (peer.site.paused) {
      return this.connection.network.agenda.after(AGAIN_MS, () => this.#tell(peer, reason));
    }
    peer.lose(reason);
  }
}
