// Views of meshes over the store, for whoever asks: made when asked, kept until the store changes.

import { assert } from "../core/assert.ts";
import { asDataplane } from "../core/dataplane.ts";
import type { KindTable } from "../core/kind_table.ts";
import type { ConfigSpec, MeshSpec } from "../core/mesh.ts";
import type { MeshView } from "../core/mesh_view.ts";
import type { Resource } from "../core/resource.ts";
import { whyUnusable } from "../core/usable.ts";
import type { ZoneIngressSpec } from "../core/zone.ts";
import { vipConfigName, vipsOf } from "../dns/vips.ts";
import type { Store } from "../store/store.ts";
import { buildMeshView } from "../xds/topology.ts";

/** MeshGateways are no policies, and targetRefs lead to them. */
const ALSO = ["MeshGateway"];

/** With policies of every kind, those included that proxies do not notice yet. */
export function meshViews(
  { store, kinds, zone }: {
    readonly store: Pick<Store, "revision" | "get" | "list">;
    readonly kinds: KindTable;
    readonly zone: string;
  },
): (mesh: string) => MeshView {
  const types = kinds.all().filter(({ policy }) => policy).map(({ name }) => name).concat(ALSO);
  const kept = new Map<string, MeshView>();
  return (name) => {
    const known = kept.get(name);
    if (known?.revision === store.revision) return known;
    const mesh = store.get({ type: "Mesh", mesh: "", name });
    assert(mesh, `there is no mesh "${name}" to look at`);
    const config = store.get({ type: "Config", mesh: "", name: vipConfigName(name) });
    // What a data plane leaves out is left out here too.
    const usable = (type: string, of?: string) => {
      const kind = kinds.byName(type);
      return store.list(type, of).filter((one) => kind && whyUnusable(one, kind).length === 0);
    };
    const view = buildMeshView({
      mesh: mesh as unknown as Resource<MeshSpec>,
      dataplanes: store.list("Dataplane", name).map(asDataplane),
      zoneIngresses: usable("ZoneIngress") as unknown as readonly Resource<ZoneIngressSpec>[],
      policies: types.flatMap((type) => usable(type, name)),
      vips: config ? vipsOf(config as unknown as Resource<ConfigSpec>) : new Map(),
      zone,
      revision: store.revision,
    });
    kept.set(name, view);
    return view;
  };
}
