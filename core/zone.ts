// Zones and the ingresses through which they reach each other.

import { isUnspecified } from "./address.ts";
import {
  bool,
  checkedBy,
  hostIp,
  integer,
  integerOf,
  list,
  listenIp,
  noEffect,
  nonEmptyText,
  object,
  optionalPort,
  port,
  serviceTags,
  text,
} from "./shape.ts";
import type { Tags } from "./tags.ts";
import { isObject } from "./json.ts";

/** kuma.system.v1alpha1.Zone in JSON. */
export interface ZoneSpec {
  readonly enabled?: boolean;
}

/** kuma.mesh.v1alpha1.ZoneIngress in JSON. */
export interface ZoneIngressSpec {
  /** Owner; written by the control plane. */
  readonly zone?: string;
  readonly networking: {
    readonly address?: string;
    readonly port: number;
    readonly advertisedAddress?: string;
    readonly advertisedPort?: number;
    readonly admin?: { readonly port?: number };
  };
  /** Derived by the zone's mesh actors from healthy inbounds; sorted by mesh, then tags. */
  readonly availableServices?: readonly AvailableService[];
}

export interface AvailableService {
  readonly tags: Tags;
  readonly instances?: number;
  readonly mesh: string;
  readonly externalService?: boolean;
}

export function isEnabled(zone: ZoneSpec): boolean {
  return zone.enabled ?? true;
}

export const zoneChecks = checkedBy(object({ enabled: bool }));

const availableService = object({
  tags: serviceTags,
  instances: integer({ min: 0 }),
  mesh: nonEmptyText,
  externalService: noEffect("there are no external services"),
}, { required: ["tags", "mesh"] });

const networking = object({
  address: listenIp,
  port,
  advertisedAddress: (value, path, report) => {
    if (value !== "") hostIp(value, path, report);
  },
  advertisedPort: optionalPort,
  admin: object({ port: optionalPort }),
}, {
  required: ["port"],
  also({ address, port, advertisedAddress, advertisedPort, admin }, path, report) {
    const at = (name: string) => `${path}.${name}`;
    // As text, too, a zero is none.
    const elsewhere = integerOf(advertisedPort) ?? 0;
    if (elsewhere > 0 && !advertisedAddress) {
      report(at("advertisedAddress"), "must be set beside advertisedPort");
    }
    if (advertisedAddress && elsewhere === 0) {
      report(at("advertisedPort"), "must be set beside advertisedAddress");
    }
    const nowhere = !address || (typeof address === "string" && isUnspecified(address));
    if (nowhere && !advertisedAddress) {
      report(at("address"), "must be the address of one host, or advertisedAddress must be set");
    }
    const adminPort = isObject(admin) ? integerOf(admin["port"]) : undefined;
    if (adminPort && adminPort === integerOf(port) && (nowhere || address === "127.0.0.1")) {
      report(at("admin.port"), "must not be the port of the ingress");
    }
  },
});

const zoneIngress = object({
  zone: text,
  networking,
  availableServices: list(availableService),
}, { required: ["networking"] });

export const zoneIngressChecks = checkedBy(zoneIngress);
