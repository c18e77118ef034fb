// The dp-server: one TLS port for proxies, HTTP/1.1 for bootstrap and gRPC for discovery.
//
// ALPN decides. http/1.1 is offered first, so that a client that speaks both (curl, Go) reaches HTTP;
// Envoy and gRPC clients offer h2 alone. Every h2 connection passes the frame guard.

import {
  type handleBidiStreamingCall,
  type Metadata,
  Server as GrpcServer,
  ServerCredentials,
  type ServerDuplexStream,
  status,
} from "@grpc/grpc-js";
import { Buffer } from "node:buffer";
import { createServer as createHttpServer, type IncomingMessage } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { createServer as createTlsServer, type TLSSocket } from "node:tls";
import type { JsonObject } from "../../core/resource.ts";
import { show } from "../../core/shape.ts";
import { GuardedSocket } from "../../h2/io/guarded_socket.ts";
import { Patience, STALL_MS_MAX } from "../../h2/io/patience.ts";
import { type HealthHost, HealthStreams } from "./health_streams.ts";
import { keepaliveOf } from "../lease.ts";
import type { AdsRequest, Dialect, Outgoing } from "../stream.ts";
import { Silence } from "./silence.ts";
import { readRequest, writeResponse } from "../wire.ts";

export interface FirstRequest {
  /** proto3 JSON of the client's Node, metadata included. */
  readonly node: JsonObject;
  /** The gRPC metadata `authorization`, verbatim. */
  readonly authorization: string | null;
  /** Address and port. */
  readonly peer: string;
  readonly dialect: Dialect;
}

/** Who answers the streams. Every stream that was opened is closed once. */
export interface AdsHost {
  opened(stream: string, first: FirstRequest, request: AdsRequest): void;
  /** False: no room for it, the stream is ended. */
  request(stream: string, request: AdsRequest): boolean;
  /** Nothing had come over its connection for so long. */
  closed(stream: string, silentMs: number): void;
}

export interface DpServer {
  readonly address: { readonly hostname: string; readonly port: number };
  /** Unknown streams, such as those that just ended, are ignored. */
  send(stream: string, out: Outgoing): void;
  end(stream: string, status: { readonly code: number; readonly message: string }): void;
  /** Has the Envoy of a stream of health probe what `checks` says, a HealthCheckSpecifier. */
  probe(stream: string, checks: Uint8Array): void;
  /** Ends all streams with UNAVAILABLE, and what is left after `graceMs` by force. */
  close(graceMs: number): Promise<void>;
  counters(): Record<string, number>;
}

export interface DpServerOptions {
  readonly hostname: string;
  readonly port: number;
  /** PEM. */
  readonly cert: string;
  readonly key: string;
  /** Named in every response, as `control_plane.identifier`. */
  readonly identifier?: string;
  readonly http: (request: Request) => Promise<Response>;
  readonly ads: AdsHost;
  readonly health: HealthHost;
  /** How long proxies are endpoints after their last sign of life: pings are timed by it. */
  readonly leaseMs: number;
  /** Default 30 s: how long an HTTP connection may be silent. */
  readonly idleMsMax?: number;
  /** A peer did what no client of ours does; `kind` is also the name of its counter. */
  onPeerError(
    error: { readonly kind: string; readonly peer: string; readonly message: string },
  ): void;
}

/** A request names all resources of a type: some thousand clusters fit into a fraction of this. */
const REQUEST_BYTES_MAX = 16 * 1024 * 1024;
/** A bootstrap request holds one Dataplane and some node metadata. */
const BODY_BYTES_MAX = 1024 * 1024;
/** Names that one stream may ask for; a mesh of some thousand services needs a fraction. */
const NAMES_MAX = 50_000;
/** A peer that connects and says nothing. */
const HANDSHAKE_MS_MAX = 10_000;
/** Then a request, or what is left of one, does not come any more. */
const IDLE_MS_MAX = 30_000;
/** Longer than any lease that somebody wants. */
const ANSWER_MS_MAX = 3_600_000;
/** A proxy has one stream; more than a few on one connection is no proxy. */
const STREAMS_PER_CONNECTION_MAX = 100;

