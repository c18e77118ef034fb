// Connections between zones: a listener for those that global named, and the way to them. Each end
// shows the one certificate that the other was told of; who it is follows from that alone.
//
// A link is one connection with both streams of the dialect on it: on GlobalToZoneSync the end that
// dialled is told, on ZoneToGlobalSync it tells.

import {
  Client,
  type ClientDuplexStream,
  credentials,
  Metadata,
  Server as GrpcServer,
  ServerCredentials,
  type ServerDuplexStream,
  status,
  type StatusObject,
} from "@grpc/grpc-js";
import { Buffer } from "node:buffer";
import { X509Certificate } from "node:crypto";
import { rmSync } from "node:fs";
import type { AddressInfo, Socket } from "node:net";
import { connect, createServer, type Server as TlsServer, type TLSSocket } from "node:tls";
import { GuardedSocket, startGuardedRelay } from "../../h2/io/guarded_socket.ts";
import { Patience, STALL_MS_MAX } from "../../h2/io/patience.ts";
import { decodeRequest, decodeResponse, encodeRequest, encodeResponse } from "../envelope.ts";
import type { LinkCommand, LinkEvent, Trusted } from "../peer_wire.ts";
import { MESSAGE_BYTES_MAX, RECEIVED_BYTES_MAX, type SyncKind, type ZoneRun } from "../wire.ts";
import { linkHost } from "../zone_link.ts";
import {
  CLIENT_KEEPALIVE_MS,
  fromBuffer,
  KEEPALIVE_TIMEOUT_MS,
  readRun,
  RUN,
  runText,
  SERVER_KEEPALIVE_MS,
  STREAM_PATHS,
  toBuffer,
} from "./methods.ts";

export interface ZoneLinksOptions {
  readonly hostname: string;
  readonly port: number;
  /** What this zone shows at either end. */
  readonly pair: { readonly cert: string; readonly key: string };
  readonly run: ZoneRun;
  /** A path for the relay of each link that is dialled. */
  readonly socketPath: (serial: number) => string;
  /** How long the other end may take nothing of what it is sent. */
  readonly stallMsMax?: number;
  /** False: there is no room. */
  deliver(event: LinkEvent): boolean;
  /** Somebody knocked who is nobody, or said what makes no sense. */
  onPeerError?(error: { readonly peer: string; readonly message: string }): void;
}

export interface ZoneLinks {
  readonly address: { readonly hostname: string; readonly port: number };
  /** What port "links" is told. */
  command(what: LinkCommand): void;
  counters(): Readonly<Record<string, number>>;
  close(): Promise<void>;
}

/** Until both streams are there, at either end. */
const OPEN_MS_MAX = 10_000;
/** An end of a link that there was no room to tell of is told again after this. */
const AGAIN_MS = 200;
const TOO_MUCH = "more than can be handled";
const STREAMS_MAX = 8;
const KINDS: readonly SyncKind[] = ["global_to_zone", "zone_to_global"];

/** One of a link's two streams, at either end. */
interface Call {
  write(bytes: Buffer, taken: () => void): unknown;
  on(event: "data", received: (bytes: Buffer) => void): unknown;
}

interface Link {
  readonly id: string;
  readonly zone: string;
  /** What it showed. */
  readonly der: string;
  readonly dialled: boolean;
  readonly calls: Map<SyncKind, Call>;
  readonly end: () => void;
  readonly stall: Patience;
  run: ZoneRun | null;
  opened: boolean;
  patience?: ReturnType<typeof setTimeout>;
}

export async function openZoneLinks(options: ZoneLinksOptions): Promise<ZoneLinks> {
  const links = new Links(options);
  await links.listen();
  return links;
}

class Links implements ZoneLinks {
  readonly #options: ZoneLinksOptions;
  readonly #listener: TlsServer;
  readonly #grpc: GrpcServer;
  /** By the certificate in DER, as base64. */
  #trusted = new Map<string, Trusted>();
  readonly #links = new Map<string, Link>();
  /** Links that were accepted, by the far end's address and port. */
  readonly #accepted = new Map<string, Link>();
  readonly #sockets = new Set<Socket>();
  readonly #counts = new Map<string, number>();
  /** Ends of links that there was no room to tell of: whoever misses one keeps a dead link. */
  #untold: LinkEvent[] = [];
  #again: ReturnType<typeof setTimeout> | undefined;
  #serial = 0;
  #closed = false;

