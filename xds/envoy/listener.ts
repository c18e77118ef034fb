// Envoy listeners and their filters. kuma@v2.13.10:pkg/xds/envoy/listeners/v3.

import type { Protocol } from "../../core/mesh_view.ts";
import type { JsonObject } from "../../core/resource.ts";
import { sortedEntries, type Tags } from "../../core/tags.ts";
import { type SocketAddress, statName } from "./names.ts";
import { INBOUND_STREAM_IDLE, OUTBOUND_STREAM_IDLE } from "./timeouts.ts";

const FILTERS = "type.googleapis.com/envoy.extensions.filters";

/** Addresses whose requests count as internal. kuma@v2.13.10:pkg/config (ipam.knownInternalCIDRs). */
const INTERNAL_RANGES = [
  ["10.0.0.0", 8],
  ["192.168.0.0", 16],
  ["172.16.0.0", 12],
  ["fc00::", 7],
  ["fd00::", 8],
  ["127.0.0.1", 32],
  ["::1", 128],
] as const;

export interface ListenerParts {
  readonly name: string;
  readonly address: SocketAddress;
  readonly direction: "INBOUND" | "OUTBOUND";
  readonly filterChains: readonly JsonObject[];
  readonly tags?: Tags;
  readonly inspectsTls?: boolean;
  readonly bindToPort?: boolean;
  readonly useOriginalDst?: boolean;
  /** Only inbound listeners say it. */
  readonly reusePort?: boolean;
}

export function listener(parts: ListenerParts): JsonObject {
  const { name, address: { address, port }, direction, filterChains, tags } = parts;
  return {
    name,
    traffic_direction: direction,
    address: { socket_address: { address, port_value: port } },
    filter_chains: filterChains,
    ...(parts.inspectsTls && { listener_filters: [tlsInspector()] }),
    ...(parts.bindToPort === false && { bind_to_port: false }),
    ...(parts.useOriginalDst && { use_original_dst: true }),
    ...(parts.reusePort !== undefined && { enable_reuse_port: parts.reusePort }),
    ...(tags && {
      metadata: { filter_metadata: { "io.kuma.tags": Object.fromEntries(sortedEntries(tags)) } },
    }),
  };
}

export function tcpProxy(
  { stat, target, idleTimeout, connectTries, metadataMatch }: {
    readonly stat: string;
    readonly target: JsonObject;
    readonly idleTimeout?: string;
    readonly connectTries?: number;
    readonly metadataMatch?: Tags;
  },
): JsonObject {
  return {
    name: "envoy.filters.network.tcp_proxy",
    typed_config: {
      "@type": `${FILTERS}.network.tcp_proxy.v3.TcpProxy`,
      stat_prefix: statName(stat),
      ...target,
      ...(idleTimeout && { idle_timeout: idleTimeout }),
      ...(connectTries && { max_connect_attempts: connectTries }),
      ...(metadataMatch && {
        metadata_match: {
          filter_metadata: { "envoy.lb": Object.fromEntries(sortedEntries(metadataMatch)) },
        },
      }),
    },
  };
}

export function inboundHttp(
  { stat, routes, protocol, ipv6 }: {
    readonly stat: string;
    readonly routes: JsonObject;
    readonly protocol: Protocol;
    readonly ipv6: boolean;
  },
): JsonObject {
  return httpManager({
    stat_prefix: statName(stat),
    // The workload learns who called, from the proxy alone.
    forward_client_cert_details: "SANITIZE_SET",
    set_current_client_cert_details: { uri: true },
    stream_idle_timeout: INBOUND_STREAM_IDLE,
    route_config: routes,
    http_filters: httpFilters(protocol),
    internal_address_config: internalAddresses(INTERNAL_RANGES, ipv6),
  });
}

export function outboundHttp(
  { stat, routes, protocol, ipv6 }: {
    readonly stat: string;
    readonly routes: JsonObject;
    readonly protocol: Protocol;
    readonly ipv6: boolean;
  },
): JsonObject {
  return httpManager({
    stat_prefix: statName(stat),
    stream_idle_timeout: OUTBOUND_STREAM_IDLE,
    route_config: routes,
    http_filters: httpFilters(protocol),
    internal_address_config: internalAddresses(INTERNAL_RANGES, ipv6),
  });
}

/** For listeners of the control plane's own business. */
export function systemHttp(stat: string, routes: JsonObject): JsonObject {
  return httpManager({
    stat_prefix: statName(stat),
    route_config: routes,
    http_filters: httpFilters("http"),
    internal_address_config: internalAddresses(INTERNAL_RANGES.slice(-2), true),
  });
}

function httpManager(config: JsonObject): JsonObject {
  return {
    name: "envoy.filters.network.http_connection_manager",
    typed_config: {
      "@type": `${FILTERS}.network.http_connection_manager.v3.HttpConnectionManager`,
      ...config,
    },
  };
}

function httpFilters(protocol: Protocol): readonly JsonObject[] {
  const router = {
    name: "envoy.filters.http.router",
    typed_config: { "@type": `${FILTERS}.http.router.v3.Router` },
  };
  if (protocol !== "grpc") return [router];
  return [{
    name: "envoy.filters.http.grpc_stats",
    typed_config: {
      "@type": `${FILTERS}.http.grpc_stats.v3.FilterConfig`,
      emit_filter_state: true,
    },
  }, router];
}

function internalAddresses(
  ranges: readonly (readonly [string, number])[],
  ipv6: boolean,
): JsonObject {
  return {
    cidr_ranges: ranges
      .filter(([address]) => ipv6 || !address.includes(":"))
      .map(([address_prefix, prefix_len]) => ({ address_prefix, prefix_len })),
  };
}

function tlsInspector(): JsonObject {
  return {
    name: "envoy.filters.listener.tls_inspector",
    typed_config: { "@type": `${FILTERS}.listener.tls_inspector.v3.TlsInspector` },
  };
}

/** Envoy refuses a listener without a chain; this one answers and ends the connection. */
export function directResponse(text: string): JsonObject {
  return {
    name: "envoy.filters.network.direct_response",
    typed_config: {
      "@type": `${FILTERS}.network.direct_response.v3.Config`,
      response: { inline_string: text },
    },
  };
}
