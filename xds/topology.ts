// From the resources of a mesh to its view: which service is where, for one zone.

import { assert } from "../core/assert.ts";
import { type DataplaneSpec, type Inbound, isReady } from "../core/dataplane.ts";
import { caBackends, enabledBackend, type MeshSpec } from "../core/mesh.ts";
import type { Endpoint, MeshView, MtlsView, ServiceView, ViewKey } from "../core/mesh_view.ts";
import { compareText, type Resource, type ResourceKey } from "../core/resource.ts";
import { SERVICE_TAG, type Tags, tagsText, ZONE_TAG } from "../core/tags.ts";
import type { AvailableService, ZoneIngressSpec } from "../core/zone.ts";
import { foldProtocols, protocolOf } from "./protocol.ts";

/**
 * The state of one mesh in one zone, as plain resources. Every list is read once a call, in any
 * order. Dataplanes, policies and virtual IPs are of this mesh; zone ingresses are of all zones.
 */
export interface MeshInput {
  readonly mesh: Resource<MeshSpec>;
  readonly dataplanes: Iterable<Resource<DataplaneSpec>>;
  readonly zoneIngresses: Iterable<Resource<ZoneIngressSpec>>;
  readonly policies: Iterable<Resource>;
  /** Service name → virtual IPv4 address. */
  readonly vips: ReadonlyMap<string, string>;
  readonly zone: string;
  readonly revision: number;
}

/** What an ingress of another zone offers of this mesh. */
interface Remote {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly services: readonly AvailableService[];
}

/** What a view was made from and does not show; lets the next one be made from what changed. */
interface Origin {
  readonly remotes: readonly Remote[];
  readonly vips: MeshInput["vips"];
}

const origins = new WeakMap<MeshView, Origin>();

export function buildMeshView(input: MeshInput): MeshView {
  const dataplanes = byName(input.dataplanes);
  const remotes = findRemotes(input);
  const services = buildServices({ input, dataplanes, remotes, wanted: null });
  const view = assemble(input, { dataplanes, services, policies: groupPolicies(input.policies) });
  origins.set(view, { remotes, vips: input.vips });
  return view;
}

/**
 * Applies changes to a view; `input` is the new state, `changed` names what may differ from the
 * state that `view` was made of. Unchanged parts keep their identity. Equal to buildMeshView of
 * the same state, and the keys name each part that differs.
 */
export function updateMeshView(
  view: MeshView,
  input: MeshInput,
  changed: readonly ResourceKey[],
): { readonly view: MeshView; readonly touched: ReadonlySet<ViewKey> } {
  const touched = new Set<ViewKey>();
  const types = new Set(changed.map(({ type }) => type));
  const dataplanes = types.has("Dataplane")
    ? updateDataplanes(view.dataplanes, byName(input.dataplanes), touched)
    : view.dataplanes;
  const origin = origins.get(view);
  assert(origin, "a view is updated that buildMeshView did not make");
  const before = origin.remotes;
  const remotes = types.has("ZoneIngress") || types.has("Mesh") ? findRemotes(input) : before;
  const wanted = affectedServices({ view, input, dataplanes, before, remotes });
  const services = wanted?.size === 0
    ? view.services
    : mergeServices(view, buildServices({ input, dataplanes, remotes, wanted }), {
      wanted,
      touched,
    });
  const policies = updatePolicies(view, input, { types, touched });
  const next = keepParts(view, assemble(input, { dataplanes, services, policies }), {
    vips: input.vips,
    touched,
  });
  origins.set(next, { remotes, vips: input.vips });
  return { view: next, touched };
}

/** What this zone offers through its ingresses: instances by tag set, sorted by tags. */
export function availableServices(view: MeshView): readonly AvailableService[] {
  const found = new Map<string, { tags: Tags; instances: number }>();
  for (const { local } of view.services.values()) {
    for (const { tags } of local) {
      const key = tagsText(tags);
      const known = found.get(key);
      if (known) known.instances++;
      else found.set(key, { tags, instances: 1 });
    }
  }
  return [...found].sort(([a], [b]) => compareText(a, b))
    .map(([, { tags, instances }]) => ({ tags, instances, mesh: view.mesh }));
}

function assemble(
  { mesh, vips, zone, revision }: MeshInput,
  parts: Pick<MeshView, "dataplanes" | "services" | "policies">,
): MeshView {
  return {
    mesh: mesh.name,
    zone,
    revision,
    spec: mesh.spec,
    mtls: mtlsOf(mesh.spec),
    ...parts,
    vips: new Map([...vips].sort(([a], [b]) => compareText(a, b))),
  };
}

