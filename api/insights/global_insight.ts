// Counts over all meshes and zones: the first page of the GUI. kuma@v2.13.10:pkg/insights/globalinsight.

import { isOnline } from "../../core/proxy_status.ts";
import type { JsonObject } from "../../core/resource.ts";
import type { ApiView, Kinds, ResourceView } from "../ports.ts";
import { countedKinds, isInsight, proxyStats } from "./mesh_insight.ts";
import { proxiesOf, type ServiceType } from "./proxies.ts";
import { type Service, servicesOf } from "./service_insight.ts";
import { Stat, sumOf } from "./stat.ts";

type Source = Pick<ApiView, "resources" | "kinds">;

/** All of `/global-insight` but the time. */
export function globalInsight({ resources, kinds }: Source): JsonObject {
  const meshes = resources.list("Mesh").map(({ name }) => name);
  const counted = countedKinds(kinds).map((kind) => ({
    ...kind,
    // Of meshes that are there: what a deleted one left behind counts no more.
    total: meshes.reduce((sum, mesh) => sum + resources.list(kind.name, mesh).length, 0),
  }));
  return {
    meshes: { total: meshes.length },
    dataplanes: dataplanes(meshes, resources),
    policies: { total: sum(counted.filter(({ policy }) => policy)) },
    resources: Object.fromEntries(
      counted.filter(({ total }) => total > 0).map(({ name, total }) => [name, { total }]),
    ),
    services: services(meshes, resources),
    zones: {
      controlPlanes: there("ZoneInsight", resources),
      zoneEgresses: there("ZoneEgressInsight", resources),
      zoneIngresses: there("ZoneIngressInsight", resources),
    },
  };
}

/** What `/global-insights` counts: kinds of no mesh, apart from what reports about others. */
export function globalKindCounts(
  { resources, kinds }: { readonly resources: ResourceView; readonly kinds: Kinds },
): JsonObject {
  return Object.fromEntries(
    [...kinds.all()]
      .filter(({ scope, internal, name }) => scope === "Global" && !internal && !isInsight(name))
      .map(({ name }) => [name, { total: resources.list(name).length }]),
  );
}

function sum(counts: readonly { readonly total: number }[]): number {
  return counts.reduce((total, count) => total + count.total, 0);
}

function dataplanes(meshes: readonly string[], resources: ResourceView): JsonObject {
  const stats = meshes.map((mesh) => proxyStats(proxiesOf(mesh, resources)));
  return {
    standard: sumOf(stats.map(({ standard }) => standard)).full(),
    gatewayBuiltin: sumOf(stats.map(({ gateway_builtin }) => gateway_builtin)).full(),
    gatewayDelegated: sumOf(stats.map(({ gateway_delegated }) => gateway_delegated)).full(),
  };
}

function services(meshes: readonly string[], resources: ResourceView): JsonObject {
  const all = meshes.flatMap((mesh) => [...servicesOf(mesh, resources).values()]);
  const ofType = (type: ServiceType) =>
    all.filter(({ serviceType = "internal" }) => serviceType === type);
  return {
    internal: statOf(ofType("internal")),
    external: { total: ofType("external").length },
    gatewayBuiltin: statOf(ofType("gateway_builtin")),
    gatewayDelegated: statOf(ofType("gateway_delegated")),
  };
}

function statOf(services: readonly Service[]): JsonObject {
  const stat = new Stat();
  for (const { status } of services) {
    if (status && status !== "not_available") stat.add(status);
  }
  return stat.full();
}

/** Of those who report at all: how many are connected. */
function there(type: string, resources: ResourceView): JsonObject {
  const insights = resources.list(type);
  return {
    online: insights.filter(({ spec }) => isOnline(spec)).length,
    total: insights.length,
  };
}
