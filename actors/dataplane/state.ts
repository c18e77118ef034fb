// What the control plane knows of one proxy.

import type { MeshView, ViewKey } from "../../core/mesh_view.ts";
import type { IdentityMaterial, ProxyNode } from "../../core/proxy.ts";
import type { Draft, JsonObject, Resource } from "../../core/resource.ts";
import type { ZoneIngressSpec } from "../../core/zone.ts";
import type { Remarks, Subscription } from "../../xds/proxy_insight.ts";
import type { HealthReport } from "../../xds/health.ts";
import type { Snapshot } from "../../xds/snapshot.ts";
import type { StreamState } from "../../xds/stream.ts";
import type { ReplyTo } from "../runtime/actor.ts";
import type { Generation } from "./generation.ts";
import type { Ownership } from "./fencing.ts";
import * as leases from "./lease.ts";
import type { DataplaneArgs } from "./messages.ts";

interface Stream {
  readonly id: string;
  readonly ads: StreamState;
  /** It has ACKed listeners. */
  readonly listens: boolean;
  /** Who owned the name before, for a stream whose registration is refused. */
  readonly before: Ownership;
}

interface Leaving {
  /** Who waits for it. */
  readonly told: readonly ReplyTo[];
  readonly because: string;
}

export interface State {
  readonly args: DataplaneArgs;
  readonly stream: Stream | null;
  readonly ownership: Ownership;
  readonly lease: leases.Lease;
  readonly metadata: JsonObject;
  readonly node: ProxyNode | null;
  /** The resource came with the stream, so it goes with the proxy. */
  readonly selfRegistered: boolean;
  /** The revision that holds what the current stream registered with; null until it is durable. */
  readonly registeredAt: number | null;
  /** What the proxy is stored as once it listens; null when it is, or has nothing to offer. */
  readonly announcement: { readonly draft: Draft; readonly underWay: boolean } | null;
  /** As what it registered, before anybody probed it; null: its resource is somebody else's. */
  readonly declared: Draft | null;
  /** On which its Envoy tells of health. */
  readonly probing:
    | { readonly id: string; readonly node: ProxyNode; readonly asked: Uint8Array }
    | null;
  /** The last report on that stream. */
  readonly health: HealthReport | null;
  /** The version of the resource that a report is being written over; null: none is. */
  readonly healthOver: number | null;
  /** The run that asked to be taken out of others' endpoints, and stays out. */
  readonly draining: string | null;
  /** While the end of the registration is on its way to the disk. */
  readonly leaving: Leaving | null;
  /** Meshes whose actors were asked for their views. */
  readonly watched: ReadonlySet<string>;
  readonly views: ReadonlyMap<string, MeshView>;
  /** The zone ingress's own resource, when this proxy is one. */
  readonly ingress: Resource<ZoneIngressSpec> | null;
  readonly identity: IdentityMaterial | null;
  /** How many certificates it was given. */
  readonly certificates: number;
  /** What the identity was asked for, so that it is asked for once. */
  readonly identityAsked: string;
  /** Why there is none yet. */
  readonly identityWaits: string;
  readonly snapshot: Snapshot | null;
  /** What was made last; the snapshot is that of it, unless the proxy is to have none. */
  readonly made: Generation | null;
  /** The revision that the newest snapshot includes. */
  readonly revision: number;
  /** A change of that revision is on its way and not settled. */
  readonly owed: boolean;
  readonly reads: ReadonlyMap<string, ReadonlySet<ViewKey>>;
  readonly subscriptions: readonly Subscription[];
  readonly remarks: Remarks;
}

export function ownResource({ args: { key }, views, ingress }: State): Resource | undefined {
  const own = key.type === "ingress" ? ingress : views.get(key.mesh)?.dataplanes.get(key.name);
  return own ? own as unknown as Resource : undefined;
}