export async function serveDp(options: DpServerOptions): Promise<DpServer> {
  const counts = new Map<string, number>();
  const count = (kind: string) => counts.set(kind, (counts.get(kind) ?? 0) + 1);
  const complain = (kind: string, peer: string, message: string) => {
    count(kind);
    options.onPeerError({ kind, peer, message });
  };

  const silence = new Silence(options.leaseMs);
  const disconnect = (peer: string) => sockets.get(peer)?.destroy();
  const streams = new Streams(options, { count, complain, disconnect }, silence);
  const probes = new HealthStreams(options.health, complain);
  const grpc = grpcServer(streams, probes, options.leaseMs);
  const injector = grpc.createConnectionInjector(ServerCredentials.createInsecure());
  const http = httpServer(options.http);
  const idleMs = options.idleMsMax ?? IDLE_MS_MAX;
  const sockets = new Map<string, Socket>();

  const tls = createTlsServer({
    cert: options.cert,
    key: options.key,
    ALPNProtocols: ["http/1.1", "h2"],
    minVersion: "TLSv1.2",
    handshakeTimeout: HANDSHAKE_MS_MAX,
  }, (socket: TLSSocket) => {
    const peer = peerOf(socket);
    sockets.set(peer, socket);
    socket.on("close", () => sockets.delete(peer));
    socket.on(
      "error",
      (error: Error) => complain("connection_error", peerOf(socket), error.message),
    );
    socket.setNoDelay(true);
    if (socket.alpnProtocol !== "h2") {
      count("http_connections");
      socket.setTimeout(idleMs);
      socket.on("timeout", () => socket.destroy());
      return http.emit("connection", socket);
    }
    count("grpc_connections");
    silence.watch(socket, peerOf(socket));
    injector.injectConnection(
      new GuardedSocket(socket, {
        onBreach: (breach) =>
          complain(`guard_${breach}`, peerOf(socket), `HTTP/2 limit exceeded: ${breach}`),
      }),
    );
  });
  tls.on("tlsClientError", (error: Error, socket: TLSSocket) => {
    complain("tls_error", peerOf(socket), error.message);
    socket.destroy();
  });

  await new Promise<void>((resolve, reject) => {
    tls.once("error", reject);
    tls.listen(options.port, options.hostname, resolve);
  });
  const { address, port } = tls.address() as AddressInfo;

  return {
    address: { hostname: address, port },
    send: (stream, out) => streams.send(stream, out),
    probe: (stream, checks) => probes.probe(stream, checks),
    end(stream, status) {
      streams.end(stream, status);
      probes.end(stream, status);
    },
    counters: () => Object.fromEntries(counts),
    async close(graceMs) {
      const stopped = new Promise<void>((resolve) => tls.close(() => resolve()));
      probes.endAll(SHUTTING_DOWN);
      await streams.endAll(graceMs);
      grpc.forceShutdown();
      http.closeAllConnections();
      for (const socket of sockets.values()) socket.destroy();
      await stopped;
    },
  };
}

function peerOf(socket: Socket): string {
  return `${socket.remoteAddress ?? "unknown"}:${socket.remotePort ?? 0}`;
}

// --- gRPC ---------------------------------------------------------------------------------------

type Call = ServerDuplexStream<Uint8Array, Uint8Array>;

const SHUTTING_DOWN = {
  code: status.UNAVAILABLE,
  message: "the control plane is shutting down",
} as const;

interface Stream {
  readonly call: Call;
  readonly dialect: Dialect;
  readonly nodeId: string;
  /** What delta requests of this stream subscribe to, by type. */
  readonly names: Map<string, Set<string>>;
  readonly stall: Patience;
}

interface Tally {
  count(kind: string): void;
  complain(kind: string, peer: string, message: string): void;
  disconnect(peer: string): void;
}

/** Calls by stream id. */
class Streams {
  readonly #open = new Map<string, Stream>();
  readonly #calls = new Set<Call>();
  readonly #host: AdsHost;
  readonly #identifier: string;
  readonly #tally: Tally;
  readonly #silence: Silence;
  #idle: (() => void) | null = null;

