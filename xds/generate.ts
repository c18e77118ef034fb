// From a view to what one proxy is told: draft, policies, Envoy resources.

import { assert } from "../core/assert.ts";
import { type DataplaneSpec, tagSetsOf } from "../core/dataplane.ts";
import { type MeshView, readingView, type ViewKey, type ViewReader } from "../core/mesh_view.ts";
import type { ProxyDraft } from "../core/proxy_draft.ts";
import type { AdminTls } from "../core/envoy_admin.ts";
import type { IdentityMaterial, ProxyNode } from "../core/proxy.ts";
import { POLICIES } from "../policies/registry.gen.ts";
import { addAdmin } from "./admin.ts";
import { serializeTags } from "./envoy/route.ts";
import { addDns } from "./dns.ts";
import { caSecret, identitySecret } from "./envoy/tls.ts";
import { addInbounds, draftInbounds } from "./inbound.ts";
import { addOutbounds, explicitOutbounds, namedOutbounds } from "./outbound.ts";
import { encodeResource, Latest, Memo, SnapshotBuilder } from "./resources.ts";
import { type EncodedResource, type Snapshot, TYPES } from "./snapshot.ts";
import {
  addPassthrough,
  type Transparency,
  transparencyOf,
  virtualOutbounds,
} from "./transparent.ts";

export { generateIngress } from "./ingress.ts";

export interface Generated {
  readonly snapshot: Snapshot;
  /** A change of anything else leaves the snapshot as it is. */
  readonly reads: ReadonlySet<ViewKey>;
}

/** The port of every virtual address, whatever its service listens on. kuma@v2.13.10:pkg/config (dnsServer.serviceVipPort). */
export const VIP_PORT = 80;

/**
 * Sidecars, and delegated gateways, which are sidecars without inbounds. The dataplane must be in
 * the view, and while the mesh has mutual TLS there must be an identity: without one there is
 * nothing that would not be plaintext.
 */
export function generateDataplane(
  whole: MeshView,
  name: string,
  { node, identity, vipPort = VIP_PORT, admin = null }: {
    readonly node: ProxyNode;
    readonly identity: IdentityMaterial | null;
    readonly vipPort?: number;
    readonly admin?: AdminTls | null;
  },
): Generated {
  const reads = new Set<ViewKey>();
  const view = readingView(whole, reads);
  const dataplane = view.dataplane(name);
  assert(dataplane, `dataplane ${name} is not in the view of mesh ${view.mesh}`);
  const mtls = view.mtls() !== null;
  assert(!mtls || identity, `dataplane ${name} has no identity yet in mesh ${view.mesh}`);
  const { spec } = dataplane;
  const transparency = transparencyOf(spec, node);
  const tagSets = tagSetsOf(spec);
  const { inbounds } = edited(view, {
    mesh: view.mesh,
    tagSets,
    inbounds: inboundsOf(spec),
    outbounds: [],
  });
  const out = outboundsOf(whole, { spec, tagSets, node, transparency, vipPort });
  for (const key of out.reads) reads.add(key);
  const snapshot = new SnapshotBuilder();
  const { redirection } = transparency;
  addAdmin(snapshot, {
    node,
    address: spec.networking.address,
    taken: [...inbounds, ...out.drafts],
    tls: admin,
  });
  if (redirection) {
    const passthrough = view.spec().networking?.outbound?.passthrough ?? true;
    addPassthrough(snapshot, { redirection, inbounds, node, passthrough, mtls });
  }
  const reachable = spec.networking.transparentProxying?.reachableServices ?? [];
  addDns(snapshot, { view, node, transparency, reachable });
  addInbounds(snapshot, inbounds, {
    spec,
    mesh: view.mesh,
    mtls,
    node,
    redirected: redirection !== null,
  });
  for (const [typeUrl, resources] of out.snapshot.resources) {
    for (const resource of resources.values()) snapshot.put(typeUrl, resource);
  }
  if (mtls && identity) addSecrets(snapshot, view.mesh, identity);
  return { snapshot: snapshot.build(), reads };
}

