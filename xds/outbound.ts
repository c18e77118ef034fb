// Where the workload's connections go: a listener for each outbound, a cluster for each set of destination tags.

import type { DataplaneSpec } from "../core/dataplane.ts";
import type { Endpoint, Protocol, ServiceView, ViewReader } from "../core/mesh_view.ts";
import { sniOf } from "../core/names.ts";
import {
  type LoadBalancer,
  type OutboundDraft,
  ROUND_ROBIN,
  type RouteDraft,
} from "../core/proxy_draft.ts";
import {
  matchesTags,
  MESH_TAG,
  SERVICE_TAG,
  type Tags,
  tagsText,
  withoutTag,
} from "../core/tags.ts";
import { isHttp, serviceCluster } from "./envoy/cluster.ts";
import { loadAssignment } from "./envoy/endpoint.ts";
import { listener, outboundHttp, tcpProxy } from "./envoy/listener.ts";
import { destinationClusterName, outboundListenerName } from "./envoy/names.ts";
import { outboundRoutes, target } from "./envoy/route.ts";
import { CONNECT_TRIES, UPSTREAM_IDLE } from "./envoy/timeouts.ts";
import { upstreamSocket } from "./envoy/tls.ts";
import { foldProtocols } from "./protocol.ts";
import { encodeResource, Memo, type SnapshotBuilder } from "./resources.ts";
import { type EncodedResource, TYPES } from "./snapshot.ts";

/** An outbound as nothing has edited it yet: all endpoints of its service. */
export function draftOutbound(
  { address, port, tags, bindToPort, routes }: {
    readonly address: string;
    readonly port: number;
    readonly tags: Tags;
    readonly bindToPort: boolean;
    readonly routes: readonly RouteDraft[];
  },
): OutboundDraft {
  return { address, port, tags, bindToPort, routes, loadBalancer: ROUND_ROBIN, tellsTags: false };
}

function implicitRoutes(tags: Tags): readonly RouteDraft[] {
  return [{ match: null, modify: null, split: [{ weight: 1, tags }] }];
}

/** Tags and the routes that they imply. */
export interface Implied {
  readonly tags: Tags;
  readonly routes: readonly RouteDraft[];
}

const implied = new Memo<Implied>();

/** For outbounds to one service with tags of one text: one object, so that what follows is made once. */
export function impliedBy(
  service: ServiceView | undefined,
  text: string,
  tagsOf: () => Tags,
): Implied {
  const make = () => {
    const tags = tagsOf();
    return { tags, routes: implicitRoutes(tags) };
  };
  return service ? implied.get(service, text, make) : make();
}

interface NamedOutbound {
  readonly address: string;
  readonly port: number;
  readonly tags: Tags;
}

/** The outbounds that the dataplane names; one on an inbound of its own would be a loop. */
export function namedOutbounds({ networking }: DataplaneSpec): readonly NamedOutbound[] {
  const inbounds = new Set(
    (networking.inbound ?? []).map(({ address, port }) =>
      `${address || networking.address}:${port}`
    ),
  );
  return (networking.outbound ?? []).flatMap(({ address = "127.0.0.1", port, tags }) =>
    tags?.[SERVICE_TAG] && !inbounds.has(`${address}:${port}`) ? [{ address, port, tags }] : []
  );
}

export function explicitOutbounds(
  spec: DataplaneSpec,
  view: ViewReader,
): readonly OutboundDraft[] {
  return namedOutbounds(spec).map(({ address, port, tags }) => {
    const service = view.service(tags[SERVICE_TAG] ?? "");
    const own = impliedBy(service, textOf(tags), () => withoutTag(tags, MESH_TAG));
    return draftOutbound({ address, port, bindToPort: true, ...own });
  });
}

export interface OutboundContext {
  readonly view: ViewReader;
  readonly ipv6: boolean;
  /** This proxy's own tags, as requests tell them. */
  readonly senderTags: string;
}

export function addOutbounds(
  snapshot: SnapshotBuilder,
  outbounds: readonly OutboundDraft[],
  context: OutboundContext,
): void {
  // Outbounds of one service on several ports have the same routes.
  const protocols = new Map<readonly RouteDraft[], Protocol>();
  for (const outbound of outbounds) {
    const known = protocols.get(outbound.routes);
    const protocol = known ?? protocolTo(outbound, context.view);
    const routes = isHttp(protocol) ? outbound.routes : outbound.routes.slice(-1);
    snapshot.put(TYPES.listener, outboundListener(outbound, context, { protocol, routes }));
    if (known) continue;
    protocols.set(outbound.routes, protocol);
    for (const { split } of routes) {
      for (const { tags } of split) addDestination(snapshot, { tags, outbound, context });
    }
  }
}

