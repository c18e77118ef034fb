// Names of virtual addresses where the proxy answers for them: as a table for the DNS server in its
// dp process, or in Envoy itself. kuma@v2.13.10:pkg/xds/generator/dns_generator.go.

import type { ViewReader } from "../core/mesh_view.ts";
import type { ProxyNode } from "../core/proxy.ts";
import { vipNames } from "../core/vip_names.ts";
import type { JsonObject } from "../core/resource.ts";
import { addDynamicConfig } from "./dynamic_config.ts";
import { isIpv6 } from "./envoy/names.ts";
import { FEATURE_EMBEDDED_DNS, FEATURE_REUSE_PORT } from "./node.ts";
import { encodeResource, Memo, type SnapshotBuilder } from "./resources.ts";
import { type EncodedResource, TYPES } from "./snapshot.ts";
import type { Transparency } from "./transparent.ts";

const LISTENER = "kuma:dns";
const TTL_SECONDS = 30;

export interface DnsContext {
  readonly view: ViewReader;
  readonly node: ProxyNode;
  readonly transparency: Transparency;
  /** Services that the workload may reach; none: all. */
  readonly reachable: readonly string[];
}

/** Of the table of one state of the mesh's addresses: most proxies have the same. */
const listeners = new Memo<EncodedResource>();
const tables = new Memo<string>();

/** Nothing for a proxy without virtual addresses. */
export function addDns(snapshot: SnapshotBuilder, context: DnsContext): void {
  const { view, node, transparency: { virtualOutbounds, redirection } } = context;
  if (!virtualOutbounds) return;
  if (node.features.includes(FEATURE_EMBEDDED_DNS)) {
    const key = JSON.stringify([context.reachable, redirection?.ipv6 ?? false]);
    const table = tables.get(view.vips(), key, () => JSON.stringify(tableOf(context)));
    return addDynamicConfig(snapshot, node, { "/dns": table });
  }
  // Without redirection nobody sends Envoy a question.
  if (!redirection || node.dnsPort === 0) return;
  const reusePort = node.features.includes(FEATURE_REUSE_PORT);
  const key = JSON.stringify([context.reachable, redirection.ipv6, node.dnsPort, reusePort]);
  snapshot.put(
    TYPES.listener,
    listeners.get(
      view.vips(),
      key,
      () => encodeResource(TYPES.listener, dnsListener(context, { port: node.dnsPort, reusePort })),
    ),
  );
}

/** Sorted by name. */
function addressesByName(
  { view, transparency, reachable }: DnsContext,
): readonly (readonly [name: string, addresses: readonly string[]])[] {
  const vips = [...view.vips()].filter(([service]) =>
    reachable.length === 0 || reachable.includes(service)
  );
  const both = transparency.redirection?.ipv6 ?? false;
  return [...vipNames(vips)].sort(([a], [b]) => a < b ? -1 : 1)
    .map(([name, address]) => [name, both ? withIpv6(address) : [address]]);
}

/** Programs that ask for IPv6 alone reach the same listener. */
function withIpv6(address: string): readonly string[] {
  if (isIpv6(address)) return [address];
  const [a = 0, b = 0, c = 0, d = 0] = address.split(".").map(Number);
  return [address, `::ffff:${((a << 8) + b).toString(16)}:${((c << 8) + d).toString(16)}`];
}

/** kuma@v2.13.10:pkg/dns/dpapi/api.go. */
function tableOf(context: DnsContext): JsonObject {
  return {
    records: addressesByName(context).map(([name, ips]) => ({ name, ips })),
    ttl: TTL_SECONDS,
  };
}

function dnsListener(
  context: DnsContext,
  { port, reusePort }: { readonly port: number; readonly reusePort: boolean },
): JsonObject {
  return {
    name: LISTENER,
    traffic_direction: "INBOUND",
    address: { socket_address: { protocol: "UDP", address: "127.0.0.1", port_value: port } },
    enable_reuse_port: reusePort,
    listener_filters: [{
      name: "envoy.filters.udp.dns_filter",
      typed_config: {
        "@type": "type.googleapis.com/envoy.extensions.filters.udp.dns_filter.v3.DnsFilterConfig",
        stat_prefix: "kuma_dns",
        server_config: {
          inline_dns_table: {
            virtual_domains: addressesByName(context).map(([name, address]) => ({
              name,
              endpoint: { address_list: { address } },
              answer_ttl: `${TTL_SECONDS}s`,
            })),
          },
        },
      },
    }],
  };
}
