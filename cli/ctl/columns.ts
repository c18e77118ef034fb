// Columns of tables: stable in order, one function a cell.

import type { DataplaneSpec } from "../../core/dataplane.ts";
import { objectOf } from "../../core/json.ts";
import { dataplaneStatus, isOnline } from "../../core/proxy_status.ts";
import type { Json, JsonObject, ResourceDescriptor } from "../../core/resource.ts";
import { ago } from "../output.ts";

export interface Column {
  readonly header: string;
  readonly cell: (item: JsonObject, nowMs: number) => string;
}

const NAME: Column = { header: "NAME", cell: ({ name }) => String(name) };
const MESH: Column = { header: "MESH", cell: ({ mesh }) => String(mesh ?? "") };
const AGE: Column = {
  header: "AGE",
  cell: ({ creationTime }, nowMs) => ago(creationTime, nowMs),
};

export function columnsOf(kind: ResourceDescriptor): readonly Column[] {
  return BY_KIND[kind.name] ?? [...(kind.scope === "Mesh" ? [MESH] : []), NAME, AGE];
}

const BY_KIND: Readonly<Record<string, readonly Column[]>> = {
  Mesh: [
    NAME,
    { header: "MTLS", cell: (mesh) => backendText(objectOf(mesh["mtls"])) },
    {
      header: "LOCALITY",
      cell: (mesh) => objectOf(mesh["routing"])["localityAwareLoadBalancing"] ? "on" : "off",
    },
    AGE,
  ],
  Dataplane: [
    MESH,
    NAME,
    { header: "TAGS", cell: (item) => tagsText(item) },
    { header: "ADDRESS", cell: (item) => String(objectOf(item["networking"])["address"] ?? "") },
    AGE,
  ],
  Zone: [NAME, { header: "ENABLED", cell: ({ enabled }) => enabled === false ? "no" : "yes" }, AGE],
  ZoneIngress: [
    NAME,
    { header: "ZONE", cell: ({ zone }) => String(zone ?? "") },
    {
      header: "ADVERTISED",
      cell: (item) => {
        const { advertisedAddress, advertisedPort } = objectOf(item["networking"]);
        return advertisedAddress ? `${advertisedAddress}:${advertisedPort}` : "-";
      },
    },
    {
      header: "SERVICES",
      cell: ({ availableServices }) => String(array(availableServices).length),
    },
    AGE,
  ],
};

/** kumactl's columns; what has no answer yet is `never` or `-`. */
export const INSPECT_COLUMNS: Readonly<Record<string, readonly Column[]>> = {
  Dataplane: [
    MESH,
    NAME,
    { header: "TAGS", cell: ({ dataplane }) => tagsText(objectOf(dataplane)) },
    { header: "STATUS", cell: (item) => statusText(item) },
    ...updates("dataplaneInsight"),
    mtls("CERT REGENERATED AGO", (cert, nowMs) => ago(cert["lastCertificateRegeneration"], nowMs)),
    mtls("CERT EXPIRATION", (cert) => String(cert["certificateExpirationTime"] ?? "-")),
    mtls("CERT REGENERATIONS", (cert) => String(cert["certificateRegenerations"] ?? 0)),
    mtls("CERT BACKEND", (cert) => String(cert["issuedBackend"] ?? "-")),
    mtls("SUPPORTED CERT BACKENDS", (cert) => array(cert["supportedBackends"]).join(",") || "-"),
    ...versions("dataplaneInsight"),
    {
      header: "DEPENDENCIES VERSIONS",
      cell: (item) => {
        const { dependencies } = objectOf(lastSubscription(item["dataplaneInsight"])["version"]);
        return Object.entries(objectOf(dependencies)).map(([name, is]) => `${name}: ${is}`)
          .join(", ") || "-";
      },
    },
  ],
  ZoneIngress: [
    NAME,
    { header: "STATUS", cell: ({ zoneIngressInsight }) => status(zoneIngressInsight) },
    ...updates("zoneIngressInsight"),
    ...versions("zoneIngressInsight"),
  ],
  ZoneEgress: [
    NAME,
    { header: "STATUS", cell: ({ zoneEgressInsight }) => status(zoneEgressInsight) },
    ...updates("zoneEgressInsight"),
    ...versions("zoneEgressInsight"),
  ],
  MeshInsight: [
    NAME,
    { header: "DATAPLANES", cell: ({ dataplanes }) => there(dataplanes) },
    {
      header: "SERVICES",
      cell: ({ services }) => String(objectOf(services)["total"] ?? 0),
    },
    {
      header: "POLICIES",
      cell: ({ policies }) =>
        String(
          Object.values(objectOf(policies))
            .reduce((sum: number, of) => sum + Number(objectOf(of)["total"] ?? 0), 0),
        ),
    },
    {
      header: "CERT BACKENDS",
      cell: ({ mTLS }) => Object.keys(objectOf(objectOf(mTLS)["issuedBackends"])).join(",") || "-",
    },
  ],
  ServiceInsight: [
    MESH,
    { header: "SERVICE", cell: ({ name }) => String(name) },
    { header: "STATUS", cell: ({ status = "-" }) => String(status).replaceAll("_", " ") },
    { header: "DATAPLANES", cell: ({ dataplanes }) => there(dataplanes) },
    { header: "ADDRESS", cell: ({ addressPort = "-" }) => String(addressPort) },
    { header: "ZONES", cell: ({ zones }) => array(zones).join(",") || "-" },
  ],
  Zone: [
    NAME,
    {
      header: "STATUS",
      cell: ({ zone, zoneInsight }) =>
        objectOf(zone)["enabled"] === false ? "Offline" : status(zoneInsight),
    },
    ...updates("zoneInsight"),
    {
      header: "ZONE-CP VERSION",
      cell: ({ zoneInsight }) => {
        const { kumaCp } = objectOf(lastSubscription(zoneInsight)["version"]);
        return String(objectOf(kumaCp)["version"] ?? "-");
      },
    },
    { header: "BACKEND", cell: ({ zoneInsight }) => storeOf(lastSubscription(zoneInsight)) },
  ],
};

