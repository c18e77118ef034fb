// A dp-server with nothing behind it but stream machines, and a grpc-js client for it.

import { Client, credentials, Metadata, type StatusObject } from "@grpc/grpc-js";
import { Buffer } from "node:buffer";
import type { JsonObject } from "../../core/resource.ts";
import { createServerCertificate } from "../../identity/io/authority.ts";
import { contentHash } from "../../core/version.ts";
import { decode, encode, packAny } from "../../proto/mod.ts";
import type { HealthReport } from "../../xds/health.ts";
import { type DpServer, type FirstRequest, serveDp } from "../../xds/io/server.ts";
import { type EncodedResource, type Snapshot, TYPES, type TypeUrl } from "../../xds/snapshot.ts";
import {
  type AdsRequest,
  isSettled,
  onRequest,
  onSnapshot,
  openStream,
  type StepResult,
  type StreamEvent,
  type StreamState,
} from "../../xds/stream.ts";

export const CERTIFICATE = createServerCertificate(
  { names: ["localhost"], addresses: ["127.0.0.1"] },
  { nowMs: Date.now(), lifetimeMs: 86_400_000 },
);

/** Resources as proto3 JSON, each with its name. */
export function snapshotOf(
  content: Partial<Record<keyof typeof TYPES, readonly JsonObject[]>>,
): Snapshot {
  const resources = new Map<TypeUrl, Map<string, EncodedResource>>();
  for (const [kind, list] of Object.entries(content)) {
    const typeUrl = TYPES[kind as keyof typeof TYPES];
    const encoded = list.map((json) => {
      const value = encode(typeUrl.slice("type.googleapis.com/".length), json);
      const name = String(json["name"] ?? json["cluster_name"]);
      return [name, { name, version: contentHash(value), any: packAny(typeUrl, value) }] as const;
    });
    resources.set(typeUrl, new Map(encoded));
  }
  return { resources };
}

const PROBE = encode("envoy.service.health.v3.HealthCheckSpecifier", { interval: "5s" });

/** Gives every stream the same snapshot. */
export class TestControlPlane {
  readonly firsts: FirstRequest[] = [];
  readonly events: StreamEvent[] = [];
  readonly errors: string[] = [];
  readonly health: HealthReport[] = [];
  readonly streams = new Map<string, StreamState>();
  /** Of the connections of streams that are over. */
  readonly silences: number[] = [];
  full = false;
  server!: DpServer;
  #snapshot: Snapshot;
  readonly #watchers = new Set<() => void>();

  constructor(snapshot: Snapshot) {
    this.#snapshot = snapshot;
  }

  static async start(
    snapshot: Snapshot,
    options: { readonly idleMsMax?: number; readonly leaseMs?: number } = {},
  ): Promise<TestControlPlane> {
    const self = new TestControlPlane(snapshot);
    self.server = await serveDp({
      hostname: "127.0.0.1",
      port: 0,
      ...CERTIFICATE,
      identifier: "test-cp",
      leaseMs: 10_000,
      ...options,
      http: async (request) =>
        new Response(`${request.method} ${new URL(request.url).pathname} ${await request.text()}`),
      ads: {
        opened: (id, first, request) => {
          self.firsts.push(first);
          self.streams.set(id, openStream(first.dialect));
          self.#take(id, onRequest(self.streams.get(id)!, request, self.#snapshot));
        },
        request: (id, request) => {
          if (self.full) return false;
          self.#take(id, onRequest(self.streams.get(id)!, request, self.#snapshot));
          return true;
        },
        closed: (id, silentMs) => {
          self.silences.push(silentMs);
          self.streams.delete(id);
          self.#changed();
        },
      },
      health: {
        opened: (id) => self.server.probe(id, PROBE),
        reported: (_, report) => {
          self.health.push(report);
          self.#changed();
        },
        closed: () => {},
      },
      onPeerError: ({ kind, message }) => {
        self.errors.push(`${kind}: ${message}`);
        self.#changed();
      },
    });
    return self;
  }

  get port(): number {
    return this.server.address.port;
  }

