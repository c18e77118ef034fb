// Which proxies a policy with a targetRef is for, and which of several such policies comes first. kuma@v2.13.10:pkg/plugins/policies/core/matchers/dataplane.go.

import type { DataplaneSpec } from "../../core/dataplane.ts";
import { DISPLAY_NAME_LABEL, NAMESPACE_LABEL, ORIGIN_LABEL, ZONE_LABEL } from "../../core/names.ts";
import { isObject, listOf, objectOf, wordOf } from "../../core/json.ts";
import { compareText, type Json, type Resource } from "../../core/resource.ts";
import { matchesTags, SERVICE_TAG, type Tags } from "../../core/tags.ts";
import { matchDataplane, type Selector } from "./connection.ts";

export type TargetKind = keyof typeof SPECIFICITY;

export interface TargetRef {
  readonly kind: TargetKind;
  readonly name?: string;
  readonly namespace?: string;
  readonly labels?: Tags;
  readonly tags?: Tags;
  readonly sectionName?: string;
  readonly proxyTypes?: readonly ("Sidecar" | "Gateway")[];
}

/** kuma@v2.13.10:api/common/v1alpha1/targetref.go. */
const SPECIFICITY = {
  Mesh: 1,
  Dataplane: 2,
  MeshSubset: 3,
  MeshGateway: 4,
  MeshService: 5,
  MeshExternalService: 6,
  MeshMultiZoneService: 7,
  MeshServiceSubset: 8,
  MeshHTTPRoute: 9,
} as const;

export interface GatewaySpec {
  readonly selectors: readonly Selector[];
  readonly tags?: Tags;
  readonly conf?: { readonly listeners?: readonly GatewayListener[] };
}

export interface GatewayListener {
  readonly port: number;
  readonly protocol?: string;
  readonly hostname?: string;
  readonly tags?: Tags;
}

/** What a targetRef may lead to, beside the proxy itself. */
export interface Referable {
  readonly gateways: readonly Resource<GatewaySpec>[];
  readonly httpRoutes: readonly Resource[];
}

/** A listener of a proxy that is selected: an inbound, or a builtin gateway's. */
export interface SelectedListener {
  readonly address: string;
  readonly port: number;
  /** Of the inbound, if it has one. */
  readonly name?: string;
  readonly tags: Tags;
}

/** Why a targetRef leads nowhere: one sentence. */
export interface Unresolved {
  readonly warning: string;
}

/** `MeshPassthrough` and others may leave it out: then it is the whole mesh. */
export function targetRefOf({ spec }: Resource): TargetRef {
  return readTargetRef(spec["targetRef"]);
}

/** Peers' policies are taken as they are: what makes no sense is as if it were not there. */
export function readTargetRef(value: Json | undefined): TargetRef {
  const { kind, name, namespace, labels, tags, sectionName, proxyTypes } = objectOf(value);
  return {
    kind: (typeof kind === "string" ? kind : "Mesh") as TargetKind,
    ...(typeof name === "string" && { name }),
    ...(typeof namespace === "string" && { namespace }),
    ...(isObject(labels) && { labels: labels as Tags }),
    ...(isObject(tags) && { tags: tags as Tags }),
    ...(typeof sectionName === "string" && { sectionName }),
    proxyTypes: listOf(proxyTypes) as NonNullable<TargetRef["proxyTypes"]>,
  };
}

/**
 * The listeners that a policy is for; a delegated gateway has none and may be selected all the
 * same. Null: the policy is not for this proxy.
 */
export function selectListeners(
  policy: Resource,
  dataplane: Resource<DataplaneSpec>,
  referable: Referable,
): readonly SelectedListener[] | Unresolved | null {
  return select(targetRefOf(policy), { policy, dataplane, referable });
}

interface Question {
  readonly policy: Resource;
  readonly dataplane: Resource<DataplaneSpec>;
  readonly referable: Referable;
}

