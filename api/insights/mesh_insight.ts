// MeshInsight: how many there are of everything in a mesh. kuma@v2.13.10:pkg/insights/resyncer.go.

import { objectOf, wordOf } from "../../core/json.ts";
import type { Json, JsonObject, ResourceDescriptor } from "../../core/resource.ts";
import type { Kinds, ResourceView } from "../ports.ts";
import { gatewayType, offersOf, proxiesOf, type Proxy } from "./proxies.ts";
import { Stat, StatTable, sumOf, withoutZeros } from "./stat.ts";

/** Proxies of one mesh by what they are. */
export interface ProxyStats {
  readonly standard: Stat;
  readonly gateway_builtin: Stat;
  readonly gateway_delegated: Stat;
}

export function proxyStats(proxies: readonly Proxy[]): ProxyStats {
  const stats = {
    standard: new Stat(),
    gateway_builtin: new Stat(),
    gateway_delegated: new Stat(),
  };
  for (const { spec: { networking: { gateway } }, status } of proxies) {
    stats[gateway ? gatewayType(gateway.type) : "standard"].add(status);
  }
  return stats;
}

/** The spec of the MeshInsight. Sums are what their name says, while Kuma's per-version totals leave out degraded proxies. */
export function meshInsight(
  mesh: string,
  { resources, kinds }: { readonly resources: ResourceView; readonly kinds: Kinds },
): JsonObject {
  const proxies = proxiesOf(mesh, resources);
  const { standard, gateway_builtin, gateway_delegated } = proxyStats(proxies);
  const gateway = sumOf([gateway_builtin, gateway_delegated]);
  const counted = countedKinds(kinds).map((kind) =>
    [kind, resources.list(kind.name, mesh).length] as const
  ).filter(([, total]) => total > 0);
  const internal = new Set(proxies.flatMap(({ spec }) => offersOf(spec).map((o) => o.service)));
  const external = resources.list("ExternalService", mesh).length;
  return withoutAbsent({
    dataplanes: sumOf([standard, gateway]).json(),
    policies: totals(counted.filter(([{ policy }]) => policy)),
    dpVersions: versions(proxies),
    mTLS: backends(proxies),
    services: withoutZeros({ total: internal.size + external, internal: internal.size, external }),
    dataplanesByType: {
      standard: standard.json(),
      gateway: gateway.json(),
      gatewayBuiltin: gateway_builtin.json(),
      gatewayDelegated: gateway_delegated.json(),
    },
    resources: totals(counted),
  });
}

/** Everything in a mesh but what only reports about something else. */
export function countedKinds(kinds: Kinds): readonly ResourceDescriptor[] {
  return [...kinds.all()].filter(({ scope, name }) => scope === "Mesh" && !isInsight(name));
}

export function isInsight(type: string): boolean {
  return type.endsWith("Insight");
}

function totals(counted: readonly (readonly [ResourceDescriptor, number])[]): JsonObject {
  return Object.fromEntries(counted.map(([{ name }, total]) => [name, { total }]));
}

function versions(proxies: readonly Proxy[]): JsonObject {
  const kumaDp = new StatTable();
  const envoy = new StatTable();
  for (const { insight, status } of proxies) {
    const version = insight?.subscriptions?.at(-1)?.version;
    kumaDp.add(versionText(version?.["kumaDp"]), status);
    envoy.add(versionText(version?.["envoy"]), status);
  }
  return withoutZeros({ kumaDp: kumaDp.json(), envoy: envoy.json() });
}

function versionText(of: Json | undefined): string {
  return wordOf(objectOf(of)["version"]) || "unknown";
}

function backends(proxies: readonly Proxy[]): JsonObject {
  const issued = new StatTable();
  const supported = new StatTable();
  for (const { insight, status } of proxies) {
    const { mTLS } = insight ?? {};
    if (!mTLS) continue;
    issued.add(mTLS.issuedBackend ?? "", status);
    for (const backend of mTLS.supportedBackends ?? []) supported.add(backend, status);
  }
  return withoutZeros({ issuedBackends: issued.json(), supportedBackends: supported.json() });
}

/** Maps that are empty are absent; messages stay, empty or not. */
function withoutAbsent({ policies = {}, resources = {}, ...messages }: JsonObject): JsonObject {
  return { ...messages, ...withoutZeros({ policies, resources }) };
}
