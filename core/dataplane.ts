// The Dataplane: one proxy and the workload behind it.

import { isUnspecified } from "./address.ts";
import {
  bool,
  type Check,
  checkedBy,
  type Fields,
  hostIp,
  integer,
  integerOf,
  join,
  keyed,
  list,
  listenIp,
  noEffect,
  nonEmptyText,
  object,
  oneOf,
  optionalPort,
  port,
  positiveDuration,
  refuse,
  type Report,
  serviceTags,
  show,
  text,
} from "./shape.ts";
import type { JsonObject, Resource } from "./resource.ts";
import { PROTOCOL_TAG, type Tags } from "./tags.ts";
import { isObject, objectsOf } from "./json.ts";

/** kuma.mesh.v1alpha1.Dataplane in JSON. */
export interface DataplaneSpec {
  readonly networking: {
    readonly address: string;
    readonly advertisedAddress?: string;
    readonly admin?: { readonly port?: number };
    readonly inbound?: readonly Inbound[];
    readonly outbound?: readonly Outbound[];
    readonly gateway?: { readonly type?: "DELEGATED" | "BUILTIN"; readonly tags: Tags };
    readonly transparentProxying?: TransparentProxying;
  };
}

export interface Inbound {
  readonly name?: string;
  /** The port the proxy listens on. */
  readonly port: number;
  /** The workload's port; defaults to `port`. */
  readonly servicePort?: number;
  readonly address?: string;
  /** The workload's address; defaults to the inbound's. */
  readonly serviceAddress?: string;
  readonly tags: Tags;
  readonly health?: { readonly ready?: boolean };
  /** Envoy tries to connect to the workload; while it cannot, the inbound takes no traffic. */
  readonly serviceProbe?: ServiceProbe;
  readonly state?: "Ready" | "NotReady" | "Ignored";
}

export interface ServiceProbe {
  readonly interval?: string;
  readonly timeout?: string;
  readonly healthyThreshold?: number;
  readonly unhealthyThreshold?: number;
  readonly tcp?: JsonObject;
}

export interface Outbound {
  readonly address?: string;
  readonly port: number;
  readonly tags?: Tags;
}

export interface TransparentProxying {
  readonly redirectPortInbound?: number;
  readonly redirectPortOutbound?: number;
  readonly ipFamilyMode?: "UnSpecified" | "DualStack" | "IPv4" | "IPv6";
  readonly reachableServices?: readonly string[];
}

/** Port of an inbound that says that the proxy has no service. kuma@v2.13.10:api/mesh/v1alpha1/dataplane_helpers.go (TCPPortReserved). */
export const SERVICELESS_PORT = 49151;

/**
 * A spec as it is read: a peer may leave out what is empty, and what our own rules ask for. The same
 * spec gives the same value.
 */
export function dataplaneOf(spec: JsonObject): DataplaneSpec {
  const { networking } = spec as unknown as Partial<DataplaneSpec>;
  const inbound = networking?.inbound ?? [];
  const gateway = networking?.gateway;
  if (networking && inbound.every(({ tags }) => tags) && (!gateway || gateway.tags)) {
    return spec as unknown as DataplaneSpec;
  }
  let whole = completed.get(spec);
  if (!whole) {
    whole = {
      ...spec,
      networking: {
        address: "",
        ...networking,
        inbound: inbound.map((one) => ({ ...one, tags: one.tags ?? {} })),
        ...(gateway && { gateway: { ...gateway, tags: gateway.tags ?? {} } }),
      },
    };
    completed.set(spec, whole);
  }
  return whole;
}

/** The same resource where nothing was left out. */
export function asDataplane(resource: Resource): Resource<DataplaneSpec> {
  const spec = dataplaneOf(resource.spec);
  return spec === resource.spec as unknown
    ? resource as unknown as Resource<DataplaneSpec>
    : { ...resource, spec };
}

const completed = new WeakMap<JsonObject, DataplaneSpec>();

/**
 * Ready inbounds take traffic. kuma@v2.13.10:api/mesh/v1alpha1/dataplane_helpers.go (GetHealthyInbounds).
 * `health: {}` is what remains of `ready: false` on the wire, where defaults are left out.
 */
export function isReady({ state = "Ready", health }: Inbound): boolean {
  return state === "Ready" && (health === undefined || health.ready === true);
}

/** The tag sets by which policies know this proxy: its inbounds', or its gateway's. */
export function tagSetsOf(spec: DataplaneSpec): readonly Tags[] {
  const { inbound = [], gateway } = spec.networking;
  return gateway ? [gateway.tags] : inbound.map(({ tags }) => tags);
}

/** kuma@v2.13.10:pkg/core/resources/apis/core/vip/protocol.go. */
const PROTOCOLS = ["tcp", "tls", "http", "http2", "grpc", "kafka", "mysql"];

