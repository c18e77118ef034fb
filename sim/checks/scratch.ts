// Incremental equals full: what a proxy was told is what would be made anew of the same state.

import assert from "node:assert/strict";
import type { DataplaneSpec } from "../../core/dataplane.ts";
import type { ConfigSpec, MeshSpec } from "../../core/mesh.ts";
import type { MeshView } from "../../core/mesh_view.ts";
import { type IdentityMaterial, type ProxyKey, proxyText } from "../../core/proxy.ts";
import type { JsonObject, Resource } from "../../core/resource.ts";
import type { ZoneIngressSpec } from "../../core/zone.ts";
import { vipConfigName, vipsOf } from "../../dns/vips.ts";
import { POLICIES } from "../../policies/registry.gen.ts";
import { generateDataplane, generateIngress } from "../../xds/generate.ts";
import { parseNode } from "../../xds/node.ts";
import { type EncodedResource, type Snapshot, TYPES } from "../../xds/snapshot.ts";
import { buildMeshView } from "../../xds/topology.ts";
import type { ControlPlane } from "../control_plane.ts";
import type { Envoy } from "../envoy.ts";
import type { Check, World } from "../world.ts";

const POLICY_TYPES = POLICIES.map(({ resource }) => resource.name);
/** One of so many applied responses is compared with what its actor knows. */
const SAMPLE = 40;

/** What a check may know of a dataplane actor's state. */
export interface ProxyActor {
  readonly metadata: JsonObject;
  readonly identity: IdentityMaterial | null;
  readonly views: ReadonlyMap<string, MeshView>;
  readonly ingress: Resource<ZoneIngressSpec> | null;
  readonly snapshot: Snapshot | null;
  readonly revision: number;
  readonly stream: { readonly id: string } | null;
}

export function actorOf(zone: ControlPlane, key: ProxyKey): ProxyActor | undefined {
  return zone.kernel?.peek(`dataplanes/${proxyText(key)}`) as ProxyActor | undefined;
}

/** A mesh as its zone's store has it. */
export function viewOf({ disk: { image }, config }: ControlPlane, mesh: string): MeshView | null {
  const own = image.get({ type: "Mesh", mesh: "", name: mesh });
  if (!own) return null;
  const typed = <Spec>(type: string, of?: string) =>
    image.list(type, of) as unknown as readonly Resource<Spec>[];
  const vips = image.get({ type: "Config", mesh: "", name: vipConfigName(mesh) });
  return buildMeshView({
    mesh: own as unknown as Resource<MeshSpec>,
    dataplanes: typed<DataplaneSpec>("Dataplane", mesh),
    zoneIngresses: typed<ZoneIngressSpec>("ZoneIngress"),
    policies: POLICY_TYPES.flatMap((type) => image.list(type, mesh)),
    vips: vips ? vipsOf(vips as unknown as Resource<ConfigSpec>) : new Map(),
    zone: config.zone,
    revision: image.revision,
  });
}

interface Sources {
  readonly actor: ProxyActor;
  readonly ingress: Resource<ZoneIngressSpec> | null;
  readonly view: (mesh: string) => MeshView | null;
  readonly meshes: readonly string[];
}

/** What a proxy should run, or why it should run nothing. */
function generate(zone: ControlPlane, key: ProxyKey, from: Sources): Snapshot | string {
  const { actor, ingress, view, meshes } = from;
  const node = parseNode(actor.metadata);
  if (key.type === "ingress") {
    if (!ingress) return "its ZoneIngress is not stored";
    const views = meshes.flatMap((mesh) => {
      const found = view(mesh);
      return found ? [[mesh, found] as const] : [];
    });
    return generateIngress(ingress, new Map(views), { node }).snapshot;
  }
  const found = view(key.mesh);
  if (!found) return "its mesh is not stored";
  if (!found.dataplanes.has(key.name)) return "its Dataplane is not stored";
  if (found.mtls && !actor.identity) return "it has no certificate";
  return generateDataplane(found, key.name, {
    node,
    identity: found.mtls ? actor.identity : null,
    vipPort: zone.config.vipPort,
  }).snapshot;
}

/** What a proxy should run, as the store of its zone has it. */
function fromStore(
  zone: ControlPlane,
  key: ProxyKey,
  actor: ProxyActor,
  view: Sources["view"],
): Snapshot | string {
  const { image } = zone.disk;
  const stored = image.get({ type: "ZoneIngress", mesh: "", name: key.name });
  return generate(zone, key, {
    actor,
    ingress: (stored ?? null) as unknown as Resource<ZoneIngressSpec> | null,
    view,
    meshes: image.list("Mesh").map(({ name }) => name),
  });
}

