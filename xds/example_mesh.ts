// A mesh to try generation with: plain resources in few words. For tests and tools.

import type { DataplaneSpec } from "../core/dataplane.ts";
import type { MeshSpec } from "../core/mesh.ts";
import type { IdentityMaterial, ProxyNode } from "../core/proxy.ts";
import type { JsonObject, Resource } from "../core/resource.ts";
import type { Tags } from "../core/tags.ts";
import type { AvailableService, ZoneIngressSpec } from "../core/zone.ts";
import type { MeshInput } from "./topology.ts";

export const MESH = "default";

export const NODE: ProxyNode = {
  adminPort: 9901,
  adminAddress: "127.0.0.1",
  readinessPort: 0,
  dnsPort: 0,
  workdir: "/run/ursa",
  features: [],
  ipv6Enabled: true,
};

export const IDENTITY: IdentityMaterial = {
  backend: "ca-1",
  certificateChain: "certificate",
  privateKey: "key",
  trustedCa: "root",
  issuedAtMs: 0,
  expiresAtMs: 1,
};

export function resource<Spec = JsonObject>(
  type: string,
  name: string,
  spec: Spec,
): Resource<Spec> {
  return {
    type,
    mesh: type === "Mesh" || type === "ZoneIngress" ? "" : MESH,
    name,
    labels: {},
    spec,
    version: 1,
    creationTime: "2026-01-01T00:00:00Z",
    modificationTime: "2026-01-01T00:00:00Z",
  };
}

export function mesh(spec: MeshSpec = {}): Resource<MeshSpec> {
  return resource("Mesh", MESH, spec);
}

export const MTLS: MeshSpec = {
  mtls: { enabledBackend: "ca-1", backends: [{ name: "ca-1", type: "builtin" }] },
};

export function dataplane(
  name: string,
  networking: DataplaneSpec["networking"],
): Resource<DataplaneSpec> {
  return resource("Dataplane", name, { networking });
}

/** One inbound; `tags` besides the service. */
export function workload(
  name: string,
  { address, port = 8080, service = name, tags = {} }: {
    readonly address: string;
    readonly port?: number;
    readonly service?: string;
    readonly tags?: Tags;
  },
): Resource<DataplaneSpec> {
  const inbound = { port, servicePort: 80, tags: { "kuma.io/service": service, ...tags } };
  return dataplane(name, { address, inbound: [inbound] });
}

export function zoneIngress(
  zone: string,
  { address, services }: {
    readonly address: string;
    readonly services: readonly AvailableService[];
  },
): Resource<ZoneIngressSpec> {
  return resource("ZoneIngress", `${zone}-ingress`, {
    zone,
    networking: { address, port: 10001, advertisedAddress: address, advertisedPort: 10001 },
    availableServices: services,
  });
}

export function permission(name: string, source: Tags, destination: Tags): Resource {
  return resource("TrafficPermission", name, {
    sources: [{ match: source }],
    destinations: [{ match: destination }],
  });
}

export const ANY_SERVICE: Tags = { "kuma.io/service": "*" };

/** From everybody to `service`. */
export function route(name: string, service: string, conf: JsonObject): Resource {
  return resource("TrafficRoute", name, {
    sources: [{ match: ANY_SERVICE }],
    destinations: [{ match: { "kuma.io/service": service } }],
    conf,
  });
}

export function input(parts: Partial<MeshInput> = {}): MeshInput {
  return {
    mesh: mesh(),
    dataplanes: [],
    zoneIngresses: [],
    policies: [],
    vips: new Map(),
    zone: "east",
    revision: 1,
    ...parts,
  };
}
