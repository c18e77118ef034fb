// The Envoy bootstrap of one proxy, field by field as kuma@v2.13.10:pkg/xds/bootstrap/template_v3.go.

import { ADMIN_PORT } from "../core/envoy_admin.ts";
import type { DataplaneSpec } from "../core/dataplane.ts";
import { objectOf } from "../core/json.ts";
import type { Json, JsonObject } from "../core/resource.ts";
import { accessLogSocket } from "../core/sockets.ts";
import { SERVICE_TAG } from "../core/tags.ts";
import { tagSetsOf } from "../core/dataplane.ts";
import { instanceOf } from "./node.ts";
import type { ProxyResource } from "./resource.ts";
import { TOKEN_SECRET_FIELD, tokenFilters } from "./token_secret.ts";

export interface Bootstrapping {
  /** The body of POST /bootstrap. */
  readonly request: JsonObject;
  readonly proxyType: "dataplane" | "ingress";
  readonly proxy: ProxyResource;
  /** PEM; what Envoy trusts the control plane by. */
  readonly caCert: string;
  /** Where the proxy found the control plane, so it finds it there again. */
  readonly host: string;
  readonly port: number;
  /** Envoy reads its token from the file at each connection, if the proxy named one. */
  readonly reloadableTokens: boolean;
  readonly reportsHealth: boolean;
}

/** kuma@v2.13.10:pkg/config (proxy.gateway.globalDownstreamMaxConnections). */
const GATEWAY_CONNECTIONS_MAX = 50_000;

const ADS_CLUSTER = "ads_cluster";
const ACCESS_LOG_SINK = "access_log_sink";

export function envoyBootstrap(made: Bootstrapping): JsonObject {
  const { proxy, request } = made;
  const adminPort = proxy.spec.networking.admin?.port || ADMIN_PORT;
  return {
    node: {
      id: `${proxy.mesh}.${proxy.name}`,
      cluster: made.proxyType === "ingress" ? "ingress" : clusterOf(proxy.spec),
      metadata: nodeMetadata(request, { proxyType: made.proxyType, adminPort }),
    },
    admin: {
      accessLog: [{
        name: "envoy.access_loggers.file",
        typedConfig: {
          "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
          path: "/dev/null",
        },
      }],
      address: { socketAddress: { address: "127.0.0.1", portValue: adminPort } },
    },
    defaultRegexEngine: {
      name: "envoy.regex_engines.google_re2",
      typedConfig: {
        "@type": "type.googleapis.com/envoy.extensions.regex_engines.v3.GoogleRE2",
      },
    },
    dynamicResources: dynamicResources(made),
    ...(needsHealth(made) && { hdsConfig: adsLike(made, "GRPC") }),
    layeredRuntime: {
      layers: [{
        name: "kuma",
        staticLayer: {
          "re2.max_program_size.error_level": 4294967295,
          "re2.max_program_size.warn_level": 1000,
        },
      }],
    },
    ...(proxy.spec.networking.gateway?.type === "BUILTIN" && {
      overloadManager: overloadManager(request),
    }),
    staticResources: {
      clusters: [
        accessLogSink(accessLogSocket(text(request, "workdir"), proxy)),
        ...(readsToken(made) ? [] : [adsCluster(made)]),
      ],
      secrets: [validationSecret(made.host, made.caCert)],
    },
    statsConfig: { statsTags: STATS_TAGS },
  };
}

function dynamicResources(made: Bootstrapping): JsonObject {
  const source = { ads: {}, initialFetchTimeout: "0s", resourceApiVersion: "V3" };
  const delta = features(made.request).includes("feature-delta-grpc");
  return {
    adsConfig: adsLike(made, delta ? "DELTA_GRPC" : "GRPC"),
    cdsConfig: source,
    ldsConfig: source,
  };
}

function adsLike(made: Bootstrapping, apiType: string): JsonObject {
  return {
    apiType,
    transportApiVersion: "V3",
    setNodeOnFirstMessageOnly: true,
    grpcServices: [grpcService(made)],
  };
}

/** `ursa dp` says itself that it leaves, so that an idle proxy of its need not report anything. */
function needsHealth({ request, proxyType, proxy, reportsHealth }: Bootstrapping): boolean {
  if (proxyType !== "dataplane" || !reportsHealth) return false;
  const probes = (proxy.spec.networking.inbound ?? []).some((inbound) => inbound.serviceProbe);
  return probes || instanceOf(request) === "";
}

function readsToken({ request, reloadableTokens }: Bootstrapping): boolean {
  return reloadableTokens && text(request, "dataplaneTokenPath") !== "";
}

