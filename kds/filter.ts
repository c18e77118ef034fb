// Which resources cross the border, and what the receiver may believe of them.

import { isObject } from "../core/json.ts";
import { ORIGIN_LABEL, ZONE_LABEL } from "../core/names.ts";
import type { JsonObject, Resource, ResourceDescriptor } from "../core/resource.ts";

const SYNC_LABEL = "kuma.io/kds-sync";
/** The identity of a global's store. kuma@v2.13.10:pkg/config/core/resources/... (ClusterIdConfigKey) */
export const CLUSTER_ID_CONFIG = "kuma-cluster-id";

/**
 * What only global needs. kuma@v2.13.10:pkg/kds/context/context.go. Kuma turns the zone token's
 * signing key into a public key here; until tokens exist, it stays at home.
 */
const GLOBAL_SECRETS_AT_HOME = [
  /^envoy-admin-ca$/,
  /^admin-user-token$/,
  /^inter-cp-ca$/,
  /^user-token-revocations$/,
  /^user-token-signing-key/,
  /^zone-token-signing-key/,
];

/** Made here, as `side` sees it. kuma@v2.13.10:pkg/core/resources/model (IsLocallyOriginated) */
export function isLocal(resource: Resource, side: "global" | "zone"): boolean {
  return (resource.labels[ORIGIN_LABEL] ?? side) === side;
}

export function zoneOf(resource: Resource): string | undefined {
  return resource.labels[ZONE_LABEL];
}

/** Whether global sends `resource` to `zone`. `isDisabled`: whether a zone's resources stay away. */
export function goesToZone(
  resource: Resource,
  to: {
    readonly descriptor: ResourceDescriptor;
    readonly zone: string;
    readonly isDisabled: (zone: string) => boolean;
  },
): boolean {
  if (resource.labels[SYNC_LABEL] === "disabled") return false;
  const { kds, name: type } = to.descriptor;
  if (kds === "across") {
    const origin = originZone(resource);
    return origin !== undefined && origin !== to.zone && !to.isDisabled(origin);
  }
  if (kds !== "global" && kds !== "shared") return false;
  if (type === "Config" && resource.name !== CLUSTER_ID_CONFIG) return false;
  if (type === "GlobalSecret" && GLOBAL_SECRETS_AT_HOME.some((name) => name.test(resource.name))) {
    return false;
  }
  return isLocal(resource, "global");
}

/** Whether a zone sends `resource` up. */
export function goesToGlobal(resource: Resource, descriptor: ResourceDescriptor): boolean {
  if (resource.labels[SYNC_LABEL] === "disabled") return false;
  if (descriptor.kds !== "zone" && descriptor.kds !== "across") return false;
  return isLocal(resource, "zone");
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