  constructor({ ads, identifier = "" }: DpServerOptions, tally: Tally, silence: Silence) {
    this.#host = ads;
    this.#identifier = identifier;
    this.#tally = tally;
    this.#silence = silence;
  }

  accept(call: Call, dialect: Dialect): void {
    const id = crypto.randomUUID();
    const peer = call.getPeer();
    const heard = this.#silence.of(peer);
    this.#calls.add(call);
    call.on("data", (bytes: Uint8Array) => {
      if (call.writableEnded) return;
      try {
        this.#received({ id, call, dialect, peer }, bytes);
      } catch (error) {
        if (!(error instanceof TypeError)) throw error;
        this.#tally.complain("bad_request", peer, error.message);
        finish(call, { code: status.INVALID_ARGUMENT, message: error.message });
      }
    });
    call.on("end", () => call.end());
    call.on("error", () => {});
    const closed = () => {
      if (!this.#calls.delete(call)) return;
      this.#open.get(id)?.stall.end();
      if (this.#open.delete(id)) this.#host.closed(id, performance.now() - heard.atMs);
      if (this.#calls.size === 0) this.#idle?.();
    };
    call.on("cancelled", closed);
    call.on("finish", closed);
    call.on("close", closed);
  }

  send(id: string, out: Outgoing): void {
    const stream = this.#open.get(id);
    if (!stream || stream.call.writableEnded) return;
    this.#tally.count("responses");
    const bytes = writeResponse(stream.dialect, out, this.#identifier);
    stream.call.write(bytes, stream.stall.begin());
  }

  end(id: string, reason: { readonly code: number; readonly message: string }): void {
    const stream = this.#open.get(id);
    if (stream) finish(stream.call, reason);
  }

  /** Resolves when every call is over, or after the grace time. */
  endAll(graceMs: number): Promise<void> {
    for (const call of this.#calls) {
      finish(call, SHUTTING_DOWN);
    }
    if (this.#calls.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, graceMs);
      this.#idle = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** All of its connection: a status would wait behind what it does not read. */
  #stalled(peer: string): void {
    this.#tally.complain("stalled", peer, "it takes nothing of what it is sent");
    this.#tally.disconnect(peer);
  }

  #received(
    { id, call, dialect, peer }: {
      readonly id: string;
      readonly call: Call;
      readonly dialect: Dialect;
      readonly peer: string;
    },
    bytes: Uint8Array,
  ): void {
    this.#tally.count("requests");
    const { request, node } = readRequest(dialect, bytes);
    const nodeId = typeof node?.["id"] === "string" ? node["id"] : "";
    const stream = this.#open.get(id);
    if (!stream) {
      if (!node || nodeId === "") throw new TypeError("node.id: the first request must carry it");
      const authorization = authorizationOf(call.metadata);
      const stall = new Patience(STALL_MS_MAX, () => this.#stalled(peer));
      const opened = { call, dialect, nodeId, names: new Map(), stall };
      countNames(opened, request);
      this.#open.set(id, opened);
      this.#tally.count("streams");
      this.#host.opened(id, { node, authorization, peer, dialect }, request);
      return;
    }
    if (nodeId !== "" && nodeId !== stream.nodeId) {
      const [own, other] = [show(stream.nodeId), show(nodeId)];
      throw new TypeError(`node.id: must stay ${own} on this stream, is ${other}`);
    }
    countNames(stream, request);
    if (this.#host.request(id, request)) return;
    this.#tally.complain("overload", peer, "requests arrive faster than they are handled");
    finish(call, { code: status.RESOURCE_EXHAUSTED, message: "too many requests are waiting" });
  }
}

/** Ends the call with a status; grpc-js takes it from an error event. */
function finish(
  call: Call,
  { code, message }: { readonly code: number; readonly message: string },
) {
  if (!call.writableEnded) call.emit("error", { code, details: message });
}

/** What a stream subscribes to is kept as long as it lives, so it must end somewhere. */
function countNames({ names: subscribed }: Stream, request: AdsRequest): void {
  const { typeUrl, names = [], subscribe = [], unsubscribe = [], initialVersions = {} } = request;
  const ofType = subscribed.get(typeUrl) ?? new Set();
  for (const name of subscribe) ofType.add(name);
  for (const name of unsubscribe) ofType.delete(name);
  if (ofType.size > 0) subscribed.set(typeUrl, ofType);
  else subscribed.delete(typeUrl);
  const total = [...subscribed.values()].reduce((sum, { size }) => sum + size, 0);
  const most = Math.max(total, names.length, Object.keys(initialVersions).length);
  if (most > NAMES_MAX) throw new TypeError(`resource names: at most ${NAMES_MAX}, is ${most}`);
}

function authorizationOf(metadata: Metadata): string | null {
  const values = metadata.get("authorization");
  if (values.length > 1) throw new TypeError("authorization: must be given once");
  return values.length === 0 ? null : String(values[0]);
}

function grpcServer(streams: Streams, probes: HealthStreams, leaseMs: number): GrpcServer {
  const { intervalMs } = keepaliveOf(leaseMs);
  const server = new GrpcServer({
    "grpc.max_receive_message_length": REQUEST_BYTES_MAX,
    "grpc.max_send_message_length": -1,
    "grpc.max_concurrent_streams": STREAMS_PER_CONNECTION_MAX,
    "grpc.keepalive_time_ms": intervalMs,
    // Silence is looked for elsewhere: a process that was away reads before it judges.
    "grpc.keepalive_timeout_ms": ANSWER_MS_MAX,
  });
  const method = (name: string, service: string) => ({
    path: `/envoy.service.${service}/${name}`,
    requestStream: true,
    responseStream: true,
    // Bytes pass as they are: a request that cannot be decoded gets our own answer.
    requestSerialize: toBuffer,
    requestDeserialize: (bytes: Uint8Array) => bytes,
    responseSerialize: toBuffer,
    responseDeserialize: (bytes: Uint8Array) => bytes,
  });
  const handler = (dialect: Dialect): handleBidiStreamingCall<Uint8Array, Uint8Array> => (call) =>
    streams.accept(call, dialect);
  const ads = "discovery.v3.AggregatedDiscoveryService";
  const hds = "health.v3.HealthDiscoveryService";
  const health: handleBidiStreamingCall<Uint8Array, Uint8Array> = (call) =>
    probes.accept(call, () => authorizationOf(call.metadata));
  server.addService({
    StreamAggregatedResources: method("StreamAggregatedResources", ads),
    DeltaAggregatedResources: method("DeltaAggregatedResources", ads),
    StreamHealthCheck: method("StreamHealthCheck", hds),
  }, {
    StreamAggregatedResources: handler("sotw"),
    DeltaAggregatedResources: handler("delta"),
    StreamHealthCheck: health,
  });
  return server;
}

function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

// --- HTTP ---------------------------------------------------------------------------------------

function httpServer(answer: DpServerOptions["http"]) {
  return createHttpServer((incoming, outgoing) => {
    respond(incoming, answer).then(async (response) => {
      const body = new Uint8Array(await response.arrayBuffer());
      outgoing.writeHead(response.status, Object.fromEntries(response.headers));
      outgoing.end(body);
    }).catch(() => outgoing.destroy());
  });
}

async function respond(
  incoming: IncomingMessage,
  answer: DpServerOptions["http"],
): Promise<Response> {
  const body = await bodyOf(incoming);
  if (!body) return new Response("the request body is too large\n", { status: 413 });
  const { method = "GET", url = "/" } = incoming;
  const hasBody = method !== "GET" && method !== "HEAD";
  return await answer(
    new Request(new URL(url, "https://dp-server"), {
      method,
      headers: Object.entries(incoming.headers).map(([name, value]) => [name, String(value)]),
      ...(hasBody && { body: new Uint8Array(body) }),
    }),
  );
}

/** Null when it is over the limit. */
async function bodyOf(incoming: IncomingMessage): Promise<Uint8Array | null> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of incoming) {
    length += chunk.length;
    if (length > BODY_BYTES_MAX) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
