// POST /bootstrap: what a proxy says about itself, and the Envoy bootstrap it starts with.

import { isObject, objectOf } from "../core/json.ts";
import { type DataplaneSpec, tagSetsOf } from "../core/dataplane.ts";
import type { Json, JsonObject, ResourceKey } from "../core/resource.ts";
import { renderViolations, type Violation } from "../core/violation.ts";
import { SERVICE_TAG } from "../core/tags.ts";
import { stringify } from "yaml";
import { parseProxyResource, type ProxyResource } from "./resource.ts";

/** What the answer depends on besides the request. */
export interface BootstrapContext {
  /** Host by which the proxy reached this control plane; it will verify and dial exactly this. */
  readonly host: string;
  readonly port: number;
  /** The control plane's root in PEM: trusted by proxies that bring none. */
  readonly caCert: string;
  /** Names and addresses in the control plane's certificate; when absent, not checked. */
  readonly subjectAltNames?: readonly string[];
  /** The request's Accept header. */
  readonly accept: string;
  readonly meshExists: (mesh: string) => boolean;
  /** All violations of a spec of kind Dataplane or ZoneIngress. */
  readonly validate: (type: string, spec: unknown) => readonly Violation[];
  /** The spec of a proxy that was created beforehand. */
  readonly find?: (key: ResourceKey) => unknown;
}

export interface BootstrapAnswer {
  readonly status: number;
  readonly body: string;
  readonly contentType: string;
}

/** Turns a parsed request body into the whole HTTP answer. Never throws, whatever the input. */
export function handleBootstrap(request: unknown, context: BootstrapContext): BootstrapAnswer {
  if (!isObject(request)) return refusal(400, "");
  const proxyType = text(request, "proxyType") || "dataplane";
  if (proxyType !== "dataplane" && proxyType !== "ingress") {
    return refusal(422, `proxyType: "${proxyType}" is not supported: use dataplane or ingress`);
  }
  const names = context.subjectAltNames;
  if (names && !names.includes(context.host)) return refusal(400, unknownHost(context.host, names));
  const caCert = text(request, "caCert") || context.caCert;
  if (!caCert.includes("-----BEGIN CERTIFICATE-----")) {
    return refusal(400, "caCert: must be a certificate in PEM form");
  }
  const found = findProxy(request, proxyType, context);
  if ("status" in found) return found;
  return answer(render(request, { proxyType, caCert, proxy: found.proxy, context }), {
    accept: context.accept,
    address: found.proxy.spec.networking.address ?? "",
  });
}

/** The resource that the proxy brings, or the one that was created for it. */
function findProxy(
  request: JsonObject,
  proxyType: "dataplane" | "ingress",
  context: BootstrapContext,
): { readonly proxy: ProxyResource } | BootstrapAnswer {
  const type = proxyType === "ingress" ? "ZoneIngress" : "Dataplane";
  const mesh = proxyType === "ingress" ? "" : text(request, "mesh");
  const name = text(request, "name");
  const own = text(request, "dataplaneResource");
  if (own === "") {
    const spec = context.find?.({ type, mesh, name });
    // Kuma's dp process takes an empty 404 as "not there yet" and asks again.
    if (spec === undefined) return refusal(404, "");
    return { proxy: { type, mesh, name, spec: spec as DataplaneSpec } };
  }
  const parsed = parseProxyResource(own, proxyType);
  if (!parsed.ok) return invalid(parsed.violations);
  const proxy = parsed.resource;
  const violations = [
    ...mismatch("name", name, proxy.name),
    ...mismatch("mesh", mesh, proxy.mesh),
    ...context.validate(type, proxy.spec),
    ...transparentOutbounds(proxy.spec),
  ];
  if (violations.length > 0) return invalid(violations);
  if (type === "Dataplane" && !context.meshExists(proxy.mesh)) {
    return refusal(422, `mesh: mesh "${proxy.mesh}" does not exist`);
  }
  return { proxy };
}

