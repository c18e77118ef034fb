// The listeners of a control plane, and how what they hear becomes messages to actors.

import { PROXIES, type ProxiesMsg } from "../actors/proxies/messages.ts";
import type { XdsCommand } from "../actors/dataplane/messages.ts";
import type { LeaveResult, VouchResult } from "../actors/proxies/messages.ts";
import { join, relative } from "node:path";
import { InvalidError } from "../core/errors.ts";
import { isResourceName } from "../core/names.ts";
import type { ProxyKey } from "../core/proxy.ts";
import type { JsonObject } from "../core/resource.ts";
import { isObject } from "../core/json.ts";
import { certificateCovers, faultOfRoot } from "../identity/io/server_certificate.ts";
import { handleBootstrap } from "../dataplane/mod.ts";
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

export interface Listening {
  /** The key in the ready line. */
  readonly name?: string;
  readonly url?: string;
  readonly close: () => Promise<void>;
}

/** How long streams may take to end by themselves at shutdown. */
const GRACE_MS = 2_000;
/** At most one commit away; a disk that takes longer is an error to report. */
const ANSWER_MS = 10_000;

/** A listener that cannot have its port says which flag chooses another. */
export async function named(
  flag: string,
  port: number,
  listen: () => Listening | Promise<Listening>,
): Promise<Listening> {
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

export function hostText(address: string): string {
  return address.includes(":") ? `[${address}]` : address;
}

export function listenDp(parts: Parts, system: System, late: LatePort): Promise<Listening> {
  const { config, certificate, instanceId, log, metrics } = parts;
  const tell = (msg: ProxiesMsg) => system.send(PROXIES, msg);
  return named("--dp-port", config.dpPort, async () => {
    const streams = new Set<string>();
    const server = await serveDp({
      hostname: config.bind,
      port: config.dpPort,
      cert: certificate.cert,
      key: certificate.key,
      identifier: instanceId,
      http: (request) => answerHttp(request, parts, system),
      ads: {
        opened: (stream, { node, dialect, authorization: credential }, request) => {
          streams.add(stream);
          tell({ tag: "stream_opened", stream, node, dialect, request, credential });
        },
        request: (stream, request) => tell({ tag: "stream_request", stream, request }),
        closed: (stream) => {
          streams.delete(stream);
          tell({ tag: "stream_closed", stream });
        },
      },
      health: {
        opened: (stream, { node, authorization }) => {
          streams.add(stream);
          tell({ tag: "health_opened", stream, node, credential: authorization });
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
    socketPath: socketPath(config.data),
    version: KUMA_VERSION,
    deliver: (event) => system.send(UPLINK, event),
    admin: late.envoys.ask,
    onBreach: (breach) => log("warn", "connection to global ended by the frame guard", { breach }),
  });
  late.kds.open((command) => client.command(command as ClientCommand));
  return { close: () => client.close() };
}

/** The kernel takes 107 bytes at most: from the working folder a deep absolute path is shorter. */
function socketPath(data: string): string {
  const [path, fromHere] = [join(data, "kds.sock"), relative(Deno.cwd(), join(data, "kds.sock"))];
  return fromHere.length < path.length ? fromHere : path;
}

function countersOf(
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

async function answerHttp(request: Request, parts: Parts, system: System): Promise<Response> {
  const { pathname } = new URL(request.url);
  if (request.method !== "POST") return notFound();
  if (pathname === "/bootstrap") return await answerBootstrap(request, parts, system);
  if (pathname === "/ursa/drain") return await answerLeave(request, "drain", system);
  if (pathname === "/ursa/deregister") return await answerLeave(request, "deregister", system);
  return notFound();
}

/** kuma-dp takes this very text for "there is no such path", and an empty 404 for "not there yet". */
function notFound(): Response {
  return new Response("404: Page Not Found", { status: 404 });
}

async function answerBootstrap(request: Request, parts: Parts, system: System): Promise<Response> {
  const { store, kinds, certificate, config } = parts;
  const body = await bodyOf(request);
  const refusal = body && config.dpAuth === "token" ? await tokenRefusal(body, system) : null;
  if (refusal) return refusal;
  const named = `https://${request.headers.get("host") ?? ""}`;
  // What is no host is none that the certificate is for: the answer says so.
  const url = new URL(URL.canParse(named) ? named : request.url);
  const { status, body: text, contentType } = handleBootstrap(body, {
    host: url.hostname.replace(/^\[(.*)\]$/, "$1"),
    port: Number(url.port || 443),
    caCert: certificate.cert,
    accept: request.headers.get("accept") ?? "",
    covers: (host) => certificateCovers(certificate.cert, host),
    faultOfRoot,
    reloadableTokens: config.reloadableTokens,
    reportsHealth: config.healthReportMs > 0,
    mesh: (name) => store.get({ type: "Mesh", mesh: "", name })?.spec,
    validate: (type, spec) => kinds.byName(type)?.validate(spec) ?? [],
    find: (key) => store.get(key)?.spec,
  });
  return new Response(text, { status, headers: { "content-type": contentType } });
}

/**
 * Here, where somebody reads the answer: later only Envoy would hear of it. A proxy that names but
 * a file shows its token when it opens its stream. 4xx: it need not try again.
 */
async function tokenRefusal(body: JsonObject, system: System): Promise<Response | null> {
  const { dataplaneToken: token, dataplaneTokenPath: path, proxyType, mesh, name } = body;
  const proxy = proxyOf({ type: proxyType ?? "", mesh: mesh ?? "", name: name ?? "" });
  // Others are refused as such.
  const isServed = ["", "dataplane", "ingress"].includes(String(proxyType ?? ""));
  if (!proxy || !isServed || (!token && path)) return null;
  const vouched = await system.ask<VouchResult>(
    PROXIES,
    (reply): ProxiesMsg => ({ tag: "vouch", proxy, credential: String(token ?? ""), reply }),
    ANSWER_MS,
  );
  if (vouched.ok) return null;
  return new Response(vouched.message, { status: vouched.passing ? 503 : 422 });
}

async function answerLeave(
  request: Request,
  how: "drain" | "deregister",
  system: System,
): Promise<Response> {
  const body = await bodyOf(request) ?? {};
  const proxy = proxyOf(body);
  if (!proxy) return Response.json({ error: "mesh, name and type are needed" }, { status: 400 });
  const credential = request.headers.get("authorization");
  const instance = typeof body["instance"] === "string" ? body["instance"] : "";
  const result = await system.ask<LeaveResult>(
    PROXIES,
    (reply): ProxiesMsg => ({ tag: "leave", proxy, instance, how, credential, reply }),
    ANSWER_MS,
  );
  if (result.ok) return Response.json({});
  if (result.reason === "unauthorized") {
    return Response.json({ error: result.message }, { status: 401 });
  }
  const status = result.reason === "unknown" ? 404 : result.reason === "superseded" ? 409 : 503;
  return Response.json({ error: result.reason }, { status });
}

/** Null when it is no JSON object. */
async function bodyOf(request: Request): Promise<JsonObject | null> {
  try {
    const body: unknown = await request.json();
    return isObject(body) ? body : null;
  } catch {
    return null;
  }
}

function proxyOf({ type, mesh = "", name }: JsonObject): ProxyKey | null {
  if (typeof name !== "string" || typeof mesh !== "string" || !isResourceName(name)) return null;
  if (type === "ingress" || type === "ZoneIngress") return { type: "ingress", mesh: "", name };
  return mesh === "" || isResourceName(mesh) ? { type: "dataplane", mesh, name } : null;
}
