// Labels: what users may set, and what the control plane adds.

import {
  DISPLAY_NAME_LABEL,
  isResourceName,
  MESH_LABEL,
  ORIGIN_LABEL,
  WORKLOAD_LABEL,
  ZONE_LABEL,
} from "../core/names.ts";
import { isObject } from "../core/json.ts";
import {
  compareText,
  type JsonObject,
  type Labels,
  type ResourceDescriptor,
  type ResourceKey,
} from "../core/resource.ts";
import { TRAVEL } from "../core/travel.ts";
import type { Violation } from "../core/violation.ts";
import type { ControlPlane } from "./ports.ts";

const ENV_LABEL = "kuma.io/env";
const PROXY_TYPE_LABEL = "kuma.io/proxy-type";

const IMMUTABLE = [ORIGIN_LABEL, ZONE_LABEL, DISPLAY_NAME_LABEL];
/** Kubernetes' syntax of the name part of a label key, and of a value. */
const WORD = /^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;

/** Whether what a zone writes of this kind is known by its zone. */
export function isZoneProvided({ kds }: ResourceDescriptor): boolean {
  return kds !== "local" && TRAVEL[kds].byZone;
}

/**
 * The labels that are stored: the user's, and those that follow from what is written where. One
 * that was given stays; kuma@v2.13.10:pkg/core/resources/model (ComputeLabels).
 */
export function computedLabels(
  kind: ResourceDescriptor,
  key: ResourceKey,
  { labels, spec, control }: {
    readonly labels: Labels;
    readonly spec: JsonObject;
    readonly control: Pick<ControlPlane, "mode" | "zone">;
  },
): Labels {
  const proxyType = proxyTypeOf(kind, spec);
  const inZone = control.mode !== "global" && isZoneProvided(kind);
  const isGlobals = labels[ORIGIN_LABEL] === "global";
  const all = {
    ...(kind.scope === "Mesh" && { [MESH_LABEL]: key.mesh }),
    ...(inZone && { [ORIGIN_LABEL]: "zone" }),
    ...(inZone && !isGlobals && { [ENV_LABEL]: "universal" }),
    ...(inZone && !isGlobals && control.zone !== "" && { [ZONE_LABEL]: control.zone }),
    ...labels,
    ...(proxyType !== undefined && { [PROXY_TYPE_LABEL]: proxyType }),
  };
  return Object.fromEntries(Object.entries(all).sort(([a], [b]) => compareText(a, b)));
}

/** A delegated gateway is a `sidecar` too: seen with Kuma 2.13.10. */
function proxyTypeOf({ name }: ResourceDescriptor, spec: JsonObject): string | undefined {
  switch (name) {
    case "Dataplane":
      return isBuiltinGateway(spec) ? "gateway" : "sidecar";
    case "ZoneIngress":
    case "ZoneEgress":
      return name.toLowerCase();
    default:
      return undefined;
  }
}

function isBuiltinGateway({ networking }: JsonObject): boolean {
  return isObject(networking) && isObject(networking["gateway"]) &&
    networking["gateway"]["type"] === "BUILTIN";
}

/** Which control plane labels are given to. */
type Place = Pick<ControlPlane, "mode" | "federated" | "zone">;

/** What is wrong with the labels of a request. */
export function checkLabels(
  kind: ResourceDescriptor,
  key: ResourceKey,
  { labels, control }: { readonly labels: unknown; readonly control: Place },
): readonly Violation[] {
  const given = labels ?? {};
  if (!isObject(given)) return [{ path: "labels", message: "must be an object of strings" }];
  const required = requiredValues(kind, key, { given, control });
  return [
    ...missingOrigin(kind, given, control),
    ...Object.entries(given).flatMap(([name, value]) =>
      checkLabel(name, value, required).map((message) => ({ path: `labels["${name}"]`, message }))
    ),
  ];
}

/** In a zone with a global, whoever writes such a policy is to say that it is the zone's own. */
function missingOrigin(
  kind: ResourceDescriptor,
  given: JsonObject,
  control: Place,
): readonly Violation[] {
  const isModern = kind.message === undefined;
  if (!control.federated || !isModern || given[ORIGIN_LABEL] !== undefined) return [];
  const message = 'must be set to "zone": in a zone, only what is its own can be written';
  return [{ path: `labels["${ORIGIN_LABEL}"]`, message }];
}

function checkLabel(
  name: string,
  value: unknown,
  required: Readonly<Record<string, Required>>,
): readonly string[] {
  if (typeof value !== "string") return ["must be a string"];
  const messages: string[] = [];
  if (!isLabelKey(name)) {
    messages.push("the key must be [prefix/]name: letters, digits, '-', '_', '.', 63 at most");
  }
  if (value !== "" && !WORD.test(value)) {
    messages.push("the value must be letters, digits, '-', '_', '.', 63 at most");
  }
  const wanted = Object.hasOwn(required, name) ? required[name] : undefined;
  if (wanted && !wanted.test(value)) messages.push(`must be ${wanted.words} here, is "${value}"`);
  return messages;
}

function isLabelKey(key: string): boolean {
  const slash = key.indexOf("/");
  return WORD.test(key.slice(slash + 1)) && (slash < 0 || isResourceName(key.slice(0, slash)));
}

interface Required {
  readonly words: string;
  readonly test: (value: string) => boolean;
}

const oneOf = (...values: string[]): Required => ({
  words: values.map((value) => `"${value}"`).join(" or "),
  test: (value) => values.includes(value),
});

/** Becomes a part of host names and identities: a DNS-1035 label. */
const WORKLOAD: Required = {
  words: "a DNS label of at most 63 characters that begins with a letter",
  test: (value) => value === "" || /^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/.test(value),
};

function requiredValues(
  kind: ResourceDescriptor,
  key: ResourceKey,
  { given, control }: { readonly given: JsonObject; readonly control: Place },
): Readonly<Record<string, Required>> {
  const { mode, federated, zone } = control;
  const origins = mode === "global"
    ? ["global"]
    : federated && isZoneProvided(kind)
    ? ["zone"]
    : ["global", "zone"];
  const isOwn = mode !== "global" && given[ORIGIN_LABEL] !== "global";
  return {
    ...(kind.scope === "Mesh" && { [MESH_LABEL]: oneOf(key.mesh) }),
    [ORIGIN_LABEL]: oneOf(...origins),
    ...(isOwn && zone !== "" && { [ZONE_LABEL]: oneOf(zone) }),
    ...(kind.name === "Dataplane" && { [WORKLOAD_LABEL]: WORKLOAD }),
  };
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
