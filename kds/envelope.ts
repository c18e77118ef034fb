// The dialect's messages as bytes: DeltaDiscoveryRequest and DeltaDiscoveryResponse.

import { isObject, objectOf, textOf } from "../core/json.ts";
import { decode, encode, messageType } from "../proto/mod.ts";
import type { KdsItem, KdsRequest, KdsResponse } from "./wire.ts";

const REQUEST = "envoy.service.discovery.v3.DeltaDiscoveryRequest";
const RESPONSE = "envoy.service.discovery.v3.DeltaDiscoveryResponse";
const KUMA_RESOURCE_URL = "type.googleapis.com/kuma.mesh.v1alpha1.KumaResource";

export function encodeRequest(request: KdsRequest): Uint8Array {
  return encode(REQUEST, {
    node: {
      id: request.nodeId,
      ...(request.metadata !== undefined && { metadata: request.metadata }),
    },
    typeUrl: request.typeUrl,
    resourceNamesSubscribe: request.subscribe,
    initialResourceVersions: request.initialVersions,
    responseNonce: request.nonce,
    ...(request.error !== undefined && { errorDetail: { message: request.error } }),
  });
}

/** Throws on bytes that are no such message. */
export function decodeRequest(bytes: Uint8Array): KdsRequest {
  const message = decode(REQUEST, bytes);
  const node = objectOf(message.node);
  const error = isObject(message.errorDetail) ? message.errorDetail : undefined;
  return {
    typeUrl: textOf(message.typeUrl),
    nonce: textOf(message.responseNonce),
    nodeId: textOf(node.id),
    ...(isObject(node.metadata) && { metadata: node.metadata }),
    subscribe: listOf(message.resourceNamesSubscribe),
    initialVersions: objectOf(message.initialResourceVersions) as Record<string, string>,
    // An empty message is a NACK all the same: what counts is that the field is there.
    ...(error && { error: textOf(error.message) || "rejected without a reason" }),
  };
}

/** An Any inside keeps its bytes: its type may be unknown here, or, for Kuma's newer kinds, empty. */
export function encodeResponse(response: KdsResponse): Uint8Array {
  const type = messageType(RESPONSE);
  return new Uint8Array(
    type.encode({
      ...(response.systemVersion !== "" && { systemVersionInfo: response.systemVersion }),
      resources: response.resources.map(({ name, version, bytes }) => ({
        version,
        resource: { typeUrl: KUMA_RESOURCE_URL, value: bytes },
        name,
      })),
      typeUrl: response.typeUrl,
      nonce: response.nonce,
      removedResources: response.removed,
      controlPlane: { identifier: response.controlPlane },
    }).finish(),
  );
}

interface RawResponse {
  readonly systemVersionInfo: string;
  readonly resources: readonly {
    readonly name: string;
    readonly version: string;
    readonly resource: { readonly typeUrl: string; readonly value: Uint8Array } | null;
  }[];
  readonly typeUrl: string;
  readonly nonce: string;
  readonly removedResources: readonly string[];
  readonly controlPlane: { readonly identifier: string } | null;
}

/** Throws on bytes that are no such message; what is wrong inside one resource is for the receiver. */
export function decodeResponse(bytes: Uint8Array): KdsResponse {
  // A plain view, so that what is cut out of it is plain too.
  const view = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const raw = messageType(RESPONSE).decode(view) as unknown as RawResponse;
  return {
    typeUrl: raw.typeUrl,
    nonce: raw.nonce,
    systemVersion: raw.systemVersionInfo,
    controlPlane: raw.controlPlane?.identifier ?? "",
    resources: raw.resources.map(({ name, version, resource }): KdsItem => ({
      name,
      version,
      bytes: resource?.value ?? new Uint8Array(),
      ...(resource?.typeUrl !== KUMA_RESOURCE_URL && { wrongType: resource?.typeUrl ?? "" }),
    })),
    removed: [...raw.removedResources],
  };
}

function listOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
}