function tokenSecretPath({ request }: Bootstrapping): string {
  return text(request, TOKEN_SECRET_FIELD);
}

function grpcService(made: Bootstrapping): JsonObject {
  if (readsToken(made)) return googleGrpc(made);
  // One that Envoy reads from a file of the dp process is not written down here as well.
  const token = tokenSecretPath(made) === "" ? text(made.request, "dataplaneToken") : "";
  return {
    envoyGrpc: {
      clusterName: ADS_CLUSTER,
      // Envoy's own ceiling is 30 s: too long to miss a control plane that is back.
      retryPolicy: { retryBackOff: { baseInterval: "0.25s", maxInterval: "3s" } },
    },
    // The bare token, without "Bearer": kuma@v2.13.10:pkg/xds/bootstrap.
    ...(token ? { initialMetadata: [{ key: "authorization", value: token }] } : {}),
  };
}

/** The only client in Envoy that reads credentials from a file for each connection. */
function googleGrpc({ request, host, port, caCert }: Bootstrapping): JsonObject {
  const plugin = "envoy.grpc_credentials.file_based_metadata";
  return {
    googleGrpc: {
      targetUri: host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`,
      statPrefix: "ads",
      credentialsFactoryName: plugin,
      callCredentials: [{
        fromPlugin: {
          name: plugin,
          typedConfig: {
            "@type": "type.googleapis.com/envoy.config.grpc_credential.v3.FileBasedMetadataConfig",
            secretData: { filename: text(request, "dataplaneTokenPath") },
          },
        },
      }],
      channelCredentials: { sslCredentials: { rootCerts: { inlineBytes: base64(caCert) } } },
      channelArgs: {
        args: {
          "grpc.keepalive_time_ms": { intValue: "10000" },
          "grpc.keepalive_timeout_ms": { intValue: "30000" },
          "grpc.http2.max_pings_without_data": { intValue: "0" },
          "grpc.max_reconnect_backoff_ms": { intValue: "3000" },
        },
      },
    },
  };
}

/** What every cluster of the bootstrap has. */
function http2Cluster(
  name: string,
  address: JsonObject,
  filters: readonly JsonObject[] = [],
): JsonObject {
  return {
    name,
    connectTimeout: "1s",
    loadAssignment: {
      clusterName: name,
      endpoints: [{ lbEndpoints: [{ endpoint: { address } }] }],
    },
    typedExtensionProtocolOptions: {
      "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        explicitHttpConfig: { http2ProtocolOptions: {} },
        ...(filters.length > 0 && { httpFilters: filters }),
      },
    },
    upstreamConnectionOptions: {
      tcpKeepalive: { keepaliveInterval: 10, keepaliveProbes: 3, keepaliveTime: 10 },
    },
  };
}

/** The dp process may collect access logs there. */
function accessLogSink(path: string): JsonObject {
  return { ...http2Cluster(ACCESS_LOG_SINK, { pipe: { path } }), type: "STATIC" };
}

function adsCluster(made: Bootstrapping): JsonObject {
  const { host, port } = made;
  const path = tokenSecretPath(made);
  const filters = path === "" ? [] : tokenFilters(path);
  return {
    ...http2Cluster(ADS_CLUSTER, { socketAddress: { address: host, portValue: port } }, filters),
    ...(isIpAddress(host)
      ? { type: "STATIC" }
      // Asking for IPv6 first would make `localhost` miss a control plane that listens on 127.0.0.1.
      : { type: "STRICT_DNS", dnsLookupFamily: "V4_PREFERRED" }),
    transportSocket: {
      name: "envoy.transport_sockets.tls",
      typedConfig: {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        commonTlsContext: {
          tlsParams: { tlsMinimumProtocolVersion: "TLSv1_2" },
          validationContextSdsSecretConfig: { name: "cp_validation_ctx" },
        },
        sni: host,
      },
    },
  };
}

/** Either form of the name may match: a certificate lists addresses and DNS names apart. */
function validationSecret(host: string, caCert: string): JsonObject {
  return {
    name: "cp_validation_ctx",
    validationContext: {
      matchTypedSubjectAltNames: ["DNS", "IP_ADDRESS"].map((sanType) => ({
        matcher: { exact: host },
        sanType,
      })),
      trustedCa: { inlineBytes: base64(caCert) },
    },
  };
}

/** A gateway is open to everybody: it refuses connections before it dies of them. */
function overloadManager(request: JsonObject): JsonObject {
  const heapBytes = count(objectOf(request["resources"]), "maxHeapSizeBytes");
  const heap = "envoy.resource_monitors.fixed_heap";
  const monitor = (name: string, type: string, config: JsonObject): JsonObject => ({
    name,
    typedConfig: { "@type": `type.googleapis.com/envoy.extensions.${type}`, ...config },
  });
  const action = (name: string, value: number): JsonObject => ({
    name: `envoy.overload_actions.${name}`,
    triggers: [{ name: heap, threshold: { value } }],
  });
  return {
    refreshInterval: "0.250s",
    resourceMonitors: [
      monitor(
        "envoy.resource_monitors.global_downstream_max_connections",
        "resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
        { maxActiveDownstreamConnections: String(GATEWAY_CONNECTIONS_MAX) },
      ),
      ...(heapBytes > 0
        ? [monitor(heap, "resource_monitors.fixed_heap.v3.FixedHeapConfig", {
          maxHeapSizeBytes: String(heapBytes),
        })]
        : []),
    ],
    ...(heapBytes > 0 && {
      actions: [action("shrink_heap", 0.95), action("stop_accepting_requests", 0.98)],
    }),
  };
}

const STATS_TAGS: readonly JsonObject[] = [
  { tagName: "name", regex: "^grpc\\.((.+)\\.)" },
  { tagName: "status", regex: "^grpc.*streams_closed(_([0-9]+))" },
  { tagName: "kafka_name", regex: "^kafka(\\.(\\S*[0-9]))\\." },
  { tagName: "kafka_type", regex: "^kafka\\..*\\.(.*?(?=_duration|$))" },
  { tagName: "worker", regex: "(worker_([0-9]+)\\.)" },
  { tagName: "listener", regex: "((.+?)\\.)rbac\\." },
];

/** Numbers are strings here: kuma@v2.13.10:pkg/core/xds/metadata.go reads them so. */
function nodeMetadata(
  request: JsonObject,
  { proxyType, adminPort }: { readonly proxyType: string; readonly adminPort: number },
): JsonObject {
  const metrics = objectOf(request["metricsResources"]);
  const dnsPort = count(request, "dnsPort");
  const readinessPort = count(request, "readinessPort");
  const own = text(request, "dataplaneResource");
  const dynamicMetadata = objectOf(request["dynamicMetadata"]);
  const transparentProxy = objectOf(request["dataplaneConfig"]);
  return {
    version: objectOf(request["version"]),
    features: features(request),
    workdir: text(request, "workdir"),
    metricsCertPath: text(metrics, "certPath"),
    metricsKeyPath: text(metrics, "keyPath"),
    systemCaPath: text(request, "systemCaPath"),
    ipv6Enabled: request["ipv6Enabled"] === true,
    "spireAgent.socketPath": text(objectOf(request["spireResources"]), "socketPath"),
    "dataplane.admin.port": String(adminPort),
    "dataplane.admin.address": "127.0.0.1",
    "dataplane.proxyType": proxyType,
    ...(dnsPort ? { "dataplane.dns.port": String(dnsPort) } : {}),
    ...(readinessPort ? { "dataplane.readinessReporter.port": String(readinessPort) } : {}),
    // The field's name says the opposite of what it means: https://github.com/kumahq/kuma/issues/13885.
    ...(request["appProbeProxyDisabled"] === true
      ? { "dataplane.appProbeProxy.enabled": "true" }
      : {}),
    ...(own ? { "dataplane.resource": own } : {}),
    ...(Object.keys(dynamicMetadata).length > 0 ? { dynamicMetadata } : {}),
    ...(Object.keys(transparentProxy).length > 0 ? { transparentProxy } : {}),
  };
}

function clusterOf(spec: DataplaneSpec): string {
  return tagSetsOf(spec)[0]?.[SERVICE_TAG] ?? "";
}

/** btoa takes Latin-1 only; a resource in YAML may hold any character. */
export function base64(value: string): string {
  return btoa(
    Array.from(new TextEncoder().encode(value), (byte) => String.fromCharCode(byte)).join(""),
  );
}

function isIpAddress(host: string): boolean {
  return /^\d{1,3}(\.\d{1,3}){3}$/.test(host) || host.includes(":");
}

function features(request: JsonObject): readonly string[] {
  const list = request["features"];
  return Array.isArray(list)
    ? list.filter((item: Json): item is string => typeof item === "string")
    : [];
}

export function text(object: JsonObject, field: string): string {
  const value = object[field];
  return typeof value === "string" ? value : "";
}

function count(object: JsonObject, field: string): number {
  const value = object[field];
  return typeof value === "number" && Number.isInteger(value) && value > 0 ? value : 0;
}
