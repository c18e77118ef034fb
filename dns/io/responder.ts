// What becomes of a query: an answer from the table, one that was given before, or an upstream's.

import type { Buffer } from "node:buffer";
import { RCODE, type Rcode } from "../answer.ts";
import type { ZoneTable } from "../zone_table.ts";
import { forward, parseUpstream } from "./upstream.ts";
import { react, type Reaction, serverFailure } from "./wire.ts";

export interface ResponderOptions {
  /** Resolvers for other names, `ADDRESS[:PORT]`; none: such names are refused. */
  readonly upstreams?: readonly string[];
  readonly upstreamTimeoutMs?: number;
}

/** Answers kept as bytes, at most some 5 MB with their questions. */
const CACHED_MAX = 8_192;
/** The longest name with EDNS and a cookie: what honest clients send. */
const CACHED_QUERY_BYTES = 320;
const FORWARDS_MAX = 512;
const UPSTREAM_TIMEOUT_MS = 2_000;

interface Cached {
  readonly bytes: Uint8Array;
  readonly rcode: Rcode;
}

const RCODE_NAMES = new Map<Rcode, string>([
  [RCODE.noError, "noerror"],
  [RCODE.formErr, "formerr"],
  [RCODE.servFail, "servfail"],
  [RCODE.nxDomain, "nxdomain"],
  [RCODE.notImp, "notimp"],
  [RCODE.refused, "refused"],
  [RCODE.badVers, "badvers"],
]);

/** Answers, counts, remembers; knows nothing of sockets. */
export class Responder {
  readonly forwards: boolean;
  readonly #upstreams;
  readonly #timeoutMs: number;
  readonly #closed = new AbortController();
  readonly #counts = new Map<string, number>();
  readonly #cache = { udp: new Map<string, Cached>(), tcp: new Map<string, Cached>() };
  #table: ZoneTable | null = null;
  #forwarding = 0;

  constructor(options: ResponderOptions) {
    this.#upstreams = (options.upstreams ?? []).map(parseUpstream);
    this.#timeoutMs = options.upstreamTimeoutMs ?? UPSTREAM_TIMEOUT_MS;
    this.forwards = this.#upstreams.length > 0;
  }

  publish(table: ZoneTable): void {
    this.#table = table;
    this.#cache.udp.clear();
    this.#cache.tcp.clear();
  }

  close(): void {
    this.#closed.abort();
  }

  count(what: string): void {
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + 1);
  }

  counters(): Record<string, number> {
    return Object.fromEntries([...this.#counts].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  /**
   * Calls `send` with the answer, at once or after an upstream has spoken; never for what is to
   * be dropped. Does not throw.
   */
  handle(
    query: Buffer,
    transport: "udp" | "tcp",
    send: (answer: Uint8Array | null) => void,
  ): void {
    this.count(`queries_${transport}`);
    const reaction = this.#reaction(query, transport);
    switch (reaction.do) {
      case "send":
        this.count(`answers_${RCODE_NAMES.get(reaction.rcode)}`);
        return send(reaction.bytes);
      case "drop":
        this.count("dropped");
        return send(null);
      case "forward":
        void this.#forward(query, transport).then(send);
    }
  }

  /** Equal bytes behind the id have equal answers, until the table changes. */
  #reaction(query: Buffer, transport: "udp" | "tcp"): Reaction {
    const cache = this.#cache[transport];
    const key = query.toString("latin1", 2);
    const known = cache.get(key);
    if (known) {
      const bytes = known.bytes.slice();
      bytes.set(query.subarray(0, 2));
      return { do: "send", bytes, rcode: known.rcode };
    }
    const reaction = react(query, this.#table, { forwards: this.forwards, transport });
    if (reaction.do === "send" && query.length <= CACHED_QUERY_BYTES) {
      if (cache.size >= CACHED_MAX) cache.clear();
      cache.set(key, { bytes: reaction.bytes, rcode: reaction.rcode });
    }
    return reaction;
  }

  async #forward(query: Buffer, transport: "udp" | "tcp"): Promise<Uint8Array> {
    if (this.#forwarding >= FORWARDS_MAX) {
      this.count("forwards_refused");
      return serverFailure(query);
    }
    this.count("forwards");
    this.#forwarding++;
    try {
      const answer = await forward(query, transport, {
        upstreams: this.#upstreams,
        timeoutMs: this.#timeoutMs,
        signal: this.#closed.signal,
      });
      if (answer) return answer;
    } catch {
      // Counted below, like an upstream that says nothing.
    } finally {
      this.#forwarding--;
    }
    this.count("forwards_failed");
    return serverFailure(query);
  }
}
