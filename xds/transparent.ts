// Proxies that need no configuration in the workload: virtual addresses, and redirected connections.
// kuma@v2.13.10:pkg/xds/generator/transparent_proxy_generator.go.

import { objectOf, textOf } from "../core/json.ts";
import { integerOf } from "../core/shape.ts";
import type { DataplaneSpec, TransparentProxying } from "../core/dataplane.ts";
import type { ServiceView, ViewReader } from "../core/mesh_view.ts";
import type { InboundDraft, OutboundDraft } from "../core/proxy_draft.ts";
import type { ProxyNode } from "../core/proxy.ts";
import type { JsonObject } from "../core/resource.ts";
import { SERVICE_TAG } from "../core/tags.ts";
import { emptyCluster, passthroughCluster, passthroughSource } from "./envoy/cluster.ts";
import { listener, tcpProxy } from "./envoy/listener.ts";
import { NO_DESTINATION } from "./envoy/names.ts";
import {
  FEATURE_BIND_OUTBOUNDS,
  FEATURE_REUSE_PORT,
  FEATURE_STRICT_INBOUND_PORTS,
} from "./node.ts";
import { draftOutbound, impliedBy } from "./outbound.ts";
import type { SnapshotBuilder } from "./resources.ts";
import { TYPES } from "./snapshot.ts";

/** Kuma's default ports of redirection. */
const INBOUND_PORT = 15006;
const OUTBOUND_PORT = 15001;

export interface Transparency {
  /** Virtual addresses get listeners. */
  readonly virtualOutbounds: boolean;
  /** The host redirects connections to these ports; null when listeners bind to addresses themselves. */
  readonly redirection: Redirection | null;
}

export interface Redirection {
  readonly inboundPort: number;
  readonly outboundPort: number;
  readonly ipv6: boolean;
}

export function transparencyOf({ networking }: DataplaneSpec, node: ProxyNode): Transparency {
  const binds = node.features.includes(FEATURE_BIND_OUTBOUNDS);
  if (binds) return { virtualOutbounds: true, redirection: null };
  // Who says it itself knows better than what was written beforehand.
  const configured = node.transparentProxy
    ? fromMetadata(node.transparentProxy)
    : fromSpec(networking.transparentProxying);
  if (!configured) return { virtualOutbounds: false, redirection: null };
  const { inboundPort, outboundPort, ipFamilyMode } = configured;
  const ipv6 = node.ipv6Enabled && ipFamilyMode.toLowerCase() !== "ipv4";
  return { virtualOutbounds: true, redirection: { inboundPort, outboundPort, ipv6 } };
}

interface Configured {
  readonly inboundPort: number;
  readonly outboundPort: number;
  readonly ipFamilyMode: string;
}

function fromSpec(spec: TransparentProxying | undefined): Configured | null {
  return spec
    ? {
      inboundPort: spec.redirectPortInbound || INBOUND_PORT,
      outboundPort: spec.redirectPortOutbound || OUTBOUND_PORT,
      ipFamilyMode: spec.ipFamilyMode ?? "",
    }
    : null;
}

/** kuma@v2.13.10:pkg/transparentproxy/config/dataplane; null when nothing is redirected. */
function fromMetadata(config: JsonObject): Configured | null {
  const redirect = objectOf(config["redirect"]);
  const sides = [objectOf(redirect["inbound"]), objectOf(redirect["outbound"])];
  if (sides.every(({ enabled }) => enabled === false)) return null;
  const [inbound, outbound] = sides.map(portOf);
  return {
    inboundPort: inbound ?? INBOUND_PORT,
    outboundPort: outbound ?? OUTBOUND_PORT,
    ipFamilyMode: textOf(config["ipFamilyMode"]),
  };
}

function portOf(side: JsonObject): number | undefined {
  const port = integerOf(side["port"]);
  return port !== undefined && port > 0 && port <= 65535 ? port : undefined;
}

/**
 * Outbounds on virtual addresses: on the virtual port, and on the ports of the service's
 * instances in the own zone. Ports of other zones' instances are not known here.
 */
export function virtualOutbounds(
  view: ViewReader,
  { spec, transparency, vipPort }: {
    readonly spec: DataplaneSpec;
    readonly transparency: Transparency;
    readonly vipPort: number;
  },
): readonly OutboundDraft[] {
  if (!transparency.virtualOutbounds) return [];
  const reachable = spec.networking.transparentProxying?.reachableServices ?? [];
  const bindToPort = transparency.redirection === null;
  const outbounds: OutboundDraft[] = [];
  for (const [name, address] of view.vips()) {
    if (reachable.length > 0 && !reachable.includes(name)) continue;
    const service = view.service(name);
    const own = impliedBy(service, "", () => ({ [SERVICE_TAG]: name }));
    for (const port of portsOf(service, vipPort)) {
      outbounds.push(draftOutbound({ address, port, bindToPort, ...own }));
    }
  }
  return outbounds;
}

function portsOf(service: ServiceView | undefined, vipPort: number): readonly number[] {
  const ports = (service?.local ?? []).map(({ port }) => port).sort((a, b) => a - b);
  return [...new Set([vipPort, ...ports])];
}

/** Listeners for what is redirected, and is neither for an inbound nor for an outbound. */
export function addPassthrough(
  snapshot: SnapshotBuilder,
  { redirection, inbounds, node, passthrough, mtls }: {
    readonly redirection: Redirection;
    readonly inbounds: readonly InboundDraft[];
    readonly node: ProxyNode;
    /** Whether workloads may reach what is not in the mesh. */
    readonly passthrough: boolean;
    readonly mtls: boolean;
  },
): void {
  snapshot.add(TYPES.cluster, emptyCluster(NO_DESTINATION));
  const strict = mtls && node.features.includes(FEATURE_STRICT_INBOUND_PORTS);
  const ports = strict ? [...new Set(inbounds.map(({ port }) => port))].sort((a, b) => a - b) : [];
  for (const family of redirection.ipv6 ? ["ipv4", "ipv6"] : ["ipv4"]) {
    const address = family === "ipv4" ? "0.0.0.0" : "::";
    const outbound = `outbound:passthrough:${family}`;
    const inbound = `inbound:passthrough:${family}`;
    // Without its cluster, the listener resets connections.
    if (passthrough) snapshot.add(TYPES.cluster, passthroughCluster(outbound, null));
    snapshot.add(TYPES.cluster, passthroughCluster(inbound, passthroughSource(address)));
    snapshot.add(
      TYPES.listener,
      listener({
        name: outbound,
        address: { address, port: redirection.outboundPort },
        direction: "OUTBOUND",
        filterChains: [passthroughChain(outbound)],
        useOriginalDst: true,
      }),
    );
    snapshot.add(
      TYPES.listener,
      listener({
        name: inbound,
        address: { address, port: redirection.inboundPort },
        direction: "INBOUND",
        filterChains: ports.length === 0 ? [passthroughChain(inbound)] : ports.map((port) => ({
          filter_chain_match: { destination_port: port },
          ...passthroughChain(inbound),
        })),
        useOriginalDst: true,
        reusePort: node.features.includes(FEATURE_REUSE_PORT),
      }),
    );
  }
}

function passthroughChain(name: string): JsonObject {
  return { filters: [tcpProxy({ stat: name, target: { cluster: name } })] };
}
