// The DNS server: UDP and TCP sockets around what answers, counts and remembers.

import { Buffer } from "node:buffer";
import { createSocket, type RemoteInfo, type Socket as UdpSocket } from "node:dgram";
import { once } from "node:events";
import {
  type AddressInfo,
  createServer,
  isIPv6,
  type Server as TcpServer,
  type Socket as TcpSocket,
} from "node:net";
import type { PortResult } from "../../actors/runtime/actor.ts";
import type { DnsCommand, ZoneTable } from "../zone_table.ts";
import { Responder, type ResponderOptions } from "./responder.ts";
import { framed, FrameReader } from "./upstream.ts";

export interface DnsOptions extends ResponderOptions {
  /** Addresses to listen on, such as `127.0.0.1` and `::1`. */
  readonly hostnames: readonly string[];
  /** 0: any that is free on all of them. */
  readonly port: number;
}

export interface DnsServer {
  readonly port: number;
  /** What it listens on. */
  readonly hostnames: readonly string[];
  /** IPv6 addresses that this machine does not have. */
  readonly skipped: readonly string[];
  /** From now on questions are answered from this table. */
  publish(table: ZoneTable): void;
  counters(): Record<string, number>;
  close(): Promise<void>;
}

/** No query is longer; it is the buffer for each datagram, not the kernel's. */
const QUERY_BYTES = 2_048;
const TCP_CONNECTIONS_MAX = 256;
/** RFC 7766 §6.2.3 asks for seconds. */
const TCP_IDLE_MS = 10_000;
/** Answers that a TCP client may owe us reading before we stop reading from it. */
const TCP_UNANSWERED_MAX = 64;
/** A port that is free for UDP may be taken for TCP, or on the other address. */
const PORT_ATTEMPTS = 20;

/** Rejects with the socket's own error (`code`, `address`, `port`) when it cannot listen. */
export async function serveDns(options: DnsOptions): Promise<DnsServer> {
  const responder = new Responder(options);
  const { sockets, port, hostnames, skipped } = await listen(options, responder);
  return {
    port,
    hostnames,
    skipped,
    publish: (table) => responder.publish(table),
    counters: () => responder.counters(),
    async close() {
      responder.close();
      await Promise.all(sockets.map((socket) => socket.close()));
    },
  };
}

/** The kernel's port to a server. */
export function dnsPort(
  server: Pick<DnsServer, "publish">,
): (command: unknown, from: string, answer: (result: PortResult) => void) => void {
  return (command, _from, answer) => {
    server.publish((command as DnsCommand).table);
    answer({ ok: true, value: null });
  };
}

interface Bound {
  readonly port: number;
  close(): Promise<void>;
}

interface Listening {
  readonly sockets: readonly Bound[];
  readonly port: number;
  readonly hostnames: readonly string[];
  readonly skipped: readonly string[];
}

async function listen(options: DnsOptions, responder: Responder): Promise<Listening> {
  for (let attempt = 1;; attempt++) {
    try {
      return await listenEverywhere(options, responder);
    } catch (error) {
      const isTaken = codeOf(error) === "EADDRINUSE";
      if (!isTaken || options.port !== 0 || attempt === PORT_ATTEMPTS) throw error;
    }
  }
}

async function listenEverywhere(options: DnsOptions, responder: Responder): Promise<Listening> {
  const sockets: Bound[] = [];
  const hostnames: string[] = [];
  const skipped: string[] = [];
  let { port } = options;
  try {
    for (const hostname of options.hostnames) {
      try {
        const udp = await bindUdp({ hostname, port }, responder);
        sockets.push(udp);
        ({ port } = udp);
        sockets.push(await bindTcp({ hostname, port }, responder));
        hostnames.push(hostname);
      } catch (error) {
        if (!isIPv6(hostname) || !isNoSuchAddress(error) || hostnames.length === 0) throw error;
        skipped.push(hostname);
      }
    }
  } catch (error) {
    await Promise.all(sockets.map((socket) => socket.close()));
    throw error;
  }
  return { sockets, port, hostnames, skipped };
}

function codeOf(error: unknown): string {
  return (error as { readonly code?: string }).code ?? "";
}

/** Many machines have no IPv6, and nobody there asks for it. */
function isNoSuchAddress(error: unknown): boolean {
  return ["EADDRNOTAVAIL", "EAFNOSUPPORT"].includes(codeOf(error));
}

interface At {
  readonly hostname: string;
  readonly port: number;
}

async function bindUdp({ hostname, port }: At, responder: Responder): Promise<Bound> {
  const ipv6 = isIPv6(hostname);
  const socket = createSocket({
    type: ipv6 ? "udp6" : "udp4",
    ipv6Only: ipv6,
    recvBufferSize: QUERY_BYTES,
  });
  socket.bind({ address: hostname, port, exclusive: true });
  await once(socket, "listening");
  socket.on("error", () => responder.count("socket_errors"));
  socket.on("message", (query, from) => {
    responder.handle(query, "udp", (answer) => answer && sendUdp(socket, answer, from, responder));
  });
  return {
    port: socket.address().port,
    close: () => new Promise((resolve) => socket.close(() => resolve())),
  };
}

function sendUdp(
  socket: UdpSocket,
  answer: Uint8Array,
  from: RemoteInfo,
  responder: Responder,
): void {
  try {
    // The callback takes the error that would otherwise end the process.
    socket.send(
      answer,
      from.port,
      from.address,
      (error) => error && responder.count("send_errors"),
    );
  } catch {
    responder.count("send_errors"); // Closed meanwhile, or a port that nobody can have.
  }
}

async function bindTcp({ hostname, port }: At, responder: Responder): Promise<Bound> {
  const connections = new Set<TcpSocket>();
  const server: TcpServer = createServer((socket) => {
    if (connections.size >= TCP_CONNECTIONS_MAX) {
      responder.count("connections_refused");
      socket.destroy();
      return;
    }
    connections.add(socket);
    socket.on("close", () => connections.delete(socket));
    serveConnection(socket, responder);
  });
  server.listen({ host: hostname, port, ipv6Only: isIPv6(hostname) });
  await once(server, "listening");
  server.on("error", () => responder.count("socket_errors"));
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        for (const socket of connections) socket.destroy();
        server.close(() => resolve());
      }),
  };
}

function serveConnection(socket: TcpSocket, responder: Responder): void {
  const frames = new FrameReader();
  let unanswered = 0;
  let draining = false;
  const throttle = () => {
    if (draining || unanswered >= TCP_UNANSWERED_MAX) socket.pause();
    else socket.resume();
  };
  socket.setTimeout(TCP_IDLE_MS, () => socket.destroy());
  socket.on("error", () => responder.count("connection_errors"));
  socket.on("drain", () => {
    draining = false;
    throttle();
  });
  socket.on("data", (chunk: Uint8Array) => {
    for (const message of frames.push(chunk)) {
      unanswered++;
      const query = Buffer.from(message.buffer, message.byteOffset, message.byteLength);
      responder.handle(query, "tcp", (answer) => {
        unanswered--;
        if (answer === null) socket.destroy(); // Whoever sends this does not speak DNS.
        else if (socket.writable && !socket.write(framed(answer))) draining = true;
        throttle();
      });
    }
    throttle();
  });
}