/** A proxy runs all that the store wants of it; certificates have a time of their own. */
export function runsWhatIsStored(zone: ControlPlane, envoy: Envoy, actor: ProxyActor): void {
  const expected = fromStore(zone, envoy.options.key, actor, (mesh) => viewOf(zone, mesh));
  if (typeof expected === "string") return;
  for (const typeUrl of Object.values(TYPES)) {
    if (typeUrl === TYPES.secret) continue;
    compare(envoy, typeUrl, expected.resources.get(typeUrl) ?? new Map(), zone.name);
  }
}

export function incrementalEqualsScratch(world: World): Check {
  let seen = 0;
  const views = new Map<string, MeshView | null>();

  return {
    name: "incremental equals from scratch",

    applied(envoy) {
      if (++seen % SAMPLE !== 0) return;
      const zone = world.zone(envoy.options.server.name);
      const { key } = envoy.options;
      const actor = actorOf(zone, key);
      // Without a stream nothing is made for it.
      if (!actor?.snapshot || !actor.stream) return;
      const now = generate(zone, key, {
        actor,
        ingress: actor.ingress,
        view: (mesh) => actor.views.get(mesh) ?? null,
        meshes: [...actor.views.keys()],
      });
      // While it waits for something, it keeps what was made before.
      if (typeof now === "string" || isWaiting(actor)) return;
      assertSame(actor.snapshot, now, envoy.text);
    },

    atRest() {
      views.clear();
      for (const [id, envoy] of world.envoys) {
        if (!envoy.running) continue;
        const zone = world.zone(id.split("/")[0]!);
        const { key } = envoy.options;
        const actor = actorOf(zone, key);
        if (!envoy.end || !actor?.stream) {
          // Who brings no resource of its own waits until somebody writes one, and so do its streams.
          const expected = !viewOf(zone, key.mesh) || envoy.ended?.message.includes("superseded");
          assert(
            key.type === "dataplane" && expected,
            `${envoy.text} in ${zone.name} is offline: ${envoy.ended?.message ?? "no connection"}`,
          );
          continue;
        }
        const expected = fromStore(zone, key, actor, (mesh) => {
          const name = `${zone.name}/${mesh}`;
          if (!views.has(name)) views.set(name, viewOf(zone, mesh));
          return views.get(name)!;
        });
        if (typeof expected === "string") {
          assert.equal(envoy.resource, null, `${envoy.text} has a stream though ${expected}`);
          continue;
        }
        for (const typeUrl of Object.values(TYPES)) {
          compare(envoy, typeUrl, expected.resources.get(typeUrl) ?? new Map(), zone.name);
        }
      }
    },
  };
}

export function isWaiting(actor: ProxyActor): boolean {
  const { remarks } = actor as unknown as { readonly remarks: { readonly waiting: string | null } };
  return remarks.waiting !== null;
}

function assertSame(was: Snapshot, is: Snapshot, who: string): void {
  for (const typeUrl of Object.values(TYPES)) {
    const [a, b] = [was, is].map((snapshot) =>
      [...snapshot.resources.get(typeUrl) ?? []].map(([name, { version }]) => `${name} ${version}`)
        .sort()
    );
    assert.deepEqual(a, b, `${nameOf(typeUrl)}s of ${who}`);
  }
}

function compare(
  envoy: Envoy,
  typeUrl: typeof TYPES[keyof typeof TYPES],
  wanted: ReadonlyMap<string, EncodedResource>,
  zone: string,
): void {
  const whole = typeUrl === TYPES.cluster || typeUrl === TYPES.listener;
  const names = whole ? [...wanted.keys()] : [...envoy.wants(typeUrl)];
  const running = envoy.runs(typeUrl);
  const what = `${nameOf(typeUrl)}s of ${envoy.text} in ${zone}`;
  assert.deepEqual(
    [...running.keys()].sort(),
    names.filter((name) => wanted.has(name)).sort(),
    what,
  );
  for (const [name, { any }] of running) {
    const should = wanted.get(name)!;
    assert(sameBytes(any, should.any), `${what}: ${name} is not what it should be`);
  }
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

function nameOf(typeUrl: string): string {
  return typeUrl.split(".").at(-1)!;
}
