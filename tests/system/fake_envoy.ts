// A proxy without bytes and without time: takes what it is sent as Envoy does, asks for what that
// refers to, answers.

import type { ProxyKey } from "../../core/proxy.ts";
import type { Json, JsonObject } from "../../core/resource.ts";
import { decode } from "../../proto/mod.ts";
import { type EncodedResource, TYPES, type TypeUrl } from "../../xds/snapshot.ts";
import type { AdsRequest, Dialect, Outgoing } from "../../xds/stream.ts";

/** Names by type that a resource refers to; looked up once for each encoded resource. */
type References = Readonly<Partial<Record<TypeUrl, readonly string[]>>>;
const known = new WeakMap<EncodedResource, References>();

function referencesOf(resource: EncodedResource): References {
  let references = known.get(resource);
  if (!references) {
    references = find(decode("google.protobuf.Any", resource.any, { snake: true }));
    known.set(resource, references);
  }
  return references;
}

function find(resource: JsonObject): References {
  const secrets: string[] = [];
  const routes: string[] = [];
  const walk = (value: Json): void => {
    if (Array.isArray(value)) return value.forEach(walk);
    if (typeof value !== "object" || value === null) return;
    const { sds_config, name, route_config_name } = value as JsonObject;
    if (sds_config !== undefined) secrets.push(String(name));
    if (route_config_name !== undefined) routes.push(String(route_config_name));
    Object.values(value).forEach(walk);
  };
  walk(resource);
  const endpoints = resource["type"] === "EDS" ? [String(resource["name"])] : [];
  return { [TYPES.secret]: secrets, [TYPES.route]: routes, [TYPES.endpoint]: endpoints };
}

interface Held {
  readonly resources: Map<string, EncodedResource>;
  readonly names: Set<string>;
  nonce: string;
  asked: boolean;
}

/** Where the proxy's words go; "end" is the end of its stream. */
export interface Wire {
  open(stream: string, node: JsonObject, dialect: Dialect, request: AdsRequest): void;
  request(stream: string, request: AdsRequest): void;
  close(stream: string, silentMs: number): void;
}

export interface FakeEnvoyOptions {
  readonly key: ProxyKey;
  readonly dialect: Dialect;
  /** Which run of the dp process; "" for none. */
  readonly instance?: string;
  /** What it registers with; null when it relies on what is stored. */
  readonly resource: JsonObject | null;
  readonly metadata?: JsonObject;
  /** What it shows to prove who it is. */
  readonly token?: string;
  /** Envoy's words when it does not like a response; null when it does. */
  readonly judge?: (out: Outgoing) => string | null;
}

let streams = 0;

export class FakeEnvoy {
  readonly options: FakeEnvoyOptions;
  resource: JsonObject | null;
  token: string | null;
  stream: string | null = null;
  /** Why the control plane ended the last stream. */
  ended: { readonly code: number; readonly message: string } | null = null;
  /** Responses since the last look, as `CDS a b -c`. */
  readonly seen: string[] = [];
  /** Accepted, by type. */
  readonly #types = new Map<TypeUrl, Held>();
  readonly #wire: Wire;

  constructor(wire: Wire, options: FakeEnvoyOptions) {
    this.#wire = wire;
    this.options = options;
    this.resource = options.resource;
    this.token = options.token ?? null;
  }

  connect(): string {
    const { key, dialect, instance = "", metadata = {} } = this.options;
    this.#types.clear();
    this.ended = null;
    const stream = `stream-${++streams}`;
    this.stream = stream;
    const node: JsonObject = {
      id: `${key.mesh}.${key.name}`,
      metadata: {
        "dataplane.proxyType": key.type,
        "dataplane.admin.port": "9901",
        ...(this.resource && { "dataplane.resource": JSON.stringify(this.resource) }),
        ...(instance && { dynamicMetadata: { "ursa.instance": instance } }),
        ...metadata,
      },
    };
    this.#held(TYPES.cluster).asked = true;
    this.#wire.open(stream, node, dialect, this.#first(TYPES.cluster));
    this.#held(TYPES.listener).asked = true;
    this.#wire.request(stream, this.#first(TYPES.listener));
    return stream;
  }

  /** `silentMs`: for how long nothing had been heard of it. */
  disconnect(silentMs = 0): void {
    if (this.stream) this.#wire.close(this.stream, silentMs);
    this.stream = null;
  }

  /** The control plane ended the stream. */
  onEnd(stream: string, why: { readonly code: number; readonly message: string }): void {
    if (stream !== this.stream) return;
    this.stream = null;
    this.ended = why;
  }

