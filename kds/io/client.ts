// The zone's connection to global: dials when told, passes messages between streams and the uplink.
//
// grpc-js dials a Unix socket of ours, whose other end is a guarded relay that speaks to global: so
// a GOAWAY never reaches the HTTP/2 library (docs/http2-guard.md). Health checks have a connection
// of their own, closed after the answer, so that no idle one is ever open.

import {
  Client,
  type ClientDuplexStream,
  credentials,
  Metadata,
  type ServiceError,
  status,
  type StatusObject,
} from "@grpc/grpc-js";
import type { Buffer } from "node:buffer";
import { rmSync } from "node:fs";
import { connect as connectTcp, isIP } from "node:net";
import { connect as connectTls } from "node:tls";
import { InvalidError } from "../../core/errors.ts";
import { type GuardedRelay, startGuardedRelay } from "../../h2/io/guarded_socket.ts";
import { Patience, STALL_MS_MAX } from "../../h2/io/patience.ts";
import type { EnvoyAdmin, EnvoyAnswer } from "../../core/envoy_admin.ts";
import { decode } from "../../proto/mod.ts";
import {
  ADMIN_KINDS,
  type AdminKind,
  type AdminRequest,
  decodeAdminRequest,
  encodeAdminAnswer,
} from "../admin.ts";
import { writeDigests } from "../digest.ts";
import { decodeRequest, decodeResponse, encodeRequest, encodeResponse } from "../envelope.ts";
import {
  type ClientCommand,
  type ClientEvent,
  HASH_SUFFIX,
  MESSAGE_BYTES_MAX,
  RECEIVED_BYTES_MAX,
  type StreamKind,
  type SyncKind,
  ZONE_PING_HEALTH,
  type ZoneReport,
  type ZoneRun,
} from "../wire.ts";
import {
  AUTHORIZATION,
  CLIENT_ID,
  CLIENT_KEEPALIVE_MS,
  DIGESTS,
  fromBuffer,
  HEALTH_PATH,
  KEEPALIVE_TIMEOUT_MS,
  PROGRESS,
  REACH_MS_MAX,
  RUN,
  runText,
  STREAM_PATHS,
  toBuffer,
} from "./methods.ts";

export interface KdsClientOptions {
  /** `grpcs://HOST:PORT`, or `grpc://HOST:PORT` for plaintext. */
  readonly url: string;
  /**
   * PEM of the root, which may be global's own certificate; null: the system's roots. A function is
   * asked until it has an answer.
   */
  readonly ca: string | null | (() => Promise<string | null>);
  /** Left out, global cannot tell this run of the zone from another. */
  readonly run?: ZoneRun;
  /** What this zone shows to prove its name; read anew for each connection. */
  readonly token?: () => Promise<string | null>;
  /** For the relay: a path in a folder that only this user may enter, at most 100 bytes long. */
  readonly socketPath: string;
  readonly version: string;
  deliver(event: ClientEvent): void;
  /** Answers what global asks about a proxy of this zone. */
  readonly admin: EnvoyAdmin;
  onBreach?(breach: string): void;
}

export interface KdsClient {
  /** What port "kds" is told in a zone. */
  command(what: ClientCommand): void;
  close(): Promise<void>;
}

const CONNECT_MS_MAX = 10_000;
const HEALTH_MS_MAX = 10_000;
/** kuma@v2.13.10:pkg/kds/service/envoy_admin_processor.go */
const ADMIN_MS_MAX = 10_000;
/** A question's stream that ended is opened anew: what it carries must not disturb the others. */
const REOPEN_MS = 5_000;
/** How a global ends a stream for what came on it. kuma@v2.13.10:pkg/kds/mux/zone_sync.go */
const REFUSALS: ReadonlySet<status> = new Set([
  status.INTERNAL,
  status.INVALID_ARGUMENT,
  status.UNKNOWN,
]);
/** The library's number for it. */
const GZIP = 2;
/** sun_path is 108 bytes on Linux, 104 elsewhere. */
const SOCKET_PATH_BYTES_MAX = 100;

export function createKdsClient(options: KdsClientOptions): KdsClient {
  const link = new Link(options, parseGlobalUrl(options.url));
  return { command: (what) => link.command(what), close: () => link.close() };
}

