// A stretch of network that does what it is told: TCP between one address and a server, with faults.
//
// Bytes that vanish on a real network are sent again until they arrive or a side gives up. Here they
// wait on their side, unread, for as long: neither side can tell the difference.

import { createServer, type Server, Socket } from "node:net";

/** `up`: towards the server. */
export type Direction = "up" | "down";
export const BOTH: readonly Direction[] = ["up", "down"];

interface Way {
  /** Nothing is read from whoever sends in this direction; resolves when it is again. */
  held: PromiseWithResolvers<void> | null;
  delayMs: number;
  bytesPerSecond: number;
  bytes: number;
}

interface Pair {
  readonly near: Socket;
  readonly far: Socket;
  /** Each side believes in it; nothing passes, whatever happens to the link. */
  abandoned: boolean;
}

/** As much as a slow stretch holds before it stops reading. */
const UNDER_WAY_MAX = 4 << 20;

export class FaultyLink {
  readonly #server: Server;
  readonly #port: number;
  readonly #target: () => URL;
  readonly #pairs = new Set<Pair>();
  readonly #ways: Readonly<Record<Direction, Way>> = { up: newWay(), down: newWay() };
  #cut = false;
  #dials = 0;

  private constructor(server: Server, port: number, target: () => URL) {
    this.#server = server;
    this.#port = port;
    this.#target = target;
  }

  /** `target`: any URL with a host and a port; asked at each connection. */
  static async start(target: () => string): Promise<FaultyLink> {
    const server = createServer({ pauseOnConnect: true });
    const port = await new Promise<number>((resolve) => {
      server.listen(0, "127.0.0.1", () => resolve((server.address() as { port: number }).port));
    });
    const url = () => new URL(target().replace(/^\w+:/, "http:"));
    const link = new FaultyLink(server, port, url);
    server.on("connection", (socket: Socket) => void link.#accept(socket));
    return link;
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  /** Connections that are open on the server's side. */
  get connections(): number {
    return this.#pairs.size;
  }

  /** How many have come, whatever became of them. */
  get dials(): number {
    return this.#dials;
  }

  bytes(direction: Direction): number {
    return this.#ways[direction].bytes;
  }

  /** Packets vanish, or their reader sleeps: connections stay open, and new ones get no answer. */
  hold(directions: readonly Direction[]): void {
    for (const direction of directions) this.#ways[direction].held ??= Promise.withResolvers();
  }

  /** Resets what is open, and what comes. */
  cut(): void {
    this.#cut = true;
    for (const { near, far } of this.#pairs) {
      near.resetAndDestroy();
      far.resetAndDestroy();
    }
  }

  slow({ delayMs = 0, bytesPerSecond = Infinity }, directions = BOTH): void {
    for (const direction of directions) {
      Object.assign(this.#ways[direction], { delayMs, bytesPerSecond });
    }
  }

  /** The near sides are reset, the server is not told: it goes on believing in them. */
  halfOpen(): number {
    const open = [...this.#pairs].filter(({ abandoned }) => !abandoned);
    for (const pair of open) {
      pair.abandoned = true;
      pair.near.resetAndDestroy();
    }
    return open.length;
  }

  /** As good as new; what was half open stays that. */
  heal(): void {
    this.#cut = false;
    this.slow({});
    for (const way of Object.values(this.#ways)) {
      way.held?.resolve();
      way.held = null;
    }
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.cut();
    this.heal();
    await closed;
  }

  async #accept(near: Socket): Promise<void> {
    this.#dials++;
    near.on("error", () => {});
    // A way back that is shut lets no connection come about either.
    for (const direction of BOTH) await this.#ways[direction].held?.promise;
    if (this.#cut) return void near.resetAndDestroy();
    if (near.destroyed) return;
    const { hostname, port } = this.#target();
    const far = new Socket();
    const pair: Pair = { near, far, abandoned: false };
    this.#pairs.add(pair);
    far.on("close", () => this.#pairs.delete(pair));
    far.on("error", () => {
      // Of a server that refuses, Deno 2.9.6 tells no close.
      this.#pairs.delete(pair);
      near.resetAndDestroy();
    });
    far.connect(Number(port), hostname, () => {
      for (const socket of [near, far]) socket.setNoDelay(true);
      this.#carry(pair, "up");
      this.#carry(pair, "down");
    });
  }

  #carry(pair: Pair, direction: Direction): void {
    const [from, to] = direction === "up" ? [pair.near, pair.far] : [pair.far, pair.near];
    const way = this.#ways[direction];
    let waiting = 0;
    let last = Promise.resolve();
    const inTurn = (what: () => void) => {
      const readyAtMs = performance.now() + way.delayMs;
      last = last.then(async () => {
        await passed(readyAtMs);
        // Also what was read just before the link went down has not got through.
        while (way.held) await way.held.promise;
        if (!pair.abandoned) what();
      });
    };
    const mayRead = () => {
      if (pair.abandoned || waiting > UNDER_WAY_MAX) return;
      if (way.held) void way.held.promise.then(mayRead);
      else from.resume();
    };
    from.on("data", (chunk: Uint8Array) => {
      from.pause();
      if (pair.abandoned) return;
      waiting += chunk.length;
      const takesMs = chunk.length * 1_000 / way.bytesPerSecond;
      inTurn(() => {
        way.bytes += chunk.length;
        waiting -= chunk.length;
        // Written one after the other: a side that does not read stops the other.
        if (to.write(chunk)) mayRead();
        else to.once("drain", mayRead);
      });
      if (takesMs > 0) last = last.then(() => passed(performance.now() + takesMs));
      if (way.delayMs > 0) mayRead();
    });
    from.on("end", () => inTurn(() => to.end()));
    from.on("close", () => inTurn(() => to.destroy()));
    from.on("error", () => inTurn(() => to.resetAndDestroy()));
    mayRead();
  }
}

function newWay(): Way {
  return { held: null, delayMs: 0, bytesPerSecond: Infinity, bytes: 0 };
}

async function passed(atMs: number): Promise<void> {
  const leftMs = atMs - performance.now();
  if (leftMs > 0) await new Promise((resolve) => setTimeout(resolve, leftMs));
}