  constructor(options: ZoneLinksOptions) {
    this.#options = options;
    this.#grpc = this.#grpcServer();
    const injector = this.#grpc.createConnectionInjector(ServerCredentials.createInsecure());
    this.#listener = createServer(this.#context(), (socket) => {
      const link = this.#knock(socket);
      if (link) injector.injectConnection(this.#guarded(socket));
    });
    this.#listener.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
    this.#listener.on("tlsClientError", (error: Error, socket: Socket) => {
      this.#count("strangers");
      this.#refused(String(socket.remoteAddress), error.message);
      // A handshake that took too long is told, not ended.
      socket.destroy();
    });
  }

  async listen(): Promise<void> {
    const { hostname, port } = this.#options;
    await new Promise<void>((resolve, reject) => {
      this.#listener.once("error", reject);
      this.#listener.listen(port, hostname, resolve);
    });
  }

  get address() {
    const { address, port } = this.#listener.address() as AddressInfo;
    return { hostname: address, port };
  }

  counters(): Readonly<Record<string, number>> {
    return { ...Object.fromEntries(this.#counts), links_open: this.#links.size };
  }

  command(what: LinkCommand): void {
    switch (what.do) {
      case "trust":
        return this.#trust(what.peers);
      case "dial":
        void this.#dial(what);
        return;
      case "send": {
        const link = this.#links.get(what.link);
        if (!link) return;
        // The end that was dialled uses each stream the other way.
        const kind = ("request" in what) === link.dialled ? "global_to_zone" : "zone_to_global";
        const bytes = "request" in what
          ? encodeRequest(what.request)
          : encodeResponse(what.response);
        link.calls.get(kind)?.write(toBuffer(bytes), link.stall.begin());
        return;
      }
      case "close": {
        const link = this.#links.get(what.link);
        if (link) this.#over(link, what.reason);
      }
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#again);
    const done = new Promise<void>((resolve) => this.#listener.close(() => resolve()));
    for (const link of [...this.#links.values()]) this.#over(link, "this zone stops");
    this.#grpc.forceShutdown();
    for (const socket of this.#sockets) socket.destroy();
    await done;
  }

  // Who may come in

  #trust(peers: readonly Trusted[]): void {
    this.#trusted = new Map(
      peers.filter((peer) => {
        const isOwn = isOf(peer);
        if (!isOwn) this.#refused(peer.zone, "global names it by a certificate of somebody else");
        return isOwn;
      }).map((peer) => [derOf(peer.certificate), peer]),
    );
    this.#listener.setSecureContext(this.#context());
    for (const link of [...this.#links.values()]) {
      if (this.#trusted.get(link.der)?.zone !== link.zone) {
        this.#over(link, "global names this zone, or its certificate, no more");
      }
    }
  }

  #context() {
    const { cert, key } = this.#options.pair;
    return {
      cert,
      key,
      ALPNProtocols: ["h2"],
      minVersion: "TLSv1.3" as const,
      requestCert: true,
      rejectUnauthorized: true,
      // Not empty: that would be the system's.
      ca: [cert, ...[...this.#trusted.values()].map(({ certificate }) => certificate)],
    };
  }

  // Links that others dial

  /** Null: who it is nobody knows, though a certificate that is known may have signed his. */
  #knock(socket: TLSSocket): Link | null {
    const peer = addressOf(socket);
    const der = derShownOn(socket);
    const trusted = this.#trusted.get(der);
    if (!trusted || this.#closed) {
      this.#count("strangers");
      this.#refused(peer, "its certificate is not that of a zone that global names");
      socket.destroy();
      return null;
    }
    const link = this.#newLink({
      id: crypto.randomUUID(),
      zone: trusted.zone,
      der,
      dialled: false,
      end: () => socket.destroy(),
    });
    this.#accepted.set(peer, link);
    socket.on("close", () => {
      this.#accepted.delete(peer);
      this.#over(link, "the connection ended");
    });
    return link;
  }

  #guarded(socket: TLSSocket): GuardedSocket {
    const onBreach = (breach: string) => {
      this.#count(`breach_${breach}`);
      this.#refused(addressOf(socket), `closed for ${breach}`);
    };
    return new GuardedSocket(socket, { onBreach });
  }

  #grpcServer(): GrpcServer {
    const server = new GrpcServer({
      "grpc.max_receive_message_length": RECEIVED_BYTES_MAX,
      "grpc.max_send_message_length": MESSAGE_BYTES_MAX,
      "grpc.max_concurrent_streams": STREAMS_MAX,
      "grpc.keepalive_time_ms": SERVER_KEEPALIVE_MS,
      "grpc.keepalive_timeout_ms": KEEPALIVE_TIMEOUT_MS,
    });
    const stream = (kind: SyncKind) => ({
      path: STREAM_PATHS[kind],
      requestStream: true,
      responseStream: true,
      requestSerialize: asIs,
      requestDeserialize: asIs,
      responseSerialize: asIs,
      responseDeserialize: asIs,
    });
    const opened = (kind: SyncKind) => (call: ServerDuplexStream<Buffer, Buffer>) =>
      this.#streamOpened(kind, call);
    server.addService(
      { Tell: stream("global_to_zone"), Hear: stream("zone_to_global") },
      { Tell: opened("global_to_zone"), Hear: opened("zone_to_global") },
    );
    return server;
  }

  #streamOpened(kind: SyncKind, call: ServerDuplexStream<Buffer, Buffer>): void {
    const link = this.#accepted.get(call.getPeer());
    const refuse = (details: string) => call.emit("error", { code: status.ABORTED, details });
    // What is emitted to end a call comes back here.
    call.on("error", () => {});
    if (!link || link.calls.has(kind)) return void refuse("this link has such a stream");
    const [run] = call.metadata.get(RUN);
    call.sendMetadata(new Metadata());
    call.on("cancelled", () => this.#over(link, "the other zone ended it"));
    call.on("end", () => this.#over(link, "the other zone ended it"));
    this.#streamReady(link, { kind, call, run: readRun(String(run ?? "")) });
  }

  // Links that this zone dials

  async #dial(
    { link: id, peer, host, port }: LinkCommand & { readonly do: "dial" },
  ): Promise<void> {
    const found = [...this.#trusted].find(([, { zone }]) => zone === peer);
    if (!found) {
      return this.#tellOver(id, "global does not name this zone");
    }
    const [der, trusted] = found;
    const path = this.#options.socketPath(++this.#serial);
    let ended = false;
    let release = () => rmSync(path, { force: true });
    const link = this.#newLink({
      id,
      zone: peer,
      der,
      dialled: true,
      end: () => {
        ended = true;
        release();
      },
    });
    try {
      rmSync(path, { force: true });
      const relay = await startGuardedRelay({
        socketPath: path,
        connect: () => this.#connect(trusted, { der, host, port }),
        onBreach: (breach) => this.#refused(peer, `closed for ${breach}`),
        onPeerError: (error) => this.#over(link, error.message),
      });
      const client = clientOf(relay.target, linkHost(peer));
      release = () => {
        client.close();
        void relay.close().then(() => rmSync(path, { force: true }));
      };
      if (ended) return release();
      this.#open(link, client);
    } catch (error) {
      this.#over(link, error instanceof Error ? error.message : String(error));
    }
  }

  #connect(
    { zone, certificate }: Trusted,
    { der, host, port }: { readonly der: string; readonly host: string; readonly port: number },
  ): TLSSocket {
    const { cert, key } = this.#options.pair;
    const socket = connect({
      host,
      port,
      cert,
      key,
      ca: [certificate],
      servername: linkHost(zone),
      ALPNProtocols: ["h2"],
      minVersion: "TLSv1.3",
    });
    socket.setNoDelay(true);
    socket.setTimeout(OPEN_MS_MAX, () => socket.destroy(new Error("it does not answer")));
    socket.once("secureConnect", () => {
      socket.setTimeout(0);
      if (derShownOn(socket) !== der) {
        socket.destroy(new Error("it shows another certificate than global told"));
      }
    });
    return socket;
  }

  #open(link: Link, client: Client): void {
    const metadata = new Metadata();
    metadata.set(RUN, runText(this.#options.run));
    for (const kind of KINDS) {
      const call: ClientDuplexStream<Buffer, Buffer> = client.makeBidiStreamRequest(
        STREAM_PATHS[kind],
        asIs,
        asIs,
        metadata,
      );
      call.on("error", () => {});
      call.on(
        "status",
        ({ code, details }: StatusObject) => this.#over(link, `${status[code]}: ${details}`),
      );
      // The other end has taken it.
      call.on("metadata", () => this.#streamReady(link, { kind, call, run: null }));
    }
  }

  // Both

  #newLink(made: Pick<Link, "id" | "zone" | "der" | "dialled" | "end">): Link {
    const { stallMsMax = STALL_MS_MAX } = this.#options;
    const stall = new Patience(stallMsMax, () => this.#stalled(link));
    const link: Link = { ...made, stall, calls: new Map(), run: null, opened: false };
    this.#links.set(link.id, link);
    link.patience = setTimeout(() => this.#over(link, "it does not answer"), OPEN_MS_MAX);
    return link;
  }

  #streamReady(
    link: Link,
    { kind, call, run }: {
      readonly kind: SyncKind;
      readonly call: Call;
      readonly run: ZoneRun | null;
    },
  ): void {
    if (!this.#links.has(link.id)) return;
    link.calls.set(kind, call);
    link.run ??= run;
    if (link.calls.size < KINDS.length) return;
    clearTimeout(link.patience);
    const { id, zone: peer, dialled } = link;
    link.opened = true;
    if (!this.#tell({ tag: "link_opened", link: id, peer, dialled, run: link.run })) {
      link.opened = false;
      return this.#over(link, TOO_MUCH);
    }
    this.#count(dialled ? "dialled" : "accepted");
    for (const [kind, one] of link.calls) {
      one.on("data", (bytes: Buffer) => this.#received(link, kind, bytes));
    }
  }

  #received(link: Link, kind: SyncKind, bytes: Buffer): void {
    const { id, dialled, zone } = link;
    if (!this.#links.has(id)) return;
    let event: LinkEvent;
    try {
      event = (kind === "global_to_zone") === dialled
        ? { tag: "link_response", link: id, response: decodeResponse(fromBuffer(bytes)) }
        : { tag: "link_request", link: id, request: decodeRequest(fromBuffer(bytes)) };
    } catch (error) {
      this.#count("malformed_messages");
      this.#refused(zone, String(error));
      return this.#over(link, "malformed message");
    }
    if (!this.#tell(event)) this.#over(link, TOO_MUCH);
  }

  #stalled(link: Link): void {
    this.#count("stalled");
    this.#over(link, "it takes nothing of what it is sent");
  }

  #over(link: Link, reason: string): void {
    if (!this.#links.delete(link.id)) return;
    clearTimeout(link.patience);
    link.stall.end();
    link.end();
    // Nobody has heard of one that never opened, unless he dialled it.
    if (link.opened || link.dialled) this.#tellOver(link.id, reason);
  }

  #tellOver(link: string, reason: string): void {
    const event: LinkEvent = { tag: "link_closed", link, reason };
    if (this.#tell(event)) return;
    this.#untold.push(event);
    this.#again ??= setTimeout(() => this.#tellAgain(), AGAIN_MS);
  }

  #tellAgain(): void {
    this.#untold = this.#untold.filter((event) => !this.#tell(event));
    this.#again = this.#untold.length > 0
      ? setTimeout(() => this.#tellAgain(), AGAIN_MS)
      : undefined;
  }

  #tell(event: LinkEvent): boolean {
    return this.#closed || this.#options.deliver(event);
  }

  #count(what: string): void {
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + 1);
  }

  #refused(peer: string, message: string): void {
    this.#options.onPeerError?.({ peer, message });
  }
}

