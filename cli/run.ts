// The composition root of a control plane: opens what it needs, starts its tree, listens, and ends it.

import type { ReceiptsState } from "../actors/receipts/receipts.ts";
import { receiptOf } from "../actors/receipts/receipts.ts";
import { RECEIPTS, type ReceiptsMsg } from "../actors/receipts/messages.ts";
import { HUB, type WriteResult } from "../actors/hub/messages.ts";
import { admitInZone, deriveInZone } from "../actors/hub/zone_rules.ts";
import { onlyInMeshes, type StoreReader } from "../actors/hub/batch.ts";
import type { PortResult } from "../actors/runtime/actor.ts";
import { startSystem, type System } from "../actors/runtime/io/pump.ts";
import type { Port } from "../actors/runtime/kernel.ts";
import type { Tree } from "../actors/runtime/tree.ts";
import { globalTree, zoneTree } from "../actors/tree.ts";
import type { ApiPorts, ControlPlane, Joining } from "../api/ports.ts";
import { serveApi } from "../api/io/server.ts";
import {
  type AdminAuthority,
  adminAuthority,
  type AdminFault,
  keepAuthority,
  zoneEnvoyAdmin,
} from "./admin_authority.ts";
import { InvalidError } from "../core/errors.ts";
import type { KindTable } from "../core/kind_table.ts";
import type { Receipt } from "../core/receipt.ts";
import { type JsonObject, keyText } from "../core/resource.ts";
import { globalToZone } from "../kds/direction.ts";
import type { ZoneLink } from "../kds/zone_link.ts";
import { signerPort } from "../identity/io/signer.ts";
import {
  ensureServerCertificate,
  type ServerCertificate,
} from "../identity/io/server_certificate.ts";
import { POLICIES } from "../policies/registry.gen.ts";
import { acquireDataDir } from "../store/io/data_dir.ts";
import { openKvStore } from "../store/io/deno_kv.ts";
import { openMemoryStore } from "../store/memory.ts";
import type { Op, Store } from "../store/store.ts";
import type { Configured } from "./config.ts";
import { demandOwnAddress } from "./listen.ts";
import { CLUSTER_ID, ensureDefaults, newMeshOf } from "./defaults.ts";
import { everyKind } from "./kinds.ts";
import { type Log, openLog } from "./log.ts";
import { Metrics } from "./metrics.ts";
import { type LateEnvoyAdmin, lateEnvoyAdmin } from "./envoy_admin.ts";
import { kumaConfig } from "./kuma_config.ts";
import { type LatePort, latePort } from "./late_port.ts";
import {
  dialGlobal,
  hostText,
  listenDns,
  listenDp,
  type Listening,
  listenKds,
  named,
} from "./listen.ts";
import { accessOf, type ControlPlaneConfig, isUnspecified } from "./settings.ts";
import { withSigningKeys } from "./signing_keys.ts";
import { type OpenLinks, openLinks } from "./zone_links.ts";
import { openTokens, readKeySources, type TokenKeySources, type Tokens } from "./tokens.ts";
import { VERSION } from "./version.ts";
import { inspect } from "../xds/inspect/inspection.ts";
import { meshViews } from "./mesh_views.ts";
import { KUMA_VERSION } from "../core/kuma.ts";

/** What every part of the composition is given. */
export interface Parts {
  readonly config: ControlPlaneConfig;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly kinds: KindTable;
  readonly store: Store;
  readonly certificate: ServerCertificate;
  readonly instanceId: string;
  /** Null on global, which has no proxies. */
  readonly admin: AdminAuthority | AdminFault | null;
  readonly keys: TokenKeySources;
  readonly tokens: Tokens;
  /** Addresses of what listens already, by the name in the ready line. */
  readonly ready: Record<string, string>;
}

