// Names of Envoy resources inside one proxy. kuma@v2.13.10:pkg/xds/envoy/names.

import { sha256Hex } from "../../core/version.ts";
import { MESH_TAG, SERVICE_TAG, sortedEntries, type Tags } from "../../core/tags.ts";

export const ADMIN = "kuma:envoy:admin";
export const READINESS = "kuma:readiness";
export const NO_DESTINATION = "self_transparentproxy_no_destination_inbound";

export interface SocketAddress {
  readonly address: string;
  readonly port: number;
}

export function inboundListenerName({ address, port }: SocketAddress): string {
  return `inbound:${bracketed(address)}:${port}`;
}

export function outboundListenerName({ address, port }: SocketAddress): string {
  return `outbound:${bracketed(address)}:${port}`;
}

export function workloadClusterName(port: number): string {
  return `localhost:${port}`;
}

/**
 * One cluster per distinct set of destination tags: the service alone, or with 8 bytes of a hash
 * over all tags. kuma@v2.13.10:pkg/xds/generator/outbound_proxy_generator.go.
 */
export function destinationClusterName(tags: Tags): string {
  const service = tags[SERVICE_TAG] ?? "";
  const entries = sortedEntries(tags).filter(([key]) => key !== MESH_TAG);
  if (entries.length === 1) return service;
  const text = entries.map(([key, value]) => key + value).join("");
  return `${service}-${sha256Hex(text).slice(0, 16)}`;
}

export function ingressClusterName(mesh: string, service: string): string {
  return `${mesh}:${service}`;
}

export function identitySecretName(mesh: string): string {
  return `identity_cert:secret:${mesh}`;
}

export function caSecretName(mesh: string): string {
  return `mesh_ca:secret:${mesh}`;
}

/** A name as it may stand in the name of a statistic. */
export function statName(name: string): string {
  return name.replace(/[^A-Za-z0-9_-]/g, "_");
}

export function isIpv6(address: string): boolean {
  return address.includes(":");
}

export function isLoopback(address: string): boolean {
  return isIpv6(address) ? address === "::1" : address.startsWith("127.");
}

function bracketed(address: string): string {
  return isIpv6(address) ? `[${address}]` : address;
}