interface Target {
  readonly host: string;
  readonly port: number;
  readonly secure: boolean;
}

export function parseGlobalUrl(url: string): Target {
  const match = /^(grpcs?):\/\/(\[[0-9a-fA-F:.]+\]|[^\s:/?#@]+):([0-9]{1,5})\/?$/.exec(url);
  const port = Number(match?.[3]);
  if (!match || port < 1 || port > 65_535) {
    throw new InvalidError(`Cannot use "${url}" as global: must be grpcs://HOST:PORT`);
  }
  return { host: match[2]!.replace(/^\[|\]$/g, ""), port, secure: match[1] === "grpcs" };
}

type Call = ClientDuplexStream<Buffer, Buffer>;

interface Connection {
  readonly id: string;
  readonly client: Client;
  readonly calls: Set<Call>;
  /** Timers of streams to be opened anew. */
  readonly reopening: Set<ReturnType<typeof setTimeout>>;
  readonly sync: Map<SyncKind, Call>;
  readonly stall: Patience;
  over: boolean;
}

class Link {
  readonly #options: KdsClientOptions;
  readonly #target: Target;
  #relay: Promise<GuardedRelay> | null = null;
  /** Known once the relay has begun. */
  #ca: string | null = null;
  #connection: Connection | null = null;
  #closed = false;

  constructor(options: KdsClientOptions, target: Target) {
    this.#options = options;
    this.#target = target;
  }

  command(what: ClientCommand): void {
    switch (what.do) {
      case "connect":
        this.#end(this.#connection);
        void this.#connect(what.connection, what.zone);
        return;
      case "send":
        return this.#send(what);
      case "check_health":
        void this.#checkHealth(what);
        return;
      case "close":
        if (this.#connection?.id === what.connection) this.#end(this.#connection);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#end(this.#connection);
    await this.#relay?.then((relay) => relay.close(), () => {});
    rmSync(this.#options.socketPath, { force: true });
  }

  #send(what: ClientCommand & { readonly do: "send" }): void {
    const connection = this.#connection;
    if (connection?.id !== what.connection || connection.over) return;
    const [kind, bytes] = "request" in what
      ? ["global_to_zone", encodeRequest(what.request)] as const
      : ["zone_to_global", encodeResponse(what.response)] as const;
    connection.sync.get(kind)?.write(toBuffer(bytes), connection.stall.begin());
  }

  async #connect(id: string, zone: string): Promise<void> {
    let client: Client;
    let metadata: Metadata;
    try {
      metadata = await this.#metadata(zone);
      client = await this.#dial();
    } catch (error) {
      return this.#tell({ tag: "disconnected", connection: id, reason: messageOf(error) });
    }
    if (this.#closed) return client.close();
    const connection: Connection = {
      id,
      client,
      calls: new Set(),
      reopening: new Set(),
      sync: new Map(),
      stall: new Patience(STALL_MS_MAX, () => this.#lost(connection, "global reads nothing")),
      over: false,
    };
    this.#end(this.#connection);
    this.#connection = connection;
    client.waitForReady(Date.now() + CONNECT_MS_MAX, (error) => {
      if (connection.over) return;
      if (error) return this.#lost(connection, error.message);
      this.#open(connection, metadata);
    });
  }

  #open(connection: Connection, metadata: Metadata): void {
    for (const kind of ["global_to_zone", "zone_to_global"] as const) {
      const call = this.#call(connection, { metadata, kind });
      connection.sync.set(kind, call);
      call.on("data", (bytes: Buffer) => this.#received(connection, kind, bytes));
      // However it ends, also without an error, this side must start over.
      call.on(
        "status",
        ({ code, details }: StatusObject) =>
          this.#lost(connection, `${status[code]}: ${details}`, {
            refused: kind === "zone_to_global" && REFUSALS.has(code),
          }),
      );
    }
    for (const kind of ADMIN_KINDS) this.#openAdmin(connection, metadata, kind);
    this.#tell({ tag: "connected", connection: connection.id });
  }

  #call(
    { client, calls }: Connection,
    { metadata, kind }: { readonly metadata: Metadata; readonly kind: StreamKind },
  ): Call {
    const call: Call = client.makeBidiStreamRequest(STREAM_PATHS[kind], asIs, asIs, metadata);
    calls.add(call);
    // The status, which comes too, says the same.
    call.on("error", () => {});
    call.on("status", () => calls.delete(call));
    return call;
  }

  #openAdmin(connection: Connection, metadata: Metadata, kind: AdminKind): void {
    const call = this.#call(connection, { metadata, kind });
    call.on("data", (bytes: Buffer) => void this.#answer(call, kind, bytes));
    call.on("status", ({ code }: StatusObject) => {
      // An older global, which has no such question.
      if (connection.over || code === status.UNIMPLEMENTED) return;
      const again = setTimeout(() => {
        connection.reopening.delete(again);
        if (!connection.over) this.#openAdmin(connection, metadata, kind);
      }, REOPEN_MS);
      connection.reopening.add(again);
    });
  }

  async #answer(call: Call, kind: AdminKind, bytes: Buffer): Promise<void> {
    let request: AdminRequest;
    try {
      request = decodeAdminRequest(kind, fromBuffer(bytes));
    } catch {
      // Whose answer it would be is not known either.
      return;
    }
    const { id, proxy, question } = request;
    const answer = await inTime(this.#options.admin(proxy, question));
    call.write(toBuffer(encodeAdminAnswer(kind, { id, answer }, MESSAGE_BYTES_MAX)));
  }

  #received(connection: Connection, kind: SyncKind, bytes: Buffer): void {
    if (connection.over) return;
    const { id } = connection;
    let event: ClientEvent;
    try {
      event = kind === "global_to_zone"
        ? {
          tag: "response_received",
          connection: id,
          response: decodeResponse(fromBuffer(bytes)),
        }
        : { tag: "request_received", connection: id, request: decodeRequest(fromBuffer(bytes)) };
    } catch (error) {
      return this.#lost(connection, `malformed message: ${messageOf(error)}`);
    }
    this.#tell(event);
  }

  #lost(connection: Connection, reason: string, { refused = false } = {}): void {
    if (connection.over) return;
    this.#end(connection);
    this.#tell({ tag: "disconnected", connection: connection.id, reason, refused });
  }

  #end(connection: Connection | null): void {
    if (!connection || connection.over) return;
    connection.over = true;
    if (this.#connection === connection) this.#connection = null;
    connection.stall.end();
    for (const timer of connection.reopening) clearTimeout(timer);
    for (const call of [...connection.calls]) call.cancel();
    connection.client.close();
  }

  async #checkHealth(
    { connection, zone, reports, digests }: ClientCommand & { readonly do: "check_health" },
  ): Promise<void> {
    const answered = (intervalMs: number, error?: string) =>
      this.#tell({
        tag: "health_answered",
        connection,
        intervalMs,
        ...(error !== undefined && { error }),
      });
    let client: Client;
    let metadata: Metadata;
    try {
      metadata = await this.#metadata(zone, reports);
      if (digests) metadata.set(DIGESTS, writeDigests(digests));
      client = await this.#dial();
    } catch (error) {
      return answered(0, messageOf(error));
    }
    client.makeUnaryRequest(HEALTH_PATH, asIs, asIs, toBuffer(new Uint8Array()), metadata, {
      deadline: Date.now() + HEALTH_MS_MAX,
    }, (error: ServiceError | null, bytes?: Buffer) => {
      client.close();
      if (error || !bytes) return answered(0, error?.message ?? "no answer");
      answered(intervalOf(bytes));
    });
  }

  async #metadata(zone: string, reports: readonly ZoneReport[] = []): Promise<Metadata> {
    const { version, token, run = null } = this.#options;
    return metadataFor({ zone, version, reports, run, token: await token?.() ?? null });
  }

  async #dial(): Promise<Client> {
    this.#relay ??= this.#startRelay().catch((error) => {
      this.#relay = null;
      throw error;
    });
    const { target } = await this.#relay;
    const { host, port } = this.#target;
    return new Client(target, credentials.createInsecure(), {
      "grpc.default_authority": `${isIP(host) === 6 ? `[${host}]` : host}:${port}`,
      "grpc.max_receive_message_length": RECEIVED_BYTES_MAX,
      "grpc.max_send_message_length": MESSAGE_BYTES_MAX,
      "grpc.keepalive_time_ms": CLIENT_KEEPALIVE_MS,
      "grpc.keepalive_timeout_ms": KEEPALIVE_TIMEOUT_MS,
      "grpc.primary_user_agent": `kds/${this.#options.version}`,
      "grpc.use_local_subchannel_pool": 1,
      "grpc.enable_retries": 0,
      // gzip, as Kuma's zones; its global answers in kind.
      "grpc.default_compression_algorithm": GZIP,
    });
  }

  async #startRelay(): Promise<GuardedRelay> {
    const { socketPath, onBreach, ca } = this.#options;
    if (new TextEncoder().encode(socketPath).length > SOCKET_PATH_BYTES_MAX) {
      throw new InvalidError(`Cannot listen on ${socketPath}: longer than a socket's path may be`);
    }
    this.#ca = typeof ca === "function" ? await ca() : ca;
    // One of an earlier process that had no time to clean up.
    rmSync(socketPath, { force: true });
    return await startGuardedRelay({
      socketPath,
      connect: () => this.#dialGlobal(),
      onBreach: (breach) => onBreach?.(breach),
      onPeerError: (error) => {
        // Once streams are open they tell their own end; this may be a health check's.
        const connecting = this.#connection?.sync.size === 0 ? this.#connection : null;
        if (connecting) this.#lost(connecting, error.message);
      },
    });
  }

  #dialGlobal() {
    const { host, port, secure } = this.#target;
    const ca = this.#ca;
    const socket = secure
      ? connectTls({
        host,
        port,
        ALPNProtocols: ["h2"],
        minVersion: "TLSv1.2",
        // A name of an IP address is none (RFC 6066 §3).
        ...(isIP(host) === 0 && { servername: host }),
        ...(ca !== null && { ca }),
      })
      : connectTcp(port, host);
    socket.setNoDelay(true);
    socket.once("timeout", () => socket.destroy(new Error("global does not answer")));
    // A name may take its time, when the first of its servers is away.
    socket.setTimeout(isIP(host) === 0 ? CONNECT_MS_MAX : REACH_MS_MAX);
    socket.once("lookup", () => socket.setTimeout(REACH_MS_MAX));
    socket.once("connect", () => socket.setTimeout(secure ? CONNECT_MS_MAX : 0));
    socket.once("secureConnect", () => socket.setTimeout(0));
    return socket;
  }

  #tell(event: ClientEvent): void {
    if (!this.#closed) this.#options.deliver(event);
  }
}