/** Runs until SIGTERM or SIGINT; rejects when it cannot start. */
export async function runControlPlane({ config, warnings }: Configured): Promise<void> {
  const log = openLog({ level: config.logLevel, format: config.logFormat });
  for (const warning of warnings) log("warn", warning);
  const data = await acquireDataDir(config.data);
  const open: Listening[] = [];
  try {
    const parts = await prepare(config, log);
    const links = await openLinks(parts);
    if (links) open.push(links);
    const { system, late, failed } = start(parts, links);
    open.push({ close: () => stop(system, parts.store) });
    links?.deliverTo(system);
    await ensureDefaults(parts, (ops) => write(system, ops, "defaults"));
    await keepAuthority(parts.admin, (ops) => write(system, ops, "defaults"));
    const { ready } = parts;
    if (links?.name && links.url) ready[links.name] = links.url;
    for (const listen of listenersOf(parts, system, late)) {
      const listening = await listen();
      open.push(listening);
      if (listening.name && listening.url) ready[listening.name] = listening.url;
    }
    const { api, ...others } = ready;
    console.log(JSON.stringify({ ready: { api, ...others } }));
    log("info", "ready", { ...ready, mode: config.mode, zone: config.zone });
    const reason = await Promise.race([ended(), failed]);
    log("info", "stopping", { reason });
  } finally {
    for (const listening of open.reverse()) await listening.close();
    data.release();
  }
}

async function prepare(config: ControlPlaneConfig, log: Log): Promise<Parts> {
  const store = config.store === "memory"
    ? openMemoryStore()
    : await openKvStore(`${config.data}/store.kv`, {
      // Global sends a zone's copies again; what it lost itself would be deleted in the zones.
      ...(config.mode === "remote" && {
        onDamaged: (key) =>
          log(
            "error",
            "a stored resource cannot be read: it is left out until it is written again",
            {
              resource: keyText(key),
            },
          ),
      }),
    });
  // Before a certificate for it is made: that one takes the place of a certificate that peers trust.
  demandOwnAddress(config.bind);
  const certificate = await ensureServerCertificate({
    dir: config.data,
    hosts: [...new Set(["localhost", "127.0.0.1", "::1", config.bind, ...advertisedHost(config)])],
  });
  if (certificate.origin === "replaced") {
    log("warn", "new server certificate: proxies and zones must be given it as their root", {
      file: certificate.certFile,
      fingerprint: certificate.fingerprint,
      why: "the former did not cover --bind, was about to expire, or could not be read",
    });
  }
  const admin = config.mode === "global" ? null : adminAuthority(store);
  if (admin && "fault" in admin) log("error", admin.fault);
  const keys = await readKeySources(config);
  return {
    config,
    log,
    admin,
    metrics: withMemory(new Metrics()),
    kinds: everyKind(),
    store,
    keys,
    tokens: openTokens({ config, resources: store, keys }),
    certificate,
    ready: {},
    instanceId: `${config.zone || config.mode}-${crypto.randomUUID().slice(0, 8)}`,
  };
}

/** Edges that need the actors to be there first. */
export interface LatePorts {
  readonly xds: LatePort;
  readonly dns: LatePort;
  readonly kds: LatePort;
  readonly envoys: LateEnvoyAdmin;
}

interface Started {
  readonly system: System;
  readonly late: LatePorts;
  /** Resolves with the reason when the tree gave up. */
  readonly failed: Promise<string>;
}

