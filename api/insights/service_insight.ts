// ServiceInsight: each service of a mesh with its status. kuma@v2.13.10:pkg/insights/resyncer.go.

import { objectOf, textOf } from "../../core/json.ts";
import { compareText, type JsonObject, type Resource } from "../../core/resource.ts";
import { SERVICE_TAG, type Tags, ZONE_TAG } from "../../core/tags.ts";
import type { ResourceView } from "../ports.ts";
import { offersOf, proxiesOf, type ServiceType } from "./proxies.ts";
import { withoutZeros } from "./stat.ts";

export type ServiceStatus = "online" | "offline" | "partially_degraded" | "not_available";

/** kuma.mesh.v1alpha1.ServiceInsight.Service. */
export interface Service {
  readonly status?: ServiceStatus;
  /** Absent: internal. */
  readonly serviceType?: ServiceType;
  readonly dataplanes?: { readonly online?: number; readonly offline?: number };
  readonly issuedBackends?: Readonly<Record<string, number>>;
  readonly addressPort?: string;
  readonly zones?: readonly string[];
}

/**
 * By name, in order. What global computed over all zones is taken where it is there: a zone sees
 * its own proxies only.
 */
export function servicesOf(mesh: string, resources: ResourceView): ReadonlyMap<string, Service> {
  const stored = resources.list("ServiceInsight", mesh)
    .flatMap(({ spec }) => Object.entries(objectOf(spec["services"])) as [string, Service][]);
  const services = stored.length > 0 ? stored : computed(mesh, resources);
  return new Map([...services].sort(([a], [b]) => compareText(a, b)));
}

/** What is known while a mesh's proxies are gone through. */
interface Tally {
  readonly type: ServiceType;
  readonly address?: string;
  readonly backends: Map<string, number>;
  readonly zones: Set<string>;
  online: number;
  offline: number;
}

function computed(mesh: string, resources: ResourceView): Iterable<[string, Service]> {
  const tallies = new Map<string, Tally>();
  // Two of one name: the type is the first one's.
  const tallyOf = (
    name: string,
    zone: string | undefined,
    first: Pick<Tally, "type" | "address">,
  ) => {
    let tally = tallies.get(name);
    if (!tally) {
      tally = { ...first, backends: new Map(), zones: new Set(), online: 0, offline: 0 };
      tallies.set(name, tally);
    }
    if (zone) tally.zones.add(zone);
    return tally;
  };
  for (const { spec, insight, status } of proxiesOf(mesh, resources)) {
    const backend = insight?.mTLS?.issuedBackend;
    for (const { service, zone, type } of offersOf(spec)) {
      const tally = tallyOf(service, zone, { type });
      if (backend) tally.backends.set(backend, (tally.backends.get(backend) ?? 0) + 1);
      tally[status === "online" ? "online" : "offline"]++;
    }
  }
  for (const { spec } of resources.list("ExternalService", mesh)) {
    const tags = objectOf(spec["tags"]) as Tags;
    const address = textOf(objectOf(spec["networking"])["address"]);
    tallyOf(tags[SERVICE_TAG] ?? "", tags[ZONE_TAG], { type: "external", address });
  }
  return new Map([...tallies].map(([name, tally]) => [name, serviceOf(tally)]));
}

function serviceOf({ type, address, backends, zones, online, offline }: Tally): Service {
  return {
    status: statusOf(type, { online, offline }),
    dataplanes: withoutZeros({ online, offline }),
    ...(backends.size > 0 && { issuedBackends: Object.fromEntries(backends) }),
    ...(type !== "internal" && { serviceType: type }),
    ...(address && { addressPort: address }),
    ...(zones.size > 0 && { zones: [...zones].sort() }),
  };
}

function statusOf(
  type: ServiceType,
  { online, offline }: { readonly online: number; readonly offline: number },
): ServiceStatus {
  if (type === "external") return "not_available";
  if (online === 0) return "offline";
  return offline === 0 ? "online" : "partially_degraded";
}

/**
 * One service as its own resource. A service that nobody offers has no status.
 * kuma@v2.13.10:pkg/api-server/service_insight_endpoints.go.
 */
export function serviceResource(
  name: string,
  service: Service | undefined,
  { meta, vipPort }: {
    readonly meta: Omit<Resource, "name" | "spec">;
    readonly vipPort: number;
  },
): Resource {
  const { dataplanes: { online = 0, offline = 0 } = {}, ...rest } = service ?? {};
  const internal = (service?.serviceType ?? "internal") === "internal";
  return {
    ...meta,
    name,
    spec: {
      ...rest as JsonObject,
      dataplanes: withoutZeros({ total: online + offline, online, offline }),
      ...(internal && { addressPort: `${name}.mesh:${vipPort}` }),
    },
  };
}
