// From a node to a proxy: who it says it is, and the resource it registers with.

import { checkLabels, computedLabels } from "../../api/labels.ts";
import { objectOf, textOf } from "../../core/json.ts";
import type { KindTable } from "../../core/kind_table.ts";
import { DISPLAY_NAME_LABEL, isResourceName, ORIGIN_LABEL, ZONE_LABEL } from "../../core/names.ts";
import type { ProxyKey, ProxyType } from "../../core/proxy.ts";
import { REGISTERED_BY_LABEL, REGISTERED_BY_PROXY } from "../dataplane/messages.ts";
import type {
  Draft,
  JsonObject,
  Labels,
  ResourceDescriptor,
  ResourceKey,
} from "../../core/resource.ts";
import { show } from "../../core/shape.ts";
import type { Note, Violation } from "../../core/violation.ts";
import { readSpec } from "../../proto/spec.ts";
import { instanceOf, parseProxyResource } from "../../dataplane/mod.ts";

export type Registration =
  | {
    readonly ok: true;
    readonly key: ProxyKey;
    readonly metadata: JsonObject;
    readonly resource: Draft | null;
    readonly instance: string;
    /** What of the resource has no effect, or is unknown here. */
    readonly notes: readonly Note[];
  }
  | { readonly ok: false; readonly reason: string };

/** Longer than any resource that fits its proxy; parsed on the control plane's one thread. */
const RESOURCE_BYTES_MAX = 256 * 1024;
/**
 * Without the resource. All of it is kept in the insight, which goes to the disk and to global: some
 * kilobytes are usual, and one proxy must not fill the link of its zone.
 */
const METADATA_CHARS_MAX = 64 * 1024;

/** Never throws: a node is hostile input. */
export function readRegistration(
  node: JsonObject,
  { kinds, zone }: { readonly kinds: KindTable; readonly zone: string },
): Registration {
  const metadata = objectOf(node["metadata"]);
  const key = keyOf(textOf(node["id"]), textOf(metadata["dataplane.proxyType"]));
  if (typeof key === "string") return { ok: false, reason: key };
  const text = textOf(metadata["dataplane.resource"]);
  if (JSON.stringify({ ...metadata, "dataplane.resource": "" }).length > METADATA_CHARS_MAX) {
    return { ok: false, reason: `its node metadata is larger than ${METADATA_CHARS_MAX} bytes` };
  }
  const instance = runOf(metadata);
  if (text === "") return { ok: true, key, metadata, resource: null, instance, notes: [] };
  const read = resourceOf(text, key, { kinds, zone });
  return typeof read === "string"
    ? { ok: false, reason: read }
    : { ok: true, key, metadata, instance, ...read };
}

/** It becomes a label: what could not be one is no id. */
function runOf(metadata: JsonObject): string {
  const instance = instanceOf(metadata);
  return /^[A-Za-z0-9]([-\w.]{0,61}[A-Za-z0-9])?$/.test(instance) ? instance : "";
}

/** Envoy's node id is `<mesh>.<name>`, for zone proxies `.<name>`. */
function keyOf(id: string, proxyType: string): ProxyKey | string {
  const type: ProxyType | null = proxyType === "" || proxyType === "dataplane"
    ? "dataplane"
    : proxyType === "ingress"
    ? "ingress"
    : null;
  if (type === null) return `proxy type ${show(proxyType)} is not served: use dataplane or ingress`;
  const dot = id.indexOf(".");
  const [mesh, name] = [id.slice(0, dot), id.slice(dot + 1)];
  if (dot < 0 || !isResourceName(name)) return `node id ${show(id)} is not <mesh>.<name>`;
  if (type === "dataplane" && !isResourceName(mesh)) return `node id ${show(id)} names no mesh`;
  return { type, mesh: type === "dataplane" ? mesh : "", name };
}

function resourceOf(
  text: string,
  key: ProxyKey,
  { kinds, zone }: { readonly kinds: KindTable; readonly zone: string },
): { readonly resource: Draft; readonly notes: readonly Note[] } | string {
  if (text.length > RESOURCE_BYTES_MAX) {
    return `its resource is larger than ${RESOURCE_BYTES_MAX} bytes`;
  }
  const parsed = parseProxyResource(text, key.type);
  if (!parsed.ok) return `its resource is not valid: ${inWords(parsed.violations)}`;
  const { type, mesh, name } = parsed.resource;
  if (name !== key.name || mesh !== key.mesh) {
    return `its ${type} is ${mesh}/${name}, its node id says ${key.mesh}/${key.name}`;
  }
  const kind = kinds.byName(type);
  if (!kind) return `${type} is not served here`;
  const { known, notes, canonical } = readSpec(kind, parsed.resource.spec as unknown as JsonObject);
  const identity = { type, mesh, name };
  const labels = labelsOfProxy(parsed.resource.labels ?? {});
  const violations = [...kind.validate(known), ...wrongLabels(kind, identity, { labels, zone })];
  if (violations.length > 0) return `its ${type} is not valid: ${inWords(violations)}`;
  const stored = canonical(known);
  if (!stored.ok) return `its ${type} is not valid: ${stored.error}`;
  const { zone: named } = stored.spec;
  // It would be taken for one that global sent.
  if (type === "ZoneIngress" && named && named !== zone) {
    return `its ZoneIngress says zone ${JSON.stringify(named)}, this is zone "${zone}"`;
  }
  const resource = {
    ...identity,
    labels: {
      ...computedLabels(kind, identity, {
        labels,
        spec: stored.spec,
        control: { mode: "remote", zone },
      }),
      [REGISTERED_BY_LABEL]: REGISTERED_BY_PROXY,
    },
    // As if it had come over the wire: one spelling of each field, whatever the file used.
    spec: stored.spec,
  };
  return { resource, notes: [...notes, ...kind.notes?.(known) ?? []] };
}

/** Where it comes from is the control plane's to say. */
function labelsOfProxy(labels: Labels): Labels {
  return Object.fromEntries(
    Object.entries(labels).filter(([name]) => name !== ORIGIN_LABEL && name !== ZONE_LABEL),
  );
}

/** Under another display name it would be taken for another proxy, at global. */
function wrongLabels(
  kind: ResourceDescriptor,
  key: ResourceKey,
  { labels, zone }: { readonly labels: Labels; readonly zone: string },
): readonly Violation[] {
  const control = { mode: "remote", federated: false, zone } as const;
  const shown = labels[DISPLAY_NAME_LABEL] ?? key.name;
  const path = `labels["${DISPLAY_NAME_LABEL}"]`;
  return [
    ...checkLabels(kind, key, { labels, control }),
    ...(shown === key.name ? [] : [{ path, message: `must be ${show(key.name)}, its name` }]),
  ];
}

function inWords(violations: readonly Violation[]): string {
  return violations.map(({ path, message }) => `${path}: ${message}`).join("; ");
}