/** What an operator should know of an item, though no column of kumactl's has room for it. */
export const INSPECT_WARNINGS: Readonly<Record<string, (item: JsonObject) => readonly string[]>> = {
  Dataplane: ({ mesh, name, dataplaneInsight }) =>
    leaseWarnings(`dataplane ${mesh}/${name}`, dataplaneInsight),
  ZoneIngress: ({ name, zoneIngressInsight }) =>
    leaseWarnings(`zone ingress ${name}`, zoneIngressInsight),
  Zone: ({ name, zoneInsight }) => {
    const { alarm, rejected, refused } = objectOf(objectOf(zoneInsight)["ursa"]);
    return [
      ...(typeof alarm === "string" ? [`zone ${name}: ${alarm}`] : []),
      ...Object.entries(objectOf(rejected)).map(([type, reason]) =>
        `zone ${name}, not all of ${type} has passed: ${reason}`
      ),
      ...Object.entries(objectOf(refused)).map(([type, what]) => {
        const { count, resources } = objectOf(what);
        const reasons = Object.entries(objectOf(resources)).map((one) => one.join(": "));
        return `zone ${name}, ${count} of ${type} could not be taken: ${reasons.join("; ")}`;
      }),
    ];
  },
};

function leaseWarnings(who: string, insight: Json | undefined): readonly string[] {
  const { leasedUntil, lost } = objectOf(objectOf(objectOf(insight)["metadata"])["ursa"]);
  return leasedUntil === undefined
    ? []
    : [`${who}: ${lost}; it leaves at ${leasedUntil} unless it comes back`];
}

function updates(insight: string): readonly Column[] {
  const total = (item: JsonObject, stat: string): number =>
    array(objectOf(item[insight])["subscriptions"]).reduce((sum: number, subscription) => {
      const counts = objectOf(objectOf(objectOf(subscription)["status"])["total"]);
      return sum + Number(counts[stat] ?? 0);
    }, 0);
  return [
    {
      header: "LAST CONNECTED AGO",
      cell: (item, nowMs) => ago(lastSubscription(item[insight])["connectTime"], nowMs),
    },
    {
      header: "LAST UPDATED AGO",
      cell: (item, nowMs) =>
        ago(objectOf(lastSubscription(item[insight])["status"])["lastUpdateTime"], nowMs),
    },
    { header: "TOTAL UPDATES", cell: (item) => String(total(item, "responsesAcknowledged")) },
    { header: "TOTAL ERRORS", cell: (item) => String(total(item, "responsesRejected")) },
  ];
}

function versions(insight: string): readonly Column[] {
  const version = (item: JsonObject, of: string) => {
    const all = objectOf(lastSubscription(item[insight])["version"]);
    return String(objectOf(all[of])["version"] ?? "-");
  };
  return [
    { header: "KUMA-DP VERSION", cell: (item) => version(item, "kumaDp") },
    { header: "ENVOY VERSION", cell: (item) => version(item, "envoy") },
  ];
}

function mtls(header: string, cell: Column["cell"]): Column {
  return {
    header,
    cell: (item, nowMs) => cell(objectOf(objectOf(item["dataplaneInsight"])["mTLS"]), nowMs),
  };
}

function statusText(item: JsonObject): string {
  const spec = { networking: { address: "" }, ...objectOf(item["dataplane"]) } as DataplaneSpec;
  return STATUS_TEXTS[dataplaneStatus(spec, objectOf(item["dataplaneInsight"]))];
}

const STATUS_TEXTS = {
  online: "Online",
  offline: "Offline",
  partially_degraded: "Partially degraded",
} as const;

function status(insight: Json | undefined): string {
  return isOnline(objectOf(insight)) ? "Online" : "Offline";
}

/** `2/3`: so many of them are connected and ready. */
function there(stat: Json | undefined): string {
  const { online = 0, total = 0 } = objectOf(stat);
  return `${online}/${total}`;
}

function storeOf(subscription: JsonObject): string {
  const { config } = subscription;
  if (typeof config !== "string") return "-";
  try {
    return String(objectOf(objectOf(JSON.parse(config))["store"])["type"] ?? "-");
  } catch {
    return "-";
  }
}

function lastSubscription(insight: Json | undefined): JsonObject {
  return objectOf(array(objectOf(insight)["subscriptions"]).at(-1));
}

function tagsText(dataplane: JsonObject): string {
  const { inbound, gateway } = objectOf(dataplane["networking"]);
  const owners = [...array(inbound), ...(gateway === undefined ? [] : [gateway])];
  const values = new Map<string, Set<string>>();
  for (const owner of owners) {
    for (const [key, value] of Object.entries(objectOf(objectOf(owner)["tags"]))) {
      values.set(key, (values.get(key) ?? new Set()).add(String(value)));
    }
  }
  return [...values].sort(([a], [b]) => a < b ? -1 : 1)
    .map(([key, all]) => `${key}=${[...all].sort().join(",")}`).join(" ");
}

function backendText(mtls: JsonObject): string {
  const { enabledBackend, backends } = mtls;
  const backend = array(backends).map(objectOf).find(({ name }) => name === enabledBackend);
  return backend && enabledBackend ? `${backend["type"]}/${backend["name"]}` : "off";
}

function array(value: Json | undefined): readonly Json[] {
  return Array.isArray(value) ? value : [];
}