function clientOf(target: string, authority: string): Client {
  return new Client(target, credentials.createInsecure(), {
    "grpc.default_authority": authority,
    "grpc.max_receive_message_length": RECEIVED_BYTES_MAX,
    "grpc.max_send_message_length": MESSAGE_BYTES_MAX,
    "grpc.keepalive_time_ms": CLIENT_KEEPALIVE_MS,
    "grpc.keepalive_timeout_ms": KEEPALIVE_TIMEOUT_MS,
    "grpc.use_local_subchannel_pool": 1,
    "grpc.enable_retries": 0,
  });
}

/** Whether a certificate is of the zone that is to be known by it, and not another's. */
function isOf({ zone, certificate }: Trusted): boolean {
  try {
    return new X509Certificate(certificate).checkHost(linkHost(zone)) !== undefined;
  } catch {
    return false;
  }
}

function derOf(pem: string): string {
  return base64Of(new X509Certificate(pem).raw);
}

function derShownOn(socket: TLSSocket): string {
  const { raw } = socket.getPeerCertificate(true) ?? {};
  return raw ? base64Of(raw) : "";
}

/** Deno shows plain bytes where Node has a Buffer. */
function base64Of(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}

/** As the library prints it. */
function addressOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress}:${remotePort}`;
}

function asIs(bytes: Buffer): Buffer {
  return bytes;
}