/** What all services behind an outbound can be treated as. */
function protocolTo({ routes }: OutboundDraft, view: ViewReader): Protocol {
  return foldProtocols(
    routes.flatMap(({ split }) =>
      split.map(({ tags }) => view.service(tags[SERVICE_TAG] ?? "")?.protocol ?? "unknown")
    ),
  );
}

/** Texts of tag sets by identity: outbounds of one service share theirs. */
const texts = new Memo<string>();

function textOf(tags: Tags): string {
  return texts.get(tags, "", () => tagsText(tags));
}

/** Of one set of routes: a listener with the same address is the same for every proxy. */
const listeners = new Memo<EncodedResource>();

function outboundListener(
  outbound: OutboundDraft,
  { ipv6, senderTags: own }: OutboundContext,
  { protocol, routes }: {
    readonly protocol: Protocol;
    readonly routes: readonly RouteDraft[];
  },
): EncodedResource {
  // gRPC requests carry no tags. kuma@v2.13.10:pkg/xds/generator/outbound_proxy_generator.go.
  const tells = outbound.tellsTags && protocol !== "grpc";
  const senderTags = tells ? own : null;
  const { address, port, bindToPort } = outbound;
  const at = `${address}\n${port}\n${bindToPort}\n${protocol}\n${ipv6}`;
  return listeners.get(
    outbound.routes,
    `${at}\n${textOf(outbound.tags)}\n${senderTags}`,
    () =>
      encodeResource(
        TYPES.listener,
        listener({
          name: outboundListenerName(outbound),
          address: outbound,
          direction: "OUTBOUND",
          filterChains: [{
            filters: [outboundFilter(outbound, { protocol, routes, senderTags, ipv6 })],
          }],
          tags: outbound.tags,
          bindToPort,
        }),
      ),
  );
}

function outboundFilter(
  { tags }: OutboundDraft,
  { protocol, routes, senderTags, ipv6 }: {
    readonly protocol: Protocol;
    readonly routes: readonly RouteDraft[];
    readonly senderTags: string | null;
    readonly ipv6: boolean;
  },
) {
  const stat = tags[SERVICE_TAG] ?? "";
  if (isHttp(protocol)) {
    const config = outboundRoutes({ service: stat, routes, senderTags });
    return outboundHttp({ stat, routes: config, protocol, ipv6 });
  }
  const split = routes.at(-1)?.split ?? [];
  return tcpProxy({
    stat,
    target: target(split),
    idleTimeout: UPSTREAM_IDLE,
    connectTries: CONNECT_TRIES,
  });
}

interface Destination {
  readonly tags: Tags;
  readonly outbound: OutboundDraft;
  readonly context: OutboundContext;
}

interface Encoded {
  readonly cluster: EncodedResource;
  readonly endpoints: EncodedResource;
}

/** Of one service as it is now: the same for every proxy that sends traffic there. */
const destinations = new Memo<Encoded>();

function addDestination(
  snapshot: SnapshotBuilder,
  { tags, outbound, context: { view } }: Destination,
): void {
  const service = view.service(tags[SERVICE_TAG] ?? "");
  const mtls = view.mtls() !== null;
  const { loadBalancer } = outbound;
  const balancing = loadBalancer === ROUND_ROBIN ? "" : JSON.stringify(loadBalancer);
  const key = `${view.mesh}\n${mtls}\n${textOf(tags)}\n${balancing}`;
  const { cluster, endpoints } = destinations.get(
    service ?? outbound.routes,
    key,
    () => encodeDestination({ mesh: view.mesh, mtls, tags, service, loadBalancer }),
  );
  snapshot.put(TYPES.cluster, cluster);
  snapshot.put(TYPES.endpoint, endpoints);
}

function encodeDestination(
  { mesh, mtls, tags, service, loadBalancer }: {
    readonly mesh: string;
    readonly mtls: boolean;
    readonly tags: Tags;
    readonly service: ServiceView | undefined;
    readonly loadBalancer: LoadBalancer;
  },
): Encoded {
  const name = destinationClusterName(tags);
  const peer = { mesh, service: tags[SERVICE_TAG] ?? "", sni: sniOf(tags, mesh) };
  const cluster = serviceCluster({
    name,
    protocol: service?.protocol ?? "unknown",
    loadBalancer,
    transportSocket: mtls ? upstreamSocket(peer) : null,
  });
  return {
    cluster: encodeResource(TYPES.cluster, cluster),
    endpoints: encodeResource(TYPES.endpoint, loadAssignment(name, chosen(service, tags))),
  };
}

function chosen(service: ServiceView | undefined, tags: Tags): readonly Endpoint[] {
  const wanted = withoutTag(tags, SERVICE_TAG);
  return (service?.endpoints ?? []).filter((endpoint) => matchesTags(wanted, endpoint.tags));
}
