// The resource by which a proxy registers itself: a Dataplane or ZoneIngress in YAML or JSON.

import type { DataplaneSpec } from "../core/dataplane.ts";
import { isDeeper, whyNoJson } from "../core/json.ts";
import { YAML_CHARS_MAX } from "../core/limits.ts";
import { isResourceName } from "../core/names.ts";
import type { Labels } from "../core/resource.ts";
import type { Violation } from "../core/violation.ts";
import { parseYaml } from "../core/yaml.ts";

/** A ZoneIngress shares the fields of `networking` that are read here. */
export interface ProxyResource {
  readonly type: "Dataplane" | "ZoneIngress";
  readonly mesh: string;
  readonly name: string;
  readonly labels?: Labels;
  readonly spec: DataplaneSpec;
}

export type ParsedProxy =
  | { readonly ok: true; readonly resource: ProxyResource }
  | { readonly ok: false; readonly violations: readonly Violation[] };

/** No resource is nested this deep; deeper input is an attack on whoever walks it. */
const DEPTH_MAX = 32;

/** Reads the resource and checks what identifies it; the spec is left to the control plane. */
export function parseProxyResource(text: string, proxyType: "dataplane" | "ingress"): ParsedProxy {
  const read = parseText(text);
  if (!read.ok) return read;
  const { value } = read;
  const reason = whyNoJson(value);
  if (reason !== null) return refused("resource", reason);
  if (isDeeper(value, DEPTH_MAX)) {
    return refused("resource", `is nested deeper than ${DEPTH_MAX} levels`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return refused("resource", "must be a resource with type, name and networking");
  }
  const { type, mesh, name, labels, ...rest } = value as Record<string, unknown>;
  const spec = withoutMeta(rest);
  const wanted = proxyType === "ingress" ? "ZoneIngress" : "Dataplane";
  const violations: Violation[] = [];
  if (type !== wanted) {
    violations.push({ path: "type", message: `must be ${wanted}, is ${JSON.stringify(type)}` });
  }
  checkName("name", name, violations);
  if (wanted === "Dataplane") checkName("mesh", mesh, violations);
  if (labels !== undefined && !isLabels(labels)) {
    violations.push({ path: "labels", message: "must be an object of strings" });
  }
  if (!isRecord(spec["networking"])) {
    violations.push({ path: "networking", message: "must be set" });
  }
  if (violations.length > 0) return { ok: false, violations };
  return {
    ok: true,
    resource: {
      type: wanted,
      mesh: wanted === "Dataplane" ? mesh as string : "",
      name: name as string,
      ...(isLabels(labels) ? { labels } : {}),
      spec: spec as unknown as DataplaneSpec,
    },
  };
}

/** kuma-dp sends its resource in the form of the API: with times and a KRI. */
function withoutMeta(rest: Record<string, unknown>): Record<string, unknown> {
  const { creationTime: _created, modificationTime: _modified, kri: _kri, ...spec } = rest;
  return spec;
}

function parseText(
  text: string,
): { readonly ok: true; readonly value: unknown } | (ParsedProxy & { readonly ok: false }) {
  try {
    if (text.startsWith("{")) return { ok: true, value: JSON.parse(text) };
  } catch {
    // YAML may begin so, too.
  }
  if (text.length > YAML_CHARS_MAX) {
    return refused("resource", `is longer than ${YAML_CHARS_MAX} characters: write it as JSON`);
  }
  const parsed = parseYaml(text);
  return parsed.ok ? parsed : refused("resource", `is not YAML: ${parsed.message.split("\n")[0]}`);
}

/** The same resource with an admin port, as the JSON text that goes into the bootstrap request. */
export function renderProxyResource(resource: ProxyResource, adminPort: number): string {
  const { type, mesh, name, labels, spec } = resource;
  return JSON.stringify({
    type,
    ...(mesh ? { mesh } : {}),
    name,
    ...(labels ? { labels } : {}),
    ...spec,
    networking: {
      ...spec.networking,
      admin: { ...spec.networking.admin, port: adminPort },
    },
  });
}

function checkName(path: string, value: unknown, violations: Violation[]): void {
  if (typeof value === "string" && isResourceName(value)) return;
  violations.push({
    path,
    message: `must be a name of lower-case letters, digits, "-" and ".", is ${
      JSON.stringify(value) ?? "missing"
    }`,
  });
}

function refused(path: string, message: string): ParsedProxy & { readonly ok: false } {
  return { ok: false, violations: [{ path, message }] };
}

function isLabels(value: unknown): value is Labels {
  return isRecord(value) && Object.values(value).every((label) => typeof label === "string");
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