function select(
  ref: TargetRef,
  { policy, dataplane, referable }: Question,
): readonly SelectedListener[] | Unresolved | null {
  const gateway = gatewayOf(dataplane, referable.gateways);
  if (!isOfItsZone(policy, gateway ?? dataplane) || !isOfItsNamespace(policy, dataplane)) {
    return null;
  }
  const byTags = (tags: Tags) => listenersByTags(tags, dataplane, gateway);
  const { networking } = dataplane.spec;
  switch (ref.kind) {
    case "Mesh":
    case "MeshSubset": {
      const type = networking.gateway ? "Gateway" : "Sidecar";
      const { proxyTypes = [] } = ref;
      if (proxyTypes.length > 0 && !proxyTypes.includes(type)) return null;
      return byTags(ref.kind === "Mesh" ? {} : ref.tags ?? {});
    }
    case "Dataplane":
      return gateway || !isMeant(ref, policy, dataplane) ? null : bySection(ref, dataplane);
    case "MeshService":
      return byTags({ [SERVICE_TAG]: ref.name ?? "" });
    case "MeshServiceSubset":
      return byTags({ ...ref.tags, [SERVICE_TAG]: ref.name ?? "" });
    case "MeshGateway":
      return gateway && isReferenced(ref.name, gateway) ? byTags(ref.tags ?? {}) : null;
    case "MeshHTTPRoute": {
      const route = referable.httpRoutes.find((one) => isReferenced(ref.name, one));
      if (route) return select(targetRefOf(route), { policy: route, dataplane, referable });
      return { warning: `there is no MeshHTTPRoute "${ref.name ?? ""}"` };
    }
    default:
      return { warning: `targetRef of kind ${ref.kind} selects no proxies` };
  }
}

/** The MeshGateway that a builtin gateway's proxy serves. */
export function gatewayOf(
  { labels, spec: { networking: { gateway } } }: Resource<DataplaneSpec>,
  gateways: readonly Resource<GatewaySpec>[],
): Resource<GatewaySpec> | undefined {
  if (gateway?.type !== "BUILTIN") return undefined;
  const zone = labels[ZONE_LABEL];
  const near = gateways.filter((one) =>
    one.labels[ORIGIN_LABEL] !== "zone" || zone === undefined || one.labels[ZONE_LABEL] === zone
  );
  return matchDataplane(near, [gateway.tags]);
}

/** All tags by which a listener of a builtin gateway is known. */
export function listenerTags(
  { tags }: GatewayListener,
  gateway: Resource<GatewaySpec>,
  proxy: Tags,
): Tags {
  return { ...proxy, ...gateway.spec.tags, ...tags };
}

function listenersByTags(
  selector: Tags,
  { spec: { networking } }: Resource<DataplaneSpec>,
  gateway: Resource<GatewaySpec> | undefined,
): readonly SelectedListener[] | null {
  const { address, inbound = [], gateway: own } = networking;
  const inbounds = inbound.filter(({ tags }) => matchesTags(selector, tags))
    .map((one) => listenerOf(one, address));
  const listeners = (gateway?.spec.conf?.listeners ?? [])
    .filter((one) => gateway && matchesTags(selector, listenerTags(one, gateway, own?.tags ?? {})))
    // Several hostnames on one port are one listener.
    .filter(({ port }, index, all) => all.findIndex((one) => one.port === port) === index)
    .map(({ port }) => ({ address, port, tags: own?.tags ?? {} }));
  const delegated = own !== undefined && own.type !== "BUILTIN" && matchesTags(selector, own.tags);
  const found = [...inbounds, ...listeners];
  return found.length > 0 || delegated ? found : null;
}

function bySection(
  { sectionName }: TargetRef,
  { spec: { networking } }: Resource<DataplaneSpec>,
): readonly SelectedListener[] | null {
  const { address, inbound = [], gateway } = networking;
  const found = inbound
    .filter(({ name, port }) => !sectionName || (name || wordOf(port)) === sectionName)
    .map((one) => listenerOf(one, address));
  return found.length > 0 || (gateway && gateway.type !== "BUILTIN") ? found : null;
}

