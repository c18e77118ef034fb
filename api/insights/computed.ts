// Insights that nobody writes: computed when they are asked for, and kept until the store changes.

import type { Resource, ResourceKey } from "../../core/resource.ts";
import type { ApiView, ResourceView } from "../ports.ts";
import { meshInsight } from "./mesh_insight.ts";
import { serviceResource, servicesOf } from "./service_insight.ts";

type Source = Pick<ApiView, "resources" | "kinds" | "control">;

/** All insights of one kind that one mesh has, in order of their names. */
const COMPUTED: ReadonlyMap<string, (mesh: Resource, source: Source) => readonly Resource[]> =
  new Map([
    ["MeshInsight", (mesh, source) => [meshInsightOf(mesh, source)]],
    ["ServiceInsight", serviceInsightsOf],
  ]);

/** The store's view, in which computed insights are resources like any other. */
export function withInsights(source: Source): ResourceView {
  const { resources } = source;
  return {
    revision: resources.revision,
    get: (key) => COMPUTED.has(key.type) ? find(key, source) : resources.get(key),
    list: (type, mesh) =>
      COMPUTED.has(type) ? list(type, mesh, source) : resources.list(type, mesh),
  };
}

function list(type: string, mesh: string | undefined, source: Source): readonly Resource[] {
  // Insights of meshes are of no mesh themselves.
  return source.resources.list("Mesh").filter(({ name }) => !mesh || name === mesh)
    .flatMap((one) => ofMesh(type, one, source));
}

function find({ type, mesh, name }: ResourceKey, source: Source): Resource | undefined {
  const owner = source.resources.get({ type: "Mesh", mesh: "", name: mesh || name });
  if (!owner) return undefined;
  const known = ofMesh(type, owner, source).find((one) => one.name === name);
  if (known || type !== "ServiceInsight") return known;
  // Kuma answers for services that nobody has.
  const { control: { vipPort } } = source;
  return serviceResource(name, undefined, { meta: metaOf(type, owner, source), vipPort });
}

interface Kept {
  readonly revision: number;
  readonly lists: Map<string, readonly Resource[]>;
}

const kept = new WeakMap<ResourceView, Kept>();

function ofMesh(type: string, mesh: Resource, source: Source): readonly Resource[] {
  const { resources } = source;
  let cache = kept.get(resources);
  if (cache?.revision !== resources.revision) {
    kept.set(resources, cache = { revision: resources.revision, lists: new Map() });
  }
  const key = `${type} ${mesh.name}`;
  let found = cache.lists.get(key);
  if (!found) cache.lists.set(key, found = COMPUTED.get(type)?.(mesh, source) ?? []);
  return found;
}

function meshInsightOf(mesh: Resource, source: Source): Resource {
  const spec = meshInsight(mesh.name, source);
  return { ...metaOf("MeshInsight", mesh, source), mesh: "", name: mesh.name, spec };
}

function serviceInsightsOf(mesh: Resource, source: Source): readonly Resource[] {
  const { resources, control: { vipPort } } = source;
  const meta = metaOf("ServiceInsight", mesh, source);
  return [...servicesOf(mesh.name, resources)]
    .map(([name, service]) => serviceResource(name, service, { meta, vipPort }));
}

/** What an insight is computed from, apart from numbers of resources. */
const SOURCES = ["Dataplane", "DataplaneInsight", "ExternalService"];

function metaOf(
  type: string,
  mesh: Resource,
  { resources }: Source,
): Omit<Resource, "name" | "spec"> {
  const modificationTime = SOURCES.flatMap((source) => resources.list(source, mesh.name))
    .reduce(
      (newest, one) => one.modificationTime > newest ? one.modificationTime : newest,
      mesh.modificationTime,
    );
  return {
    type,
    mesh: mesh.name,
    labels: {},
    version: resources.revision,
    creationTime: mesh.creationTime,
    modificationTime,
  };
}
