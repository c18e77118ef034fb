// The streams on which Envoys report health.

import { type ServerDuplexStream, status } from "@grpc/grpc-js";
import { Buffer } from "node:buffer";
import type { JsonObject } from "../../core/resource.ts";
import { type HealthReport, readHealthMessage } from "../health.ts";

/** Who hears of health. Every stream that was opened is closed once. */
export interface HealthHost {
  opened(
    stream: string,
    first: { readonly node: JsonObject; readonly authorization: string | null },
  ): void;
  /** Only what differs from the report before, so that a healthy proxy costs nothing. */
  reported(stream: string, report: HealthReport): void;
  closed(stream: string): void;
}

export type HealthCall = ServerDuplexStream<Uint8Array, Uint8Array>;

interface Open {
  readonly call: HealthCall;
  last: Uint8Array | null;
}

/** What a peer did that no Envoy does. */
type Complain = (kind: string, peer: string, message: string) => void;

export class HealthStreams {
  readonly #open = new Map<string, Open>();
  readonly #host: HealthHost;
  readonly #complain: Complain;

  constructor(host: HealthHost, complain: Complain) {
    this.#host = host;
    this.#complain = complain;
  }

  accept(call: HealthCall, authorization: () => string | null): void {
    const id = crypto.randomUUID();
    call.on("data", (bytes: Uint8Array) => {
      if (call.writableEnded) return;
      try {
        this.#received(id, bytes, { call, authorization });
      } catch (error) {
        if (!(error instanceof TypeError)) throw error;
        this.#complain("bad_health", call.getPeer(), error.message);
        finish(call, { code: status.INVALID_ARGUMENT, message: error.message });
      }
    });
    const closed = () => {
      if (this.#open.delete(id)) this.#host.closed(id);
    };
    call.on("end", () => call.end());
    call.on("error", () => {});
    for (const event of ["cancelled", "finish", "close"]) call.on(event, closed);
  }

  /** `checks`: a HealthCheckSpecifier. */
  probe(id: string, checks: Uint8Array): void {
    const call = this.#open.get(id)?.call;
    if (call && !call.writableEnded) call.write(checks);
  }

  end(id: string, reason: { readonly code: number; readonly message: string }): void {
    const stream = this.#open.get(id);
    if (stream) finish(stream.call, reason);
  }

  endAll(reason: { readonly code: number; readonly message: string }): void {
    for (const { call } of this.#open.values()) finish(call, reason);
  }

  #received(
    id: string,
    bytes: Uint8Array,
    { call, authorization }: {
      readonly call: HealthCall;
      readonly authorization: () => string | null;
    },
  ): void {
    const stream = this.#open.get(id);
    if (stream?.last && Buffer.compare(stream.last, bytes) === 0) return;
    const message = readHealthMessage(bytes);
    if (message.says === "node") {
      // Envoy offers itself once for each stream.
      if (stream) throw new TypeError("health: a stream begins only once");
      const first = { node: message.node, authorization: authorization() };
      this.#open.set(id, { call, last: null });
      return this.#host.opened(id, first);
    }
    if (!stream) throw new TypeError("health: a stream begins with a node");
    stream.last = bytes;
    this.#host.reported(id, message.report);
  }
}

function finish(call: HealthCall, { code, message }: { code: number; message: string }): void {
  if (!call.writableEnded) call.emit("error", { code, details: message });
}
