// The listeners of a control plane, and how what they hear becomes messages to actors.

import { PROXIES, type ProxiesMsg } from "../actors/proxies/messages.ts";
import type { XdsCommand } from "../actors/dataplane/messages.ts";
import { join, relative } from "node:path";
import { InvalidError } from "../core/errors.ts";
import { UNAVAILABLE } from "../core/grpc_status.ts";
import type { Outgoing } from "../xds/stream.ts";
import { serveDp } from "../xds/io/server.ts";
import { UPLINK } from "../actors/uplink/messages.ts";
import { dnsPort, serveDns } from "../dns/io/server.ts";
import { createKdsClient } from "../kds/io/client.ts";
import { serveKds } from "../kds/io/server.ts";
import type { ClientCommand, ServerCommand } from "../kds/wire.ts";
import type { Metrics } from "./metrics.ts";
import { membership } from "./zone_token.ts";
import { KUMA_VERSION } from "../core/kuma.ts";
import type { System } from "../actors/runtime/io/pump.ts";
import type { LatePort } from "./late_port.ts";
import { zonesEnvoys } from "./envoy_admin.ts";
import type { LatePorts, Parts } from "./run.ts";
import { answerHttp } from "./dp_http.ts";

export interface Listening {
  /** The key in the ready line. */
  readonly name?: string;
  readonly url?: string;
  readonly close: () => Promise<void>;
}

/** How long streams may take to end by themselves at shutdown. */
const GRACE_MS = 2_000;

/** A listener that cannot have its port says which flag chooses another. */
export async function named<T>(
  flag: string,
  port: number,
  listen: () => T | Promise<T>,
): Promise<T> {
  try {
    return await listen();
  } catch (error) {
    const code = (error as { code?: string }).code;
    if (error instanceof Deno.errors.AddrInUse || code === "EADDRINUSE") {
      throw new InvalidError(
        `Port ${port} is in use: choose another with ${flag}, or ${flag} 0 for any free one`,
      );
    }
    if (error instanceof Deno.errors.PermissionDenied || code === "EACCES") {
      throw new InvalidError(
        `Port ${port} may not be bound by this user: choose another with ${flag}`,
      );
    }
    throw error;
  }
}

/** Refuses an address that no interface of this machine has. */
export function demandOwnAddress(bind: string): void {
  try {
    Deno.listen({ hostname: bind, port: 0 }).close();
  } catch (error) {
    throw new InvalidError(
      `Cannot listen on --bind ${bind}: is it an address of this machine? ${
        (error as Error).message
      }`,
    );
  }
}

export function hostText(address: string): string {
  return address.includes(":") ? `[${address}]` : address;
}

const BUSY = { code: UNAVAILABLE, message: "the control plane is busy: try again" };

export function listenDp(parts: Parts, system: System, late: LatePort): Promise<Listening> {
  const { config, certificate, instanceId, log, metrics } = parts;
  return named("--dp-port", config.dpPort, async () => {
    const streams = new Set<string>();
    const tell = (msg: ProxiesMsg) => system.send(PROXIES, msg);
    // Whom nobody hears is sent away: its Envoy comes back, where an open stream would wait for ever.
    const open = (stream: string, msg: ProxiesMsg): void => {
      streams.add(stream);
      if (!tell(msg)) server.end(stream, BUSY);
    };
    const server = await serveDp({
      hostname: config.bind,
      port: config.dpPort,
      cert: certificate.cert,
      key: certificate.key,
      identifier: instanceId,
      leaseMs: config.endpointLeaseMs,
      http: (request) => answerHttp(request, parts, system),
      ads: {
        opened: (stream, { node, dialect, authorization: credential }, request) => {
          open(stream, { tag: "stream_opened", stream, node, dialect, request, credential });
        },
        request: (stream, request) => tell({ tag: "stream_request", stream, request }),
        closed: (stream, silentMs) => {
          streams.delete(stream);
          tell({ tag: "stream_closed", stream, silentMs });
        },
      },
      health: {
        opened: (stream, { node, authorization }) => {
          open(stream, { tag: "health_opened", stream, node, credential: authorization });
        },
        reported: (stream, report) => tell({ tag: "health_reported", stream, report }),
        closed: (stream) => {
          streams.delete(stream);
          tell({ tag: "health_closed", stream });
        },
      },
      onPeerError: ({ kind, peer, message }) => {
        metrics.count("ursa_dp_peer_errors_total", { kind });
        log("warn", "connection to the dp-server ended", { kind, peer, reason: message });
      },
    });
    late.open((command) => {
      const wanted = command as XdsCommand;
      switch (wanted.do) {
        case "send":
          return server.send(wanted.stream, wanted.out as Outgoing);
        case "probe":
          return server.probe(wanted.stream, wanted.checks);
        case "end":
          return server.end(wanted.stream, wanted);
        case "end_all":
          for (const stream of streams) server.end(stream, wanted);
      }
    });
    countersOf(
      metrics,
      "ursa_dp_server_total",
      "What proxies' connections did.",
      () => server.counters(),
    );
    const url = `https://${hostText(config.bind)}:${server.address.port}`;
    return { name: "dp", url, close: () => server.close(GRACE_MS) };
  });
}

