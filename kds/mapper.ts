// What changes on a resource when it crosses the border.

import {
  DISPLAY_NAME_LABEL,
  hashedName,
  NAMESPACE_LABEL,
  ORIGIN_LABEL,
  ZONE_LABEL,
} from "../core/names.ts";
import type { Draft, JsonObject, Labels, Resource, ResourceDescriptor } from "../core/resource.ts";

const GRACE_PERIOD_LABEL = "kuma.io/deletion-grace-period-started-at";

/** As a zone gets it. `hashNames`: false for a peer older than Kuma 2.6. */
export function downward(
  resource: Resource,
  to: { readonly descriptor: ResourceDescriptor; readonly hashNames: boolean },
): Draft {
  const labels = { ...resource.labels, [ORIGIN_LABEL]: "global" };
  // A copy's name is computed again from what it was at home, which gives the name it has here.
  const { status: _status, ...draft } = to.descriptor.keepsName || !to.hashNames
    ? { ...draftOf(resource), labels }
    : renamed(resource, labels);
  return draft;
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