function listenerOf(
  inbound: NonNullable<DataplaneSpec["networking"]["inbound"]>[number],
  address: string,
): SelectedListener {
  const { name, port, tags } = inbound;
  return { address: inbound.address || address, port, tags, ...(name && { name }) };
}

function isMeant(
  { name, namespace, labels }: TargetRef,
  policy: Resource,
  dataplane: Resource<unknown>,
): boolean {
  if (!name && !namespace && !labels) return true;
  if (labels) return matchesTags(labels, dataplane.labels);
  // One name may be there in several zones: meant is the one where the policy comes from.
  return isReferenced(name, dataplane) &&
    policy.labels[ZONE_LABEL] === dataplane.labels[ZONE_LABEL];
}

/** Other control planes' resources are called here as they are called there. */
function isReferenced(name: string | undefined, resource: Resource<unknown>): boolean {
  return nameOf(resource) === name;
}

/** What a zone wrote for itself is for its own proxies; producers' policies are for everybody. */
function isOfItsZone(policy: Resource<unknown>, proxy: Resource<unknown>): boolean {
  if (roleOf(policy) === "producer" || policy.labels[ORIGIN_LABEL] !== "zone") return true;
  const zone = policy.labels[ZONE_LABEL];
  return proxy.labels[ORIGIN_LABEL] !== "zone" || zone === undefined ||
    proxy.labels[ZONE_LABEL] === zone;
}

function isOfItsNamespace(policy: Resource<unknown>, dataplane: Resource<unknown>): boolean {
  if (!["consumer", "workload-owner"].includes(roleOf(policy))) return true;
  const namespace = policy.labels[NAMESPACE_LABEL];
  return namespace !== undefined && namespace === dataplane.labels[NAMESPACE_LABEL];
}

const ROLE_LABEL = "kuma.io/policy-role";

function roleOf({ labels }: Resource<unknown>): string {
  return labels[ROLE_LABEL] ?? "system";
}

const ORIGINS: readonly (string | undefined)[] = ["global", undefined, "zone"];
const ROLES = ["system", "producer", "consumer", "workload-owner"];

/** In order of precedence: what comes later says the same things with more right. */
export function byTargetRef(policies: readonly Resource[]): readonly Resource[] {
  return [...policies].sort((a, b) => comparePolicies(a, b) || compareNames(a, b));
}

/** By what their targetRefs select, and where they are from. */
export function comparePolicies(a: Resource, b: Resource): number {
  const [left, right] = [targetRefOf(a), targetRefOf(b)];
  return specificityOf(left) - specificityOf(right) ||
    dataplaneOrder(left) - dataplaneOrder(right) ||
    ORIGINS.indexOf(a.labels[ORIGIN_LABEL]) - ORIGINS.indexOf(b.labels[ORIGIN_LABEL]) ||
    gatewayOrder(left) - gatewayOrder(right) ||
    ROLES.indexOf(roleOf(a)) - ROLES.indexOf(roleOf(b));
}

/** The first name comes last, and so wins. */
export function compareNames(a: Resource, b: Resource): number {
  return compareText(nameOf(b), nameOf(a));
}

export function specificityOf({ kind }: TargetRef): number {
  return SPECIFICITY[kind] ?? 0;
}

/** A name says more than labels, and a section more than none. */
function dataplaneOrder({ kind, name, sectionName }: TargetRef): number {
  if (kind !== "Dataplane") return 0;
  return (name ? 2 : 0) + (sectionName ? 1 : 0);
}

function gatewayOrder({ kind, tags = {} }: TargetRef): number {
  return kind === "MeshGateway" ? Object.keys(tags).length : 0;
}

/** What it is called where it is from. */
export function nameOf({ name, labels }: Resource<unknown>): string {
  return labels[DISPLAY_NAME_LABEL] ?? name;
}

const EFFECT_LABEL = "kuma.io/effect";

/** Only looked at, to see what it would change. */
export function isShadow({ labels }: Resource<unknown>): boolean {
  return labels[EFFECT_LABEL] === "shadow";
}