function mtlsOf(spec: MeshSpec): MtlsView | null {
  const enabled = enabledBackend(spec);
  if (!enabled) return null;
  const trusted = caBackends(spec).map(({ name }) => name);
  return { backend: enabled.name, trusted: [...trusted].sort() };
}

function keepParts(
  before: MeshView,
  next: MeshView,
  { vips, touched }: { readonly vips: MeshInput["vips"]; readonly touched: Set<ViewKey> },
): MeshView {
  const sameSpec = sameJson(before.spec, next.spec);
  const sameVips = origins.get(before)?.vips === vips ||
    sameJson([...before.vips], [...next.vips]);
  if (!sameSpec) touched.add("mesh");
  if (!sameVips) touched.add("vips");
  return {
    ...next,
    ...(sameSpec && { spec: before.spec, mtls: before.mtls }),
    ...(sameVips && { vips: before.vips }),
  };
}

// Dataplanes and policies

function byName<Spec>(resources: Iterable<Resource<Spec>>): Map<string, Resource<Spec>> {
  const sorted = [...resources].sort((a, b) => compareText(a.name, b.name));
  return new Map(sorted.map((resource) => [resource.name, resource]));
}

function updateDataplanes(
  before: MeshView["dataplanes"],
  next: MeshView["dataplanes"],
  touched: Set<ViewKey>,
): MeshView["dataplanes"] {
  const size = touched.size;
  for (const [name, dataplane] of next) {
    if (before.get(name) !== dataplane) touched.add(`dataplane/${name}`);
  }
  for (const name of before.keys()) {
    if (!next.has(name)) touched.add(`dataplane/${name}`);
  }
  return touched.size === size ? before : next;
}

function groupPolicies(resources: Iterable<Resource>): MeshView["policies"] {
  const groups = new Map<string, Resource[]>();
  for (const resource of resources) {
    const group = groups.get(resource.type);
    if (group) group.push(resource);
    else groups.set(resource.type, [resource]);
  }
  for (const group of groups.values()) group.sort((a, b) => compareText(a.name, b.name));
  return new Map([...groups].sort(([a], [b]) => compareText(a, b)));
}

function updatePolicies(
  view: MeshView,
  input: MeshInput,
  { types, touched }: { readonly types: ReadonlySet<string>; readonly touched: Set<ViewKey> },
): MeshView["policies"] {
  const next = new Map(groupPolicies(input.policies));
  const all = new Set([...view.policies.keys(), ...next.keys()]);
  let same = true;
  for (const type of all) {
    const before = view.policies.get(type);
    const after = next.get(type);
    if (before && after && (!types.has(type) || sameList(before, after))) next.set(type, before);
    else {
      touched.add(`policy/${type}`);
      same = false;
    }
  }
  return same ? view.policies : next;
}

function sameList(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((item, index) => item === b[index]);
}

// Services

/** Ingresses of other zones; without mutual TLS there is no SNI by which they could route. */
function findRemotes({ mesh, zone, zoneIngresses }: MeshInput): readonly Remote[] {
  if (!enabledBackend(mesh.spec)) return [];
  const remotes: Remote[] = [];
  const seen = new Set<string>();
  for (const { name, spec } of byName(zoneIngresses).values()) {
    const { advertisedAddress: address, advertisedPort: port } = spec.networking;
    const services = (spec.availableServices ?? []).filter((one) => one.mesh === mesh.name);
    if (!spec.zone || spec.zone === zone || !address || !port || services.length === 0) continue;
    // Ingresses behind one load balancer are one way in.
    if (seen.has(`${address}:${port}`)) continue;
    seen.add(`${address}:${port}`);
    remotes.push({ name, address, port, services });
  }
  return remotes;
}

/** Names of services that may differ; null for all of them. */
function affectedServices(
  { view, input, dataplanes, before, remotes }: {
    readonly view: MeshView;
    readonly input: MeshInput;
    readonly dataplanes: MeshView["dataplanes"];
    readonly before: readonly Remote[];
    readonly remotes: readonly Remote[];
  },
): ReadonlySet<string> | null {
  // The number of ways in weighs local endpoints, and preference of the own zone ranks all of them.
  if (
    before.length !== remotes.length || view.zone !== input.zone ||
    prefersOwnZone(view.spec) !== prefersOwnZone(input.mesh.spec)
  ) return null;
  const affected = new Set<string>();
  if (dataplanes !== view.dataplanes) {
    for (const [name, next] of dataplanes) {
      const old = view.dataplanes.get(name);
      if (old !== next) addServices(affected, old, next);
    }
    for (const [name, old] of view.dataplanes) {
      if (!dataplanes.has(name)) addServices(affected, old, undefined);
    }
  }
  remotes.forEach((next, index) => {
    const old = before[index]!;
    if (old === next || sameJson(old, next)) return;
    for (const { tags } of [...old.services, ...next.services]) {
      affected.add(tags[SERVICE_TAG] ?? "");
    }
  });
  return affected;
}