  onResponse(stream: string, out: Outgoing): void {
    if (stream !== this.stream) return;
    this.seen.push(textOf(out));
    const held = this.#held(out.typeUrl);
    held.nonce = out.nonce;
    const error = this.options.judge?.(out) ?? null;
    if (error === null) this.#apply(held, out);
    this.#ask(out.typeUrl, { nonce: out.nonce, ...(error !== null && { error }) });
    if (error === null) this.#follow();
  }

  /** What it runs: name to version, of one type. */
  running(typeUrl: TypeUrl): ReadonlyMap<string, string> {
    const resources = this.#types.get(typeUrl)?.resources ?? new Map<string, EncodedResource>();
    return new Map([...resources].map(([name, { version }]) => [name, version]));
  }

  /** What it would ask for. */
  wants(typeUrl: TypeUrl): ReadonlySet<string> {
    return this.#types.get(typeUrl)?.names ?? new Set();
  }

  /** A resource that it runs, in snake case. */
  config(typeUrl: TypeUrl, name: string): JsonObject | undefined {
    const resource = this.#types.get(typeUrl)?.resources.get(name);
    return resource && decode("google.protobuf.Any", resource.any, { snake: true });
  }

  /** `address:port` of a cluster's endpoints. */
  endpoints(cluster: string): readonly string[] {
    const text = JSON.stringify(this.config(TYPES.endpoint, cluster) ?? {});
    const found = text.matchAll(/"socket_address":\{"address":"([^"]+)","port_value":(\d+)/g);
    return [...found].map(([, address, port]) => `${address}:${port}`).sort();
  }

  #held(typeUrl: TypeUrl): Held {
    let held = this.#types.get(typeUrl);
    if (!held) {
      held = { resources: new Map(), names: new Set(), nonce: "", asked: false };
      this.#types.set(typeUrl, held);
    }
    return held;
  }

  #first(typeUrl: TypeUrl): AdsRequest {
    const { dialect } = this.options;
    return { dialect, typeUrl, nonce: "", ...(dialect === "sotw" ? { names: [] } : {}) };
  }

  #apply({ resources, names }: Held, { typeUrl, resources: sent, removed }: Outgoing): void {
    const whole = typeUrl === TYPES.cluster || typeUrl === TYPES.listener;
    if (this.options.dialect === "sotw" && whole) resources.clear();
    // A response may cross the word that its names are of no use any more.
    for (const resource of sent) {
      if (whole || names.has(resource.name)) resources.set(resource.name, resource);
    }
    for (const name of removed) resources.delete(name);
  }

  /** Asks for what it now refers to, and lets go of what it does not. */
  #follow(): void {
    for (const typeUrl of [TYPES.endpoint, TYPES.route, TYPES.secret]) {
      const wanted = new Set<string>();
      for (const holder of [TYPES.cluster, TYPES.listener]) {
        for (const resource of this.#held(holder).resources.values()) {
          for (const name of referencesOf(resource)[typeUrl] ?? []) wanted.add(name);
        }
      }
      const held = this.#held(typeUrl);
      const added = [...wanted].filter((name) => !held.names.has(name));
      const dropped = [...held.names].filter((name) => !wanted.has(name));
      if (added.length === 0 && dropped.length === 0) continue;
      held.names.clear();
      for (const name of wanted) held.names.add(name);
      for (const name of dropped) held.resources.delete(name);
      this.#ask(typeUrl, { nonce: held.nonce, added, dropped });
    }
  }

  #ask(
    typeUrl: TypeUrl,
    { nonce, error, added = [], dropped = [] }: {
      readonly nonce: string;
      readonly error?: string;
      readonly added?: readonly string[];
      readonly dropped?: readonly string[];
    },
  ): void {
    const { dialect } = this.options;
    const held = this.#held(typeUrl);
    held.asked = true;
    const about = { dialect, typeUrl, ...(error !== undefined && { error }) };
    // Delta subscriptions are no answer, so they carry no nonce.
    const answers = added.length === 0 && dropped.length === 0;
    this.#wire.request(
      this.stream!,
      dialect === "sotw"
        ? { ...about, nonce, names: [...held.names] }
        : { ...about, nonce: answers ? nonce : "", subscribe: added, unsubscribe: dropped },
    );
  }
}

const SHORT: Readonly<Record<TypeUrl, string>> = {
  [TYPES.cluster]: "CDS",
  [TYPES.endpoint]: "EDS",
  [TYPES.listener]: "LDS",
  [TYPES.route]: "RDS",
  [TYPES.secret]: "SDS",
};

function textOf({ typeUrl, resources, removed }: Outgoing): string {
  return [
    SHORT[typeUrl],
    ...resources.map(({ name }) => name),
    ...removed.map((name) => `-${name}`),
  ].join(" ");
}
