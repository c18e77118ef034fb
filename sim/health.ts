// Streams of health, at both ends: an Envoy that probes its workload, and the zone's edge as
// xds/io/health_streams.ts has it.

import { INVALID_ARGUMENT, UNAVAILABLE } from "../core/grpc_status.ts";
import type { JsonObject } from "../core/resource.ts";
import { PROXIES, type ProxiesMsg } from "../actors/proxies/messages.ts";
import { decode, encode } from "../proto/mod.ts";
import { readHealthMessage } from "../xds/health.ts";
import type { Host } from "./kds_edges.ts";
import type { End, Ended } from "./network.ts";

/** The start of the channels' names: one for each stream. */
export const HEALTH = "health";
const MESSAGE = "envoy.service.health.v3.HealthCheckRequestOrEndpointHealthResponse";
const SPECIFIER = "envoy.service.health.v3.HealthCheckSpecifier";
const REOPEN_MS = 1_000;

// ---- the zone

interface Open {
  readonly end: End;
  readonly channel: string;
  /** What was reported last: only what differs is passed on. */
  last: string;
}

export class HealthEdge {
  readonly #host: Host;
  readonly #open = new Map<string, Open>();
  #serial = 0;

  constructor(host: Host) {
    this.#host = host;
  }

  get streams(): number {
    return this.#open.size;
  }

  /** A first message; null: it was none. */
  opened(
    end: End,
    channel: string,
    { bytes, authorization }: { readonly bytes: Uint8Array; readonly authorization: string | null },
  ): string | null {
    const first = this.#read(end, channel, bytes);
    if (first?.says !== "node") return null;
    const stream = `hds-${++this.#serial}`;
    this.#open.set(stream, { end, channel, last: "" });
    const { node } = first;
    const isHeard = this.#tell({ tag: "health_opened", stream, node, credential: authorization });
    if (isHeard) return stream;
    this.end(stream, { code: UNAVAILABLE, message: "the control plane is busy: try again" });
    return null;
  }

  received(stream: string, bytes: Uint8Array): void {
    const open = this.#open.get(stream);
    if (!open) return;
    const said = this.#read(open.end, open.channel, bytes);
    if (!said) return this.closed(stream);
    if (said.says !== "health") return;
    const text = bytes.toBase64();
    if (open.last === text) return;
    open.last = text;
    this.#host.count("health reports");
    this.#tell({ tag: "health_reported", stream, report: said.report });
    if (this.#host.luck.strikes("a stream of health ends behind a report")) {
      this.end(stream, { code: UNAVAILABLE, message: "bad luck" });
    }
  }

  probe(stream: string, checks: Uint8Array): void {
    const open = this.#open.get(stream);
    open?.end.send(open.channel, checks);
  }

  /** False: there is no such stream. */
  end(stream: string, { code, message }: Ended): boolean {
    const open = this.#open.get(stream);
    if (!open) return false;
    open.end.end(open.channel, { code, message });
    this.closed(stream);
    return true;
  }

  endAll(why: Ended): void {
    for (const stream of [...this.#open.keys()]) this.end(stream, why);
  }

  closed(stream: string): void {
    if (this.#open.delete(stream)) this.#tell({ tag: "health_closed", stream });
  }

  #read(end: End, channel: string, bytes: Uint8Array) {
    try {
      return readHealthMessage(bytes);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      this.#host.count("health malformed");
      end.end(channel, { code: INVALID_ARGUMENT, message: error.message });
      return null;
    }
  }

  #tell(msg: ProxiesMsg): boolean {
    return this.#host.deliver(PROXIES, msg);
  }
}

// ---- Envoy

interface Asked {
  readonly clusterHealthChecks?: readonly { readonly clusterName: string }[];
}

/** Reports when it is asked, and when something changes. */
export class Probing {
  /** Whether what it stands in front of answers. */
  workload = true;
  readonly #after: (ms: number, run: () => void) => void;
  #end: End | null = null;
  #channel = "";
  #first: Uint8Array = new Uint8Array();
  #clusters: readonly string[] = [];
  #opened = 0;

  constructor(after: (ms: number, run: () => void) => void) {
    this.#after = after;
  }

  connected(end: End, headers: Uint8Array, node: JsonObject): void {
    this.#end = end;
    this.#first = encode(MESSAGE, {
      healthCheckRequest: { node, capability: { healthCheckProtocols: ["TCP", "HTTP"] } },
    });
    this.#open(headers);
  }

  frame(bytes: Uint8Array): void {
    const { clusterHealthChecks = [] } = decode(SPECIFIER, bytes) as Asked;
    this.#clusters = clusterHealthChecks.map(({ clusterName }) => clusterName);
    this.report();
  }

  /** One stream; the connection may go on. */
  ended(headers: () => Uint8Array): void {
    const end = this.#end;
    this.#clusters = [];
    this.#after(REOPEN_MS, () => {
      if (end?.open && this.#end === end) this.#open(headers());
    });
  }

  lost(): void {
    this.#end = null;
    this.#clusters = [];
  }

  say(bytes: Uint8Array): void {
    this.#end?.send(this.#channel, bytes);
  }

  report(): void {
    if (this.#clusters.length === 0) return;
    const clusterEndpointsHealth = this.#clusters.map((clusterName) => ({
      clusterName,
      localityEndpointsHealth: [{
        endpointsHealth: [{
          healthStatus: this.workload || !clusterName.startsWith("localhost:")
            ? "HEALTHY"
            : "UNHEALTHY",
        }],
      }],
    }));
    this.say(encode(MESSAGE, { endpointHealthResponse: { clusterEndpointsHealth } }));
  }

  #open(headers: Uint8Array): void {
    this.#channel = `${HEALTH} ${++this.#opened}`;
    this.say(headers);
    this.say(this.#first);
  }
}
