// Questions to a zone's Envoys and their answers, as they pass between global and the zone.

import type { AdminFormat, EnvoyAnswer, EnvoyQuestion } from "../core/envoy_admin.ts";
import { DISPLAY_NAME_LABEL, NAMESPACE_LABEL } from "../core/names.ts";
import type { Resource, ResourceKey } from "../core/resource.ts";
import { decode, encode, messageType } from "../proto/mod.ts";

/** One stream each: global asks on it, though the zone is the gRPC client. */
export type AdminKind = EnvoyQuestion["kind"];
export const ADMIN_KINDS: readonly AdminKind[] = ["xds", "stats", "clusters"];

export interface AdminRequest {
  readonly id: string;
  /** By its name in the zone. */
  readonly proxy: ResourceKey;
  readonly question: EnvoyQuestion;
}

export interface AdminAnswer {
  readonly id: string;
  readonly answer: EnvoyAnswer;
}

interface Messages {
  readonly request: string;
  readonly response: string;
  /** Field of the response that holds Envoy's own words. */
  readonly body: string;
}

const MESSAGES: Readonly<Record<AdminKind, Messages>> = {
  xds: messages("XDSConfig", "config"),
  stats: messages("Stats", "stats"),
  clusters: messages("Clusters", "clusters"),
};

function messages(name: string, body: string): Messages {
  const full = `kuma.mesh.v1alpha1.${name}`;
  return { request: `${full}Request`, response: `${full}Response`, body };
}

export function encodeAdminRequest({ id, proxy, question }: AdminRequest): Uint8Array {
  return encode(MESSAGES[question.kind].request, {
    requestId: id,
    resourceType: proxy.type,
    resourceName: proxy.name,
    resourceMesh: proxy.mesh,
    ...(question.kind === "xds"
      ? { includeEds: question.includeEds }
      : { format: question.format.toUpperCase() }),
    ...(question.kind === "stats" && { usedOnly: question.usedOnly }),
  });
}

/** Throws on bytes that are no such message. */
export function decodeAdminRequest(kind: AdminKind, bytes: Uint8Array): AdminRequest {
  const read = decode(MESSAGES[kind].request, bytes);
  const text = (value: unknown) => typeof value === "string" ? value : "";
  const format: AdminFormat = read.format === "JSON" ? "json" : "text";
  return {
    id: text(read.requestId),
    proxy: {
      type: text(read.resourceType),
      mesh: text(read.resourceMesh),
      name: text(read.resourceName),
    },
    question: kind === "xds"
      ? { kind, includeEds: read.includeEds === true }
      : kind === "stats"
      ? { kind, format, usedOnly: read.usedOnly === true }
      : { kind, format },
  };
}

/**
 * `bytesMax`: what the peer takes as one message. A longer answer would end the stream that carries
 * it; the one who asked hears of it instead.
 */
export function encodeAdminAnswer(
  kind: AdminKind,
  { id, answer }: AdminAnswer,
  bytesMax: number,
): Uint8Array {
  const { response, body } = MESSAGES[kind];
  const type = messageType(response);
  const failed = (error: string) => type.encode({ requestId: id, error }).finish();
  if (!answer.ok) return new Uint8Array(failed(answer.detail));
  // Nothing at all is told by no result. kuma@v2.13.10:pkg/kds/service/envoy_admin_processor.go
  const bytes = type.encode({
    requestId: id,
    ...(answer.body.length > 0 && { [body]: answer.body }),
  }).finish();
  return new Uint8Array(
    bytes.length <= bytesMax ? bytes : failed(
      `Envoy's answer of ${answer.body.length} bytes is more than one message of KDS holds ` +
        `(${bytesMax} bytes): ask the zone's own control plane`,
    ),
  );
}

/** Throws on bytes that are no such message. */
export function decodeAdminAnswer(kind: AdminKind, bytes: Uint8Array): AdminAnswer {
  const { response, body } = MESSAGES[kind];
  // A plain view, so that what is cut out of it is plain too.
  const view = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const read = messageType(response).decode(view) as unknown as Readonly<Record<string, unknown>>;
  const { requestId, error } = read as { readonly requestId: string; readonly error: string };
  const found = read[body];
  return {
    id: requestId,
    answer: error
      ? { ok: false, reason: "failed", detail: error }
      : { ok: true, body: found instanceof Uint8Array ? found : new Uint8Array() },
  };
}

/**
 * What a zone calls a proxy that it sent up. `kubernetes`: its store names resources by namespace.
 * kuma@v2.13.10:pkg/kds/envoyadmin/kds_client.go
 */
export function keyInZone(
  { type, mesh, name, labels }: Resource,
  { kubernetes }: { readonly kubernetes: boolean },
): ResourceKey {
  const shown = labels[DISPLAY_NAME_LABEL] ?? name;
  const namespace = labels[NAMESPACE_LABEL];
  return { type, mesh, name: kubernetes && namespace ? `${shown}.${namespace}` : shown };
}
