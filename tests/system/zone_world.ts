// A whole zone in one process and without time: the real tree over a store, a signer and proxies
// that are played. Everything between them arrives late, and in an order that the seed decides.
//
//   kernel ◀── channels: one queue for each peer and direction ──▶ store, signer, proxies

import assert from "node:assert/strict";
import type { XdsCommand } from "../../actors/dataplane/messages.ts";
import type { HubMsg, WriteResult } from "../../actors/hub/messages.ts";
import { HUB } from "../../actors/hub/messages.ts";
import { onlyInMeshes } from "../../actors/hub/batch.ts";
import { admitInZone, deriveInZone } from "../../actors/hub/zone_rules.ts";
import { PROXIES, type ProxiesMsg } from "../../actors/proxies/messages.ts";
import { RECEIPTS } from "../../actors/receipts/messages.ts";
import { receiptOf, type ReceiptsState } from "../../actors/receipts/receipts.ts";
import type { Message, Path, PortResult, ReplyTo } from "../../actors/runtime/actor.ts";
import { Kernel, type Port } from "../../actors/runtime/kernel.ts";
import { seededRandom } from "../../actors/runtime/random.ts";
import { zoneTree } from "../../actors/tree.ts";
import { everyKind } from "../../cli/kinds.ts";
import type { DataplaneSpec } from "../../core/dataplane.ts";
import type { ConfigSpec, MeshSpec } from "../../core/mesh.ts";
import type { MeshView } from "../../core/mesh_view.ts";
import type { IdentityMaterial, ProxyKey } from "../../core/proxy.ts";
import type { Receipt } from "../../core/receipt.ts";
import type { Draft, JsonObject, Resource, ResourceKey } from "../../core/resource.ts";
import type { ZoneIngressSpec } from "../../core/zone.ts";
import { vipConfigName, vipsOf } from "../../dns/vips.ts";
import type { SignerCommand } from "../../identity/signing.ts";
import { POLICIES } from "../../policies/registry.gen.ts";
import { Batch, StoreImage } from "../../store/image.ts";
import type { CommitResult, Op } from "../../store/store.ts";
import { generateDataplane, generateIngress } from "../../xds/generate.ts";
import type { HealthReport } from "../../xds/health.ts";
import { parseNode } from "../../xds/node.ts";
import { type EncodedResource, type Snapshot, TYPES } from "../../xds/snapshot.ts";
import type { Outgoing } from "../../xds/stream.ts";
import { availableServices, buildMeshView } from "../../xds/topology.ts";
import { FakeEnvoy, type FakeEnvoyOptions, type Wire } from "./fake_envoy.ts";

export const ZONE = "east";
const VIP_PORT = 80;
/** As long as the edge waits for a sign of life: for a ping, and for its answer. */
const KEEPALIVE_MS = 8_000;
const POLICY_TYPES = POLICIES.map(({ resource }) => resource.name);
const START_MS = Date.parse("2026-01-01T00:00:00Z");

export interface WorldOptions {
  readonly seed: number;
  readonly leaseMs?: number;
  /** How long an ended proxy waits before it dials again. */
  readonly redialMs?: number;
  readonly vipGraceMs?: number;
  /** Default none. */
  readonly dpAuth?: "token" | "none";
}

export class ZoneWorld implements Wire {
  nowMs = START_MS;
  readonly random: () => number;
  readonly store = new StoreImage();
  readonly kernel: Kernel;
  readonly envoys: FakeEnvoy[] = [];
  readonly crashes: JsonObject[] = [];
  readonly logged: {
    readonly level: string;
    readonly message: string;
    readonly fields: JsonObject;
  }[] = [];
  readonly counters = new Map<string, number>();
  /** What streams of health were last asked to probe. */
  readonly probes = new Map<string, Uint8Array>();
  /** The next commits fail, this many of them. */
  failingCommits = 0;
  /** The next commits reach the disk, which fails to say so until it is asked again. */
  doubtfulCommits = 0;
  #doubt: readonly Op[] = [];
  /** While true, nothing of the store is answered: commits wait. */
  storeHeld = false;
  commits = 0;
  readonly #answers = new Map<string, unknown>();
  readonly #channels = new Map<string, (() => void)[]>();
  readonly #streams = new Map<string, FakeEnvoy>();
  readonly #redials = new Map<FakeEnvoy, number>();
  /** Streams that their proxies left without a word, and when the edge will notice. */
  readonly #silent = new Map<string, number>();
  readonly #redialMs: number;
  #serial = 0;

