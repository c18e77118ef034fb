// Which resources cross the border, and what the receiver may believe of them.

import { isObject, objectOf } from "../core/json.ts";
import { ORIGIN_LABEL, ZONE_LABEL } from "../core/names.ts";
import type { JsonObject, Resource, ResourceDescriptor } from "../core/resource.ts";
import { isAbsent } from "../core/shape.ts";
import { TRAVEL } from "../core/travel.ts";
import { isProducer } from "./producer.ts";
import { MULTI_ZONE_SELECTOR, OPTIONAL_TARGET_REF, PRODUCER_POLICIES } from "./wire.ts";
import { URSA_ZONE_LINKS, zoneOfLink } from "./zone_link.ts";

const SYNC_LABEL = "kuma.io/kds-sync";
/** The identity of a global's store. kuma@v2.13.10:pkg/config/core/resources/... (ClusterIdConfigKey) */
export const CLUSTER_ID_CONFIG = "kuma-cluster-id";

/**
 * What only global needs. kuma@v2.13.10:pkg/kds/context/context.go. Of the keys that sign zone
 * tokens the public halves go (mapper.ts); what is but called like one stays.
 */
const GLOBAL_SECRETS_AT_HOME = [
  /^envoy-admin-ca$/,
  /^admin-user-token$/,
  /^inter-cp-ca$/,
  /^user-token-revocations$/,
  /^user-token-signing-key/,
  /^zone-token-signing-key(?!$|-)/,
];

/** Made here, as `side` sees it. kuma@v2.13.10:pkg/core/resources/model (IsLocallyOriginated) */
export function isLocal(resource: Resource, side: "global" | "zone"): boolean {
  return (resource.labels[ORIGIN_LABEL] ?? side) === side;
}

export function zoneOf(resource: Resource): string | undefined {
  return resource.labels[ZONE_LABEL];
}

/** Who the other side of a stream downwards is. */
export interface ZonePeer {
  readonly descriptor: ResourceDescriptor;
  readonly zone: string;
  /** What it said in its node metadata that it can read. */
  readonly features: readonly string[];
  /** Whether a zone's resources stay away from the others. */
  readonly isDisabled: (zone: string) => boolean;
}

/** Whether global sends `resource` to `zone`. kuma@v2.13.10:pkg/kds/context/context.go */
export function goesToZone(resource: Resource, to: ZonePeer): boolean {
  const linked = zoneOfLink(resource);
  if (linked !== null) return hearsOfLink(linked, to);
  if (resource.labels[SYNC_LABEL] === "disabled" || !isUnderstood(resource, to)) return false;
  return isLocal(resource, "global")
    ? TRAVEL[to.descriptor.kds].down && !staysHome(resource)
    : goesAcross(resource, to);
}

/** Whether a zone is told how it reaches `linked` without global: not when either is out. */
function hearsOfLink(linked: string, { zone, features, isDisabled }: ZonePeer): boolean {
  return features.includes(URSA_ZONE_LINKS) && linked !== zone && !isDisabled(linked) &&
    !isDisabled(zone);
}

function staysHome({ type, name }: Resource): boolean {
  switch (type) {
    case "Config":
      return name !== CLUSTER_ID_CONFIG;
    case "GlobalSecret":
      return GLOBAL_SECRETS_AT_HOME.some((secret) => secret.test(name));
    default:
      return false;
  }
}

/** Older peers do not read all that newer ones write. */
function isUnderstood({ type, spec }: Resource, { descriptor, features }: ZonePeer): boolean {
  if (descriptor.policy?.targetRef && isAbsent(spec["targetRef"])) {
    return features.includes(OPTIONAL_TARGET_REF);
  }
  if (
    type === "HostnameGenerator" && !isAbsent(objectOf(spec["selector"])["meshMultiZoneService"])
  ) {
    return features.includes(MULTI_ZONE_SELECTOR);
  }
  return true;
}

function goesAcross(
  resource: Resource,
  { descriptor, zone, features, isDisabled }: ZonePeer,
): boolean {
  const { across } = TRAVEL[descriptor.kds];
  if (across === "never") return false;
  const producer = features.includes(PRODUCER_POLICIES) && isProducer(resource) &&
    [undefined, zone].includes(targetZone(resource.spec));
  if (across === "producers" && !producer) return false;
  const origin = originZone(resource);
  return origin !== undefined && origin !== zone && !isDisabled(origin);
}

/** The one zone whose proxies a policy selects, if it names one. */
function targetZone({ targetRef }: JsonObject): string | undefined {
  const { kind, tags } = objectOf(targetRef);
  const zone = kind === "MeshSubset" ? objectOf(tags)[ZONE_LABEL] : undefined;
  return typeof zone === "string" ? zone : undefined;
}

/** Whether a zone sends `resource` up. */
export function goesToGlobal(resource: Resource, { kds }: ResourceDescriptor): boolean {
  return resource.labels[SYNC_LABEL] !== "disabled" && TRAVEL[kds].up && isLocal(resource, "zone");
}

function originZone(resource: Resource): string | undefined {
  if (isLocal(resource, "global")) return undefined;
  const { zone } = resource.spec;
  return zoneOf(resource) ?? (typeof zone === "string" ? zone : undefined);
}

/**
 * Global believes the zone's name from its connection alone, not from what a resource says.
 * kuma@v2.13.10:pkg/kds/global (PR 17456)
 */
export function pinToZone(
  type: string,
  spec: JsonObject,
  zone: string,
): { readonly spec: JsonObject; readonly rewritten: boolean } {
  const pinned = pinSpec(type, spec, zone);
  return { spec: pinned, rewritten: JSON.stringify(pinned) !== JSON.stringify(spec) };
}

function pinSpec(type: string, spec: JsonObject, zone: string): JsonObject {
  switch (type) {
    case "ZoneIngress": {
      const { availableServices } = spec;
      return {
        ...spec,
        zone,
        ...(Array.isArray(availableServices) && {
          availableServices: availableServices.map((service) => pinTags(service, zone)),
        }),
      };
    }
    case "ZoneEgress":
      return { ...spec, zone };
    case "Dataplane": {
      const { networking } = spec;
      if (!isObject(networking)) return spec;
      const { inbound, gateway } = networking;
      return {
        ...spec,
        networking: {
          ...networking,
          ...(Array.isArray(inbound) && { inbound: inbound.map((item) => pinTags(item, zone)) }),
          ...(isObject(gateway) && { gateway: pinTags(gateway, zone) }),
        },
      };
    }
    default:
      return spec;
  }
}

function pinTags<Item>(item: Item, zone: string): Item {
  if (!isObject(item) || !isObject(item.tags) || item.tags[ZONE_LABEL] === undefined) return item;
  return { ...item, tags: { ...item.tags, [ZONE_LABEL]: zone } };
}