  set(snapshot: Snapshot): void {
    this.#snapshot = snapshot;
    for (const [id, state] of this.streams) this.#take(id, onSnapshot(state, snapshot));
  }

  settled(): boolean {
    return this.streams.size > 0 && [...this.streams.values()].every(isSettled);
  }

  /** Resolves when the condition holds; looked at after every event here. */
  until(condition: () => boolean, what: string): Promise<void> {
    return within(
      20_000,
      what,
      new Promise((resolve) => {
        const check = () => {
          if (!condition()) return;
          this.#watchers.delete(check);
          resolve();
        };
        this.#watchers.add(check);
        check();
      }),
    );
  }

  #take(id: string, { state, out, events }: StepResult): void {
    this.streams.set(id, state);
    this.events.push(...events);
    for (const response of out) this.server.send(id, response);
    this.#changed();
  }

  #changed(): void {
    for (const watcher of [...this.#watchers]) watcher();
  }
}

/** Fails a hang; says nothing about speed. */
export async function within<T>(ms: number, what: string, promise: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${ms} ms for ${what}`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

const ADS = "envoy.service.discovery.v3";
const HDS = "envoy.service.health.v3";

const METHODS = {
  sotw: {
    path: `/${ADS}.AggregatedDiscoveryService/StreamAggregatedResources`,
    request: `${ADS}.DiscoveryRequest`,
    response: `${ADS}.DiscoveryResponse`,
  },
  delta: {
    path: `/${ADS}.AggregatedDiscoveryService/DeltaAggregatedResources`,
    request: `${ADS}.DeltaDiscoveryRequest`,
    response: `${ADS}.DeltaDiscoveryResponse`,
  },
  health: {
    path: `/${HDS}.HealthDiscoveryService/StreamHealthCheck`,
    request: `${HDS}.HealthCheckRequestOrEndpointHealthResponse`,
    response: `${HDS}.HealthCheckSpecifier`,
  },
} as const;

/** One stream of a real grpc-js client. */
export class TestClient {
  readonly #client: Client;
  readonly #method: typeof METHODS[keyof typeof METHODS];
  readonly #call;
  readonly #responses: JsonObject[] = [];
  readonly status: Promise<StatusObject>;
  #wake: (() => void) | null = null;

  constructor(
    port: number,
    kind: keyof typeof METHODS,
    options: { readonly authorization?: readonly string[]; readonly gzip?: boolean } = {},
  ) {
    this.#method = METHODS[kind];
    this.#client = new Client(
      `127.0.0.1:${port}`,
      credentials.createSsl(Buffer.from(CERTIFICATE.cert)),
      {
        ...(options.gzip && { "grpc.default_compression_algorithm": 2 }),
        "grpc.use_local_subchannel_pool": 1,
        // An IP address is no server name, says Deno's TLS.
        "grpc.ssl_target_name_override": "localhost",
        "grpc.default_authority": "localhost",
      },
    );
    const metadata = new Metadata();
    for (const value of options.authorization ?? []) metadata.add("authorization", value);
    this.#call = this.#client.makeBidiStreamRequest(
      this.#method.path,
      (bytes: Uint8Array) => Buffer.from(bytes),
      (bytes) => new Uint8Array(bytes),
      metadata,
    );
    this.#call.on("data", (bytes: Uint8Array) => {
      this.#responses.push(decode(this.#method.response, bytes));
      this.#wake?.();
    });
    this.#call.on("error", () => {});
    this.status = new Promise((resolve) => this.#call.on("status", resolve));
  }

  send(request: JsonObject): void {
    this.#call.write(encode(this.#method.request, request));
  }

  sendBytes(bytes: Uint8Array): void {
    this.#call.write(bytes);
  }

  async next(): Promise<JsonObject> {
    if (this.#responses.length === 0) {
      await within(20_000, "a response", new Promise<void>((resolve) => this.#wake = resolve));
    }
    return this.#responses.shift()!;
  }

  /** Ends the call, and waits for the server's word. */
  async close(): Promise<void> {
    this.#call.end();
    await within(20_000, "the end of the call", this.status);
    this.#client.close();
  }

  abandon(): void {
    this.#call.cancel();
    this.#client.close();
  }
}

export type { AdsRequest };