function start(parts: Parts, links: OpenLinks | null): Started {
  const { log, metrics, store } = parts;
  let fail: (reason: string) => void = () => {};
  const failed = new Promise<string>((resolve) => {
    fail = resolve;
  });
  const late: LatePorts = {
    xds: latePort(),
    dns: latePort(),
    kds: latePort(),
    envoys: lateEnvoyAdmin(),
  };
  const { admin, config } = parts;
  if (admin) late.envoys.open(zoneEnvoyAdmin(admin, { store, zone: config.zone }));
  const system = startSystem({
    seed: crypto.getRandomValues(new Uint32Array(1))[0]!,
    tree: treeOf({
      ...parts,
      reader: store,
      newClusterId: crypto.randomUUID(),
      link: links?.reach ?? null,
    }),
    ports: {
      store: storePort(store),
      signer: signerPort(),
      xds: late.xds.port,
      dns: late.dns.port,
      kds: late.kds.port,
      ...(links && { links: links.port }),
    },
    log,
    count: (metric, by, labels) => metrics.count(metric, labels, by),
    fatal: (reason) => {
      log("error", "a permanent part crashed too often; the process ends", { reason });
      Deno.exitCode = 1;
      fail(reason);
    },
  });
  return { system, late, failed };
}

/** What the actors of a control plane are made of: nothing of it touches the outside. */
export interface TreeParts
  extends Pick<Parts, "config" | "kinds" | "instanceId" | "admin" | "keys"> {
  readonly reader: StoreReader;
  /** For a global whose store has no identity yet. */
  readonly newClusterId: string;
  /** How other zones reach this one; null: it is no zone, or wants no links. */
  readonly link: ZoneLink | null;
}

export function treeOf(parts: TreeParts): Tree {
  return parts.config.mode === "global" ? treeOfGlobal(parts) : treeOfZone(parts);
}

/** Policies that have an effect are parts of a mesh's view. */
const POLICY_TYPES = POLICIES.map(({ resource }) => resource.name);

function everyHub({ kinds, reader }: TreeParts) {
  return { reader, types: kinds.all().map(({ name }) => name), receipts: RECEIPTS } as const;
}

function treeOfGlobal(parts: TreeParts): Tree {
  const { config, instanceId, newClusterId } = parts;
  const descriptors = parts.kinds.all();
  return globalTree({
    hub: {
      ...everyHub(parts),
      admit: onlyInMeshes(POLICY_TYPES, (draft) => draft),
      derive: () => null,
      meshes: null,
    },
    identity: { mayCreateCas: true },
    global: {
      descriptors,
      newClusterId,
      instance: instanceId,
      version: KUMA_VERSION,
      receipts: RECEIPTS,
      auth: config.zoneAuth,
      exempt: config.zoneAuthExempt,
      unreachableAfterMs: config.unreachableZoneAfterMs || null,
      keys: parts.keys.zone,
    },
    zoneTypes: globalToZone(descriptors).map(({ name }) => name),
  });
}

/** Envoy's client that reads tokens from files waits up to 30 s between attempts, whatever one says. */
const SLOW_RETURN_MS = 35_000;

function treeOfZone(parts: TreeParts): Tree {
  const { config, kinds, instanceId } = parts;
  const { zone } = config;
  // What global sends arrives in no order of types.
  const inMeshes = config.global === null ? ["Dataplane", ...POLICY_TYPES] : ["Dataplane"];
  return zoneTree({
    hub: {
      ...everyHub(parts),
      admit: onlyInMeshes(inMeshes, admitInZone(zone)),
      derive: deriveInZone({ zone, cidr: config.vipRange, graceMs: config.vipGraceMs }),
      meshes: { zone, policies: POLICY_TYPES, kinds },
    },
    identity: { mayCreateCas: config.global === null },
    proxies: {
      kinds,
      zone,
      settings: {
        instanceId,
        vipPort: config.vipPort,
        admin: parts.admin && "server" in parts.admin ? parts.admin.server : null,
        healthReportMs: config.healthReportMs,
        leaseMs: config.endpointLeaseMs,
        firstLeaseMs: Math.max(
          config.endpointLeaseMs,
          config.reloadableTokens ? SLOW_RETURN_MS : 0,
        ),
      },
      auth: config.dpAuth,
      keys: parts.keys,
      federated: config.global !== null,
    },
    dns: {},
    ...(config.global !== null && {
      uplink: {
        zone,
        descriptors: kinds.all(),
        version: KUMA_VERSION,
        instance: instanceId,
        config: JSON.stringify(kumaConfig(config)),
        link: parts.link,
      },
    }),
    ...(parts.link && {
      peers: { zone, descriptors: kinds.all(), version: KUMA_VERSION, instance: instanceId },
    }),
  });
}

