// The resources that the demo applies, as a user would write them.

import type { JsonObject } from "../../core/resource.ts";

export function meshWithMtls(name: string): JsonObject {
  return {
    type: "Mesh",
    name,
    mtls: { enabledBackend: "ca-1", backends: [{ name: "ca-1", type: "builtin" }] },
  };
}

export function allowAll(mesh: string): JsonObject {
  return {
    type: "TrafficPermission",
    mesh,
    name: "everyone",
    sources: [{ match: { "kuma.io/service": "*" } }],
    destinations: [{ match: { "kuma.io/service": "*" } }],
  };
}

/** Shares of a service's requests by zone, in percent. */
export function splitByZone(service: string, shares: Readonly<Record<string, number>>): JsonObject {
  return {
    type: "TrafficRoute",
    mesh: "default",
    name: `${service}-by-zone`,
    sources: [{ match: { "kuma.io/service": "*" } }],
    destinations: [{ match: { "kuma.io/service": service } }],
    conf: {
      split: Object.entries(shares).map(([zone, weight]) => ({
        weight,
        destination: { "kuma.io/service": service, "kuma.io/zone": zone },
      })),
    },
  };
}

export interface ServiceSpec {
  readonly mesh?: string;
  readonly service: string;
  /** Name of the Dataplane; the service's when left out. */
  readonly name?: string;
  readonly version?: string;
  /** Port of the inbound; the workload itself listens on another. */
  readonly port?: number;
  readonly bindOutbounds?: boolean;
  /** Its proxy looks whether the workload listens. */
  readonly probed?: boolean;
}

export const INBOUND_PORT = 8_080;

/** With template variables, as `--dataplane-var` fills them. */
export const DATAPLANE_TEMPLATE = `type: Dataplane
mesh: {{ mesh }}
name: {{ name }}
networking:
  address: {{ address }}
  inbound:
  - port: {{ port }}
    servicePort: {{ servicePort }}
    serviceAddress: {{ address }}
    tags:
      kuma.io/service: {{ service }}
      kuma.io/protocol: http
      version: {{ version }}
`;

/** Of the inbound, which ends the template above. */
export const PROBE = `    serviceProbe:
      tcp: {}
`;

export const GATEWAY_TEMPLATE = `type: Dataplane
mesh: {{ mesh }}
name: {{ name }}
networking:
  address: {{ address }}
  gateway:
    type: DELEGATED
    tags:
      kuma.io/service: {{ service }}
  outbound:
  - address: {{ address }}
    port: {{ outboundPort }}
    tags:
      kuma.io/service: {{ destination }}
`;

export const INGRESS_TEMPLATE = `type: ZoneIngress
name: {{ name }}
networking:
  address: {{ address }}
  port: {{ port }}
  advertisedAddress: {{ address }}
  advertisedPort: {{ port }}
`;
