// Who the fake proxies are: five instances a service, ten explicit outbounds each.

export interface Identity {
  readonly nodeId: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** What a complete configuration has: one inbound, and each outbound. */
  readonly listeners: number;
}

const INSTANCES = 5;
const OUTBOUNDS = 10;

/** The service that every proxy reaches, so that a change of it concerns all. */
export const EVERYBODYS = "service-0";
/** A service that no proxy of the fleet offers, reached by all: it may appear elsewhere. */
export const lateService = (k: number) => `late-${k}`;

/** The `index`th of `total` proxies; `late`: further outbounds, to services that appear later. */
export function dataplane(index: number, total: number, late: number): Identity {
  const services = Math.max(1, Math.ceil(total / INSTANCES));
  const service = index % services;
  const reached = Array.from(
    { length: Math.min(OUTBOUNDS, services) },
    (_, j) => j === 0 ? 0 : 1 + (service + j * 7) % Math.max(1, services - 1),
  );
  const names = [
    ...[...new Set(reached)].map((target) => `service-${target}`),
    ...Array.from({ length: late }, (_, k) => lateService(k)),
  ];
  return identity(`bench-${index}`, `service-${service}`, { host: index, names });
}

/** One instance of a service that appears later. */
export function latecomer(k: number): Identity {
  return identity(lateService(k), lateService(k), { host: 60_000 + k, names: [EVERYBODYS] });
}

function identity(
  name: string,
  service: string,
  { host, names }: { readonly host: number; readonly names: readonly string[] },
): Identity {
  const resource = {
    type: "Dataplane",
    mesh: "default",
    name,
    networking: {
      address: `10.${1 + (host >> 16)}.${(host >> 8) & 255}.${host & 255}`,
      inbound: [{
        port: 8080,
        tags: { "kuma.io/service": service, "kuma.io/protocol": "http" },
      }],
      outbound: names.map((target, j) => ({
        port: 10_080 + j,
        tags: { "kuma.io/service": target },
      })),
    },
  };
  return {
    nodeId: `default.${name}`,
    metadata: {
      "dataplane.proxyType": "dataplane",
      "dataplane.resource": JSON.stringify(resource),
    },
    listeners: 1 + names.length,
  };
}

export function ingress(name: string, address: string): Identity {
  const resource = {
    type: "ZoneIngress",
    name,
    networking: { address, port: 10_001, advertisedAddress: address, advertisedPort: 10_001 },
  };
  return {
    nodeId: `.${name}`,
    metadata: {
      "dataplane.proxyType": "ingress",
      "dataplane.resource": JSON.stringify(resource),
    },
    listeners: 1,
  };
}
