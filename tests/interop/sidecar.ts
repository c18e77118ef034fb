// A workload with kuma-dp beside it, in a zone of Ursa's.

import { stringify } from "yaml";
import { get } from "../../cli/demo/client.ts";
import type { Zone } from "../../cli/demo/cluster.ts";
import type { Child } from "../../cli/demo/process.ts";
import { until } from "../../cli/demo/until.ts";
import type { JsonObject } from "../../core/resource.ts";
import type { Bench } from "./interop.ts";
import { freePort, type KumaDpOptions, startKumaDp } from "./kuma.ts";

export interface SidecarOptions extends Partial<Pick<KumaDpOptions, "flags" | "env" | "token">> {
  readonly name: string;
  readonly service: string;
  /** Which of the zone's addresses it has; 100 and up are nobody else's. */
  readonly host: number;
  /** Port on the proxy's address for each service that the workload calls. */
  readonly outbounds?: Readonly<Record<string, number>>;
  /** Into the Dataplane's inbound. */
  readonly inbound?: JsonObject;
  readonly networking?: JsonObject;
  /** Address of the dp-server, when that is not the zone's own. */
  readonly controlPlane?: string;
}

export interface Sidecar {
  readonly name: string;
  readonly service: string;
  readonly address: string;
  readonly port: number;
  readonly servicePort: number;
  /** Envoy's admin API. */
  readonly admin: string;
  readonly child: Child;
  readonly workload: Child;
  /** A request of the workload's to what is behind one of its outbounds. */
  ask(port: number): ReturnType<typeof get>;
}

const SIDECAR_PORT = 8080;

export async function startSidecar(
  bench: Bench,
  zone: Zone,
  options: SidecarOptions,
): Promise<Sidecar> {
  const { name, service, outbounds = {} } = options;
  const address = zone.block.address(options.host);
  const servicePort = SIDECAR_PORT + 1_000;
  const workload = await startService(bench, zone, { name, service, address, servicePort });
  const proxy = await startProxy(bench, zone, {
    ...options,
    resource: () => ({
      type: "Dataplane",
      mesh: "default",
      networking: {
        address,
        inbound: [{
          port: SIDECAR_PORT,
          servicePort,
          serviceAddress: address,
          tags: { "kuma.io/service": service, "kuma.io/protocol": "http" },
          ...options.inbound,
        }],
        outbound: Object.entries(outbounds).map(([to, port]) => ({
          address,
          port,
          tags: { "kuma.io/service": to },
        })),
        ...options.networking,
      },
    }),
  });
  return {
    ...proxy,
    service,
    port: SIDECAR_PORT,
    servicePort,
    workload,
    ask: (port) => get({ host: address, port }),
  };
}

export interface ProxyOptions extends Partial<Pick<KumaDpOptions, "flags" | "env" | "token">> {
  readonly name: string;
  readonly host: number;
  readonly proxyType?: "dataplane" | "ingress";
  /** For the proxy's address; its name and admin port are added. */
  readonly resource: (address: string) => JsonObject & { readonly networking: JsonObject };
  readonly controlPlane?: string;
}

/** kuma-dp alone. */
export async function startProxy(
  bench: Bench,
  zone: Zone,
  options: ProxyOptions,
): Promise<Pick<Sidecar, "name" | "address" | "admin" | "child">> {
  const { name, flags, env, token, proxyType } = options;
  const address = zone.block.address(options.host);
  const adminPort = freePort();
  const { networking, ...rest } = options.resource(address);
  const child = bench.keep(
    await startKumaDp({
      dir: bench.dir,
      name,
      resource: stringify({
        ...rest,
        name,
        networking: { ...networking, admin: { port: adminPort } },
      }),
      controlPlane: {
        url: options.controlPlane ?? zone.controlPlane.url("dp"),
        caFile: zone.controlPlane.caFile,
      },
      envoy: bench.envoy,
      ...(proxyType && { proxyType }),
      ...(flags && { flags }),
      ...(env && { env }),
      ...(token && { token }),
    }),
  );
  return { name, address, admin: `http://127.0.0.1:${adminPort}`, child };
}

/** The workload alone; also again, after it ended. */
export async function startService(
  bench: Bench,
  zone: Zone,
  of: Pick<Sidecar, "name" | "service" | "address" | "servicePort">,
): Promise<Child> {
  const child = bench.cluster.runService(`${of.name}-service`, [
    ...["--listen", `${of.address}:${of.servicePort}`, "--name", of.service, "--zone", zone.name],
  ]);
  await child.ready;
  return child;
}

/** Until a request through an outbound is answered by that service. */
export async function untilReaches(from: Sidecar, port: number, service: string): Promise<void> {
  await until(`${from.name} reaches ${service}`, async () => {
    const { answer, error } = await from.ask(port);
    return answer?.service === service || error || `answered by ${answer?.service}`;
  });
}
