// Discovery messages as bytes: requests become values, responses are put together around resources
// that are encoded already, so that a resource is encoded once however many proxies get it.

import type { JsonObject } from "../core/resource.ts";
import { decode } from "../proto/mod.ts";
import type { EncodedResource } from "./snapshot.ts";
import type { AdsRequest, Dialect, Outgoing } from "./stream.ts";

/** A request, and the node that it carries (always in the first one of a stream). */
export interface ReceivedRequest {
  readonly request: AdsRequest;
  readonly node: JsonObject | null;
}

const REQUEST = "envoy.service.discovery.v3.DiscoveryRequest";
const DELTA_REQUEST = "envoy.service.discovery.v3.DeltaDiscoveryRequest";

/** Throws a TypeError when the bytes are no such message. */
export function readRequest(dialect: Dialect, bytes: Uint8Array): ReceivedRequest {
  const json = decode(dialect === "sotw" ? REQUEST : DELTA_REQUEST, bytes) as WireRequest;
  const common = {
    dialect,
    typeUrl: json.typeUrl ?? "",
    nonce: json.responseNonce ?? "",
    ...(json.errorDetail && { error: json.errorDetail.message ?? "" }),
  };
  const request = dialect === "sotw"
    ? { ...common, version: json.versionInfo ?? "", names: json.resourceNames ?? [] }
    : {
      ...common,
      subscribe: json.resourceNamesSubscribe ?? [],
      unsubscribe: json.resourceNamesUnsubscribe ?? [],
      ...(json.initialResourceVersions && { initialVersions: json.initialResourceVersions }),
    };
  return { request, node: json.node ?? null };
}

/** proto3 JSON of both request messages: default values are left out. */
interface WireRequest {
  readonly node?: JsonObject;
  readonly typeUrl?: string;
  readonly responseNonce?: string;
  readonly errorDetail?: { readonly message?: string };
  readonly versionInfo?: string;
  readonly resourceNames?: readonly string[];
  readonly resourceNamesSubscribe?: readonly string[];
  readonly resourceNamesUnsubscribe?: readonly string[];
  readonly initialResourceVersions?: Readonly<Record<string, string>>;
}

/** DiscoveryResponse or DeltaDiscoveryResponse. `identifier` names this control plane. */
export function writeResponse(dialect: Dialect, out: Outgoing, identifier: string): Uint8Array {
  const writer = new Writer();
  writer.text(1, out.version);
  for (const resource of out.resources) {
    if (dialect === "sotw") {
      writer.bytes(2, resource.any);
      continue;
    }
    const named = namedOf(resource);
    writer.head(2, named.length + headLength(resource.any.length) + resource.any.length);
    writer.raw(named);
    writer.bytes(2, resource.any);
  }
  writer.text(4, out.typeUrl);
  writer.text(5, out.nonce);
  if (dialect === "delta") { for (const name of out.removed) writer.text(6, name); }
  if (identifier !== "") {
    const controlPlane = utf8(identifier);
    writer.head(dialect === "sotw" ? 6 : 7, headLength(controlPlane.length) + controlPlane.length);
    writer.bytes(1, controlPlane);
  }
  return writer.finish();
}

const encoder = new TextEncoder();
const utf8 = (text: string) => encoder.encode(text);

const named = new WeakMap<EncodedResource, Uint8Array>();

/** Version and name in a delta response's Resource: the same bytes for every proxy. */
function namedOf(resource: EncodedResource): Uint8Array {
  let bytes = named.get(resource);
  if (!bytes) {
    const writer = new Writer();
    writer.text(1, resource.version);
    writer.text(3, resource.name);
    named.set(resource, bytes = writer.finish());
  }
  return bytes;
}

/** Of the tag, which is one byte for the fields that responses have, and the length. */
function headLength(length: number): number {
  let bytes = 2;
  for (let rest = length; rest > 0x7f; rest >>>= 7) bytes++;
  return bytes;
}

/** Length-delimited fields, the only ones that responses have. Copies each byte once. */
class Writer {
  readonly #pieces: (Uint8Array | { readonly field: number; readonly length: number })[] = [];
  #length = 0;

  text(field: number, value: string): void {
    this.bytes(field, utf8(value));
  }

  bytes(field: number, value: Uint8Array): void {
    this.head(field, value.length);
    this.raw(value);
  }

  head(field: number, length: number): void {
    this.#pieces.push({ field, length });
    this.#length += headLength(length);
  }

  raw(value: Uint8Array): void {
    this.#pieces.push(value);
    this.#length += value.length;
  }

  finish(): Uint8Array {
    const whole = new Uint8Array(this.#length);
    let at = 0;
    for (const piece of this.#pieces) {
      if (piece instanceof Uint8Array) {
        whole.set(piece, at);
        at += piece.length;
        continue;
      }
      whole[at++] = (piece.field << 3) | 2;
      let rest = piece.length;
      for (; rest > 0x7f; rest >>>= 7) whole[at++] = (rest & 0x7f) | 0x80;
      whole[at++] = rest;
    }
    return whole;
  }
}
