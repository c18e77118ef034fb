// One resource of every kind that travels between zones and global, as kumactl applies them.

/** Written at global, with a mesh `shop` beside the one that is there. */
export const GLOBAL_SAMPLES = `
type: Mesh
name: default
mtls:
  enabledBackend: ca-1
  backends: [{name: ca-1, type: builtin}]
---
type: Mesh
name: shop
---
type: TrafficRoute
mesh: default
name: split-backend
sources: [{match: {kuma.io/service: '*'}}]
destinations: [{match: {kuma.io/service: backend}}]
conf: {destination: {kuma.io/service: backend}}
---
type: TrafficPermission
mesh: default
name: tp1
sources: [{match: {kuma.io/service: '*'}}]
destinations: [{match: {kuma.io/service: '*'}}]
---
type: CircuitBreaker
mesh: default
name: cb1
sources: [{match: {kuma.io/service: '*'}}]
destinations: [{match: {kuma.io/service: backend}}]
conf: {interval: 1s, baseEjectionTime: 30s, maxEjectionPercent: 20, detectors: {totalErrors: {consecutive: 3}}}
---
type: ExternalService
mesh: default
name: es1
tags: {kuma.io/service: es, kuma.io/protocol: http}
networking: {address: 'example.com:443', tls: {enabled: true}}
---
type: FaultInjection
mesh: default
name: fi1
sources: [{match: {kuma.io/service: '*'}}]
destinations: [{match: {kuma.io/service: backend, kuma.io/protocol: http}}]
conf: {abort: {httpStatus: 500, percentage: 50}}
---
type: HealthCheck
mesh: default
name: hc1
sources: [{match: {kuma.io/service: '*'}}]
destinations: [{match: {kuma.io/service: backend}}]
conf: {interval: 10s, timeout: 2s, unhealthyThreshold: 3, healthyThreshold: 1, tcp: {}}
---
type: ProxyTemplate
mesh: default
name: pt1
selectors: [{match: {kuma.io/service: backend}}]
conf: {imports: [default-proxy]}
---
type: RateLimit
mesh: default
name: rl1
sources: [{match: {kuma.io/service: '*'}}]
destinations: [{match: {kuma.io/service: backend}}]
conf: {http: {requests: 5, interval: 10s}}
---
type: Retry
mesh: default
name: retry1
sources: [{match: {kuma.io/service: '*'}}]
destinations: [{match: {kuma.io/service: backend}}]
conf: {http: {numRetries: 5, perTryTimeout: 200ms, backOff: {baseInterval: 20ms, maxInterval: 1s}, retriableStatusCodes: [500, 504]}}
---
type: Timeout
mesh: default
name: to1
sources: [{match: {kuma.io/service: '*'}}]
destinations: [{match: {kuma.io/service: '*'}}]
conf: {connectTimeout: 5s, tcp: {idleTimeout: 1h}, http: {requestTimeout: 15s}}
---
type: TrafficLog
mesh: default
name: tl1
sources: [{match: {kuma.io/service: '*'}}]
destinations: [{match: {kuma.io/service: '*'}}]
---
type: TrafficTrace
mesh: default
name: tt1
selectors: [{match: {kuma.io/service: '*'}}]
---
type: VirtualOutbound
mesh: default
name: vo1
selectors: [{match: {kuma.io/service: '*'}}]
conf: {host: '{{.service}}.mesh', port: '{{.port}}', parameters: [{name: service, tagKey: kuma.io/service}, {name: port, tagKey: port}]}
---
type: MeshGateway
mesh: default
name: gw1
selectors: [{match: {kuma.io/service: edge}}]
conf: {listeners: [{port: 8080, protocol: HTTP, tags: {port: http}}]}
---
type: MeshGatewayRoute
mesh: default
name: gwr1
selectors: [{match: {kuma.io/service: edge}}]
conf: {http: {rules: [{matches: [{path: {match: PREFIX, value: /}}], backends: [{destination: {kuma.io/service: backend}}]}]}}
---
type: Secret
mesh: default
name: sec1
data: dGVzdA==
---
type: GlobalSecret
name: gsec1
data: dGVzdA==
---
type: MeshTimeout
mesh: default
name: mt1
spec: {targetRef: {kind: Mesh}, to: [{targetRef: {kind: Mesh}, default: {connectionTimeout: 5s}}]}
---
type: MeshAccessLog
mesh: default
name: mal1
spec: {targetRef: {kind: Mesh}, to: [{targetRef: {kind: Mesh}, default: {backends: [{type: File, file: {path: /tmp/x.log}}]}}]}
---
type: MeshCircuitBreaker
mesh: default
name: mcb1
spec: {targetRef: {kind: Mesh}, to: [{targetRef: {kind: Mesh}, default: {connectionLimits: {maxConnections: 2}}}]}
---
type: MeshFaultInjection
mesh: default
name: mfi1
spec: {targetRef: {kind: Mesh, proxyTypes: [Sidecar]}, from: [{targetRef: {kind: Mesh}, default: {http: [{abort: {httpStatus: 500, percentage: "2.5"}}]}}]}
---
type: MeshHealthCheck
mesh: default
name: mhc1
spec: {targetRef: {kind: Mesh}, to: [{targetRef: {kind: MeshService, name: backend}, default: {interval: 10s, timeout: 2s, unhealthyThreshold: 3, healthyThreshold: 1, tcp: {}}}]}
---
type: MeshHTTPRoute
mesh: default
name: mhr1
spec: {targetRef: {kind: Mesh}, to: [{targetRef: {kind: MeshService, name: backend}, rules: [{matches: [{path: {type: PathPrefix, value: /}}], default: {}}]}]}
---
type: MeshLoadBalancingStrategy
mesh: default
name: mlbs1
spec: {targetRef: {kind: Mesh}, to: [{targetRef: {kind: MeshService, name: backend}, default: {loadBalancer: {type: RoundRobin}}}]}
---
type: MeshMetric
mesh: default
name: mm1
spec: {targetRef: {kind: Mesh}, default: {backends: [{type: Prometheus, prometheus: {port: 5670, path: /metrics}}]}}
---
type: MeshPassthrough
mesh: default
name: mpt1
spec: {targetRef: {kind: Mesh}, default: {passthroughMode: All}}
---
type: MeshProxyPatch
mesh: default
name: mpp1
spec: {targetRef: {kind: Mesh}, default: {appendModifications: [{cluster: {operation: Patch, value: 'connect_timeout: 5s'}}]}}
---
type: MeshRateLimit
mesh: default
name: mrl1
spec: {targetRef: {kind: Mesh, proxyTypes: [Sidecar]}, from: [{targetRef: {kind: Mesh}, default: {local: {http: {requestRate: {num: 5, interval: 10s}}}}}]}
---
type: MeshRetry
mesh: default
name: mr1
spec: {targetRef: {kind: Mesh}, to: [{targetRef: {kind: MeshService, name: backend}, default: {http: {numRetries: 3}}}]}
---
type: MeshTCPRoute
mesh: default
name: mtr1
spec: {targetRef: {kind: Mesh}, to: [{targetRef: {kind: MeshService, name: backend}, rules: [{default: {backendRefs: [{kind: MeshService, name: backend, weight: 1}]}}]}]}
---
type: MeshTLS
mesh: default
name: mtls1
spec: {targetRef: {kind: Mesh, proxyTypes: [Sidecar]}, from: [{targetRef: {kind: Mesh}, default: {tlsVersion: {min: TLS12}}}]}
---
type: MeshTrace
mesh: default
name: mtrace1
spec: {targetRef: {kind: Mesh}, default: {backends: [{type: Zipkin, zipkin: {url: 'http://zipkin:9411/api/v2/spans'}}]}}
---
type: MeshTrafficPermission
mesh: default
name: mtp1
spec: {targetRef: {kind: Mesh, proxyTypes: [Sidecar]}, from: [{targetRef: {kind: Mesh}, default: {action: Allow}}]}
---
type: MeshExternalService
mesh: default
name: mes1
labels: {hostname: "true"}
spec: {match: {type: HostnameGenerator, port: 9000, protocol: tcp}, endpoints: [{address: example.com, port: 443}]}
---
type: MeshMultiZoneService
mesh: default
name: mmzs1
spec: {selector: {meshService: {matchLabels: {app: backend}}}, ports: [{port: 80, appProtocol: http}]}
---
type: HostnameGenerator
name: hg1
spec: {selector: {meshService: {matchLabels: {app: x}}}, template: "{{ .DisplayName }}.x.local"}
---
type: MeshIdentity
mesh: default
name: mid1
spec: {selector: {dataplane: {matchLabels: {}}}, spiffeID: {trustDomain: "{{ .Mesh }}.{{ .Zone }}.mesh.local", path: "/ns/x"}, provider: {type: Bundled, bundled: {meshTrustCreation: Enabled, insecureAllowSelfSigned: true, certificateParameters: {expiry: 24h}, autogenerate: {enabled: true}}}}
`;