/** What a proxy listens on and where that leads, after every policy had its say. */
export function draftDataplane(
  view: ViewReader,
  spec: DataplaneSpec,
  { node, vipPort = VIP_PORT }: { readonly node: ProxyNode; readonly vipPort?: number },
): { readonly draft: ProxyDraft; readonly transparency: Transparency } {
  const transparency = transparencyOf(spec, node);
  const draft = edited(view, {
    mesh: view.mesh,
    tagSets: tagSetsOf(spec),
    inbounds: inboundsOf(spec),
    outbounds: unedited(view, { spec, transparency, vipPort }),
  });
  return { draft, transparency };
}

function edited(view: ViewReader, draft: ProxyDraft): ProxyDraft {
  for (const { resource, apply } of POLICIES) apply(draft, view.policies(resource.name));
  return draft;
}

function inboundsOf(spec: DataplaneSpec): ProxyDraft["inbounds"] {
  return spec.networking.gateway ? [] : draftInbounds(spec);
}

interface OutboundContext {
  readonly spec: DataplaneSpec;
  readonly transparency: Transparency;
  readonly vipPort: number;
}

function unedited(
  view: ViewReader,
  { spec, transparency, vipPort }: OutboundContext,
): ProxyDraft["outbounds"] {
  return [
    ...explicitOutbounds(spec, view),
    ...virtualOutbounds(view, { spec, transparency, vipPort }),
  ];
}

// What leads out of a proxy is the same for all proxies of one workload, so it is made once for each
// state of the mesh. Policies edit each outbound by the tags of both sides, and nothing else of it.

interface Outbounds {
  readonly drafts: ProxyDraft["outbounds"];
  readonly snapshot: Snapshot;
  readonly reads: ReadonlySet<ViewKey>;
}

const outboundsMade = new Memo<Outbounds>();
const outboundKeys = new Latest<string>();

interface Outward extends OutboundContext {
  readonly tagSets: ProxyDraft["tagSets"];
  readonly node: ProxyNode;
}

function outboundsOf(whole: MeshView, context: Outward): Outbounds {
  const { spec, node, vipPort } = context;
  const key = outboundKeys.get(spec, [node, vipPort], () => outboundKey(context));
  return outboundsMade.get(whole, key, () => makeOutbounds(whole, context));
}

/** Everything about a proxy that its outbounds depend on. */
function outboundKey({ spec, tagSets, node, transparency, vipPort }: Outward): string {
  return JSON.stringify([
    tagSets,
    namedOutbounds(spec),
    spec.networking.transparentProxying ?? null,
    transparency,
    vipPort,
    node.ipv6Enabled,
  ]);
}

function makeOutbounds(whole: MeshView, { tagSets, node, ...context }: Outward): Outbounds {
  const reads = new Set<ViewKey>();
  const view = readingView(whole, reads);
  const { outbounds } = edited(view, {
    mesh: view.mesh,
    tagSets,
    inbounds: [],
    outbounds: unedited(view, context),
  });
  const snapshot = new SnapshotBuilder();
  const senderTags = serializeTags(tagSets);
  addOutbounds(snapshot, outbounds, { view, ipv6: node.ipv6Enabled, senderTags });
  return { drafts: outbounds, snapshot: snapshot.build(), reads };
}

/** Key material is encoded once for each certificate, and gone with it. */
const secrets = new Memo<readonly EncodedResource[]>();

function addSecrets(snapshot: SnapshotBuilder, mesh: string, identity: IdentityMaterial): void {
  const encoded = secrets.get(identity, mesh, () => [
    encodeResource(TYPES.secret, identitySecret(mesh, identity)),
    encodeResource(TYPES.secret, caSecret(mesh, identity.trustedCa)),
  ]);
  for (const resource of encoded) snapshot.put(TYPES.secret, resource);
}
