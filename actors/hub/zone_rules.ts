// What a zone adds to everything written in it, and what it derives: its own name and virtual IPs.

import type { DataplaneSpec } from "../../core/dataplane.ts";
import { whyNoMember } from "../../core/membership.ts";
import type { ConfigSpec, MeshSpec } from "../../core/mesh.ts";
import type { Draft, JsonObject, Resource } from "../../core/resource.ts";
import { type Tags, ZONE_TAG } from "../../core/tags.ts";
import type { Violation } from "../../core/violation.ts";
import { whyUnusable } from "../../core/usable.ts";
import { zoneIngressChecks, type ZoneIngressSpec } from "../../core/zone.ts";
import { allocateVips, servicesByMesh, servicesIn } from "../../dns/vips.ts";
import type { Op } from "../../store/store.ts";
import type { Admission, Admit, Overlay } from "./batch.ts";
import type { Derive } from "./hub.ts";

/** Proxies of this zone carry its name; nobody may register under another's. */
export function admitInZone(zone: string): Admit {
  return (draft, overlay) => {
    if (draft.type === "Dataplane") return admitDataplane(draft, { zone, overlay });
    if (draft.type === "ZoneIngress") return admitIngress(draft, { zone, overlay });
    return draft;
  };
}

function admitDataplane(
  draft: Draft,
  { zone, overlay }: { readonly zone: string; readonly overlay: Overlay },
): Admission {
  const mesh = overlay.get({ type: "Mesh", mesh: "", name: draft.mesh });
  const rules = (mesh?.spec as MeshSpec | undefined)?.constraints?.dataplaneProxy ?? {};
  const { networking } = draft.spec as unknown as DataplaneSpec;
  const violations: Violation[] = [];
  const tagged = <T extends { readonly tags: Tags }>(item: T, path: string): T => {
    const found = item.tags[ZONE_TAG];
    if (found !== undefined && found !== zone) {
      violations.push({
        path: `networking.${path}.tags["${ZONE_TAG}"]`,
        message: `must be "${zone}", the zone of this control plane, or left out; is "${found}"`,
      });
    }
    const tags = { ...item.tags, [ZONE_TAG]: zone };
    const why = whyNoMember(rules, tags);
    if (why !== null) {
      const message = `dataplane cannot be a member of mesh "${draft.mesh}": ${why}`;
      violations.push({ path: `networking.${path}.tags`, message });
    }
    return { ...item, tags };
  };
  const { inbound, gateway } = networking;
  const spec = {
    ...draft.spec,
    networking: {
      ...networking,
      ...(inbound && { inbound: inbound.map((one, i) => tagged(one, `inbound[${i}]`)) }),
      ...(gateway && { gateway: tagged(gateway, "gateway") }),
    },
  };
  return violations.length > 0 ? violations : { ...draft, spec: spec as unknown as JsonObject };
}

function admitIngress(
  draft: Draft,
  { zone, overlay }: { readonly zone: string; readonly overlay: Overlay },
): Admission {
  const spec = draft.spec as unknown as ZoneIngressSpec;
  // Another zone's ingress arrives by KDS, complete.
  if (spec.zone && spec.zone !== zone) return draft;
  const stored = overlay.get(draft)?.spec as ZoneIngressSpec | undefined;
  const availableServices = spec.availableServices ?? stored?.availableServices;
  const complete: ZoneIngressSpec = {
    ...spec,
    zone,
    ...(availableServices && { availableServices }),
  };
  return { ...draft, spec: complete as unknown as JsonObject };
}

/** In the very commit that brings or removes a service its virtual IP; and what a deleted mesh leaves. */
export function deriveInZone(
  { zone, cidr, graceMs }: {
    readonly zone: string;
    readonly cidr: string;
    /** How long the address of a vanished service is kept for it. */
    readonly graceMs: number;
  },
): Derive {
  return (overlay, { nowMs, due }) => {
    const gone = withoutGoneMeshes(overlay, zone);
    if (!due && gone.length === 0 && !changesServices(overlay, zone)) return null;
    const { ops, nextReleaseAtMs, exhausted } = allocateVips({
      services: servicesByMesh(
        overlay.list("Dataplane") as unknown as Resource<DataplaneSpec>[],
        usableIngresses(overlay),
        zone,
      ),
      configs: overlay.list("Config") as unknown as Resource<ConfigSpec>[],
      cidr,
      nowMs,
      graceMs,
    });
    const problems = exhausted.map((service) =>
      `no virtual IP left in ${cidr} for ${service}: choose a larger --vip-range`
    );
    return {
      ops: [...ops, ...gone],
      nextAtMs: nextReleaseAtMs,
      problems,
    };
  };
}

/** Most changes of a proxy or an ingress are of something else: their services have addresses already. */
function changesServices(overlay: Overlay, zone: string): boolean {
  if (overlay.touches("Mesh")) return true;
  if (!overlay.touches("Dataplane") && !overlay.touches("ZoneIngress")) return false;
  const textOf = (draft: Draft | undefined) =>
    draft && isUsable(draft) ? JSON.stringify(servicesIn(draft, zone)) : "[]";
  return overlay.ops.some((op) => {
    const key = op.op === "put" ? op.resource : op.key;
    if (key.type !== "Dataplane" && key.type !== "ZoneIngress") return false;
    return textOf(overlay.before(key)) !== textOf(op.op === "put" ? op.resource : undefined);
  });
}

function isUsable(draft: Draft): boolean {
  if (draft.type !== "ZoneIngress") return true;
  return whyUnusable(draft as unknown as Resource<ZoneIngressSpec>, zoneIngressChecks).length === 0;
}

/** Those of other zones are what their zones made them. */
function usableIngresses(overlay: Overlay): readonly Resource<ZoneIngressSpec>[] {
  return overlay.list("ZoneIngress").filter(isUsable) as unknown as Resource<ZoneIngressSpec>[];
}

/** The actor of a mesh offers its services at the zone's ingresses, and cannot take them back when it ends. */
function withoutGoneMeshes(overlay: Overlay, zone: string): readonly Op[] {
  if (!overlay.touches("Mesh") && !overlay.touches("ZoneIngress")) return [];
  const meshes = new Set(overlay.list("Mesh").map(({ name }) => name));
  return overlay.list("ZoneIngress").flatMap((draft): readonly Op[] => {
    const { availableServices = [], ...spec } = draft.spec as unknown as ZoneIngressSpec;
    const offered = availableServices.filter(({ mesh }) => meshes.has(mesh));
    if (spec.zone !== zone || offered.length === availableServices.length) return [];
    const next = { ...spec, availableServices: offered } as unknown as JsonObject;
    return [{ op: "put", resource: { ...draft, spec: next } }];
  });
}
