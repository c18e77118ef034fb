// From the body of a PUT to the resource that would be stored, or all that is wrong with it.

import { isObject } from "../core/json.ts";
import { isResourceName } from "../core/names.ts";
import type {
  Draft,
  Json,
  JsonObject,
  Labels,
  Resource,
  ResourceDescriptor,
  ResourceKey,
} from "../core/resource.ts";
import { unknownField } from "../core/shape.ts";
import { ZONE_TAG } from "../core/tags.ts";
import { type Note, under, type Violation } from "../core/violation.ts";
import { readSpec } from "../proto/spec.ts";
import { checkLabels, computedLabels } from "./labels.ts";
import type { ControlPlane } from "./ports.ts";

export type Admission =
  | { readonly ok: true; readonly draft: Draft; readonly notes: readonly Note[] }
  | { readonly ok: false; readonly violations: readonly Violation[] }
  | { readonly ok: false; readonly error: string };

/** Fields of the body that are not the spec's. Times, KRI and status are the control plane's to give. */
const META = new Set([
  "type",
  "mesh",
  "name",
  "labels",
  "creationTime",
  "modificationTime",
  "kri",
  "status",
]);
/** The name that a zone's resource had at a global without hashed names: `<zone>.<name>`. */
const QUALIFIED_NAME_MAX = 252;

export function admit(
  kind: ResourceDescriptor,
  key: ResourceKey,
  { body, control, existing }: {
    readonly body: JsonObject;
    readonly control: ControlPlane;
    readonly existing: Resource | undefined;
  },
): Admission {
  const { spec: written, others } = specOf(kind, body);
  const { known, notes, canonical } = readSpec(kind, written);
  const { spec, violations: zoneViolations } = withZone(kind, known, control.zone);
  const violations = [
    ...checkIdentity(kind, key, body),
    ...(existing ? [] : checkName(key, control)),
    ...checkLabels(kind, key, { labels: body["labels"], control }),
    ...underSpec(kind, kind.validate(spec)),
    ...zoneViolations,
  ];
  if (violations.length > 0) return { ok: false, violations };
  const stored = canonical(spec);
  if (!stored.ok) return stored;
  const labels = computedLabels(kind, key, {
    labels: (body["labels"] ?? {}) as Labels,
    spec: stored.spec,
    control,
  });
  const draft = { ...key, labels, spec: stored.spec };
  return {
    ok: true,
    // Found out by control planes: what a user says of it is ignored, as it is by Kuma.
    draft: { ...draft, ...(existing?.status && { status: existing.status }) },
    notes: [
      ...others.map((path) => ({ path, message: unknownField(path, ["spec"]) })),
      ...notes,
      ...underSpec(kind, kind.notes?.(spec) ?? []),
    ],
  };
}

function underSpec(
  { message }: ResourceDescriptor,
  findings: readonly Violation[],
): readonly Violation[] {
  return message === undefined ? under("spec", findings) : findings;
}

/** The spec stands flat beside the meta fields, or under a key of its own where it is no message. */
export function specOf(
  { message }: ResourceDescriptor,
  body: JsonObject,
): { readonly spec: JsonObject; readonly others: readonly string[] } {
  const rest = Object.entries(body).filter(([name]) => !META.has(name));
  if (message !== undefined) return { spec: Object.fromEntries(rest), others: [] };
  const { spec } = body;
  return {
    // What is no object is refused by the validation.
    spec: spec as JsonObject,
    others: rest.map(([name]) => name).filter((name) => name !== "spec"),
  };
}

function checkIdentity(
  kind: ResourceDescriptor,
  key: ResourceKey,
  body: JsonObject,
): readonly Violation[] {
  const fields = kind.scope === "Mesh"
    ? ["type", "mesh", "name"] as const
    : ["type", "name"] as const;
  return fields.filter((field) => body[field] !== key[field]).map((field) => ({
    path: field,
    message:
      `${field} from the URL has to be the same as in body: "${key[field]}" is in the URL, ` +
      `${JSON.stringify(body[field] ?? null)} in the body`,
  }));
}

function checkName({ name }: ResourceKey, control: ControlPlane): readonly Violation[] {
  if (!isResourceName(name)) {
    return [{
      path: "name",
      message: "must be an RFC 1123 subdomain: lower-case letters, digits, '-' and '.', " +
        "beginning and ending with a letter or digit, 253 at most",
    }];
  }
  if (control.federated && `${control.zone}.${name}`.length > QUALIFIED_NAME_MAX) {
    return [{
      path: "name",
      message:
        `must be ${QUALIFIED_NAME_MAX} characters at most, with "${control.zone}." before it`,
    }];
  }
  return [];
}

/** A zone's control plane writes its zone into proxies, and refuses another's. */
function withZone(
  kind: ResourceDescriptor,
  spec: JsonObject,
  zone: string,
): { readonly spec: JsonObject; readonly violations: readonly Violation[] } {
  if (zone === "") return { spec, violations: [] };
  if (kind.name === "ZoneIngress" || kind.name === "ZoneEgress") {
    return withField(spec, { name: "zone", zone, path: "zone" });
  }
  if (kind.name !== "Dataplane" || !isObject(spec["networking"])) return { spec, violations: [] };
  const { inbound, gateway, ...rest } = spec["networking"];
  const inbounds = Array.isArray(inbound)
    ? inbound.map((item, index) => withZoneTag(item, `networking.inbound[${index}]`, zone))
    : [];
  const edge = gateway === undefined ? undefined : withZoneTag(gateway, "networking.gateway", zone);
  const networking = {
    ...rest,
    ...(inbound !== undefined && {
      inbound: Array.isArray(inbound) ? inbounds.map(({ value }) => value) : inbound,
    }),
    ...(edge && { gateway: edge.value }),
  };
  return {
    spec: { ...spec, networking },
    violations: [...inbounds, ...(edge ? [edge] : [])].flatMap(({ violations }) => violations),
  };
}

function withZoneTag(
  value: Json,
  path: string,
  zone: string,
): { readonly value: Json; readonly violations: readonly Violation[] } {
  if (!isObject(value) || !isObject(value["tags"])) return { value, violations: [] };
  const { spec: tags, violations } = withField(value["tags"], {
    name: ZONE_TAG,
    zone,
    path: `${path}.tags["${ZONE_TAG}"]`,
  });
  return { value: { ...value, tags }, violations };
}

function withField(
  spec: JsonObject,
  { name, zone, path }: { readonly name: string; readonly zone: string; readonly path: string },
): { readonly spec: JsonObject; readonly violations: readonly Violation[] } {
  const given = spec[name];
  if (given === undefined || given === "" || given === zone) {
    return { spec: { ...spec, [name]: zone }, violations: [] };
  }
  const message = `must be "${zone}", the zone of this control plane, is ${JSON.stringify(given)}`;
  return { spec, violations: [{ path, message }] };
}