const proxyTags: Check = (value, path, report) => {
  serviceTags(value, path, report);
  const protocol = isObject(value) ? value[PROTOCOL_TAG] : undefined;
  if (typeof protocol === "string" && !PROTOCOLS.includes(protocol)) {
    report(
      keyed(path, PROTOCOL_TAG),
      `must be one of ${PROTOCOLS.join(", ")}, is ${show(protocol)}`,
    );
  }
};

const serviceProbe = object({
  interval: positiveDuration,
  timeout: positiveDuration,
  healthyThreshold: integer({ min: 1 }),
  unhealthyThreshold: integer({ min: 1 }),
  tcp: object({}),
});

const inbound = object({
  name: text,
  port,
  servicePort: optionalPort,
  address: listenIp,
  serviceAddress: listenIp,
  tags: proxyTags,
  health: object({ ready: bool }),
  serviceProbe,
  state: oneOf(["Ready", "NotReady", "Ignored"]),
}, { required: ["port", "tags"] });

const outbound = object({
  address: listenIp,
  port,
  tags: serviceTags,
  backendRef: refuse("there are no MeshServices", { evenEmpty: true }),
}, {
  required: ["port"],
  also({ tags, backendRef }, path, report) {
    if (tags === undefined && backendRef === undefined) report(join(path, "tags"), "must be set");
  },
});

const gatewayType: Check = (value, path, report) => {
  oneOf(["DELEGATED", "BUILTIN"])(value, path, report);
  if (!isBuiltin(value)) return;
  report.note(path, "has no effect yet: the proxy runs, and listens for nobody's requests");
};

function isBuiltin(type: unknown): boolean {
  return type === "BUILTIN" || type === 1;
}

const gateway = object({
  type: gatewayType,
  tags: proxyTags,
}, { required: ["tags"] });

const transparentProxying = object({
  redirectPortInbound: optionalPort,
  redirectPortOutbound: optionalPort,
  directAccessServices: noEffect("proxies give no direct access"),
  reachableServices: list(nonEmptyText),
  ipFamilyMode: oneOf(["UnSpecified", "DualStack", "IPv4", "IPv6"]),
  reachableBackends: noEffect("there are no MeshServices", { evenEmpty: true }),
});

const networking = object({
  address: hostIp,
  advertisedAddress: hostIp,
  admin: object({ port: optionalPort }),
  inbound: list(inbound),
  outbound: list(outbound),
  gateway,
  transparentProxying,
}, { required: ["address"], also: checkNetworking });

function checkNetworking(fields: Fields, path: string, report: Report): void {
  const inbounds = objectsOf(fields["inbound"]);
  if (fields["gateway"] !== undefined) {
    if (inbounds.length > 0) report(join(path, "inbound"), "must be empty beside a gateway");
    const { gateway, outbound } = fields;
    if (isObject(gateway) && isBuiltin(gateway["type"]) && objectsOf(outbound).length > 0) {
      report(join(path, "outbound"), "must be empty beside a builtin gateway");
    }
  } else if (inbounds.length === 0) {
    report(path, "must have an inbound or a gateway");
  }
  inbounds.forEach((each, index) =>
    checkWorkload(each, { own: fields["address"], path: `${path}.inbound[${index}]`, report })
  );
  checkAdminPort(fields, path, report);
}

/** A proxy that takes itself for the workload would call itself without end. */
function checkWorkload(
  inbound: Fields,
  { own, path, report }: { readonly own: unknown; readonly path: string; readonly report: Report },
): void {
  const { address, serviceAddress, port, servicePort } = inbound;
  const samePort = !integerOf(servicePort) || integerOf(servicePort) === integerOf(port);
  if (serviceAddress && serviceAddress === (address || own) && samePort) {
    report(
      path,
      "must not have its workload where it listens: change serviceAddress or servicePort",
    );
  }
}

const ADMIN_ADDRESS = "127.0.0.1";

function checkAdminPort(fields: Fields, path: string, report: Report): void {
  const { admin, address } = fields;
  const port = isObject(admin) ? integerOf(admin["port"]) : undefined;
  if (!port) return;
  const listeners = [
    ...objectsOf(fields["inbound"]).map((each) => ({
      ...each,
      address: each["address"] || address,
    })),
    ...objectsOf(fields["outbound"]).map((each) => ({
      ...each,
      address: each["address"] || ADMIN_ADDRESS,
    })),
  ] as readonly Fields[];
  const taken = listeners.some((listener) =>
    integerOf(listener["port"]) === port && typeof listener["address"] === "string" &&
    (listener["address"] === ADMIN_ADDRESS || isUnspecified(listener["address"]))
  );
  if (taken) {
    report(
      `${path}.admin.port`,
      `must be free on ${ADMIN_ADDRESS}, ${port} is an inbound's or an outbound's`,
    );
  }
}

const dataplane = object({
  networking,
  metrics: noEffect("Envoy has no listener for metrics; kuma-dp serves what aggregate names"),
  probes: noEffect("there are no virtual probes"),
}, { required: ["networking"] });

export const dataplaneChecks = checkedBy(dataplane);
