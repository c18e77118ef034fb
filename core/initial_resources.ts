// What Kuma puts into every new mesh, and beside its control planes: for those who expect it there.

import type { Draft, JsonObject } from "./resource.ts";
import { SERVICE_TAG } from "./tags.ts";

/** What a new mesh begins with; both follow settings. */
export interface InitialPolicies {
  /** Time-outs, circuit breakers and retries, as Kuma has them. */
  readonly kuma: boolean;
  /** The classic policies that allow everything and route everything. */
  readonly routing: boolean;
}

const EVERY_PROXY = { targetRef: { kind: "Mesh" } };

/** kuma@v2.13.10:pkg/defaults/mesh; `-MESH` is put after each name. */
const KUMA_POLICIES: readonly InitialPolicy[] = [
  {
    type: "MeshTimeout",
    prefix: "mesh-gateways-timeout-all",
    spec: {
      targetRef: { kind: "Mesh", proxyTypes: ["Gateway"] },
      to: toAll({ idleTimeout: "1h0m0s", http: { streamIdleTimeout: "5s" } }),
      from: toAll({
        idleTimeout: "5m0s",
        http: { streamIdleTimeout: "5s", requestHeadersTimeout: "500ms" },
      }),
    },
  },
  {
    type: "MeshTimeout",
    prefix: "mesh-timeout-all",
    spec: {
      targetRef: { kind: "Mesh", proxyTypes: ["Sidecar"] },
      to: toAll({
        connectionTimeout: "5s",
        idleTimeout: "1h0m0s",
        http: { requestTimeout: "15s", streamIdleTimeout: "30m0s" },
      }),
      from: toAll({
        connectionTimeout: "10s",
        idleTimeout: "2h0m0s",
        http: { requestTimeout: "0s", streamIdleTimeout: "1h0m0s", maxStreamDuration: "0s" },
      }),
    },
  },
  {
    type: "MeshCircuitBreaker",
    prefix: "mesh-circuit-breaker-all",
    spec: {
      ...EVERY_PROXY,
      to: toAll({
        connectionLimits: {
          maxConnections: 1024,
          maxPendingRequests: 1024,
          maxRetries: 3,
          maxRequests: 1024,
        },
      }),
    },
  },
  {
    type: "MeshRetry",
    prefix: "mesh-retry-all",
    spec: {
      ...EVERY_PROXY,
      to: toAll({ tcp: { maxConnectAttempt: 5 }, http: fiveTimes(), grpc: fiveTimes() }),
    },
  },
];

const ANY_SERVICE = { [SERVICE_TAG]: "*" };
const FROM_AND_TO_ALL = {
  sources: [{ match: ANY_SERVICE }],
  destinations: [{ match: ANY_SERVICE }],
};

const ROUTING_POLICIES: readonly InitialPolicy[] = [
  { type: "TrafficPermission", prefix: "allow-all", spec: FROM_AND_TO_ALL },
  {
    type: "TrafficRoute",
    prefix: "route-all",
    spec: {
      ...FROM_AND_TO_ALL,
      conf: { loadBalancer: { roundRobin: {} }, destination: ANY_SERVICE },
    },
  },
];

interface InitialPolicy {
  readonly type: string;
  readonly prefix: string;
  readonly spec: JsonObject;
}

/** The policies of a new mesh, without those that its `skipCreatingInitialPolicies` names. */
export function initialPoliciesOf(
  mesh: { readonly name: string; readonly spec: JsonObject },
  { kuma, routing }: InitialPolicies,
): readonly Draft[] {
  const skipped = mesh.spec["skipCreatingInitialPolicies"];
  const skip = new Set(Array.isArray(skipped) ? skipped : []);
  if (skip.has("*")) return [];
  return [...(kuma ? KUMA_POLICIES : []), ...(routing ? ROUTING_POLICIES : [])]
    .filter(({ type }) => !skip.has(type))
    .map(({ type, prefix, spec }) => ({
      type,
      mesh: mesh.name,
      name: `${prefix}-${mesh.name}`,
      labels: {},
      spec,
    }));
}

/** kuma@v2.13.10:pkg/defaults/hostname_generator.go. */
export function initialHostnameGenerators(where: "global" | "zone"): readonly Draft[] {
  const generators = where === "global" ? SYNCED_GENERATORS : LOCAL_GENERATORS;
  return generators.map(({ name, selector, template }) => ({
    type: "HostnameGenerator",
    mesh: "",
    name,
    labels: where === "zone" ? { "kuma.io/origin": "zone" } : {},
    spec: { selector, template },
  }));
}

const ON_KUBERNETES = { "kuma.io/env": "kubernetes", "kuma.io/origin": "global" };

const SYNCED_GENERATORS = [
  {
    name: "synced-mesh-multi-zone-service",
    selector: { meshMultiZoneService: { matchLabels: { "kuma.io/origin": "global" } } },
    template: "{{ .DisplayName }}.mzsvc.mesh.local",
  },
  {
    name: "synced-kube-mesh-service",
    selector: {
      meshService: {
        matchLabels: { "k8s.kuma.io/is-headless-service": "false", ...ON_KUBERNETES },
      },
    },
    template: "{{ .DisplayName }}.{{ .Namespace }}.svc.{{ .Zone }}.mesh.local",
  },
  {
    name: "synced-headless-kube-mesh-service",
    selector: {
      meshService: {
        matchLabels: { "k8s.kuma.io/is-headless-service": "true", ...ON_KUBERNETES },
      },
    },
    template: '{{ label "statefulset.kubernetes.io/pod-name" }}.' +
      '{{ label "k8s.kuma.io/service-name" }}.{{ .Namespace }}.svc.{{ .Zone }}.mesh.local',
  },
  {
    name: "synced-universal-mesh-service",
    selector: {
      meshService: { matchLabels: { "kuma.io/env": "universal", "kuma.io/origin": "global" } },
    },
    template: "{{ .DisplayName }}.svc.{{ .Zone }}.mesh.local",
  },
  {
    name: "synced-mesh-external-service",
    selector: { meshExternalService: { matchLabels: { "kuma.io/origin": "global" } } },
    template: "{{ .DisplayName }}.extsvc.mesh.local",
  },
];

const LOCAL_GENERATORS = [
  {
    name: "local-mesh-external-service",
    selector: { meshExternalService: { matchLabels: { "kuma.io/origin": "zone" } } },
    template: "{{ .DisplayName }}.extsvc.mesh.local",
  },
  {
    name: "local-universal-mesh-service",
    selector: { meshService: { matchLabels: { "kuma.io/origin": "zone" } } },
    template: "{{ .DisplayName }}.svc.mesh.local",
  },
];

function toAll(conf: JsonObject): readonly JsonObject[] {
  return [{ targetRef: { kind: "Mesh" }, default: conf }];
}

function fiveTimes(): JsonObject {
  return {
    numRetries: 5,
    perTryTimeout: "16s",
    backOff: { baseInterval: "25ms", maxInterval: "250ms" },
  };
}
