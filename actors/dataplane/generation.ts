// What one proxy is to be told, made anew only when something that it is made from changed.

import { sameJson } from "../../core/json.ts";
import type { MeshView, ViewKey } from "../../core/mesh_view.ts";
import type { IdentityMaterial, ProxyNode } from "../../core/proxy.ts";
import type { Resource } from "../../core/resource.ts";
import type { ZoneIngressSpec } from "../../core/zone.ts";
import { generateDataplane, generateIngress } from "../../xds/generate.ts";
import type { Snapshot } from "../../xds/snapshot.ts";
import type { DataplaneArgs } from "./messages.ts";

/** Everything that a snapshot is made from. */
export interface Sources {
  readonly args: DataplaneArgs;
  readonly node: ProxyNode;
  readonly views: ReadonlyMap<string, MeshView>;
  readonly identity: IdentityMaterial | null;
  /** The zone ingress's own resource, when the proxy is one. */
  readonly ingress: Resource<ZoneIngressSpec> | null;
}

export interface Generation {
  readonly from: Sources;
  readonly snapshot: Snapshot;
  readonly reads: ReadonlyMap<string, ReadonlySet<ViewKey>>;
}

export interface Waiting {
  /** Why nothing can be made. */
  readonly waits: string;
  /** The changes so far are for it, and it has not been told of them. */
  readonly owed: boolean;
}

/** Something that it reads makes no sense to the generators: this proxy alone is stuck. */
export interface Failed {
  readonly fails: string;
}

interface Known {
  readonly before: Generation | null;
  readonly identityWaits: string;
}

/** `before`: what was made last. `identityWaits`: why there is no certificate yet. */
export function generate(from: Sources, known: Known): Generation | Waiting | Failed {
  try {
    return generated(from, known);
  } catch (error) {
    return { fails: `its configuration cannot be made: ${error}` };
  }
}

function generated(from: Sources, { before, identityWaits }: Known): Generation | Waiting {
  const { args: { key, settings }, node, identity, ingress, views } = from;
  const { admin, vipPort } = settings;
  if (key.type === "ingress") {
    if (!ingress) return { waits: "its ZoneIngress is not stored yet", owed: false };
    if (before && isSame(before.from, from)) return before;
    return { from, ...generateIngress(ingress, views, { node, admin }) };
  }
  const view = views.get(key.mesh);
  if (!view) return { waits: `mesh "${key.mesh}" is not here yet`, owed: false };
  const own = view.dataplanes.get(key.name);
  if (!own) return { waits: "its Dataplane is not stored yet", owed: false };
  if (view.mtls && !identity) return { waits: identityWaits, owed: true };
  if (before && isSame(before.from, from)) return before;
  const { snapshot, reads } = generateDataplane(view, key.name, {
    node,
    identity: view.mtls ? identity : null,
    vipPort,
    admin,
  });
  return { from, snapshot, reads: new Map([[key.mesh, reads]]) };
}

function isSame(a: Sources, b: Sources): boolean {
  return a.node === b.node && a.identity === b.identity && sameIngress(a.ingress, b.ingress) &&
    a.views.size === b.views.size &&
    [...a.views].every(([mesh, view]) => b.views.get(mesh) === view);
}

/** What an ingress offers to other zones changes often, and is nothing to the ingress itself. */
function sameIngress(a: Sources["ingress"], b: Sources["ingress"]): boolean {
  if (!a || !b || a === b) return a === b;
  return a.name === b.name && a.spec.zone === b.spec.zone &&
    sameJson(a.spec.networking, b.spec.networking);
}
