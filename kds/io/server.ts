// Global's listener for zones: gRPC streams in, messages to actors out, and back.
//
// Until the zone's actor has admitted a stream, nothing of it is read. What an actor says to a
// stream that is gone is answered with `stream_closed`, so that both agree in the end.

import {
  Metadata,
  Server as GrpcServer,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  status,
} from "@grpc/grpc-js";
import type { Buffer } from "node:buffer";
import { type AddressInfo, createServer as createTcpServer, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { GuardedSocket } from "../../h2/io/guarded_socket.ts";
import { Patience, STALL_MS_MAX } from "../../h2/io/patience.ts";
import type { EnvoyAnswer } from "../../core/envoy_admin.ts";
import { encode } from "../../proto/mod.ts";
import { ADMIN_KINDS, type AdminRequest, decodeAdminAnswer, encodeAdminRequest } from "../admin.ts";
import { readDigests } from "../digest.ts";
import { decodeRequest, decodeResponse, encodeRequest, encodeResponse } from "../envelope.ts";
import {
  type CallerInfo,
  type CloseCode,
  isSync,
  MESSAGE_BYTES_MAX,
  RECEIVED_BYTES_MAX,
  type ServerCommand,
  type ServerEvent,
  type StreamKind,
} from "../wire.ts";
import {
  AUTHORIZATION,
  CLIENT_ID,
  DIGESTS,
  fromBuffer,
  HEALTH_PATH,
  KEEPALIVE_TIMEOUT_MS,
  PROGRESS,
  readReports,
  readRun,
  RUN,
  SERVER_KEEPALIVE_MS,
  STREAM_PATHS,
  toBuffer,
} from "./methods.ts";
import { Questions } from "./questions.ts";

export interface KdsServerOptions {
  readonly hostname: string;
  readonly port: number;
  /** PEM; null: plaintext, which only a user may ask for. */
  readonly tls: { readonly cert: string; readonly key: string } | null;
  /** False: nobody lives there, or there is no room. */
  deliver(path: string, event: ServerEvent): boolean;
  onPeerError?(error: { readonly peer: string; readonly message: string }): void;
  /** Default 10 s: how long a stream may wait to be admitted. */
  readonly admitMsMax?: number;
  /** Default 60 s: how long a zone may take nothing of what it is sent. */
  readonly stallMsMax?: number;
}

export interface KdsServer {
  readonly address: { readonly hostname: string; readonly port: number };
  /** What port "kds" is told on a global. */
  command(what: ServerCommand): void;
  /** Asks a zone about one of its Envoys. Never rejects. */
  ask(zone: string, request: AdminRequest): Promise<EnvoyAnswer>;
  counters(): Readonly<Record<string, number>>;
  /** Ends every stream with UNAVAILABLE, says GOAWAY, and waits no longer than this. */
  close(graceMs: number): Promise<void>;
}

type Call = ServerDuplexStream<Buffer, Buffer>;

interface Open {
  readonly call: Call;
  readonly zone: string;
  readonly kind: StreamKind;
  /** The actor that admitted it. */
  to: string | null;
  /** The zone has said that it is done. */
  ended?: boolean;
  /** With what it does not read. */
  readonly stall: Patience;
  /** Ends it when nobody does. */
  patience?: ReturnType<typeof setTimeout>;
}

const GLOBAL = "global";
/** A zone's actor admits within milliseconds; a zone that nobody takes must hear of it, and come back. */
const ADMIT_MS_MAX = 10_000;
const HANDSHAKE_MS_MAX = 10_000;
/** How often Ursa's zones, and Kuma's, are asked to show that they live. */
const HEALTH_INTERVAL = "10s";
const STREAMS_MAX = 64;

const CODES: Readonly<Record<CloseCode, status>> = {
  canceled: status.CANCELLED,
  invalid_argument: status.INVALID_ARGUMENT,
  unavailable: status.UNAVAILABLE,
  aborted: status.ABORTED,
  internal: status.INTERNAL,
  unauthenticated: status.UNAUTHENTICATED,
  permission_denied: status.PERMISSION_DENIED,
  failed_precondition: status.FAILED_PRECONDITION,
};

export async function serveKds(options: KdsServerOptions): Promise<KdsServer> {
  const sockets = new Map<string, Socket>();
  const streams = new Streams(options, (peer) => sockets.get(peer)?.destroy());
  const grpc = grpcServer(streams);
  const injector = grpc.createConnectionInjector(ServerCredentials.createInsecure());
  const accept = (socket: Socket) => {
    streams.count("connections");
    const peer = `${socket.remoteAddress}:${socket.remotePort}`;
    sockets.set(peer, socket);
    socket.on("close", () => sockets.delete(peer));
    injector.injectConnection(
      new GuardedSocket(socket, {
        onBreach: (breach) => {
          streams.count(`breach_${breach}`);
          options.onPeerError?.({ peer, message: `closed for ${breach}` });
        },
        ...(options.stallMsMax !== undefined && { stallMsMax: options.stallMsMax }),
      }),
    );
  };
  const { tls } = options;
  const listener = tls
    ? createTlsServer({
      cert: tls.cert,
      key: tls.key,
      ALPNProtocols: ["h2"],
      minVersion: "TLSv1.2",
      handshakeTimeout: HANDSHAKE_MS_MAX,
    }, accept)
    : createTcpServer(accept);
  listener.on("tlsClientError", (error: Error, socket: Socket) => {
    streams.count("tls_errors");
    options.onPeerError?.({ peer: String(socket.remoteAddress), message: error.message });
    // A handshake that took too long is told, not ended.
    socket.destroy();
  });
  await new Promise<void>((resolve, reject) => {
    listener.once("error", reject);
    listener.listen(options.port, options.hostname, resolve);
  });
  const { address, port } = listener.address() as AddressInfo;
  return {
    address: { hostname: address, port },
    command: (what) => streams.command(what),
    ask: (zone, request) => streams.ask(zone, request),
    counters: () => streams.counters(),
    close: async (graceMs) => {
      listener.close();
      const done = streams.endAll();
      injector.drain(graceMs);
      await within(done, graceMs);
      grpc.forceShutdown();
      for (const socket of sockets.values()) socket.destroy();
    },
  };
}

async function within(done: Promise<void>, limitMs: number): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const limit = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, limitMs);
  });
  await Promise.race([done, limit]);
  clearTimeout(timer);
}