/** The hub's commands to the store. */
function storePort(store: Store): Port {
  return (command, _from, answer) => {
    const { ops } = command as { readonly ops: readonly Op[] };
    store.commit(ops, Date.now()).then(
      (value) => answer({ ok: true, value }),
      (error): void => answer(failure(error)),
    );
  };
}

function failure(error: unknown): PortResult {
  return {
    ok: false,
    error: error instanceof Error ? error.message : String(error),
    retryable: !(error instanceof InvalidError),
  };
}

export function write(system: System, ops: readonly Op[], by: string): Promise<WriteResult> {
  return system.ask<WriteResult>(
    HUB,
    (reply) => ({ tag: "write", ops, by, reply }) as never,
    30_000,
  );
}

function listenersOf(parts: Parts, system: System, late: LatePorts): (() => Promise<Listening>)[] {
  const { config } = parts;
  const ports = { ...apiPorts(parts, system), envoyAdmin: late.envoys.ask };
  // Last: when it answers, `/ready` too, everything else does.
  const api = apiListeners(parts).map((one) => () => listenApi(one, ports, config.bind));
  if (config.mode === "global") return [() => listenKds(parts, system, late), ...api];
  return [
    () => listenDns(parts, late.dns),
    () => listenDp(parts, system, late.xds),
    ...(config.global !== null ? [() => dialGlobal(parts, system, late)] : []),
    ...api,
  ];
}

/** A name in the certificate, so that zones verify it. */
function advertisedHost({ advertise }: ControlPlaneConfig): readonly string[] {
  if (advertise === null) return [];
  return [new URL(`grpcs://${advertise}`).hostname.replace(/^\[(.*)\]$/, "$1")];
}

/** By what its operator says, or by what it listens on. */
function joiningOf({ config, certificate, ready }: Parts): Joining | null {
  if (ready["kds"] === undefined) return null;
  const { advertise, bind, kdsPlaintext, zoneAuth: auth } = config;
  const { port } = new URL(ready["kds"].replace(/^\w+:/, "http:"));
  const told = advertise === null || /:\d+$/.test(advertise) ? advertise : `${advertise}:${port}`;
  const host = told ?? (isUnspecified(bind) ? null : `${hostText(bind)}:${port}`);
  return {
    url: host && `${kdsPlaintext ? "grpc" : "grpcs"}://${host}`,
    caFingerprint: kdsPlaintext
      ? null
      : `sha256:${certificate.fingerprint.replaceAll(":", "").toLowerCase()}`,
    auth,
  };
}

interface ApiEntrance {
  readonly flag: string;
  /** In the ready line. */
  readonly name: string;
  readonly port: number;
  readonly tls?: ServerCertificate;
}

function apiListeners({ config, certificate }: Parts): readonly ApiEntrance[] {
  const { apiPort, apiTlsPort } = config;
  return [
    ...(apiTlsPort === null
      ? []
      : [{ flag: "--api-tls-port", name: "apiTls", port: apiTlsPort, tls: certificate }]),
    { flag: "--api-port", name: "api", port: apiPort },
  ];
}

function listenApi(
  { flag, name, port, tls }: ApiEntrance,
  ports: ApiPorts,
  hostname: string,
): Promise<Listening> {
  return named(flag, port, () => {
    const server = serveApi({ hostname, port, ...(tls && { tls }) }, ports);
    const url = `${tls ? "https" : "http"}://${hostText(hostname)}:${server.port}`;
    return { name, url, close: () => server.close() };
  });
}