function mismatch(field: string, asked: string, actual: string): readonly Violation[] {
  return asked === "" || asked === actual
    ? []
    : [{ path: field, message: `must equal the resource's "${actual}", is "${asked}"` }];
}

/** Not checked on save: kuma@v2.13.10:pkg/xds/bootstrap/generator.go. */
function transparentOutbounds(spec: DataplaneSpec): readonly Violation[] {
  const { transparentProxying, outbound = [] } = spec.networking;
  return transparentProxying && outbound.length > 0
    ? [{
      path: "outbound",
      message: "should be empty since dataplane is in Transparent Proxying mode",
    }]
    : [];
}

interface Rendering {
  readonly proxyType: "dataplane" | "ingress";
  readonly caCert: string;
  readonly proxy: ProxyResource;
  readonly context: BootstrapContext;
}

/** Field by field as kuma@v2.13.10:pkg/xds/bootstrap (generator golden files) has it. */
function render(request: JsonObject, made: Rendering): JsonObject {
  const { context, proxy } = made;
  const adminPort = proxy.spec.networking.admin?.port ?? 9901;
  return {
    node: {
      id: `${proxy.mesh}.${proxy.name}`,
      cluster: made.proxyType === "ingress" ? "ingress" : clusterOf(proxy.spec),
      metadata: nodeMetadata(request, made.proxyType, adminPort),
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
    dynamicResources: dynamicResources(request),
    layeredRuntime: {
      layers: [{
        name: "kuma",
        staticLayer: {
          "re2.max_program_size.error_level": 4294967295,
          "re2.max_program_size.warn_level": 1000,
        },
      }],
    },
    staticResources: {
      clusters: [adsCluster(context.host, context.port)],
      secrets: [validationSecret(context.host, made.caCert)],
    },
    statsConfig: { statsTags: STATS_TAGS },
  };
}

function dynamicResources(request: JsonObject): JsonObject {
  const token = text(request, "dataplaneToken");
  const source = { ads: {}, initialFetchTimeout: "0s", resourceApiVersion: "V3" };
  return {
    adsConfig: {
      apiType: features(request).includes("feature-delta-grpc") ? "DELTA_GRPC" : "GRPC",
      transportApiVersion: "V3",
      setNodeOnFirstMessageOnly: true,
      grpcServices: [{
        envoyGrpc: {
          clusterName: "ads_cluster",
          // Envoy's own ceiling is 30 s: too long to miss a control plane that is back.
          retryPolicy: { retryBackOff: { baseInterval: "0.25s", maxInterval: "3s" } },
        },
        // The bare token, without "Bearer": kuma@v2.13.10:pkg/xds/bootstrap.
        ...(token ? { initialMetadata: [{ key: "authorization", value: token }] } : {}),
      }],
    },
    cdsConfig: source,
    ldsConfig: source,
  };
}

function adsCluster(host: string, port: number): JsonObject {
  return {
    name: "ads_cluster",
    ...(isIpAddress(host)
      ? { type: "STATIC" }
      // Asking for IPv6 first would make `localhost` miss a control plane that listens on 127.0.0.1.
      : { type: "STRICT_DNS", dnsLookupFamily: "V4_PREFERRED" }),
    connectTimeout: "1s",
    loadAssignment: {
      clusterName: "ads_cluster",
      endpoints: [{
        lbEndpoints: [{
          endpoint: { address: { socketAddress: { address: host, portValue: port } } },
        }],
      }],
    },
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
    typedExtensionProtocolOptions: {
      "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        explicitHttpConfig: { http2ProtocolOptions: {} },
      },
    },
    upstreamConnectionOptions: {
      tcpKeepalive: { keepaliveInterval: 10, keepaliveProbes: 3, keepaliveTime: 10 },
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

const STATS_TAGS: readonly JsonObject[] = [
  { tagName: "name", regex: "^grpc\\.((.+)\\.)" },
  { tagName: "status", regex: "^grpc.*streams_closed(_([0-9]+))" },
  { tagName: "kafka_name", regex: "^kafka(\\.(\\S*[0-9]))\\." },
  { tagName: "kafka_type", regex: "^kafka\\..*\\.(.*?(?=_duration|$))" },
  { tagName: "worker", regex: "(worker_([0-9]+)\\.)" },
  { tagName: "listener", regex: "((.+?)\\.)rbac\\." },
];

/** Numbers are strings here: kuma@v2.13.10:pkg/core/xds/metadata.go reads them so. */
function nodeMetadata(request: JsonObject, proxyType: string, adminPort: number): JsonObject {
  const metrics = part(request, "metricsResources");
  const dnsPort = count(request, "dnsPort");
  const readinessPort = count(request, "readinessPort");
  const own = text(request, "dataplaneResource");
  return {
    version: part(request, "version"),
    features: features(request),
    workdir: text(request, "workdir"),
    metricsCertPath: text(metrics, "certPath"),
    metricsKeyPath: text(metrics, "keyPath"),
    systemCaPath: text(request, "systemCaPath"),
    ipv6Enabled: request["ipv6Enabled"] === true,
    "spireAgent.socketPath": text(part(request, "spireResources"), "socketPath"),
    "dataplane.admin.port": String(adminPort),
    "dataplane.admin.address": "127.0.0.1",
    "dataplane.proxyType": proxyType,
    ...(dnsPort ? { "dataplane.dns.port": String(dnsPort) } : {}),
    ...(readinessPort ? { "dataplane.readinessReporter.port": String(readinessPort) } : {}),
    // The request's name says the opposite of what it means: spec of BootstrapRequest.
    ...(request["appProbeProxyDisabled"] === true
      ? { "dataplane.appProbeProxy.enabled": "true" }
      : {}),
    ...(own ? { "dataplane.resource": own } : {}),
    ...(isObject(request["dynamicMetadata"])
      ? { dynamicMetadata: request["dynamicMetadata"] }
      : {}),
    ...(isObject(request["dataplaneConfig"])
      ? { transparentProxy: request["dataplaneConfig"] }
      : {}),
  };
}

function clusterOf(spec: DataplaneSpec): string {
  return tagSetsOf(spec)[0]?.[SERVICE_TAG] ?? "";
}

function answer(
  bootstrap: JsonObject,
  options: { readonly accept: string; readonly address: string },
): BootstrapAnswer {
  const yaml = stringify(bootstrap, { lineWidth: 0, aliasDuplicateObjects: false });
  if (!options.accept.includes("application/json")) {
    return { status: 200, body: yaml, contentType: "text/x-yaml" };
  }
  const body = {
    bootstrap: base64(yaml),
    kumaSidecarConfiguration: {
      networking: { corefileTemplate: "", address: options.address },
      metrics: { aggregate: [] },
    },
  };
  return { status: 200, body: JSON.stringify(body), contentType: "application/json" };
}

function refusal(status: number, body: string): BootstrapAnswer {
  return { status, body, contentType: "text/plain; charset=utf-8" };
}

function invalid(violations: readonly Violation[]): BootstrapAnswer {
  return refusal(422, renderViolations(violations).replaceAll(/^ {2}/gm, ""));
}

function unknownHost(host: string, names: readonly string[]): string {
  return `A data plane proxy is trying to connect to the control plane using "${host}" address, ` +
    `but the certificate in the control plane has the following SANs: ${names.join(", ")}`;
}

/** btoa takes Latin-1 only; a resource in YAML may hold any character. */
function base64(value: string): string {
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

function text(object: JsonObject, field: string): string {
  const value = object[field];
  return typeof value === "string" ? value : "";
}

function count(object: JsonObject, field: string): number {
  const value = object[field];
  return typeof value === "number" && Number.isInteger(value) && value > 0 ? value : 0;
}

function part(object: JsonObject, field: string): JsonObject {
  return objectOf(object[field]);
}
