// The way into a zone: TLS passes through, and its SNI says to which service. kuma@v2.13.10:pkg/xds/generator/ingress_generator.go.

import type { Endpoint, MeshView, ServiceView, ViewKey, ViewReader } from "../core/mesh_view.ts";
import { readingView } from "../core/mesh_view.ts";
import { sniOf } from "../core/names.ts";
import type { AdminTls } from "../core/envoy_admin.ts";
import type { ProxyNode } from "../core/proxy.ts";
import { compareText, type JsonObject, type Resource } from "../core/resource.ts";
import { matchesTags, SERVICE_TAG, type Tags, withoutTag } from "../core/tags.ts";
import type { ZoneIngressSpec } from "../core/zone.ts";
import { POLICIES } from "../policies/registry.gen.ts";
import { addAdmin } from "./admin.ts";
import { ingressCluster } from "./envoy/cluster.ts";
import { loadAssignment } from "./envoy/endpoint.ts";
import { directResponse, listener, tcpProxy } from "./envoy/listener.ts";
import { inboundListenerName, ingressClusterName } from "./envoy/names.ts";
import { FEATURE_REUSE_PORT } from "./node.ts";
import { encodeResource, Latest, SnapshotBuilder } from "./resources.ts";
import { type EncodedResource, type Snapshot, TYPES } from "./snapshot.ts";

export function generateIngress(
  ingress: Resource<ZoneIngressSpec>,
  views: ReadonlyMap<string, MeshView>,
  { node, admin = null }: { readonly node: ProxyNode; readonly admin?: AdminTls | null },
): { readonly snapshot: Snapshot; readonly reads: ReadonlyMap<string, ReadonlySet<ViewKey>> } {
  const snapshot = new SnapshotBuilder();
  const address = ingress.spec.networking.address || "0.0.0.0";
  const at = { address, port: ingress.spec.networking.port };
  addAdmin(snapshot, { node, address, taken: [at], tls: admin });
  const reads = new Map<string, ReadonlySet<ViewKey>>();
  const chains = new Map<string, Chain>();
  for (const [mesh, view] of [...views].sort(([a], [b]) => compareText(a, b))) {
    const read = new Set<ViewKey>();
    reads.set(mesh, read);
    addMesh(snapshot, { view: readingView(view, read), chains });
  }
  const reusePort = node.features.includes(FEATURE_REUSE_PORT);
  const { name, spec: { zone = "" } } = ingress;
  const parts = [address, at.port, reusePort, name, zone, ...chains.values()];
  const makeListener = () => {
    const sorted = [...chains].sort(([a], [b]) => compareText(a, b)).map(([, { json }]) => json);
    return encodeResource(
      TYPES.listener,
      listener({
        name: inboundListenerName(at),
        address: at,
        direction: "INBOUND",
        filterChains: sorted.length > 0 ? sorted : [emptyChain(name, zone)],
        inspectsTls: true,
        reusePort,
      }),
    );
  };
  snapshot.put(TYPES.listener, listeners.get(node, parts, makeListener));
  return { snapshot: snapshot.build(), reads };
}

/** Where the traffic of one SNI goes. */
interface Chain {
  readonly sni: string;
  readonly json: JsonObject;
}

/** What an ingress has for one service of a mesh. */
interface Offered {
  readonly cluster: EncodedResource;
  readonly endpoints: EncodedResource;
  readonly chains: readonly Chain[];
}

/** A change concerns few of the services: all others stay as they were made. */
const offers = new Latest<Offered>();
const listeners = new Latest<EncodedResource>();

function emptyChain(proxy: string, zone: string): JsonObject {
  return { filters: [directResponse(JSON.stringify({ proxy, zone }))] };
}

function addMesh(
  snapshot: SnapshotBuilder,
  { view, chains }: { readonly view: ViewReader; readonly chains: Map<string, Chain> },
): void {
  for (const name of view.serviceNames()) {
    const service = view.service(name);
    if (!service || service.local.length === 0) continue;
    const policies = ROUTING.map(({ resource }) => view.policies(resource.name));
    const offered = offers.get(
      service,
      [view.mesh, ...policies],
      () => offer(view.mesh, service, policies),
    );
    for (const chain of offered.chains) {
      if (!chains.has(chain.sni)) chains.set(chain.sni, chain);
    }
    snapshot.put(TYPES.cluster, offered.cluster);
    snapshot.put(TYPES.endpoint, offered.endpoints);
  }
}

function offer(
  mesh: string,
  service: ServiceView,
  policies: readonly (readonly Resource[])[],
): Offered {
  const { name } = service;
  const cluster = ingressClusterName(mesh, name);
  const tagSets = destinationsOf(policies, name).map((tags) => withoutTag(tags, SERVICE_TAG));
  return {
    cluster: encodeResource(TYPES.cluster, ingressCluster(cluster, keySets(tagSets))),
    endpoints: encodeResource(TYPES.endpoint, loadAssignment(cluster, service.local)),
    chains: tagSets.map((tags) => {
      const sni = sniOf({ ...tags, [SERVICE_TAG]: name }, mesh);
      return { sni, json: sniChain({ sni, cluster, tags, service }) };
    }),
  };
}

/** Policies that say to where traffic goes. */
const ROUTING = POLICIES.filter(({ destinations }) => destinations);

/** Every tag set under which traffic for the service may come in; the service alone when nothing routes it. */
function destinationsOf(
  policies: readonly (readonly Resource[])[],
  service: string,
): readonly Tags[] {
  const found = ROUTING.flatMap(({ destinations }, index) =>
    destinations!(policies[index]!, service)
  );
  return found.length > 0 ? found : [{ [SERVICE_TAG]: service }];
}

function sniChain(
  { sni, cluster, tags, service }: {
    readonly sni: string;
    readonly cluster: string;
    readonly tags: Tags;
    readonly service: ServiceView;
  },
): JsonObject {
  const metadataMatch = telling(tags, service.local);
  return {
    filter_chain_match: { transport_protocol: "tls", server_names: [sni] },
    filters: [tcpProxy({
      stat: cluster,
      target: { cluster },
      ...(Object.keys(metadataMatch).length > 0 && { metadataMatch }),
    })],
  };
}

/** Only those tags that some endpoint does not have: the others choose nothing. */
function telling(tags: Tags, endpoints: readonly Endpoint[]): Tags {
  return Object.fromEntries(
    Object.entries(tags).filter(([key, value]) =>
      endpoints.some((endpoint) => !matchesTags({ [key]: value }, endpoint.tags))
    ),
  );
}

/** The sets of keys by which subsets of endpoints are chosen. */
function keySets(tagSets: readonly Tags[]): readonly (readonly string[])[] {
  const found = new Map<string, readonly string[]>();
  for (const tags of tagSets) {
    const keys = Object.keys(tags).sort();
    if (keys.length > 0) found.set(keys.join(","), keys);
  }
  return [...found].sort(([a], [b]) => compareText(a, b)).map(([, keys]) => keys);
}
