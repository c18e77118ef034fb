// A proxy that does nothing but ask for configuration as Envoy does, and acknowledge all of it.

import { Client, type ClientDuplexStream, credentials } from "@grpc/grpc-js";
import { Buffer } from "node:buffer";
import type { Identity } from "./topology.ts";
import {
  hasEndpoints,
  isEdsCluster,
  readResponse,
  type Received,
  writeRequest,
  XDS,
} from "./wire.ts";

/** One clock for all processes of this machine, in milliseconds. */
export const now = () => performance.timeOrigin + performance.now();

/** A value of a changed policy that can be seen in the configuration. */
const MARKER = /bench-mark-\d+/g;
const SECRET = /(?:identity_cert|mesh_ca):secret:[a-z0-9-]+/g;

const REDIAL_MS = 1_000;

/** What all proxies of a fleet have seen. */
export interface Tally {
  responses: number;
  bytes: number;
  readonly errors: string[];
  /** When each proxy first acknowledged a configuration with a marker. */
  readonly markers: Map<string, number[]>;
}

export class FakeProxy {
  /** When the last piece of the first complete configuration was acknowledged. */
  fullAt: number | null = null;
  startedAt = 0;
  readonly #identity: Identity;
  readonly #tally: Tally;
  readonly #changed: () => void;
  readonly #marked = new Set<string>();
  readonly #listeners = new Set<string>();
  /** Names asked for; true when answered. */
  readonly #asked = new Map<string, boolean>();
  #client: Client | null = null;
  #call: ClientDuplexStream<Uint8Array, Uint8Array> | null = null;
  #redial: ReturnType<typeof setTimeout> | undefined;

  constructor(identity: Identity, tally: Tally, changed: () => void) {
    this.#identity = identity;
    this.#tally = tally;
    this.#changed = changed;
  }

  connect(target: string, ca: string): void {
    this.startedAt = now();
    this.#dial(target, ca);
  }

  #dial(target: string, ca: string): void {
    this.#client = new Client(target, credentials.createSsl(Buffer.from(ca)), {
      // A connection of its own.
      "grpc.use_local_subchannel_pool": 1,
      "grpc.ssl_target_name_override": "localhost",
      "grpc.default_authority": "localhost",
      "grpc.max_receive_message_length": -1,
    });
    const call = this.#client.makeBidiStreamRequest<Uint8Array, Uint8Array>(
      "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources",
      (bytes) => Buffer.from(bytes),
      (bytes) => bytes,
    );
    this.#call = call;
    call.on("data", (bytes: Uint8Array) => this.#received(bytes));
    call.on("error", (error: Error) => {
      if (this.#call !== call) return;
      this.#tally.errors.push(`${this.#identity.nodeId}: ${error.message}`);
      // As Envoy does: who had no time for it may have some later.
      this.#client?.close();
      this.#asked.clear();
      this.#listeners.clear();
      this.#redial = setTimeout(() => this.#dial(target, ca), REDIAL_MS);
    });
    const { nodeId: id, metadata } = this.#identity;
    call.write(writeRequest({ typeUrl: XDS.cluster, subscribe: ["*"], node: { id, metadata } }));
  }

  close(): void {
    clearTimeout(this.#redial);
    const call = this.#call;
    this.#call = null;
    call?.end();
    this.#client?.close();
  }

  #received(bytes: Uint8Array): void {
    const response = readResponse(bytes);
    this.#tally.responses++;
    this.#tally.bytes += bytes.length;
    this.#send({ typeUrl: response.typeUrl, nonce: response.nonce });
    const ackedAt = now();
    this.#note(response, ackedAt);
    if (response.typeUrl === XDS.cluster) this.#afterClusters(response);
    if (response.typeUrl === XDS.listener) {
      for (const { name } of response.resources) this.#listeners.add(name);
      for (const name of response.removed) this.#listeners.delete(name);
    }
    if (this.fullAt === null && this.#isFull()) {
      this.fullAt = ackedAt;
      this.#changed();
    }
  }

  /** Clusters first name their endpoints and secrets; listeners are asked for after them. */
  #afterClusters({ resources }: Received): void {
    this.#ask(
      XDS.endpoint,
      resources.filter(({ bytes }) => isEdsCluster(bytes)).map(({ name }) => name),
    );
    if (this.#asked.has(XDS.listener)) return;
    this.#asked.set(XDS.listener, true);
    this.#send({ typeUrl: XDS.listener, subscribe: ["*"] });
  }

  #note({ typeUrl, resources, removed }: Received, at: number): void {
    for (const name of removed) this.#asked.delete(`${typeUrl} ${name}`);
    for (const { name, bytes } of resources) {
      if (this.#asked.has(`${typeUrl} ${name}`)) this.#asked.set(`${typeUrl} ${name}`, true);
      if (typeUrl === XDS.endpoint) {
        if (hasEndpoints(bytes)) this.#mark(`endpoints/${name}`, at);
        continue;
      }
      const text = latin1(bytes);
      for (const [marker] of text.matchAll(MARKER)) this.#mark(marker, at);
      if (typeUrl !== XDS.secret) {
        this.#ask(XDS.secret, [...text.matchAll(SECRET)].map(([secret]) => secret));
      }
    }
  }

  #mark(marker: string, at: number): void {
    if (this.#marked.has(marker)) return;
    this.#marked.add(marker);
    const times = this.#tally.markers.get(marker);
    if (times) times.push(at);
    else this.#tally.markers.set(marker, [at]);
    this.#changed();
  }

  #ask(typeUrl: string, names: readonly string[]): void {
    const fresh = [...new Set(names)].filter((name) => !this.#asked.has(`${typeUrl} ${name}`));
    if (fresh.length === 0) return;
    for (const name of fresh) this.#asked.set(`${typeUrl} ${name}`, false);
    this.#send({ typeUrl, subscribe: fresh });
  }

  #send(request: Parameters<typeof writeRequest>[0]): void {
    this.#call?.write(writeRequest(request));
  }

  #isFull(): boolean {
    if (this.#listeners.size < this.#identity.listeners) return false;
    for (const answered of this.#asked.values()) if (!answered) return false;
    return true;
  }
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}
