// Requests as a workload makes them: a name, its virtual IP, a new connection each time.

import http from "node:http";
import type { ServiceAnswer } from "./service.ts";

export interface Reply {
  /** 0 when there was no HTTP answer. */
  readonly status: number;
  readonly answer: ServiceAnswer | null;
  /** Empty when the answer is a service's own. */
  readonly error: string;
}

const REQUEST_TIMEOUT_MS = 5_000;

/** GET on a new connection. Never throws: an outcome is what the checks count. */
export function get(
  to: {
    readonly host: string;
    readonly port: number;
    readonly name?: string;
    readonly path?: string;
  },
): Promise<Reply> {
  return new Promise((done) => {
    const request = http.get({
      host: to.host,
      port: to.port,
      path: to.path ?? "/",
      agent: false,
      timeout: REQUEST_TIMEOUT_MS,
      headers: { host: to.name ?? to.host, connection: "close" },
    }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (part: string) => text += part);
      response.on("end", () => done(replyOf(response.statusCode ?? 0, text)));
      response.on("error", (error) => done(failed(error.message)));
    });
    request.on("timeout", () => request.destroy(new Error("no answer in time")));
    request.on("error", (error) => done(failed(error.message)));
  });
}

function replyOf(status: number, text: string): Reply {
  if (status !== 200) {
    return { status, answer: null, error: `${status} ${text.trim().slice(0, 120)}` };
  }
  try {
    return { status, answer: JSON.parse(text), error: "" };
  } catch {
    return failed(`not a service's answer: ${text.slice(0, 120)}`);
  }
}

function failed(error: string): Reply {
  return { status: 0, answer: null, error: error || "connection failed" };
}

/** The client of one zone: it asks this zone's DNS and calls what that answers. */
export class MeshClient {
  readonly #dns: { readonly ipAddr: string; readonly port: number };
  readonly #vipPort: number;

  constructor(dns: string, vipPort: number) {
    const { hostname, port } = new URL(dns.replace(/^udp:/, "http:"));
    this.#dns = { ipAddr: hostname, port: Number(port) };
    this.#vipPort = vipPort;
  }

  /** The virtual IP of a name; throws when there is none. */
  async resolve(name: string): Promise<string> {
    const [address] = await Deno.resolveDns(`${name}.`, "A", { nameServer: this.#dns });
    if (!address) throw new Error(`${name} has no address`);
    return address;
  }

  /** One request by name, DNS included. */
  async call(name: string, path = "/"): Promise<Reply> {
    try {
      return await get({ host: await this.resolve(name), port: this.#vipPort, name, path });
    } catch (error) {
      return failed(`DNS: ${(error as Error).message}`);
    }
  }

  /** The same without asking DNS again, as programs that keep an address do. */
  callAt(address: string, name: string): Promise<Reply> {
    return get({ host: address, port: this.#vipPort, name });
  }
}

export interface Outcome {
  readonly startedAtMs: number;
  readonly reply: Reply;
}

/** Steady new connections while something happens to the mesh. */
export class Load {
  readonly outcomes: Outcome[] = [];
  readonly #call: () => Promise<Reply>;
  readonly #perSecond: number;
  readonly #startedAtMs = performance.now();
  readonly #open = new Set<Promise<void>>();
  readonly #timer: ReturnType<typeof setInterval>;
  #sent = 0;

  constructor(perSecond: number, call: () => Promise<Reply>) {
    this.#perSecond = perSecond;
    this.#call = call;
    this.#timer = setInterval(() => this.#sendDue(), 5);
  }

  get failures(): readonly Outcome[] {
    return this.outcomes.filter(({ reply }) => reply.error !== "");
  }

  /** Failures of requests that began at this time or later. */
  failuresSince(atMs: number): readonly Outcome[] {
    return this.failures.filter(({ startedAtMs }) => startedAtMs >= atMs);
  }

  get perSecond(): number {
    return this.#sent / ((performance.now() - this.#startedAtMs) / 1_000);
  }

  /** How many answers each zone gave. */
  byZone(): Readonly<Record<string, number>> {
    const counts: Record<string, number> = {};
    for (const { reply } of this.outcomes) {
      if (reply.answer) counts[reply.answer.zone] = (counts[reply.answer.zone] ?? 0) + 1;
    }
    return counts;
  }

  /** Sends no more and waits for what is under way. */
  async stop(): Promise<this> {
    clearInterval(this.#timer);
    await Promise.all(this.#open);
    return this;
  }

  /** Late timers are made up for, so that the rate is what was asked for. */
  #sendDue(): void {
    const due = (performance.now() - this.#startedAtMs) / 1_000 * this.#perSecond;
    for (; this.#sent < due; this.#sent++) {
      const startedAtMs = performance.now();
      const one = this.#call().then((reply) => {
        this.outcomes.push({ startedAtMs, reply });
        this.#open.delete(one);
      });
      this.#open.add(one);
    }
  }
}
