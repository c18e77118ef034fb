// What changes on a resource when it crosses the border.

import { InvalidError } from "../core/errors.ts";
import {
  DISPLAY_NAME_LABEL,
  hashedName,
  NAMESPACE_LABEL,
  ORIGIN_LABEL,
  ZONE_LABEL,
} from "../core/names.ts";
import type { Draft, JsonObject, Labels, Resource, ResourceDescriptor } from "../core/resource.ts";
import { publicKeyPem, readPrivateKey } from "../core/rsa_key.ts";
import { zonePublicKeyName } from "../core/token_secrets.ts";

const GRACE_PERIOD_LABEL = "kuma.io/deletion-grace-period-started-at";

/**
 * As a zone gets it; of the keys that sign zone tokens, the public halves. Throws InvalidError for
 * one that cannot be read. `hashNames`: false for a peer older than Kuma 2.6.
 */
export function downward(
  resource: Resource,
  to: { readonly descriptor: ResourceDescriptor; readonly hashNames: boolean },
): Draft {
  const publicName = zonePublicKeyName(resource.name);
  if (resource.type === "GlobalSecret" && publicName !== null) {
    return downward({ ...resource, name: publicName, spec: publicHalfOf(resource) }, to);
  }
  const labels = { ...resource.labels, [ORIGIN_LABEL]: "global" };
  // A copy's name is computed again from what it was at home, which gives the name it has here.
  const { status: _status, ...draft } = to.descriptor.keepsName || !to.hashNames
    ? { ...draftOf(resource), labels }
    : renamed(resource, labels);
  return draft;
}

/** kuma@v2.13.10:pkg/kds/context/context.go (MapZoneTokenSigningKeyGlobalToPublicKey). */
function publicHalfOf({ name, spec }: Resource): JsonObject {
  const { data } = spec;
  const found = readPrivateKey(Uint8Array.fromBase64(typeof data === "string" ? data : ""));
  if (!found.ok) throw new InvalidError(`GlobalSecret "${name}" ${found.reason}`);
  return { data: btoa(publicKeyPem(found.key)) };
}

/** As global gets it. */
export function upward(resource: Resource, zone: string): Draft {
  const { [GRACE_PERIOD_LABEL]: _grace, ...kept } = resource.labels;
  const labels = { ...kept, [ORIGIN_LABEL]: "zone", [ZONE_LABEL]: zone };
  return { ...renamed(resource, labels), spec: withoutGeneration(resource.spec) };
}

function renamed(resource: Resource, labels: Labels): Draft {
  const displayName = labels[DISPLAY_NAME_LABEL] ?? resource.name;
  const zone = labels[ZONE_LABEL];
  const namespace = labels[NAMESPACE_LABEL];
  const name = hashedName({
    mesh: resource.mesh,
    displayName,
    ...(zone !== undefined && { zone }),
    ...(namespace !== undefined && { namespace }),
  });
  return {
    ...draftOf(resource),
    name,
    labels: { ...labels, [DISPLAY_NAME_LABEL]: displayName },
  };
}

function draftOf({ type, mesh, name, labels, spec, status }: Resource): Draft {
  return { type, mesh, name, labels, spec, ...(status && { status }) };
}

/** A live subscription counts its generation up to show that it lives, which is news to nobody here. */
function withoutGeneration(spec: JsonObject): JsonObject {
  const { subscriptions } = spec;
  if (!Array.isArray(subscriptions)) return spec;
  return {
    ...spec,
    subscriptions: subscriptions.map((subscription) => {
      if (typeof subscription !== "object" || subscription === null) return subscription;
      const { generation: _generation, ...rest } = subscription as JsonObject;
      return rest;
    }),
  };
}
