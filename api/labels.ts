// Labels: what users may set, and what the control plane adds.

import {
  DISPLAY_NAME_LABEL,
  isResourceName,
  MESH_LABEL,
  ORIGIN_LABEL,
  ZONE_LABEL,
} from "../core/names.ts";
import {
  compareText,
  type Labels,
  type ResourceDescriptor,
  type ResourceKey,
} from "../core/resource.ts";
import { TRAVEL } from "../core/travel.ts";
import type { Violation } from "../core/violation.ts";
import type { ControlPlane } from "./ports.ts";

export const ENV_LABEL = "kuma.io/env";
export const PROXY_TYPE_LABEL = "kuma.io/proxy-type";

const IMMUTABLE = [ORIGIN_LABEL, ZONE_LABEL, DISPLAY_NAME_LABEL];
/** Kubernetes' syntax of the name part of a label key, and of a value. */
const WORD = /^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;

/** Whether what a zone writes of this kind is known by its zone. */
export function isZoneProvided({ kds }: ResourceDescriptor): boolean {
  return kds !== "local" && TRAVEL[kds].byZone;
}

/**
 * The labels that are stored: the user's, and those that follow from what is written where.
 * A delegated gateway is a `sidecar` too: seen with Kuma 2.13.10.
 */
export function computedLabels(
  kind: ResourceDescriptor,
  key: ResourceKey,
  { labels, control }: {
    readonly labels: Labels;
    readonly control: Pick<ControlPlane, "mode" | "zone">;
  },
): Labels {
  const all: Record<string, string> = { ...labels };
  if (kind.scope === "Mesh") all[MESH_LABEL] = key.mesh;
  if (kind.name === "Dataplane") all[PROXY_TYPE_LABEL] = "sidecar";
  if (control.mode !== "global" && isZoneProvided(kind)) {
    all[ORIGIN_LABEL] = "zone";
    all[ENV_LABEL] = "universal";
    if (control.zone !== "") all[ZONE_LABEL] = control.zone;
  }
  return Object.fromEntries(Object.entries(all).sort(([a], [b]) => compareText(a, b)));
}

/** What is wrong with the labels of a request. */
export function checkLabels(
  kind: ResourceDescriptor,
  key: ResourceKey,
  { labels, control }: { readonly labels: unknown; readonly control: ControlPlane },
): readonly Violation[] {
  if (labels === undefined || labels === null) return [];
  if (typeof labels !== "object" || Array.isArray(labels)) {
    return [{ path: "labels", message: "must be an object of strings" }];
  }
  return Object.entries(labels).flatMap(([name, value]) =>
    checkLabel(name, value, { kind, key, control }).map((message) => ({
      path: `labels["${name}"]`,
      message,
    }))
  );
}

function checkLabel(
  name: string,
  value: unknown,
  { kind, key, control }: {
    readonly kind: ResourceDescriptor;
    readonly key: ResourceKey;
    readonly control: ControlPlane;
  },
): readonly string[] {
  if (typeof value !== "string") return ["must be a string"];
  const messages: string[] = [];
  if (!isLabelKey(name)) {
    messages.push("the key must be [prefix/]name: letters, digits, '-', '_', '.', 63 at most");
  }
  if (value !== "" && !WORD.test(value)) {
    messages.push("the value must be letters, digits, '-', '_', '.', 63 at most");
  }
  const wanted = requiredValue(name, { kind, key, control });
  if (wanted !== undefined && value !== wanted) {
    messages.push(`must be "${wanted}" here, is "${value}"`);
  }
  return messages;
}

function isLabelKey(key: string): boolean {
  const slash = key.indexOf("/");
  return WORD.test(key.slice(slash + 1)) && (slash < 0 || isResourceName(key.slice(0, slash)));
}

function requiredValue(
  name: string,
  { kind, key, control }: {
    readonly kind: ResourceDescriptor;
    readonly key: ResourceKey;
    readonly control: ControlPlane;
  },
): string | undefined {
  const inZone = control.mode !== "global" && isZoneProvided(kind);
  switch (name) {
    case MESH_LABEL:
      return kind.scope === "Mesh" ? key.mesh : undefined;
    case ORIGIN_LABEL:
      return control.mode === "global" ? "global" : inZone ? "zone" : undefined;
    case ZONE_LABEL:
      return inZone && control.zone !== "" ? control.zone : undefined;
    default:
      return undefined;
  }
}

/** Computed sets compare: a label that the control plane adds anyway need not be repeated. */
export function checkImmutable(before: Labels, after: Labels): readonly Violation[] {
  return IMMUTABLE.flatMap((name) => {
    const [old, now] = [before[name], after[name]];
    if (old === undefined || old === now) return [];
    const message = now === undefined
      ? `cannot be removed (was "${old}")`
      : `is immutable, cannot be changed from "${old}" to "${now}"`;
    return [{ path: `labels["${name}"]`, message }];
  });
}
