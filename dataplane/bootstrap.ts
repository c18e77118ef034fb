// POST /bootstrap: what a proxy says about itself, and the Envoy bootstrap it starts with.

import { isObject, objectOf } from "../core/json.ts";
import type { DataplaneSpec } from "../core/dataplane.ts";
import type { JsonObject, ResourceKey } from "../core/resource.ts";
import { renderViolations, type Violation } from "../core/violation.ts";
import { stringify } from "yaml";
import { base64, envoyBootstrap, text } from "./envoy_bootstrap.ts";
import { type AggregateMetrics, aggregateMetrics } from "./metrics_aggregate.ts";
import { parseProxyResource, type ProxyResource } from "./resource.ts";

/** What the answer depends on besides the request. */
export interface BootstrapContext {
  /** Host by which the proxy reached this control plane; it will verify and dial exactly this. */
  readonly host: string;
  readonly port: number;
  /** The control plane's root in PEM: trusted by proxies that bring none. */
  readonly caCert: string;
  /** Whether the control plane's certificate is for this name or address. */
  readonly covers: (host: string) => boolean;
  /** What is wrong with a PEM text as a root to verify the control plane by; null: nothing. */
  readonly faultOfRoot: (pem: string) => string | null;
  /** Envoy reads its token anew at each connection. */
  readonly reloadableTokens: boolean;
  /** Envoy is asked to probe workloads. */
  readonly reportsHealth: boolean;
  /** The request's Accept header. */
  readonly accept: string;
  /** The spec of a mesh. */
  readonly mesh: (name: string) => JsonObject | undefined;
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
  if (!context.covers(context.host)) return refusal(400, unknownHost(context.host));
  const caCert = text(request, "caCert") || context.caCert;
  const fault = context.faultOfRoot(caCert);
  if (fault !== null) return refusal(400, fault);
  const found = findProxy(request, proxyType, context);
  if ("status" in found) return found;
  const { proxy } = found;
  const { host, port, reloadableTokens, reportsHealth, accept } = context;
  const settings = { host, port, reloadableTokens, reportsHealth };
  const bootstrap = { request, proxyType, proxy, caCert, ...settings } as const;
  const address = proxyType === "dataplane" ? proxy.spec.networking.address ?? "" : "";
  return answer(envoyBootstrap(bootstrap), {
    accept,
    address,
    aggregate: aggregateMetrics(context.mesh(proxy.mesh) ?? {}, {
      metrics: (proxy.spec as unknown as JsonObject)["metrics"],
      address,
    }),
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
    ...transparentOutbounds(proxy.spec, request),
  ];
  if (violations.length > 0) return invalid(violations);
  if (type === "Dataplane" && !context.mesh(proxy.mesh)) {
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
function transparentOutbounds(
  { networking: { transparentProxying, outbound = [] } }: DataplaneSpec,
  request: JsonObject,
): readonly Violation[] {
  const redirect = objectOf(objectOf(request["dataplaneConfig"])["redirect"]);
  const redirected = ["inbound", "outbound"].some((way) =>
    objectOf(redirect[way])["enabled"] === true
  );
  return (transparentProxying || redirected) && outbound.length > 0
    ? [{
      path: "outbound",
      message: "should be empty since dataplane is in Transparent Proxying mode",
    }]
    : [];
}

function answer(
  bootstrap: JsonObject,
  options: {
    readonly accept: string;
    readonly address: string;
    readonly aggregate: readonly AggregateMetrics[];
  },
): BootstrapAnswer {
  const yaml = stringify(bootstrap, { lineWidth: 0, aliasDuplicateObjects: false });
  if (!options.accept.includes("application/json")) {
    return { status: 200, body: yaml, contentType: "text/x-yaml" };
  }
  const body = {
    bootstrap: base64(yaml),
    kumaSidecarConfiguration: {
      networking: { corefileTemplate: "", address: options.address },
      metrics: { aggregate: options.aggregate },
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

/** The first words are Kuma's: its dp process and its users know them. */
function unknownHost(host: string): string {
  return `A data plane proxy is trying to connect to the control plane using "${host}" address, ` +
    "which the control plane's certificate is not for: give kuma-dp another --cp-address";
}
