// Modern resources that use what there is of their kind; kuma-cp 2.13.10 accepts each.

export const MODERN_SAMPLES = `type: MeshTimeout
mesh: shop
name: x1
spec:
  targetRef: {kind: Dataplane, labels: {app: a}, sectionName: http}
  rules: [{default: {idleTimeout: 1h, http: {requestTimeout: 5s, maxStreamDuration: 0s}}}]
---
type: MeshRetry
mesh: shop
name: x2
spec:
  targetRef: {kind: MeshSubset, tags: {a: b}, proxyTypes: [Sidecar]}
  to:
  - targetRef: {kind: MeshService, name: web}
    default:
      tcp: {maxConnectAttempt: 5}
      http: {numRetries: 3, perTryTimeout: 1s, backOff: {baseInterval: 1s, maxInterval: 2s}, rateLimitedBackOff: {maxInterval: 1s, resetHeaders: [{name: x-reset, format: Seconds}]}, retryOn: [5xx, "503", HttpMethodGet], retriableRequestHeaders: [{type: Exact, name: x, value: y}], hostSelection: [{predicate: OmitHostsWithTags, tags: {a: b}}, {predicate: OmitPreviousPriorities, updateFrequency: 1}], hostSelectionMaxAttempts: 3}
      grpc: {numRetries: 1, retryOn: [Internal]}
---
type: MeshHealthCheck
mesh: shop
name: x3
spec:
  to:
  - targetRef: {kind: MeshService, name: web}
    default: {interval: 10s, timeout: 2s, unhealthyThreshold: 3, healthyThreshold: 1, initialJitter: 1s, intervalJitter: 1s, intervalJitterPercent: 6, healthyPanicThreshold: "62.9", failTrafficOnPanic: true, eventLogPath: /tmp/x.log, noTrafficInterval: 10s, tcp: {send: Zm9v, receive: [YmFy]}, http: {path: /x, requestHeadersToAdd: {add: [{name: a, value: b}], set: [{name: c, value: d}]}, expectedStatuses: [200]}, grpc: {serviceName: s, authority: a}}
---
type: MeshCircuitBreaker
mesh: shop
name: x4
spec:
  targetRef: {kind: MeshGateway, name: edge, tags: {port: http}}
  to:
  - targetRef: {kind: MeshService, labels: {a: b}}
    default: {connectionLimits: {maxConnections: 1, maxConnectionPools: 2, maxPendingRequests: 1, maxRetries: 1, maxRequests: 1}, outlierDetection: {disabled: false, interval: 5s, baseEjectionTime: 30s, maxEjectionPercent: 20, splitExternalAndLocalErrors: true, detectors: {totalFailures: {consecutive: 1}, successRate: {minimumHosts: 1, requestVolume: 2, standardDeviationFactor: "1.9"}, failurePercentage: {minimumHosts: 1, requestVolume: 1, threshold: 50}}}}
---
type: MeshRateLimit
mesh: shop
name: x5
spec:
  targetRef: {kind: MeshSubset, tags: {a: b}, proxyTypes: [Sidecar]}
  from:
  - targetRef: {kind: Mesh}
    default: {local: {http: {disabled: false, requestRate: {num: 1, interval: 10s}, onRateLimit: {status: 423, headers: {set: [{name: a, value: b}]}}}, tcp: {connectionRate: {num: 1, interval: 1s}}}}
---
type: MeshFaultInjection
mesh: shop
name: x6
spec:
  targetRef: {kind: Dataplane, labels: {a: b}}
  rules:
  - matches: [{spiffeID: {type: Exact, value: spiffe://d/x}}]
    default: {http: [{abort: {httpStatus: 500, percentage: "2.5"}}, {delay: {value: 5s, percentage: 5}, responseBandwidth: {limit: 50Mbps, percentage: 50}}]}
---
type: MeshLoadBalancingStrategy
mesh: shop
name: x7
spec:
  to:
  - targetRef: {kind: MeshMultiZoneService, name: web}
    default:
      localityAwareness: {disabled: false, localZone: {affinityTags: [{key: k8s.io/node, weight: 9}]}, crossZone: {failover: [{from: {zones: [a]}, to: {type: Only, zones: [b]}}, {to: {type: Any}}], failoverThreshold: {percentage: 70}}}
      loadBalancer: {type: RingHash, ringHash: {hashFunction: XXHash, minRingSize: 10, maxRingSize: 100, hashPolicies: [{type: Header, header: {name: x}}, {type: Cookie, cookie: {name: c, ttl: 1s, path: /x}}, {type: Connection, connection: {sourceIP: true}}]}}
---
type: MeshLoadBalancingStrategy
mesh: shop
name: x8
spec:
  to:
  - targetRef: {kind: MeshService, name: web}
    default: {loadBalancer: {type: LeastRequest, leastRequest: {choiceCount: 4, activeRequestBias: "1.3"}}, hashPolicies: [{type: QueryParameter, terminal: true, queryParameter: {name: q}}]}
---
type: MeshTLS
mesh: shop
name: x9
spec:
  rules: [{default: {mode: Strict, tlsVersion: {min: TLS12, max: TLS13}, tlsCiphers: [ECDHE-RSA-AES256-GCM-SHA384]}}]
---
type: MeshTrafficPermission
mesh: shop
name: x10
spec:
  targetRef: {kind: Dataplane, name: x}
  rules: [{default: {allow: [{spiffeID: {type: Prefix, value: spiffe://d/x}}], deny: [{spiffeID: {type: Exact, value: spiffe://d/y}}]}}]
---
type: MeshAccessLog
mesh: shop
name: x11
spec:
  targetRef: {kind: MeshSubset, tags: {a: b}}
  to:
  - targetRef: {kind: MeshHTTPRoute, name: r}
    default: {backends: [{type: Tcp, tcp: {address: "127.0.0.1:5000", format: {type: Json, json: [{key: a, value: b}], omitEmptyValues: true}}}, {type: OpenTelemetry, openTelemetry: {endpoint: "otel:4317", body: {a: b}, attributes: [{key: a, value: b}]}}]}
---
type: MeshMetric
mesh: shop
name: x12
spec:
  targetRef: {kind: MeshGateway, name: edge}
  default: {sidecar: {includeUnused: true, profiles: {appendProfiles: [{name: Basic}], exclude: [{type: Regex, match: a.*}], include: [{type: Contains, match: a}]}}, applications: [{name: a, path: /m, address: 1.2.3.4, port: 80}], backends: [{type: Prometheus, prometheus: {clientId: a, port: 5670, path: /m, tls: {mode: Disabled}}}, {type: OpenTelemetry, openTelemetry: {endpoint: "otel:4317", refreshInterval: 10s}}]}
---
type: MeshTrace
mesh: shop
name: x13
spec:
  default: {backends: [{type: Datadog, datadog: {url: "http://dd:8126", splitService: true}}], sampling: {overall: 80, client: "1.5", random: 60}, tags: [{name: a, literal: b}, {name: c, header: {name: d, default: e}}]}
---
type: MeshTrace
mesh: shop
name: x14
spec:
  default: {backends: [{type: Zipkin, zipkin: {url: "http://z:9411/api", traceId128bit: true, apiVersion: httpProto, sharedSpanContext: false}}]}
---
type: MeshPassthrough
mesh: shop
name: x15
spec:
  default: {passthroughMode: Matched, appendMatch: [{type: Domain, value: "*.x.com", port: 443, protocol: tls}, {type: IP, value: 1.2.3.4, port: 80, protocol: http}, {type: CIDR, value: 10.0.0.0/8}, {type: Domain, value: y.com, port: 80, protocol: http}]}
---
type: MeshProxyPatch
mesh: shop
name: x16
spec:
  default:
    appendModifications:
    - cluster: {operation: Add, value: "name: x\\nconnect_timeout: 5s\\ntype: STATIC\\n"}
    - httpFilter: {operation: Remove, match: {name: a, origin: inbound, listenerName: b, listenerTags: {a: b}}}
    - listener: {operation: Patch, match: {name: a, tags: {a: b}}, jsonPatches: [{op: replace, path: /name, value: x}]}
    - virtualHost: {operation: Remove, match: {name: a, routeConfigurationName: b}}
    - networkFilter: {operation: AddBefore, match: {name: a}, value: "name: x\\n"}
---
type: MeshHTTPRoute
mesh: shop
name: x17
spec:
  targetRef: {kind: MeshGateway, name: edge}
  to:
  - targetRef: {kind: Mesh}
    hostnames: [a.com]
    rules:
    - matches: [{path: {type: PathPrefix, value: /a}, method: GET, headers: [{name: x, value: y}, {type: Present, name: z}], queryParams: [{type: Exact, name: q, value: w}]}]
      default:
        filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: a, value: b}], add: [{name: c, value: d}], remove: [e]}}, {type: URLRewrite, urlRewrite: {hostname: h.com, path: {type: ReplacePrefixMatch, replacePrefixMatch: /b}}}, {type: RequestMirror, requestMirror: {percentage: 10, backendRef: {kind: MeshService, name: m}}}]
        backendRefs: [{kind: MeshService, name: a, port: 80, weight: 10}, {kind: MeshMultiZoneService, name: b, port: 80}, {kind: MeshExternalService, name: e}]
---
type: MeshHTTPRoute
mesh: shop
name: x18
spec:
  to:
  - targetRef: {kind: MeshService, name: a, sectionName: http}
    rules:
    - matches: [{path: {type: Exact, value: /a}}]
      default: {filters: [{type: RequestRedirect, requestRedirect: {scheme: https, hostname: h.com, port: 443, statusCode: 301, path: {type: ReplaceFullPath, replaceFullPath: /x}}}]}
---
type: MeshTCPRoute
mesh: shop
name: x19
spec:
  to:
  - targetRef: {kind: MeshExternalService, name: a}
    rules: [{default: {backendRefs: [{kind: MeshServiceSubset, name: a, tags: {v: "1"}, weight: 1}]}}]
---
type: MeshExternalService
mesh: shop
name: x20
spec:
  match: {type: HostnameGenerator, port: 443, protocol: tcp}
  endpoints: [{address: a.com, port: 443}]
  tls: {enabled: true, version: {min: TLS12, max: TLS13}, allowRenegotiation: false, verification: {mode: Secured, serverName: a.com, subjectAltNames: [{type: Exact, value: a.com}], caCert: {secret: x}, clientCert: {inline: Zm9v}, clientKey: {inlineString: k}}}
---
type: MeshIdentity
mesh: shop
name: x21
spec:
  selector: {dataplane: {matchLabels: {a: b}}}
  spiffeID: {trustDomain: "{{ .Mesh }}.d", path: "/x"}
  provider: {type: Bundled, bundled: {meshTrustCreation: Enabled, insecureAllowSelfSigned: true, autogenerate: {enabled: true}, certificateParameters: {expiry: 24h}}}
---
type: MeshMultiZoneService
mesh: shop
name: x22
spec:
  selector: {meshService: {matchLabels: {a: b}}}
  ports: [{name: p, port: 80, appProtocol: http}]
---
type: MeshService
mesh: shop
name: x23
spec:
  state: Available
  selector: {dataplaneTags: {kuma.io/service: a}}
  ports: [{name: p, port: 80, targetPort: 8080, appProtocol: http}]
  identities: [{type: ServiceTag, value: a}]
---
type: HostnameGenerator
name: x24
spec: {selector: {meshService: {matchLabels: {a: b}}}, template: "{{ .DisplayName }}.mesh", extension: {type: x, config: {a: 1}}}
---
type: MeshTrust
mesh: shop
name: x25
spec: {trustDomain: d.example, caBundles: [{type: Pem, pem: {value: "-----BEGIN CERTIFICATE-----\\nMIIB\\n-----END CERTIFICATE-----"}}], origin: {kri: kri_mid_shop___x_}}
---
type: Workload
mesh: shop
name: x26
spec: {}
`;
