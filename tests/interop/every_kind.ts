// A resource of every kind that can be written in a zone, as a user would apply them.

import { parseAllDocuments } from "yaml";
import type { KindTable } from "../../core/kind_table.ts";
import type { Draft, JsonObject } from "../../core/resource.ts";

export const EVERY_KIND = `type: Mesh
name: shop
mtls:
  enabledBackend: ca-1
  backends:
  - {name: ca-1, type: builtin, dpCert: {rotation: {expiration: 24h}}, mode: STRICT}
networking: {outbound: {passthrough: true}}
---
type: Dataplane
mesh: shop
name: web-1
labels: {team: front}
networking:
  address: 127.0.0.1
  inbound:
  - {port: 10001, servicePort: 20001, tags: {kuma.io/service: web, kuma.io/protocol: http, version: v1}}
  outbound:
  - {port: 10002, tags: {kuma.io/service: api}}
---
type: Dataplane
mesh: shop
name: edge-1
networking:
  address: 127.0.0.1
  gateway: {tags: {kuma.io/service: edge}}
  outbound:
  - {port: 10003, tags: {kuma.io/service: web}}
---
type: TrafficPermission
mesh: shop
name: everybody
sources: [{match: {kuma.io/service: '*'}}]
destinations: [{match: {kuma.io/service: '*'}}]
---
type: TrafficRoute
mesh: shop
name: to-api
sources: [{match: {kuma.io/service: web}}]
destinations: [{match: {kuma.io/service: api}}]
conf:
  loadBalancer: {roundRobin: {}}
  split:
  - {weight: 90, destination: {kuma.io/service: api, version: v1}}
  - {weight: 10, destination: {kuma.io/service: api, version: v2}}
---
type: TrafficLog
mesh: shop
name: all-traffic
sources: [{match: {kuma.io/service: '*'}}]
destinations: [{match: {kuma.io/service: '*'}}]
conf: {backend: file}
---
type: TrafficTrace
mesh: shop
name: all-traces
selectors: [{match: {kuma.io/service: '*'}}]
conf: {backend: zipkin}
---
type: HealthCheck
mesh: shop
name: api-health
sources: [{match: {kuma.io/service: '*'}}]
destinations: [{match: {kuma.io/service: api}}]
conf: {interval: 10s, timeout: 2s, unhealthyThreshold: 3, healthyThreshold: 1, http: {path: /health, expectedStatuses: [200]}}
---
type: CircuitBreaker
mesh: shop
name: api-breaker
sources: [{match: {kuma.io/service: '*'}}]
destinations: [{match: {kuma.io/service: api}}]
conf: {interval: 5s, baseEjectionTime: 30s, maxEjectionPercent: 20, detectors: {totalErrors: {consecutive: 20}}, thresholds: {maxConnections: 2}}
---
type: FaultInjection
mesh: shop
name: slow-api
sources: [{match: {kuma.io/service: web, kuma.io/protocol: http}}]
destinations: [{match: {kuma.io/service: api, kuma.io/protocol: http}}]
conf: {delay: {percentage: 50.5, value: 5s}}
---
type: Retry
mesh: shop
name: web-retries
sources: [{match: {kuma.io/service: web}}]
destinations: [{match: {kuma.io/service: '*'}}]
conf: {http: {numRetries: 5, perTryTimeout: 200ms, backOff: {baseInterval: 20ms, maxInterval: 1s}, retriableStatusCodes: [500, 504]}, tcp: {maxConnectAttempts: 3}}
---
type: Timeout
mesh: shop
name: everywhere
sources: [{match: {kuma.io/service: '*'}}]
destinations: [{match: {kuma.io/service: '*'}}]
conf: {connectTimeout: 10s, tcp: {idleTimeout: 1h}, http: {requestTimeout: 5s, idleTimeout: 1h}}
---
type: RateLimit
mesh: shop
name: api-limit
sources: [{match: {kuma.io/service: '*'}}]
destinations: [{match: {kuma.io/service: api}}]
conf: {http: {requests: 5, interval: 10s, onRateLimit: {status: 423, headers: [{key: x-limited, value: 'true'}]}}}
---
type: ProxyTemplate
mesh: shop
name: web-template
selectors: [{match: {kuma.io/service: web}}]
conf: {imports: [default-proxy]}
---
type: VirtualOutbound
mesh: shop
name: by-version
selectors: [{match: {kuma.io/service: '*'}}]
conf: {host: '{{.service}}.{{.version}}.mesh', port: '8080', parameters: [{name: service, tagKey: kuma.io/service}, {name: version, tagKey: version}]}
---
type: ExternalService
mesh: shop
name: postcodes
tags: {kuma.io/service: postcodes, kuma.io/protocol: http}
networking: {address: 'postcodes.example:443', tls: {enabled: true, allowRenegotiation: false}}
---
type: MeshGateway
mesh: shop
name: edge
selectors: [{match: {kuma.io/service: edge}}]
conf: {listeners: [{port: 8080, protocol: HTTP, hostname: shop.example, tags: {port: http}}]}
---
type: MeshGatewayRoute
mesh: shop
name: edge-routes
selectors: [{match: {kuma.io/service: edge}}]
conf:
  http:
    rules:
    - matches: [{path: {match: PREFIX, value: /}}]
      backends: [{destination: {kuma.io/service: web}, weight: 1}]
---
type: Secret
mesh: shop
name: password
data: c2VjcmV0
---
type: GlobalSecret
name: license
data: c2VjcmV0
---
type: Zone
name: north
enabled: true
---
type: ZoneIngress
name: ingress-1
networking: {address: 127.0.0.1, advertisedAddress: 127.0.0.1, port: 10010, advertisedPort: 10010}
---
type: ZoneEgress
name: egress-1
networking: {address: 127.0.0.1, port: 10011}
---
type: MeshAccessLog
mesh: shop
name: to-file
spec:
  targetRef: {kind: Mesh}
  to:
  - targetRef: {kind: Mesh}
    default: {backends: [{type: File, file: {path: /tmp/access.log, format: {type: Plain, plain: '%START_TIME%'}}}]}
---
type: MeshCircuitBreaker
mesh: shop
name: breaker
spec:
  targetRef: {kind: Mesh}
  to:
  - targetRef: {kind: MeshService, name: api}
    default: {connectionLimits: {maxConnections: 2, maxPendingRequests: 8}, outlierDetection: {interval: 5s, baseEjectionTime: 30s, detectors: {totalFailures: {consecutive: 10}}}}
---
type: MeshFaultInjection
mesh: shop
name: faults
spec:
  targetRef: {kind: Mesh, proxyTypes: [Sidecar]}
  from:
  - targetRef: {kind: Mesh}
    default: {http: [{abort: {httpStatus: 500, percentage: '2.5'}}, {delay: {value: 5s, percentage: 5}}]}
---
type: MeshHealthCheck
mesh: shop
name: health
spec:
  targetRef: {kind: Mesh}
  to:
  - targetRef: {kind: MeshService, name: api}
    default: {interval: 10s, timeout: 2s, unhealthyThreshold: 3, healthyThreshold: 1, http: {path: /health, expectedStatuses: [200, 201]}}
---
type: MeshHTTPRoute
mesh: shop
name: canary
spec:
  targetRef: {kind: MeshService, name: web}
  to:
  - targetRef: {kind: MeshService, name: api}
    rules:
    - matches: [{path: {type: PathPrefix, value: /v2}}]
      default:
        backendRefs: [{kind: MeshService, name: api, weight: 90}, {kind: MeshServiceSubset, name: api, tags: {version: v2}, weight: 10}]
---
type: MeshLoadBalancingStrategy
mesh: shop
name: ring
spec:
  targetRef: {kind: Mesh}
  to:
  - targetRef: {kind: MeshService, name: api}
    default: {loadBalancer: {type: RingHash, ringHash: {hashFunction: MurmurHash2, minRingSize: 64, maxRingSize: 1024, hashPolicies: [{type: Header, header: {name: x-user}}]}}}
---
type: MeshMetric
mesh: shop
name: metrics
spec:
  targetRef: {kind: Mesh}
  default: {backends: [{type: Prometheus, prometheus: {port: 5670, path: /metrics}}], applications: [{path: /metrics, port: 8888}]}
---
type: MeshPassthrough
mesh: shop
name: outside
spec:
  targetRef: {kind: Mesh}
  default: {passthroughMode: Matched, appendMatch: [{type: Domain, value: example.com, protocol: tls, port: 443}]}
---
type: MeshProxyPatch
mesh: shop
name: patch
spec:
  targetRef: {kind: Mesh}
  default: {appendModifications: [{cluster: {operation: Add, value: "name: test-cluster\\ntype: STATIC\\n"}}]}
---
type: MeshRateLimit
mesh: shop
name: limit
spec:
  targetRef: {kind: Mesh, proxyTypes: [Sidecar]}
  from:
  - targetRef: {kind: Mesh}
    default: {local: {http: {requestRate: {num: 5, interval: 10s}, onRateLimit: {status: 423}}}}
---
type: MeshRetry
mesh: shop
name: retry
spec:
  targetRef: {kind: Mesh}
  to:
  - targetRef: {kind: MeshService, name: api}
    default: {http: {numRetries: 10, perTryTimeout: 3s, backOff: {baseInterval: 15s, maxInterval: 20m}, retryOn: ['5xx', 'HttpMethodGet']}}
---
type: MeshTCPRoute
mesh: shop
name: tcp
spec:
  targetRef: {kind: MeshService, name: web}
  to:
  - targetRef: {kind: MeshService, name: db}
    rules: [{default: {backendRefs: [{kind: MeshServiceSubset, name: db, tags: {version: v2}, weight: 100}]}}]
---
type: MeshTimeout
mesh: shop
name: slow
labels: {team: front}
spec:
  targetRef: {kind: Mesh}
  to:
  - targetRef: {kind: MeshService, name: api}
    default: {connectionTimeout: 10s, idleTimeout: 30m, http: {requestTimeout: 20s}}
---
type: MeshTLS
mesh: shop
name: tls
spec:
  targetRef: {kind: Mesh}
  from:
  - targetRef: {kind: Mesh}
    default: {mode: Permissive, tlsVersion: {min: TLS12, max: TLS13}}
---
type: MeshTrace
mesh: shop
name: traces
spec:
  targetRef: {kind: Mesh}
  default: {backends: [{type: Zipkin, zipkin: {url: 'http://zipkin.example:9411/api/v2/spans'}}], sampling: {overall: 80}, tags: [{name: team, literal: core}]}
---
type: MeshTrafficPermission
mesh: shop
name: allow
spec:
  targetRef: {kind: Mesh}
  from:
  - targetRef: {kind: MeshSubset, tags: {kuma.io/service: web}}
    default: {action: Allow}
---
type: MeshService
mesh: shop
name: api
spec:
  selector: {dataplaneTags: {kuma.io/service: api}}
  ports: [{port: 80, targetPort: 8080, appProtocol: http}]
---
type: MeshMultiZoneService
mesh: shop
name: api-everywhere
spec:
  selector: {meshService: {matchLabels: {kuma.io/display-name: api}}}
  ports: [{port: 80, appProtocol: http}]
---
type: MeshExternalService
mesh: shop
name: mail
spec:
  match: {type: HostnameGenerator, port: 25, protocol: tcp}
  endpoints: [{address: mail.example, port: 25}]
---
type: HostnameGenerator
name: by-team
spec:
  selector: {meshService: {matchLabels: {kuma.io/env: universal}}}
  template: '{{ .DisplayName }}.team.mesh'
---
type: MeshIdentity
mesh: shop
name: identity
spec:
  selector: {dataplane: {matchLabels: {}}}
  provider: {type: Bundled, bundled: {meshTrustCreation: Enabled, insecureAllowSelfSigned: true, autogenerate: {enabled: true}}}
---
type: Workload
mesh: shop
name: front
spec: {}
`;

export function documentsOf(yaml: string): readonly JsonObject[] {
  return parseAllDocuments(yaml).map((document) => document.toJS()).filter((value) => value);
}

/** As a store keeps them. */
export function everyDraft(kinds: KindTable): readonly Draft[] {
  return documentsOf(EVERY_KIND).map((document) => {
    const { mesh = "", labels = {}, spec, ...flat } = document;
    const { type, name, ...fields } = flat;
    const draft = { type, mesh, name, labels };
    const { message } = kinds.byName(type as string)!;
    return { ...draft, spec: message === undefined ? spec : fields } as Draft;
  });
}