interface Refusal {
  readonly code: status;
  readonly details: string;
}

type Answer = (refused: Refusal | null, value?: Buffer) => void;

class Streams {
  readonly #options: KdsServerOptions;
  readonly #open = new Map<string, Open>();
  readonly #calls = new Set<Call>();
  readonly #counts = new Map<string, number>();
  readonly #questions = new Questions((ms, act) => {
    const timer = setTimeout(act, ms);
    return () => clearTimeout(timer);
  });
  /** Health checks without an answer. */
  readonly #checks = new Map<string, Answer>();
  readonly #disconnect: (peer: string) => void;
  #idle: (() => void) | null = null;

  constructor(options: KdsServerOptions, disconnect: (peer: string) => void) {
    this.#options = options;
    this.#disconnect = disconnect;
  }

  count(name: string): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
  }

  counters(): Readonly<Record<string, number>> {
    return { ...Object.fromEntries(this.#counts), streams_open: this.#open.size };
  }

  opened(kind: StreamKind, call: Call): void {
    const zone = textOf(call.metadata, CLIENT_ID);
    this.#track(call, () => this.#closed(stream));
    const stream = crypto.randomUUID();
    if (zone === "") {
      this.count("calls_without_zone");
      return end(call, "invalid_argument", `metadata "${CLIENT_ID}" is not present`);
    }
    const { stallMsMax = STALL_MS_MAX } = this.#options;
    const stall = new Patience(stallMsMax, () => this.#stalled(call));
    const open: Open = { call, zone, kind, stall, to: null };
    this.#open.set(stream, open);
    // The peer learns that it is connected, though nothing is to be said yet.
    call.sendMetadata(new Metadata());
    const caller = callerOf(call);
    if (!this.#options.deliver(GLOBAL, { tag: "stream_opened", stream, kind, zone, caller })) {
      this.count("streams_refused");
      return end(call, "unavailable", "too many zones connect at once");
    }
    if (open.to !== null) return;
    open.patience = setTimeout(() => {
      this.count("streams_not_admitted");
      end(call, "unavailable", "nobody takes this stream; try again");
    }, this.#options.admitMsMax ?? ADMIT_MS_MAX);
  }

  ask(zone: string, request: AdminRequest): Promise<EnvoyAnswer> {
    const { kind } = request.question;
    // The newest: an older one of the same zone is being closed.
    const found = [...this.#open].findLast(([, open]) =>
      open.zone === zone && open.kind === kind && open.to !== null
    );
    if (!found) {
      this.count("admin_questions_without_zone");
      return Promise.resolve({
        ok: false,
        reason: "unreachable",
        detail: `zone "${zone}" is not connected to this control plane`,
      });
    }
    const [stream, { call }] = found;
    this.count("admin_questions");
    return new Promise((settle) =>
      this.#questions.ask(stream, request, {
        send: () => call.write(toBuffer(encodeAdminRequest(request))),
        settle,
      })
    );
  }

  health(call: ServerUnaryCall<Buffer, Buffer>, answer: Answer): void {
    const zone = textOf(call.metadata, CLIENT_ID);
    if (zone === "") {
      return answer(refusal("invalid_argument", `metadata "${CLIENT_ID}" is not present`));
    }
    this.count("health_checks");
    const check = crypto.randomUUID();
    const patience = setTimeout(
      () => this.#answerHealth(check, refusal("unavailable", "nobody takes this check; try again")),
      this.#options.admitMsMax ?? ADMIT_MS_MAX,
    );
    call.on("cancelled", () => {
      clearTimeout(patience);
      this.#checks.delete(check);
    });
    this.#checks.set(check, (...outcome) => {
      clearTimeout(patience);
      answer(...outcome);
    });
    const isTaken = this.#options.deliver(GLOBAL, {
      tag: "health_checked",
      check,
      zone,
      caller: callerOf(call),
      reports: readReports(textOf(call.metadata, PROGRESS) || "[]"),
      digests: readDigests(textOf(call.metadata, DIGESTS)),
    });
    if (!isTaken) {
      this.#answerHealth(check, refusal("unavailable", "too many zones at once; try again"));
    }
  }

  #answerHealth(check: string, refused: Refusal | null): void {
    const answer = this.#checks.get(check);
    this.#checks.delete(check);
    if (refused) return answer?.(refused);
    const healthy = { interval: HEALTH_INTERVAL };
    answer?.(null, toBuffer(encode("kuma.mesh.v1alpha1.ZoneHealthCheckResponse", healthy)));
  }

  command(what: ServerCommand): void {
    if (what.do === "end_all") {
      for (const { call, to } of [...this.#open.values()]) {
        if (to === what.to) end(call, "unavailable", "global restarted a part");
      }
      return;
    }
    if (what.do === "answer_health") {
      const { check, refusal: refused } = what;
      return this.#answerHealth(check, refused ? refusal(refused.code, refused.message) : null);
    }
    const open = this.#open.get(what.stream);
    if (!open) {
      if (what.do === "admit") {
        this.#tellClosed(what.to, { stream: what.stream, byPeer: false });
      }
      return;
    }
    switch (what.do) {
      case "admit":
        open.to = what.to;
        clearTimeout(open.patience);
        open.call.on("data", (bytes: Buffer) => this.#received(what.stream, open, bytes));
        open.call.on("end", () => {
          open.ended = true;
          open.call.end();
        });
        return;
      case "send":
        open.call.write(
          toBuffer("request" in what ? encodeRequest(what.request) : encodeResponse(what.response)),
          open.stall.begin(),
        );
        return;
      case "close":
        return end(open.call, what.code, what.message);
    }
  }

  endAll(): Promise<void> {
    for (const call of this.#calls) end(call, "unavailable", "global is stopping");
    if (this.#calls.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#idle = resolve;
    });
  }

  /** All of its connection: a status would wait behind what it does not read. */
  #stalled(call: Call): void {
    this.count("stalled");
    const peer = call.getPeer();
    this.#options.onPeerError?.({ peer, message: "closed: it takes nothing of what it is sent" });
    this.#disconnect(peer);
  }

  #received(stream: string, { call, kind, to }: Open, bytes: Buffer): void {
    this.count("messages");
    let event: ServerEvent;
    try {
      if (!isSync(kind)) {
        const answer = decodeAdminAnswer(kind, fromBuffer(bytes));
        // Late, or to nobody: no reason to end the stream, as Kuma's global does.
        if (!this.#questions.answered(stream, answer)) this.count("admin_answers_unasked");
        return;
      }
      event = kind === "global_to_zone"
        ? { tag: "request_received", stream, request: decodeRequest(fromBuffer(bytes)) }
        : { tag: "response_received", stream, response: decodeResponse(fromBuffer(bytes)) };
    } catch (error) {
      this.count("malformed_messages");
      this.#options.onPeerError?.({ peer: call.getPeer(), message: String(error) });
      return end(call, "invalid_argument", "malformed message");
    }
    if (this.#options.deliver(to!, event)) return;
    this.count("streams_overrun");
    end(call, "unavailable", "more than can be handled; try again");
  }

  #track(call: Call, closed: () => void): void {
    this.#calls.add(call);
    let over = false;
    const finished = () => {
      if (over) return;
      over = true;
      this.#calls.delete(call);
      closed();
      if (this.#calls.size === 0) this.#idle?.();
    };
    call.on("cancelled", finished);
    call.on("close", finished);
    call.on("finish", finished);
    // An ended call tells its reason as an error; the peer has it too.
    call.on("error", finished);
  }

  #closed(stream: string): void {
    const open = this.#open.get(stream);
    this.#open.delete(stream);
    this.#questions.streamEnded(stream);
    clearTimeout(open?.patience);
    open?.stall.end();
    if (!open) return;
    this.#tellClosed(GLOBAL, { stream, byPeer: open.ended ?? false });
    if (open.to) this.#tellClosed(open.to, { stream, byPeer: open.ended ?? false });
  }

  #tellClosed(
    to: string,
    closed: { readonly stream: string; readonly byPeer: boolean },
  ): void {
    this.#options.deliver(to, { tag: "stream_closed", ...closed, reason: "the stream ended" });
  }
}

