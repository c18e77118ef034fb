// The zone's side of its proxies' streams, as xds/io/server.ts and cli/listen.ts have it.

import type { XdsCommand } from "../actors/dataplane/messages.ts";
import { PROXIES, type ProxiesMsg } from "../actors/proxies/messages.ts";
import type { ProxyKey } from "../core/proxy.ts";
import type { JsonObject } from "../core/resource.ts";
import { INVALID_ARGUMENT, RESOURCE_EXHAUSTED, UNAVAILABLE } from "../core/grpc_status.ts";
import type { Dialect, Outgoing } from "../xds/stream.ts";
import { keepaliveOf } from "../xds/lease.ts";
import { readRequest, writeResponse } from "../xds/wire.ts";
import { HEALTH, HealthEdge } from "./health.ts";
import type { Host } from "./kds_edges.ts";
import type { DialOptions, End, Ended, Handler } from "./network.ts";

export function adsDial(leaseMs: number): DialOptions {
  return {
    port: "dp",
    timeoutMs: 5_000,
    keepalive: { client: { intervalMs: 30_000, timeoutMs: 10_000 }, server: keepaliveOf(leaseMs) },
  };
}

/** A call's metadata goes first on its stream, as its headers do. */
interface Headers {
  readonly authorization: string | null;
}

interface Open {
  readonly end: End;
  readonly channel: Dialect;
  readonly nodeId: string;
  readonly key: ProxyKey;
  readonly authorization: string | null;
  readonly sinceMs: number;
}

const [text, bytesOf] = [new TextDecoder(), new TextEncoder()];

export function writeHeaders(headers: Headers): Uint8Array {
  return bytesOf.encode(JSON.stringify(headers));
}

export class AdsEdge {
  readonly #host: Host;
  readonly #identifier: string;
  readonly health: HealthEdge;
  readonly #open = new Map<string, Open>();
  #serial = 0;

  constructor(host: Host, identifier: string) {
    this.health = new HealthEdge(host);
    this.#host = host;
    this.#identifier = identifier;
  }

  get streams(): number {
    return this.#open.size;
  }

  /** Since when each open stream of a node is open, oldest first. */
  openSince(nodeId: string): readonly number[] {
    return [...this.#open.values()].filter((open) => open.nodeId === nodeId)
      .map(({ sinceMs }) => sinceMs);
  }

  /** Since when a stream over this connection is open; null when none is. */
  servedSince({ connection }: End): number | null {
    const open = [...this.#open.values()].find(({ end }) => end.connection === connection);
    return open?.sinceMs ?? null;
  }

  /** The same of every node. */
  openByNode(): ReadonlyMap<string, readonly number[]> {
    const byNode = new Map<string, number[]>();
    for (const { nodeId, sinceMs } of this.#open.values()) {
      const others = byNode.get(nodeId);
      if (others) others.push(sinceMs);
      else byNode.set(nodeId, [sinceMs]);
    }
    return byNode;
  }

  /** With what it was opened. */
  open(): Iterable<readonly [string, Readonly<Open>]> {
    return this.#open;
  }

  /** One stream of configuration for each connection, on the channel of its dialect; others of health. */
  accept(end: End): Handler {
    const stream = `ads-${++this.#serial}`;
    const headers = new Map<string, Headers>();
    const probes = new Map<string, string>();
    let begun = false;
    return {
      frame: (channel, bytes) => {
        const known = headers.get(channel);
        if (!known) return void headers.set(channel, JSON.parse(text.decode(bytes)) as Headers);
        if (channel.startsWith(HEALTH)) {
          const probe = probes.get(channel);
          if (probe !== undefined) return this.health.received(probe, bytes);
          const opened = this.health.opened(end, channel, { bytes, ...known });
          if (opened !== null) probes.set(channel, opened);
          return;
        }
        // It was ended, and the peer had not heard of it.
        if (begun && !this.#open.has(stream)) return;
        begun = true;
        try {
          this.#received(stream, { end, channel: channel as Dialect, bytes, headers: known });
        } catch (error) {
          if (!(error instanceof TypeError)) throw error;
          this.#host.count("ads malformed");
          this.#finish(stream, end, channel, { code: INVALID_ARGUMENT, message: error.message });
        }
      },
      ended: (channel) => {
        const probe = probes.get(channel);
        if (probe !== undefined) return this.health.closed(probe);
        this.#closed(stream, end);
        end.close();
      },
      lost: () => {
        for (const probe of probes.values()) this.health.closed(probe);
        this.#closed(stream, end);
      },
    };
  }

  command(what: XdsCommand): void {
    switch (what.do) {
      case "send": {
        const open = this.#open.get(what.stream);
        if (!open) return;
        const bytes = writeResponse(open.channel, what.out as Outgoing, this.#identifier);
        open.end.send(open.channel, bytes);
        const { luck } = this.#host;
        if (!luck.strikes("a proxy's stream ends behind a response")) return;
        return this.#end(what.stream, { code: UNAVAILABLE, message: "bad luck" });
      }
      case "probe":
        return this.health.probe(what.stream, what.checks);
      case "end":
        return this.health.end(what.stream, what) ? undefined : this.#end(what.stream, what);
      case "end_all":
        this.health.endAll(what);
        for (const stream of [...this.#open.keys()]) this.#end(stream, what);
    }
  }

  #received(
    stream: string,
    { end, channel, bytes, headers: { authorization } }: {
      readonly end: End;
      readonly channel: Dialect;
      readonly bytes: Uint8Array;
      readonly headers: Headers;
    },
  ): void {
    const { request, node } = readRequest(channel, bytes);
    const nodeId = typeof node?.["id"] === "string" ? node["id"] : "";
    const open = this.#open.get(stream);
    if (!open) {
      if (!node || nodeId === "") throw new TypeError("node.id: the first request must carry it");
      const sinceMs = this.#host.network.agenda.nowMs;
      const key = keyOf(nodeId, node);
      this.#open.set(stream, { end, channel, nodeId, key, authorization, sinceMs });
      this.#tell({
        tag: "stream_opened",
        stream,
        node,
        dialect: channel,
        request,
        credential: authorization,
      });
      return;
    }
    if (nodeId !== "" && nodeId !== open.nodeId) {
      throw new TypeError(`node.id: must stay ${open.nodeId} on this stream, is ${nodeId}`);
    }
    if (this.#tell({ tag: "stream_request", stream, request })) return;
    this.#host.count("ads overrun");
    this.#end(stream, { code: RESOURCE_EXHAUSTED, message: "too many requests are waiting" });
  }

  #end(stream: string, { code, message }: Ended): void {
    const open = this.#open.get(stream);
    if (open) this.#finish(stream, open.end, open.channel, { code, message });
  }

  #finish(stream: string, end: End, channel: string, why: Ended): void {
    end.end(channel, why);
    this.#closed(stream, end);
  }

  #closed(stream: string, end: End): void {
    if (!this.#open.delete(stream)) return;
    this.#tell({ tag: "stream_closed", stream, silentMs: end.silentMs });
  }

  #tell(msg: ProxiesMsg): boolean {
    return this.#host.deliver(PROXIES, msg);
  }
}

/** As it says itself. */
function keyOf(nodeId: string, node: JsonObject): ProxyKey {
  const [mesh = "", name = ""] = nodeId.split(".");
  const { "dataplane.proxyType": type } = node["metadata"] as JsonObject;
  return { type: type === "ingress" ? "ingress" : "dataplane", mesh, name };
}