export function listenDns({ config, log, metrics }: Parts, late: LatePort): Promise<Listening> {
  return named("--dns-port", config.dnsPort, async () => {
    const server = await serveDns({
      // IPv4 first: an IPv6 address that the machine lacks is then left out.
      hostnames: config.bind === "127.0.0.1" ? ["127.0.0.1", "::1"] : [config.bind],
      port: config.dnsPort,
      upstreams: config.dnsUpstream,
    });
    if (server.skipped.length > 0) log("info", "DNS without IPv6", { skipped: server.skipped });
    countersOf(
      metrics,
      "ursa_dns_total",
      "Questions and what became of them.",
      () => server.counters(),
    );
    late.open(dnsPort(server));
    const url = `udp://${hostText(config.bind)}:${server.port}`;
    return { name: "dns", url, close: () => server.close() };
  });
}

export function listenKds(
  parts: Parts,
  system: System,
  late: Pick<LatePorts, "kds" | "envoys">,
): Promise<Listening> {
  const { config, certificate, log, metrics, store } = parts;
  return named("--kds-port", config.kdsPort, async () => {
    const server = await serveKds({
      hostname: config.bind,
      port: config.kdsPort,
      tls: config.kdsPlaintext ? null : certificate,
      deliver: (path, event) => system.send(path, event),
      onPeerError: ({ peer, message }) =>
        log("warn", "connection of a zone ended", { peer, reason: message }),
    });
    countersOf(
      metrics,
      "ursa_kds_server_total",
      "What zones' connections did.",
      () => server.counters(),
    );
    late.kds.open((command) => server.command(command as ServerCommand));
    late.envoys.open(zonesEnvoys(store, server));
    const scheme = config.kdsPlaintext ? "grpc" : "grpcs";
    const url = `${scheme}://${hostText(config.bind)}:${server.address.port}`;
    return { name: "kds", url, close: () => server.close(GRACE_MS) };
  });
}

/** Not a listener, but opened and closed like one: the zone's connection to global. */
export async function dialGlobal(
  parts: Parts,
  system: System,
  late: Pick<LatePorts, "kds" | "envoys">,
): Promise<Listening> {
  const { config, log, instanceId } = parts;
  const client = createKdsClient({
    url: config.global!,
    ...await membership(config),
    run: { instance: instanceId, startedAtMs: Date.now() },
    socketPath: socketFile(join(config.data, "kds.sock")),
    version: KUMA_VERSION,
    deliver: (event) => system.send(UPLINK, event),
    admin: late.envoys.ask,
    onBreach: (breach) => log("warn", "connection to global ended by the frame guard", { breach }),
  });
  late.kds.open((command) => client.command(command as ClientCommand));
  return { close: () => client.close() };
}

/** The kernel takes 107 bytes at most: from the working folder a deep absolute path is shorter. */
export function socketFile(path: string): string {
  const fromHere = relative(Deno.cwd(), path);
  return fromHere.length < path.length ? fromHere : path;
}

export function countersOf(
  metrics: Metrics,
  name: string,
  help: string,
  read: () => Readonly<Record<string, number>>,
): void {
  metrics.gaugeFrom(
    name,
    help,
    () => Object.entries(read()).map(([what, value]) => ({ labels: { what }, value })),
  );
}