/** Written in a zone: what goes up, and a Secret that stays. */
export const ZONE_SAMPLES = `
type: Dataplane
mesh: default
name: be-1
networking: {address: 127.0.0.1, inbound: [{port: 8080, tags: {kuma.io/service: backend, kuma.io/protocol: http}}]}
---
type: ZoneIngress
name: ing-1
networking: {address: 127.0.0.1, port: 10001, advertisedAddress: 127.0.0.1, advertisedPort: 10001}
---
type: ZoneEgress
name: eg-1
networking: {address: 127.0.0.1, port: 10002}
---
type: MeshService
mesh: default
name: redis
labels: {kuma.io/origin: zone}
spec: {selector: {dataplaneTags: {kuma.io/service: redis}}, ports: [{port: 6379, targetPort: 6379, appProtocol: tcp}]}
---
type: MeshTimeout
mesh: default
name: zt1
labels: {kuma.io/origin: zone}
spec: {targetRef: {kind: Mesh}, to: [{targetRef: {kind: Mesh}, default: {connectionTimeout: 7s}}]}
---
type: MeshExternalService
mesh: default
name: zmes1
labels: {kuma.io/origin: zone}
spec: {match: {type: HostnameGenerator, port: 9000, protocol: tcp}, endpoints: [{address: example.com, port: 443}]}
---
type: Secret
mesh: default
name: zsec1
data: dGVzdA==
---
type: MeshGateway
mesh: default
name: zgw1
labels: {kuma.io/origin: zone}
selectors: [{match: {kuma.io/service: edge}}]
conf: {listeners: [{port: 8080, protocol: HTTP, tags: {port: http}}]}
`;