  constructor(
    {
      seed,
      leaseMs = 10_000,
      redialMs = 1_000,
      vipGraceMs = 60_000,
      dpAuth = "none",
    }: WorldOptions,
  ) {
    this.random = seededRandom(seed);
    this.#redialMs = redialMs;
    const kinds = everyKind();
    this.kernel = new Kernel({
      seed,
      now: () => this.nowMs,
      wake: () => {},
      log: (level, message, fields) => {
        this.logged.push({ level, message, fields });
        if (message === "actor crashed") this.crashes.push(fields);
      },
      count: (metric, by) => this.counters.set(metric, (this.counters.get(metric) ?? 0) + by),
      replied: (ref, value) => this.#answers.set(ref, value),
      fatal: (reason) => assert.fail(`the tree gave up: ${reason}`),
      ports: {
        store: this.#storePort,
        signer: this.#signerPort,
        xds: this.#xdsPort,
        dns: () => {},
      },
      tree: zoneTree({
        hub: {
          reader: this.store,
          types: kinds.all().map(({ name }) => name),
          admit: onlyInMeshes(["Dataplane", ...POLICY_TYPES], admitInZone(ZONE)),
          derive: deriveInZone({ zone: ZONE, cidr: "240.0.0.0/4", graceMs: vipGraceMs }),
          meshes: { zone: ZONE, policies: POLICY_TYPES, kinds },
          receipts: RECEIPTS,
        },
        identity: { mayCreateCas: true },
        proxies: {
          kinds,
          zone: ZONE,
          settings: {
            instanceId: "cp-1",
            vipPort: VIP_PORT,
            admin: null,
            healthReportMs: 5_000,
            leaseMs,
            firstLeaseMs: leaseMs,
          },
          auth: dpAuth,
          federated: false,
        },
        dns: {},
      }),
    });
    this.kernel.start();
  }

  // ---- what a test does

  envoy(options: FakeEnvoyOptions): FakeEnvoy {
    const envoy = new FakeEnvoy(this, options);
    this.envoys.push(envoy);
    return envoy;
  }

  /** Sends a write; the answer is there when the world has settled. */
  write(...ops: readonly Op[]): () => WriteResult | undefined {
    return this.ask(HUB, (reply): HubMsg => ({ tag: "write", by: "test", ops, reply }));
  }

  put(...resources: readonly Draft[]): () => WriteResult | undefined {
    return this.write(...resources.map((resource): Op => ({ op: "put", resource })));
  }

  delete(...keys: readonly ResourceKey[]): () => WriteResult | undefined {
    return this.write(...keys.map((key): Op => ({ op: "delete", key })));
  }

  ask<T>(to: Path, make: (reply: ReplyTo) => Message): () => T | undefined {
    const ref = String(++this.#serial);
    this.kernel.send(to, make({ path: "", tag: "", ref }));
    return () => this.#answers.get(ref) as T | undefined;
  }

  /** An Envoy offers to probe, on a stream of its own. */
  openHealth(stream: string, { key, resource }: FakeEnvoyOptions): void {
    const node: JsonObject = {
      id: `${key.mesh}.${key.name}`,
      metadata: {
        "dataplane.admin.port": "9901",
        ...(resource && { "dataplane.resource": JSON.stringify(resource) }),
      },
    };
    this.#tell({ tag: "health_opened", stream, node, credential: null });
  }

  reportHealth(stream: string, report: HealthReport): void {
    this.#tell({ tag: "health_reported", stream, report });
  }

  closeHealth(stream: string): void {
    this.#tell({ tag: "health_closed", stream });
  }

  leave(
    proxy: ProxyKey,
    how: "drain" | "deregister",
    { instance = "", credential = null }: {
      readonly instance?: string;
      readonly credential?: string | null;
    } = {},
  ): () => unknown {
    return this.ask(
      PROXIES,
      (reply): ProxiesMsg => ({ tag: "leave", proxy, how, instance, credential, reply }),
    );
  }

  receipt(revision: number): Receipt | undefined {
    return receiptOf(this.kernel.peek(RECEIPTS) as ReceiptsState, revision);
  }

  // ---- time

  /** One turn or one delivery, whichever the seed says. False when nothing is left to do. */
  step(): boolean {
    return this.random() < 0.7
      ? this.kernel.step() || this.#deliver()
      : this.#deliver() || this.kernel.step();
  }

  settle(): void {
    for (let steps = 0; this.step(); steps++) assert(steps < 1_000_000, "it never rests");
  }

  /** Lets time pass, each timer at its moment and everything it causes before the next. */
  pass(ms: number): void {
    const until = this.nowMs + ms;
    for (;;) {
      this.settle();
      const due = Math.min(
        this.kernel.nextTimerAtMs ?? Infinity,
        ...this.#redials.values(),
        ...this.#silent.values(),
      );
      if (due > until) break;
      this.nowMs = Math.max(this.nowMs, due);
      this.#redial();
    }
    this.nowMs = until;
  }

  #redial(): void {
    for (const [stream, atMs] of this.#silent) {
      if (atMs > this.nowMs) continue;
      this.#silent.delete(stream);
      this.close(stream, KEEPALIVE_MS);
    }
    for (const [envoy, atMs] of this.#redials) {
      if (atMs > this.nowMs) continue;
      this.#redials.delete(envoy);
      if (!envoy.stream) envoy.connect();
    }
  }

