// What policies with a targetRef come to for one proxy, type by type.

import type { DataplaneSpec } from "../../core/dataplane.ts";
import type { DestinationRule, InboundRules, TypeRules } from "../../core/inspection.ts";
import { ZONE_LABEL } from "../../core/names.ts";
import { compareText, type Resource, type ResourceDescriptor } from "../../core/resource.ts";
import { matchesTags } from "../../core/tags.ts";
import {
  buildRules,
  type Item,
  itemsOf,
  mergeItems,
  type Rule,
  singleRule,
  toItems,
} from "../../policies/match/rules.ts";
import {
  byTargetRef,
  compareNames,
  comparePolicies,
  isShadow,
  nameOf,
  type Referable,
  type SelectedListener,
  selectListeners,
  specificityOf,
  targetRefOf,
} from "../../policies/match/target_ref.ts";

/** Each type sees what those before it did. kuma@v2.13.10:pkg/plugins/policies/core/ordered. */
const ORDER = [
  ...["MeshHTTPRoute", "MeshTCPRoute", "MeshTLS", "MeshLoadBalancingStrategy", "MeshPassthrough"],
  ...["MeshAccessLog", "MeshTrace", "MeshFaultInjection", "MeshRateLimit", "MeshTimeout"],
  ...["MeshTrafficPermission", "MeshHealthCheck", "MeshCircuitBreaker", "MeshRetry", "MeshMetric"],
  ...["MeshProxyPatch"],
];

/** Where targetRefs may lead. */
export interface Destinations {
  readonly mesh: Resource;
  /** The resources of a type in the mesh. */
  list(type: string): readonly Resource[];
}

interface Context {
  readonly dataplane: Resource<DataplaneSpec>;
  readonly referable: Referable;
  readonly destinations: Destinations;
  readonly shadow: boolean;
}

export function rulesOf(
  kinds: readonly ResourceDescriptor[],
  context: Context,
): readonly TypeRules[] {
  return kinds.filter(({ policy }) => policy?.targetRef)
    .sort((a, b) => ORDER.indexOf(a.name) - ORDER.indexOf(b.name))
    .map((kind) => rulesOfType(kind, context))
    .filter(({ single, to, destinations, inbounds }) =>
      single || to.length > 0 || destinations.length > 0 ||
      inbounds.some(({ from, rules }) => from.length > 0 || rules.length > 0)
    );
}

/** A policy that is for a proxy, with the listeners that it is for. */
interface Match {
  readonly policy: Resource;
  readonly listeners: readonly SelectedListener[];
}

function rulesOfType(kind: ResourceDescriptor, context: Context): TypeRules {
  const warnings: string[] = [];
  const matches = byTargetRef(context.destinations.list(kind.name)).flatMap((policy) => {
    if (isShadow(policy) && !context.shadow) return [];
    const listeners = selectListeners(policy, context.dataplane, context.referable);
    if (listeners && "warning" in listeners) {
      warnings.push(
        `unable to resolve TargetRef on policy: mesh:${policy.mesh} name:${policy.name} ` +
          `error:${JSON.stringify(listeners.warning)}`,
      );
      return [];
    }
    return listeners ? [{ policy, listeners }] : [];
  });
  const policies = matches.map(({ policy }) => policy);
  const { to, from, rules } = kind.policy ?? {};
  const single = to || from || rules ? undefined : singleRule(policies);
  const guarded = (build: () => readonly Rule[]) => {
    try {
      return build();
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      warnings.push(`${kind.name} has ${error.message}: they are not shown`);
      return [];
    }
  };
  return {
    type: kind.name,
    ...(single && { single }),
    to: to
      ? guarded(() =>
        buildRules(toItems(policies, context.referable.httpRoutes), { negations: false })
      )
      : [],
    destinations: to ? destinationRules(policies, context.destinations) : [],
    inbounds: from || rules ? inboundRules(matches, kind, guarded) : [],
    warnings,
  };
}

function inboundRules(
  matches: readonly Match[],
  kind: ResourceDescriptor,
  guarded: (build: () => readonly Rule[]) => readonly Rule[],
): readonly InboundRules[] {
  const keyOf = ({ address, port }: SelectedListener) => `${address}:${port}`;
  const listeners = new Map(
    matches.flatMap(({ listeners }) => listeners).map((one) => [keyOf(one), one]),
  );
  return [...listeners].map(([key, listener]) => {
    const policies = matches.filter((match) => match.listeners.some((one) => keyOf(one) === key))
      .map(({ policy }) => policy);
    const items = policies.flatMap((policy) => {
      const rules = itemsOf([policy], "rules");
      return rules.length > 0 || !kind.policy?.fromAsRules ? rules : itemsOf([policy], "from");
    });
    return {
      ...listener,
      from: guarded(() => buildRules(itemsOf(policies, "from"), { negations: true })),
      rules: items.map(({ conf, policy, index }) => ({ conf, origin: { policy, index } })),
    };
  }).sort((a, b) => a.port - b.port || compareText(a.address, b.address));
}

/** A resource that an item is about. */
interface Target {
  readonly item: Item;
  readonly resource: Resource;
  readonly section: string;
}

function destinationRules(
  policies: readonly Resource[],
  destinations: Destinations,
): readonly DestinationRule[] {
  const items = itemsOf(
    policies.filter((policy) => targetRefOf(policy).kind !== "MeshHTTPRoute"),
    "to",
  );
  const targets = [...items].sort(compareItems)
    .flatMap((item) =>
      resolve(item, destinations).map((resource): Target => ({
        item,
        resource,
        section: item.targetRef.sectionName ?? "",
      }))
    );
  const keyOf = ({ resource: { type, name }, section }: Target) => `${type} ${name} ${section}`;
  const distinct = new Map(targets.map((target) => [keyOf(target), target]));
  return [...distinct.values()].map(({ resource, section }) => {
    const relevant = targets.filter((target) => concerns(target, { resource, section }))
      .map(({ item }) => item);
    return {
      resource,
      section,
      confs: mergeItems(relevant),
      origin: relevant.map(({ policy, index }) => ({ policy, index })),
    };
  }).sort((a, b) =>
    compareText(a.resource.name, b.resource.name) || compareText(a.section, b.section)
  );
}

function compareItems(a: Item, b: Item): number {
  return comparePolicies(a.policy, b.policy) ||
    specificityOf(a.targetRef) - specificityOf(b.targetRef) ||
    Number(Boolean(a.targetRef.sectionName)) - Number(Boolean(b.targetRef.sectionName)) ||
    compareNames(a.policy, b.policy);
}

/** What is said about a mesh holds for all in it, and about a service for each of its ports. */
function concerns(
  { resource, section }: Target,
  other: { readonly resource: Resource; readonly section: string },
): boolean {
  if (resource.type === "Mesh") return true;
  return resource === other.resource && (section === "" || section === other.section);
}

const REAL: ReadonlySet<string> = new Set([
  ...["MeshService", "MeshExternalService", "MeshMultiZoneService", "MeshHTTPRoute"],
]);

function resolve(
  { policy, targetRef: { kind, name, labels } }: Item,
  destinations: Destinations,
): readonly Resource[] {
  if (kind === "Mesh") return [destinations.mesh];
  if (!REAL.has(kind)) return [];
  return destinations.list(kind).filter((one) =>
    labels
      ? matchesTags(labels, one.labels)
      : nameOf(one) === name && policy.labels[ZONE_LABEL] === one.labels[ZONE_LABEL]
  );
}