function addServices(
  affected: Set<string>,
  ...dataplanes: readonly (Resource<DataplaneSpec> | undefined)[]
): void {
  for (const dataplane of dataplanes) {
    for (const { tags } of dataplane?.spec.networking.inbound ?? []) {
      affected.add(tags[SERVICE_TAG] ?? "");
    }
  }
}

function prefersOwnZone(spec: MeshSpec): boolean {
  return spec.routing?.localityAwareLoadBalancing ?? false;
}

function buildServices(
  { input, dataplanes, remotes, wanted }: {
    readonly input: MeshInput;
    readonly dataplanes: MeshView["dataplanes"];
    readonly remotes: readonly Remote[];
    readonly wanted: ReadonlySet<string> | null;
  },
): Map<string, ServiceView> {
  const found = new Map<string, { near: Endpoint[]; far: Endpoint[] }>();
  const prefers = prefersOwnZone(input.mesh.spec);
  const place = (tags: Tags, side: "near" | "far", at: Omit<Endpoint, "tags" | "priority">) => {
    const service = tags[SERVICE_TAG];
    if (!service || (wanted && !wanted.has(service))) return;
    let sides = found.get(service);
    if (!sides) found.set(service, sides = { near: [], far: [] });
    const zone = tags[ZONE_TAG];
    const priority = prefers && zone !== undefined && zone !== input.zone ? 1 : 0;
    sides[side].push({ ...at, tags, ...(zone !== undefined && { zone }), priority });
  };
  // Each way in leads to every instance behind it, so a local instance weighs as many times.
  const weight = Math.max(1, remotes.length);
  for (const { spec: { networking } } of dataplanes.values()) {
    for (const inbound of networking.inbound ?? []) {
      if (!isReady(inbound)) continue;
      place(inbound.tags, "near", { ...dialled(networking, inbound), weight });
    }
  }
  for (const { address, port, services } of remotes) {
    for (const { tags, instances } of services) {
      place(tags, "far", { address, port, weight: Math.max(1, instances ?? 1) });
    }
  }
  return new Map(
    [...found].sort(([a], [b]) => compareText(a, b))
      .map(([name, sides]) => [name, serviceView(name, sides)]),
  );
}

function dialled(
  networking: DataplaneSpec["networking"],
  inbound: Inbound,
): { readonly address: string; readonly port: number } {
  const address = networking.advertisedAddress || inbound.address || networking.address;
  return { address, port: inbound.port };
}

function serviceView(
  name: string,
  { near, far }: { readonly near: readonly Endpoint[]; readonly far: readonly Endpoint[] },
): ServiceView {
  const endpoints = [...near, ...far].sort(compareEndpoints);
  return {
    name,
    protocol: foldProtocols(endpoints.map(({ tags }) => protocolOf(tags))),
    endpoints,
    local: [...near].map((endpoint) => ({ ...endpoint, weight: 1, priority: 0 as const }))
      .sort(compareEndpoints),
  };
}

function compareEndpoints(a: Endpoint, b: Endpoint): number {
  return compareText(a.zone ?? "", b.zone ?? "") || compareText(a.address, b.address) ||
    a.port - b.port || compareText(tagsText(a.tags), tagsText(b.tags));
}

function mergeServices(
  view: MeshView,
  built: ReadonlyMap<string, ServiceView>,
  { wanted, touched }: {
    readonly wanted: ReadonlySet<string> | null;
    readonly touched: Set<ViewKey>;
  },
): MeshView["services"] {
  const names = wanted ?? new Set([...view.services.keys(), ...built.keys()]);
  const next = new Map(view.services);
  let [changed, renamed] = [false, false];
  for (const name of names) {
    const [before, after] = [view.services.get(name), built.get(name)];
    if (sameJson(before, after)) continue;
    changed = true;
    touched.add(`service/${name}`);
    if (!before || !after) renamed = true;
    if (after) next.set(name, after);
    else next.delete(name);
  }
  if (!changed) return view.services;
  if (!renamed) return next;
  touched.add("services");
  return new Map([...next].sort(([a], [b]) => compareText(a, b)));
}

/** Equality of what was built the same way, so that fields come in the same order. */
function sameJson(a: unknown, b: unknown): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}