function metadataFor({ zone, version, reports, run, token }: {
  readonly zone: string;
  readonly version: string;
  readonly reports: readonly ZoneReport[];
  readonly run: ZoneRun | null;
  readonly token: string | null;
}): Metadata {
  const metadata = new Metadata();
  if (token !== null) metadata.set(AUTHORIZATION, `Bearer ${token}`);
  if (run !== null) metadata.set(RUN, runText(run));
  metadata.set(CLIENT_ID, zone);
  metadata.set("kds-version", "v3");
  metadata.set("version", version);
  metadata.add("features", ZONE_PING_HEALTH);
  metadata.add("features", HASH_SUFFIX);
  if (reports.length > 0) metadata.set(PROGRESS, JSON.stringify(reports));
  return metadata;
}

async function inTime(asked: Promise<EnvoyAnswer>): Promise<EnvoyAnswer> {
  let patience: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<EnvoyAnswer>((resolve) => {
    const detail = `Envoy did not answer within ${ADMIN_MS_MAX / 1_000} s`;
    patience = setTimeout(() => resolve({ ok: false, reason: "failed", detail }), ADMIN_MS_MAX);
  });
  return await Promise.race([asked, late]).finally(() => clearTimeout(patience));
}

function intervalOf(bytes: Buffer): number {
  try {
    const { interval } = decode(
      "kuma.mesh.v1alpha1.ZoneHealthCheckResponse",
      fromBuffer(bytes),
    );
    const seconds = typeof interval === "string" ? Number(interval.replace(/s$/, "")) : 0;
    return Number.isFinite(seconds) && seconds > 0 ? Math.max(1_000, seconds * 1_000) : 0;
  } catch {
    return 0;
  }
}

function asIs(message: Buffer): Buffer {
  return message;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
