// Envoy clusters. kuma@v2.13.10:pkg/xds/envoy/clusters.

import type { LoadBalancer } from "../../core/proxy_draft.ts";
import type { Protocol } from "../../core/mesh_view.ts";
import type { JsonObject } from "../../core/resource.ts";
import { isIpv6, type SocketAddress, statName } from "./names.ts";
import {
  CONNECT_TIMEOUT,
  EJECTION,
  INBOUND_IDLE,
  PEER_PING,
  RETRIES_MAX,
  UPSTREAM_IDLE,
} from "./timeouts.ts";

const HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

export function isHttp(protocol: Protocol): boolean {
  return protocol === "http" || protocol === "http2" || protocol === "grpc";
}

/** Endpoints by discovery; HTTP/2 to the peer proxy, whatever the workloads speak. */
export function serviceCluster(
  { name, protocol, loadBalancer, transportSocket }: {
    readonly name: string;
    readonly protocol: Protocol;
    readonly loadBalancer: LoadBalancer;
    readonly transportSocket: JsonObject | null;
  },
): JsonObject {
  return {
    ...discovered(name),
    ...balanced(loadBalancer),
    circuit_breakers: { thresholds: [{ max_retries: RETRIES_MAX }] },
    ...(transportSocket && { transport_socket: transportSocket }),
    ...httpOptions({
      http_version: "http2",
      idle: isHttp(protocol) ? UPSTREAM_IDLE : null,
      ping: PEER_PING,
    }),
  };
}

/** A service as a zone ingress reaches it: TLS passes through untouched. */
export function ingressCluster(name: string, keySets: readonly (readonly string[])[]): JsonObject {
  return {
    ...discovered(name),
    ...(keySets.length > 0 && {
      lb_subset_config: {
        fallback_policy: "ANY_ENDPOINT",
        subset_selectors: keySets.map((keys) => ({ keys, fallback_policy: "NO_FALLBACK" })),
      },
    }),
  };
}

function discovered(name: string): JsonObject {
  return {
    ...named(name),
    type: "EDS",
    connect_timeout: CONNECT_TIMEOUT,
    eds_cluster_config: { eds_config: { ads: {}, resource_api_version: "V3" } },
    outlier_detection: EJECTION,
  };
}

/** The workload beside the proxy. */
export function workloadCluster(
  { name, address, protocol, sourceAddress }: {
    readonly name: string;
    readonly address: SocketAddress;
    readonly protocol: Protocol;
    /** Set when connections from the proxy must be told from redirected ones. */
    readonly sourceAddress: string | null;
  },
): JsonObject {
  return {
    ...fixed(name, socketEndpoint(address)),
    ...(sourceAddress && bindSource(sourceAddress)),
    ...(isHttp(protocol) && httpOptions({
      http_version: protocol === "http" ? "http" : "http2",
      idle: INBOUND_IDLE,
    })),
  };
}

export function staticCluster(name: string, address: SocketAddress | { readonly path: string }) {
  return fixed(
    name,
    "path" in address ? { pipe: { path: address.path } } : socketEndpoint(address),
  );
}

function fixed(name: string, address: JsonObject): JsonObject {
  return {
    ...named(name),
    type: "STATIC",
    connect_timeout: CONNECT_TIMEOUT,
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }],
    },
  };
}

export function emptyCluster(name: string): JsonObject {
  return { ...named(name), type: "STATIC", connect_timeout: CONNECT_TIMEOUT };
}

/** Goes where the connection was going before it was redirected. */
export function passthroughCluster(name: string, sourceAddress: string | null): JsonObject {
  return {
    ...named(name),
    type: "ORIGINAL_DST",
    lb_policy: "CLUSTER_PROVIDED",
    connect_timeout: CONNECT_TIMEOUT,
    ...(sourceAddress && bindSource(sourceAddress)),
  };
}

/** The redirection leaves connections from this address alone. kuma@v2.13.10:pkg/xds/generator (inPassThroughIPv4). */
export function passthroughSource(address: string): string {
  return isIpv6(address) ? "::6" : "127.0.0.6";
}

function named(name: string): JsonObject {
  const stat = statName(name);
  return { name, ...(stat !== name && { alt_stat_name: stat }) };
}

function bindSource(address: string): JsonObject {
  return { upstream_bind_config: { source_address: { address, port_value: 0 } } };
}

function socketEndpoint({ address, port }: SocketAddress): JsonObject {
  return { socket_address: { address, port_value: port } };
}

function httpOptions(
  { http_version, idle, ping }: {
    readonly http_version: "http" | "http2";
    readonly idle: string | null;
    readonly ping?: JsonObject;
  },
): JsonObject {
  return {
    typed_extension_protocol_options: {
      [HTTP_OPTIONS]: {
        "@type": `type.googleapis.com/${HTTP_OPTIONS}`,
        ...(idle && { common_http_protocol_options: { idle_timeout: idle } }),
        explicit_http_config: {
          [`${http_version}_protocol_options`]: ping ? { connection_keepalive: ping } : {},
        },
      },
    },
  };
}

function balanced(balancer: LoadBalancer): JsonObject {
  switch (balancer.kind) {
    case "round_robin":
      return {};
    case "random":
      return { lb_policy: "RANDOM" };
    case "maglev":
      return { lb_policy: "MAGLEV" };
    case "least_request":
      return {
        lb_policy: "LEAST_REQUEST",
        least_request_lb_config: { choice_count: balancer.choiceCount },
      };
    case "ring_hash":
      return {
        lb_policy: "RING_HASH",
        ring_hash_lb_config: {
          hash_function: balancer.hashFunction,
          ...(balancer.minRingSize && { minimum_ring_size: balancer.minRingSize }),
          ...(balancer.maxRingSize && { maximum_ring_size: balancer.maxRingSize }),
        },
      };
  }
}
