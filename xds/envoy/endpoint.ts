// Envoy's load assignments: the endpoints of one cluster, by locality. kuma@v2.13.10:pkg/xds/envoy/endpoints/v3.

import type { Endpoint } from "../../core/mesh_view.ts";
import { compareText, type JsonObject } from "../../core/resource.ts";
import { SERVICE_TAG, sortedEntries, type Tags, withoutTag } from "../../core/tags.ts";

/** `endpoints` sorted, as views have them. */
export function loadAssignment(cluster: string, endpoints: readonly Endpoint[]): JsonObject {
  const localities = new Map<string, Endpoint[]>();
  for (const endpoint of merged(endpoints)) {
    const key = `${endpoint.zone ?? ""}\n${endpoint.priority}`;
    const members = localities.get(key);
    if (members) members.push(endpoint);
    else localities.set(key, [endpoint]);
  }
  const sorted = [...localities].sort(([a], [b]) => compareText(a, b));
  return {
    cluster_name: cluster,
    endpoints: sorted.map(([, members]) => locality(members)),
  };
}

function locality(members: readonly Endpoint[]): JsonObject {
  const [{ zone, priority } = { priority: 0, zone: undefined }] = members;
  return {
    ...(zone && { locality: { zone } }),
    ...(priority > 0 && { priority }),
    lb_endpoints: members.map(lbEndpoint),
  };
}

function lbEndpoint({ address, port, weight, tags }: Endpoint): JsonObject {
  const labels = Object.fromEntries(sortedEntries(withoutTag(tags, SERVICE_TAG)));
  return {
    endpoint: { address: { socket_address: { address, port_value: port } } },
    load_balancing_weight: weight,
    ...(Object.keys(labels).length > 0 && {
      metadata: {
        filter_metadata: { "envoy.lb": labels, "envoy.transport_socket_match": labels },
      },
    }),
  };
}

/**
 * Envoy drops all but the first of the endpoints with one address, so an ingress that offers two
 * versions of a service would count for one: they become one endpoint of their weights' sum and
 * their common tags.
 */
function merged(endpoints: readonly Endpoint[]): Iterable<Endpoint> {
  const byAddress = new Map<string, Endpoint>();
  for (const endpoint of endpoints) {
    const key = `${endpoint.address}\n${endpoint.port}`;
    const other = byAddress.get(key);
    byAddress.set(
      key,
      other
        ? {
          ...other,
          weight: other.weight + endpoint.weight,
          tags: common(other.tags, endpoint.tags),
        }
        : endpoint,
    );
  }
  return byAddress.values();
}

function common(a: Tags, b: Tags): Tags {
  return Object.fromEntries(Object.entries(a).filter(([key, value]) => b[key] === value));
}