function apiPorts(parts: Parts, system: System): Omit<ApiPorts, "envoyAdmin"> {
  const { config, kinds, log, store, metrics, tokens } = parts;
  return {
    kinds,
    resources: store,
    inspection: inspect({
      kinds,
      viewOf: meshViews({ store, kinds, zone: config.zone }),
      list: (type, mesh) => store.list(type, mesh),
      vipPort: config.vipPort,
      adminListener: parts.admin !== null && "server" in parts.admin,
    }),
    control: controlPlaneOf(parts),
    authentication: {
      localhostIsAdmin: config.localhostIsAdmin,
      verify: (jwt, nowMs) => tokens.verifyUser(jwt, nowMs),
    },
    access: accessOf(config),
    actors: () =>
      system.kernel.actors().map(({ path, depth, turns, restarts, summary }) => ({
        path,
        mailbox: depth,
        turns,
        restarts,
        state: summary,
      })),
    metrics: () => metrics.render(),
    ready: () => true,
    awaitReceipt: (revision, until) => awaitReceipt(system, revision, until),
    write: async (ops) => await write(system, await withSigningKeys(ops, store), "rest"),
    issueToken: (order, by) => {
      const at = { id: crypto.randomUUID(), nowMs: Date.now() };
      const answer = tokens.issue(order, at);
      // Who wants to revoke it later finds its id here.
      if (answer.ok) {
        log("info", "token issued", { kind: order.kind, id: at.id, by, ...order.claims });
      }
      return answer;
    },
    acceptGlobal: () =>
      system.ask("uplink", (reply) => ({ tag: "accept_global", reply }) as never, 10_000),
    count: (metric, labels) => metrics.count(metric, labels),
  };
}

/** What changes while it runs is read when it is asked for. */
function controlPlaneOf(parts: Parts): ControlPlane {
  const { config, store, instanceId } = parts;
  return {
    mode: config.mode,
    federated: config.global !== null,
    zone: config.zone,
    hostname: config.bind,
    instanceId,
    get clusterId() {
      const spec = store.get(CLUSTER_ID)?.spec;
      return typeof spec?.["config"] === "string" ? spec["config"] : "";
    },
    vipPort: config.vipPort,
    version: VERSION,
    get joining() {
      return joiningOf(parts);
    },
    newMesh: newMeshOf(config),
    config: { ...kumaConfig(config), ursa: config as unknown as JsonObject },
  };
}

async function awaitReceipt(
  system: System,
  revision: number,
  { waitMs, signal }: { readonly waitMs: number; readonly signal: AbortSignal },
): Promise<Receipt | undefined> {
  const now = () => receiptOf(system.kernel.peek(RECEIPTS) as ReceiptsState | undefined, revision);
  if (waitMs === 0) return now();
  const complete = system.ask<Receipt | undefined>(
    RECEIPTS,
    (reply): ReceiptsMsg => ({ tag: "await_receipt", revision, reply }),
    waitMs,
  ).catch(now);
  const { promise: closing, resolve } = Promise.withResolvers<Receipt | undefined>();
  const close = () => resolve(now());
  signal.addEventListener("abort", close);
  return await Promise.race([complete, closing]).finally(() =>
    signal.removeEventListener("abort", close)
  );
}

/** The first signal to end. */
function ended(): Promise<string> {
  return new Promise((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      Deno.addSignalListener(signal, () => resolve(signal));
    }
  });
}

/** What was acknowledged is on disk already; what is under way gets there. */
async function stop(system: System, store: Store): Promise<void> {
  system.stop();
  await store.close();
}

function withMemory(metrics: Metrics): Metrics {
  metrics.gaugeFrom("ursa_memory_bytes", "What this process holds of the machine's memory.", () => {
    const { rss, heapTotal, heapUsed, external } = Deno.memoryUsage();
    return Object.entries({ rss, heap_total: heapTotal, heap_used: heapUsed, external })
      .map(([of, value]) => ({ labels: { of }, value }));
  });
  return metrics;
}
