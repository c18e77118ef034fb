// What one proxy is to be told: encoded resources by type, shared between proxies where equal.

/** Type URLs in the order in which ADS sends them (make before break), secrets on demand. */
export const TYPES = {
  cluster: "type.googleapis.com/envoy.config.cluster.v3.Cluster",
  endpoint: "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
  listener: "type.googleapis.com/envoy.config.listener.v3.Listener",
  route: "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
  secret: "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
} as const;

export type TypeUrl = typeof TYPES[keyof typeof TYPES];

/** A resource as bytes. The same content is the same object (interned), so `===` compares. */
export interface EncodedResource {
  readonly name: string;
  /** Content hash: the xDS version of this resource. */
  readonly version: string;
  /** Serialized google.protobuf.Any. */
  readonly any: Uint8Array;
}

export interface Snapshot {
  readonly resources: ReadonlyMap<TypeUrl, ReadonlyMap<string, EncodedResource>>;
}
