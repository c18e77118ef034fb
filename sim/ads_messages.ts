// What a proxy reads and writes on its stream, both dialects; what it knows of a resource it got.

import { fieldsOf } from "../bench/fleet/wire.ts";
import { INTERNAL } from "../core/grpc_status.ts";
import type { Json, JsonObject } from "../core/resource.ts";
import { decode, encode } from "../proto/mod.ts";
import { TYPES, type TypeUrl } from "../xds/snapshot.ts";
import type { AdsRequest, Dialect } from "../xds/stream.ts";

/** A resource as a proxy has it, with everything about it that is looked at again and again. */
export interface Held {
  readonly name: string;
  /** Serialized google.protobuf.Any. */
  readonly any: Uint8Array;
  /** Names by type that it refers to. */
  readonly refers: Readonly<Partial<Record<TypeUrl, readonly string[]>>>;
  /** Clusters that its routes lead to. */
  readonly leadsTo: readonly string[];
  /** `address:port`, of endpoints and of listeners. */
  readonly addresses: readonly string[];
  /** All of it, for whoever looks for a word. */
  readonly text: string;
}

export interface Response {
  readonly typeUrl: TypeUrl;
  readonly nonce: string;
  readonly resources: readonly Held[];
  /** Delta: the version of each resource, in the same order. */
  readonly versions: readonly string[];
  readonly removed: readonly string[];
}

const REQUEST = "envoy.service.discovery.v3.DiscoveryRequest";
const DELTA_REQUEST = "envoy.service.discovery.v3.DeltaDiscoveryRequest";
const utf8 = new TextDecoder();

export function writeRequest(request: AdsRequest, node?: JsonObject): Uint8Array {
  const { dialect, typeUrl, nonce, error, names, subscribe, unsubscribe, initialVersions } =
    request;
  const common = {
    ...(node && { node }),
    typeUrl,
    responseNonce: nonce,
    ...(error !== undefined && { errorDetail: { code: INTERNAL, message: error } }),
  };
  return dialect === "sotw"
    ? encode(REQUEST, { ...common, resourceNames: names ?? [] })
    : encode(DELTA_REQUEST, {
      ...common,
      resourceNamesSubscribe: subscribe ?? [],
      resourceNamesUnsubscribe: unsubscribe ?? [],
      ...(initialVersions && { initialResourceVersions: initialVersions }),
    });
}

export function readResponse(dialect: Dialect, bytes: Uint8Array): Response {
  let [typeUrl, nonce] = ["", ""];
  const anys: Uint8Array[] = [];
  const versions: string[] = [];
  const removed: string[] = [];
  for (const [field, value] of fieldsOf(bytes)) {
    if (field === 2) {
      const [any, version] = dialect === "sotw" ? [value, ""] : resourceOf(value);
      anys.push(any);
      versions.push(version);
    }
    if (field === 4) typeUrl = utf8.decode(value);
    else if (field === 5) nonce = utf8.decode(value);
    else if (field === 6 && dialect === "delta") removed.push(utf8.decode(value));
  }
  return { typeUrl: typeUrl as TypeUrl, nonce, resources: anys.map(held), versions, removed };
}

/** The Any and the version of a delta response's Resource. */
function resourceOf(resource: Uint8Array): readonly [Uint8Array, string] {
  let [any, version] = [new Uint8Array(), ""];
  for (const [field, value] of fieldsOf(resource)) {
    if (field === 1) version = utf8.decode(value);
    else if (field === 2) any = value as Uint8Array<ArrayBuffer>;
  }
  return [any, version];
}

/** Equal bytes are the same object: many proxies get the same. */
const byFingerprint = new Map<string, Held>();
const KNOWN_MAX = 100_000;

/** What some proxy got with these bytes. */
export function known(any: Uint8Array): Held | undefined {
  const remembered = byBytes.get(any);
  if (remembered) return remembered;
  const found = byFingerprint.get(fingerprint(any));
  if (found) byBytes.set(any, found);
  return found;
}

const byBytes = new WeakMap<Uint8Array, Held>();

function held(any: Uint8Array): Held {
  const key = fingerprint(any);
  const found = byFingerprint.get(key);
  if (found) return found;
  if (byFingerprint.size >= KNOWN_MAX) byFingerprint.clear();
  const made = read(any.slice());
  byFingerprint.set(key, made);
  return made;
}

function fingerprint(bytes: Uint8Array): string {
  let [a, b] = [0x811c9dc5, 0x9e3779b1];
  for (let i = 0; i < bytes.length; i++) {
    a = Math.imul(a ^ bytes[i]!, 0x01000193);
    b = Math.imul(b + bytes[i]!, 0x85ebca6b) ^ (b >>> 15);
  }
  return `${bytes.length}/${a}/${b}`;
}

function read(any: Uint8Array): Held {
  const json = decode("google.protobuf.Any", any, { snake: true });
  const typeUrl = String(json["@type"]);
  const secrets: string[] = [];
  const routes: string[] = [];
  const addresses: string[] = [];
  const clusters: string[] = [];
  const walk = (value: Json): void => {
    if (Array.isArray(value)) return value.forEach(walk);
    if (typeof value !== "object" || value === null) return;
    const { sds_config, name, route_config_name, socket_address, cluster, weighted_clusters } =
      value as JsonObject;
    if (typeof cluster === "string") clusters.push(cluster);
    if (weighted_clusters !== undefined) {
      const weighted = (weighted_clusters as JsonObject)["clusters"] as readonly JsonObject[];
      for (const one of weighted) clusters.push(String(one["name"]));
    }
    if (sds_config !== undefined) secrets.push(String(name));
    if (route_config_name !== undefined) routes.push(String(route_config_name));
    if (socket_address !== undefined) {
      const { address, port_value = 0 } = socket_address as JsonObject;
      addresses.push(`${address}:${port_value}`);
    }
    Object.values(value).forEach(walk);
  };
  walk(json);
  const name = String(json["name"] ?? json["cluster_name"]);
  const endpoints = json["type"] === "EDS" ? [name] : [];
  return {
    name,
    any,
    addresses,
    leadsTo: typeUrl === TYPES.listener || typeUrl === TYPES.route ? [...new Set(clusters)] : [],
    text: typeUrl === TYPES.secret ? readable(json) : JSON.stringify(json),
    refers: { [TYPES.secret]: secrets, [TYPES.route]: routes, [TYPES.endpoint]: endpoints },
  };
}

/** Secrets carry their certificates in base64. */
function readable(json: JsonObject): string {
  return JSON.stringify(
    json,
    (key, value) => key === "inline_bytes" && typeof value === "string" ? atob(value) : value,
  );
}
