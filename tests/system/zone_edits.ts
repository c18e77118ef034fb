// Resources as people and proxies write them in tests.

import type { Draft, JsonObject } from "../../core/resource.ts";

export function mesh(name: string, spec: JsonObject = {}): Draft {
  return { type: "Mesh", mesh: "", name, labels: {}, spec };
}

export function mtls(enabledBackend: string, ...backends: readonly string[]): JsonObject {
  return {
    mtls: { enabledBackend, backends: backends.map((name) => ({ name, type: "builtin" })) },
  };
}

/** A Dataplane as a proxy sends it. */
export function sidecar(
  at: { readonly mesh?: string; readonly name: string },
  { address = "10.0.0.1", port = 8080, service = at.name, tags = {}, outbound = [] }: {
    readonly address?: string;
    readonly port?: number;
    readonly service?: string;
    readonly tags?: Readonly<Record<string, string>>;
    readonly outbound?: readonly JsonObject[];
  } = {},
): JsonObject {
  return {
    type: "Dataplane",
    mesh: at.mesh ?? "default",
    name: at.name,
    networking: {
      address,
      inbound: [{ port, tags: { "kuma.io/service": service, ...tags } }],
      ...(outbound.length > 0 && { outbound }),
    },
  };
}

export function ingressResource(
  name: string,
  address = "10.0.0.100",
  advertisedAddress = address,
): JsonObject {
  const networking = { address, port: 10001, advertisedAddress, advertisedPort: 10001 };
  return { type: "ZoneIngress", name, networking };
}

/** The same as somebody writes it through the API. */
export function draftOf(resource: JsonObject): Draft {
  const { type, mesh = "", name, ...spec } = resource;
  return { type: String(type), mesh: String(mesh), name: String(name), labels: {}, spec };
}

export function permission(mesh: string, name: string, from = "*", to = "*"): Draft {
  const match = (service: string) => [{ match: { "kuma.io/service": service } }];
  const spec = { sources: match(from), destinations: match(to) };
  return { type: "TrafficPermission", mesh, name, labels: {}, spec };
}

export function route(mesh: string, name: string, service: string, conf: JsonObject): Draft {
  const match = (service: string) => [{ match: { "kuma.io/service": service } }];
  const spec = { sources: match("*"), destinations: match(service), conf };
  return { type: "TrafficRoute", mesh, name, labels: {}, spec };
}

/** With a namespace it is a producer's, as zones on Kubernetes write it for their callers. */
export function timeout(mesh: string, name: string, namespace?: string): Draft {
  const labels = {
    "kuma.io/mesh": mesh,
    "kuma.io/policy-role": "producer",
    "k8s.kuma.io/namespace": namespace ?? "",
  };
  const targetRef = namespace ? { kind: "MeshService", name: "web" } : { kind: "Mesh" };
  const spec = { to: [{ targetRef, default: { connectionTimeout: "5s" } }] };
  return { type: "MeshTimeout", mesh, name, labels: namespace ? labels : {}, spec };
}
