// All that the proxies of one mesh in one zone need to know, as an immutable value.

import type { DataplaneSpec } from "./dataplane.ts";
import type { MeshSpec } from "./mesh.ts";
import type { Resource } from "./resource.ts";
import type { Tags } from "./tags.ts";

/** Known application protocols; what is not named is carried as tcp. */
export type Protocol = "tcp" | "tls" | "http" | "http2" | "grpc" | "kafka" | "mysql" | "unknown";

/** One place where a service can be reached: a proxy of this zone, or an ingress of another. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
  /** All tags of the inbound (or of the ingress's available service), the service tag included. */
  readonly tags: Tags;
  readonly weight: number;
  /** From the `kuma.io/zone` tag; undefined when the endpoint has none. */
  readonly zone?: string;
  /** 0, or 1 for other zones when the mesh prefers its own. */
  readonly priority: 0 | 1;
}

/**
 * One service as the zone sees it. A changed service is a new object, an unchanged one stays the
 * same object: what is derived from a ServiceView may be cached by its identity.
 */
export interface ServiceView {
  readonly name: string;
  readonly protocol: Protocol;
  /** For sidecars and gateways: own zone and remote ingresses. Sorted, so equal state is equal bytes. */
  readonly endpoints: readonly Endpoint[];
  /** For the zone's ingresses: only proxies of this zone. Sorted. */
  readonly local: readonly Endpoint[];
}

/** The mesh's certificate authorities as proxies must know them. */
export interface MtlsView {
  /** The backend that signs now. */
  readonly backend: string;
  /** All backends whose roots are trusted, the signing one included: two while a CA rotates. */
  readonly trusted: readonly string[];
}

/**
 * The input of every generation. Unchanged parts keep their identity from one view to the next.
 * Two views of equal content give byte-identical snapshots, however they came about.
 */
export interface MeshView {
  readonly mesh: string;
  /** The zone this control plane serves; "" under standalone without a zone name. */
  readonly zone: string;
  /** The newest store revision that this view includes. */
  readonly revision: number;
  readonly spec: MeshSpec;
  readonly mtls: MtlsView | null;
  readonly dataplanes: ReadonlyMap<string, Resource<DataplaneSpec>>;
  readonly services: ReadonlyMap<string, ServiceView>;
  /** By type name; each list sorted by name. */
  readonly policies: ReadonlyMap<string, readonly Resource[]>;
  /** Virtual IPv4 address of each service name that has one. */
  readonly vips: ReadonlyMap<string, string>;
}

/**
 * A part of a view that a generation can depend on:
 * `mesh`, `vips`, `services` (the set of names), `service/NAME`, `policy/TYPE`, `dataplane/NAME`.
 */
export type ViewKey = string;

/** One object, so that what is made of it is made once. */
const NO_POLICIES: readonly Resource[] = [];

/**
 * A view that writes down what is read from it. What a snapshot depends on is known by
 * construction: whoever was not asked for cannot have mattered.
 */
export interface ViewReader {
  readonly mesh: string;
  readonly zone: string;
  spec(): MeshSpec;
  mtls(): MtlsView | null;
  dataplane(name: string): Resource<DataplaneSpec> | undefined;
  service(name: string): ServiceView | undefined;
  serviceNames(): Iterable<string>;
  policies(type: string): readonly Resource[];
  vips(): ReadonlyMap<string, string>;
}

export function readingView(view: MeshView, reads: Set<ViewKey>): ViewReader {
  return {
    mesh: view.mesh,
    zone: view.zone,
    spec: () => (reads.add("mesh"), view.spec),
    mtls: () => (reads.add("mesh"), view.mtls),
    dataplane: (name) => (reads.add(`dataplane/${name}`), view.dataplanes.get(name)),
    service: (name) => (reads.add(`service/${name}`), view.services.get(name)),
    serviceNames: () => (reads.add("services"), view.services.keys()),
    policies: (type) => (reads.add(`policy/${type}`), view.policies.get(type) ?? NO_POLICIES),
    vips: () => (reads.add("vips"), view.vips),
  };
}
