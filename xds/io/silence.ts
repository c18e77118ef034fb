// Connections over which nothing comes any more: each is looked at when it may have been silent for too long.

import type { Socket } from "node:net";
import { lookAgainMs } from "../lease.ts";

interface Last {
  /** By a clock that only goes forward. */
  atMs: number;
}

export class Silence {
  readonly #leaseMs: number;
  readonly #connections = new Map<string, Last>();

  constructor(leaseMs: number) {
    this.#leaseMs = leaseMs;
  }

  /** Ends the connection when it is silent for longer than pings and their answers take. */
  watch(socket: Socket, peer: string): void {
    const last = { atMs: performance.now() };
    this.#connections.set(peer, last);
    socket.on("data", () => {
      last.atMs = performance.now();
    });
    const lookAfter = (ms: number): ReturnType<typeof setTimeout> => {
      const dueMs = performance.now() + ms;
      return setTimeout(() => {
        const nowMs = performance.now();
        const silentMs = nowMs - last.atMs;
        const again = lookAgainMs(this.#leaseMs, { silentMs, lateMs: nowMs - dueMs });
        if (again === null) socket.destroy();
        else timer = lookAfter(again);
      }, ms);
    };
    let timer = lookAfter(lookAgainMs(this.#leaseMs, { silentMs: 0, lateMs: 0 }) ?? 0);
    socket.on("close", () => {
      clearTimeout(timer);
      this.#connections.delete(peer);
    });
  }

  /** When something last came from this peer; still to be asked when its connection is over. */
  of(peer: string): { readonly atMs: number } {
    return this.#connections.get(peer) ?? { atMs: performance.now() };
  }
}