  #deliver(): boolean {
    const open = [...this.#channels].filter(([name, queue]) =>
      queue.length > 0 && !(this.storeHeld && name === "store")
    );
    const chosen = open[Math.floor(this.random() * open.length)];
    if (!chosen) return false;
    chosen[1].shift()!();
    return true;
  }

  #later(channel: string, event: () => void): void {
    const queue = this.#channels.get(channel);
    if (queue) queue.push(event);
    else this.#channels.set(channel, [event]);
  }

  // ---- the edges

  readonly #storePort: Port = (command, _from, answer) => {
    const { ops } = command as { readonly ops: readonly Op[] };
    this.#later("store", () => {
      this.commits++;
      if (this.failingCommits > 0) {
        this.failingCommits--;
        return answer({ ok: false, error: "disk full", retryable: true });
      }
      this.#commit(this.#doubt);
      this.#doubt = [];
      if (this.doubtfulCommits > 0) {
        this.doubtfulCommits--;
        this.#doubt = ops;
        return answer({ ok: false, error: "no answer", retryable: true });
      }
      const judged = this.#commit(ops);
      // Durable, and visible to readers, before whoever asked hears of it.
      this.#later("store", () => answer({ ok: true, value: judged }));
    });
  };

  #commit(ops: readonly Op[]): CommitResult {
    const judged = new Batch(this.store).judge(ops, this.nowMs);
    if (judged.ok) this.store.apply(judged);
    return judged;
  }

  readonly #signerPort: Port = (command, _from, answer) => {
    const value = this.#sign(command as SignerCommand);
    this.#later("signer", () => answer({ ok: true, value } satisfies PortResult));
  };

  /** Certificates are texts that say what they are. */
  #sign(command: SignerCommand): unknown {
    if (command.command === "create_ca") {
      const root = `${command.mesh}-root-${++this.#serial}`;
      const cert = `-----BEGIN CERTIFICATE-----\n${root}\n-----END CERTIFICATE-----\n`;
      return { cert, key: "-----BEGIN PRIVATE KEY-----" };
    }
    const { ca, uris, nowMs, lifetimeMs } = command;
    const cert = `${ca.cert.split("\n")[1]}/leaf-${++this.#serial} for ${uris.join(" ")}`;
    return { cert, key: "key", expiresAtMs: nowMs + lifetimeMs };
  }

  readonly #xdsPort: Port = (command) => {
    const wanted = command as XdsCommand;
    if (wanted.do === "end_all") {
      for (const stream of [...this.#streams.keys()]) this.#end(stream, wanted);
    } else if (wanted.do === "end") this.#end(wanted.stream, wanted);
    else if (wanted.do === "probe") this.probes.set(wanted.stream, wanted.checks);
    else {
      const { stream, out } = wanted;
      this.#later(
        `down ${stream}`,
        () => this.#streams.get(stream)?.onResponse(stream, out as Outgoing),
      );
    }
  };

  /** As the edge does: nothing more goes either way, and the actors hear of the end, too. */
  #end(stream: string, why: { readonly code: number; readonly message: string }): void {
    const envoy = this.#streams.get(stream);
    if (!envoy) return;
    this.#streams.delete(stream);
    this.#later(`down ${stream}`, () => {
      if (envoy.stream !== stream) return;
      envoy.onEnd(stream, why);
      this.#redials.set(envoy, this.nowMs + this.#redialMs);
    });
    this.#channels.delete(`up ${stream}`);
    this.#later(`up ${stream}`, () => this.#tell({ tag: "stream_closed", stream, silentMs: 0 }));
  }

  open(stream: string, node: JsonObject, dialect: "sotw" | "delta", request: never): void {
    const envoy = this.envoys.find((one) => one.stream === stream)!;
    this.#redials.delete(envoy);
    for (const [old, owner] of this.#streams) {
      if (owner === envoy) this.#silent.set(old, this.nowMs + KEEPALIVE_MS);
    }
    this.#streams.set(stream, envoy);
    const { token: credential } = envoy;
    this.#later(
      `up ${stream}`,
      () => this.#tell({ tag: "stream_opened", stream, node, dialect, request, credential }),
    );
  }

  request(stream: string, request: never): void {
    if (!this.#streams.has(stream)) return;
    this.#later(`up ${stream}`, () => this.#tell({ tag: "stream_request", stream, request }));
  }

  close(stream: string, silentMs: number): void {
    if (!this.#streams.delete(stream)) return;
    this.#later(`up ${stream}`, () => this.#tell({ tag: "stream_closed", stream, silentMs }));
  }

  #tell(msg: ProxiesMsg): void {
    assert(this.kernel.send(PROXIES, msg), "the door takes everything");
  }

  // ---- what must hold

  view(mesh: string): MeshView | undefined {
    const own = this.store.get({ type: "Mesh", mesh: "", name: mesh });
    if (!own) return undefined;
    const typed = <Spec>(type: string, of?: string) =>
      this.store.list(type, of) as unknown as readonly Resource<Spec>[];
    const config = this.store.get({ type: "Config", mesh: "", name: vipConfigName(mesh) });
    return buildMeshView({
      mesh: own as unknown as Resource<MeshSpec>,
      dataplanes: typed<DataplaneSpec>("Dataplane", mesh),
      zoneIngresses: typed<ZoneIngressSpec>("ZoneIngress"),
      policies: POLICY_TYPES.flatMap((type) => this.store.list(type, mesh)),
      vips: config ? vipsOf(config as unknown as Resource<ConfigSpec>) : new Map(),
      zone: ZONE,
      revision: this.store.revision,
    });
  }

  /** What a proxy should run, made from what is stored and nothing else but its certificate. */
  fromScratch({ options: { key } }: FakeEnvoy): Snapshot | string {
    const { metadata } = this.actor(key);
    const node = parseNode(metadata);
    if (key.type === "ingress") {
      const ingress = this.store.get({ type: "ZoneIngress", mesh: "", name: key.name });
      if (!ingress) return "its ZoneIngress is not stored";
      const meshes = this.store.list("Mesh").map(({ name }) => [name, this.view(name)!] as const);
      const resource = ingress as unknown as Resource<ZoneIngressSpec>;
      return generateIngress(resource, new Map(meshes), { node }).snapshot;
    }
    const view = this.view(key.mesh);
    if (!view) return "its mesh is not stored";
    if (!view.dataplanes.has(key.name)) return "its Dataplane is not stored";
    const identity = this.actor(key).identity;
    if (view.mtls && !identity) return "it has no certificate";
    return generateDataplane(view, key.name, {
      node,
      identity: view.mtls ? identity : null,
      vipPort: VIP_PORT,
    }).snapshot;
  }

  actor({ type, mesh, name }: ProxyKey): ProxyActor {
    const path = `dataplanes/${type}/${mesh}/${name}`;
    const state = this.kernel.peek(path) as ProxyActor | undefined;
    assert(state, `nobody at ${path}`);
    return state;
  }

  /** Everything that is true of a zone in which nothing is under way. */
  check(): void {
    for (const envoy of this.envoys) if (envoy.stream) this.#checkProxy(envoy);
    this.#checkIngresses();
    this.#checkAddresses();
    this.#checkReceipts();
    this.#checkInsights();
  }

  #checkProxy(envoy: FakeEnvoy): void {
    const { key } = envoy.options;
    const expected = this.fromScratch(envoy);
    const who = `${key.type} ${key.mesh}/${key.name} (${envoy.options.dialect})`;
    if (typeof expected === "string") {
      // Who brings no resource of its own waits until somebody writes one.
      assert.equal(envoy.resource, null, `${who} has a stream though ${expected}`);
      return;
    }
    for (const [short, typeUrl] of Object.entries(TYPES)) {
      const wanted: ReadonlyMap<string, EncodedResource> = expected.resources.get(typeUrl) ??
        new Map();
      const whole = typeUrl === TYPES.cluster || typeUrl === TYPES.listener;
      const names = whole ? [...wanted.keys()] : [...envoy.wants(typeUrl)];
      const should = names.map((name) => [name, wanted.get(name)?.version ?? "none"]).sort();
      const running = envoy.running(typeUrl);
      assert.deepEqual([...running].sort(), should, `${short}s of ${who}`);
    }
    if (key.type === "dataplane" && this.view(key.mesh)?.mtls) this.#checkIdentity(key, who);
  }

  /** Of its own mesh, in time, trusting every root of the mesh and no other. */
  #checkIdentity(key: ProxyKey, who: string): void {
    const identity = this.actor(key).identity!;
    const { mtls } = this.view(key.mesh)!;
    assert.equal(identity.backend, mtls!.backend, `backend of ${who}`);
    assert(identity.expiresAtMs > this.nowMs, `certificate of ${who} expired`);
    const roots = mtls!.trusted.map((backend) => {
      const name = `${key.mesh}.ca-builtin-cert-${backend}`;
      const secret = this.store.get({ type: "Secret", mesh: key.mesh, name })!;
      return atob(String(secret.spec["data"])).split("\n")[1]!;
    });
    const trusted = identity.trustedCa.split("\n").filter((line) => line && line[0] !== "-");
    assert.deepEqual(trusted.sort(), roots.sort(), `roots trusted by ${who}`);
    assert(roots.some((root) => identity.certificateChain.startsWith(`${root}/`)), who);
  }

  #checkIngresses(): void {
    const offered = this.store.list("Mesh").flatMap(({ name }) =>
      availableServices(this.view(name)!)
    );
    for (const { name, spec } of this.store.list("ZoneIngress")) {
      const ingress = spec as unknown as ZoneIngressSpec;
      if (ingress.zone !== ZONE) continue;
      assert.deepEqual(ingress.availableServices ?? [], offered, `services of ingress ${name}`);
    }
  }

  #checkAddresses(): void {
    const owners = new Map<string, string>();
    for (const { name: mesh } of this.store.list("Mesh")) {
      const view = this.view(mesh)!;
      for (const service of view.services.keys()) {
        assert(view.vips.has(service), `${service} of ${mesh} has no virtual IP`);
      }
      for (const [service, address] of view.vips) {
        const owner = owners.get(address) ?? service;
        assert.equal(owner, service, `two services on ${address}`);
        owners.set(address, service);
      }
    }
  }

  #checkReceipts(): void {
    const { entries } = this.kernel.peek(RECEIPTS) as ReceiptsState;
    for (const revision of entries.keys()) {
      const receipt = this.receipt(revision)!;
      assert(receipt.complete, `receipt not complete: ${JSON.stringify(receipt)}`);
    }
  }

  #checkInsights(): void {
    const online = new Set(
      this.envoys.filter(({ stream }) => stream).map(({ options: { key } }) =>
        `${key.type}/${key.mesh}/${key.name}`
      ),
    );
    for (
      const [type, proxyType] of [["DataplaneInsight", "dataplane"], [
        "ZoneIngressInsight",
        "ingress",
      ]] as const
    ) {
      for (const { mesh, name, spec } of this.store.list(type)) {
        const last = (spec["subscriptions"] as JsonObject[]).at(-1)!;
        const shown = last["disconnectTime"] === undefined;
        assert.equal(shown, online.has(`${proxyType}/${mesh}/${name}`), `${type} ${mesh}/${name}`);
      }
    }
  }
}

/** What a test may know of a dataplane actor's state. */
interface ProxyActor {
  readonly metadata: JsonObject;
  readonly identity: IdentityMaterial | null;
}