function grpcServer(streams: Streams): GrpcServer {
  const server = new GrpcServer({
    "grpc.max_receive_message_length": RECEIVED_BYTES_MAX,
    "grpc.max_send_message_length": MESSAGE_BYTES_MAX,
    "grpc.max_concurrent_streams": STREAMS_MAX,
    "grpc.keepalive_time_ms": SERVER_KEEPALIVE_MS,
    "grpc.keepalive_timeout_ms": KEEPALIVE_TIMEOUT_MS,
  });
  const bytes = {
    requestSerialize: (message: Buffer) => message,
    requestDeserialize: (message: Buffer) => message,
    responseSerialize: (message: Buffer) => message,
    responseDeserialize: (message: Buffer) => message,
  };
  const bidi = (path: string) => ({ path, requestStream: true, responseStream: true, ...bytes });
  const opened = (kind: StreamKind) => (call: Call) => streams.opened(kind, call);
  server.addService({
    GlobalToZoneSync: bidi(STREAM_PATHS.global_to_zone),
    ZoneToGlobalSync: bidi(STREAM_PATHS.zone_to_global),
  }, {
    GlobalToZoneSync: opened("global_to_zone"),
    ZoneToGlobalSync: opened("zone_to_global"),
  });
  server.addService({
    ...Object.fromEntries(ADMIN_KINDS.map((kind) => [kind, bidi(STREAM_PATHS[kind])])),
    HealthCheck: { path: HEALTH_PATH, requestStream: false, responseStream: false, ...bytes },
  }, {
    ...Object.fromEntries(ADMIN_KINDS.map((kind) => [kind, opened(kind)])),
    HealthCheck: (call: ServerUnaryCall<Buffer, Buffer>, answer: Answer) =>
      streams.health(call, answer),
  });
  return server;
}

function refusal(code: CloseCode, details: string): Refusal {
  return { code: CODES[code], details };
}

function end(call: Call, code: CloseCode, message: string): void {
  // grpc-js takes the status of a server stream from an error that it emits.
  if (!call.writableEnded) call.emit("error", refusal(code, message));
}

function callerOf(call: Pick<Call, "metadata" | "getPeer">): CallerInfo {
  const { metadata } = call;
  return {
    features: metadata.get("features").flatMap((value) => String(value).split(/,\s*/)),
    version: textOf(metadata, "version"),
    peer: call.getPeer(),
    authorization: metadata.get(AUTHORIZATION).map(String),
    run: readRun(textOf(metadata, RUN)),
  };
}

function textOf(metadata: Metadata, key: string): string {
  const [value] = metadata.get(key);
  return value === undefined ? "" : String(value);
}
