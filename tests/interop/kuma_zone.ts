// A zone of Kuma: kuma-cp, and kuma-dp beside each workload.

import { type AddressBlock, claimBlock } from "../../cli/demo/addresses.ts";
import type { GlobalAddress } from "../../cli/demo/cluster.ts";
import type { Child } from "../../cli/demo/process.ts";
import type { Bench } from "./interop.ts";
import { freePort, KumaCp, startKumaDp } from "./kuma.ts";

const INBOUND_PORT = 8_080;
const SERVICE_PORT = 9_080;
const OUTBOUND_PORT = 10_090;

/** Where a request enters the proxy that carries it on. */
export interface Entrance {
  readonly host: string;
  readonly port: number;
}

export class KumaZone {
  readonly controlPlane: KumaCp;
  readonly block: AddressBlock = claimBlock();
  readonly #bench: Bench;
  readonly #children: Child[] = [];
  #lastHost = 9;

  private constructor(bench: Bench, controlPlane: KumaCp) {
    this.#bench = bench;
    this.controlPlane = controlPlane;
  }

  /** It asks its proxies for no tokens. */
  static async start(bench: Bench, name: string, global: GlobalAddress): Promise<KumaZone> {
    const controlPlane = new KumaCp({
      ...bench,
      name,
      mode: "zone",
      global,
      env: {
        KUMA_DP_SERVER_AUTHN_DP_PROXY_TYPE: "none",
        KUMA_DP_SERVER_AUTHN_ZONE_PROXY_TYPE: "none",
      },
    });
    const zone = bench.keep(new KumaZone(bench, controlPlane));
    await controlPlane.start();
    return zone;
  }

  async startIngress(): Promise<void> {
    const address = this.block.address(2);
    await this.#startProxy("ingress", "ingress", [
      "type: ZoneIngress",
      `name: ingress-${this.controlPlane.name}`,
      "networking:",
      `  address: ${address}`,
      "  port: 10001",
      `  advertisedAddress: ${address}`,
      "  advertisedPort: 10001",
      `  admin: {port: ${freePort()}}`,
    ]);
  }

  /** An HTTP service of Ursa's demo behind kuma-dp. */
  async startWorkload(service: string): Promise<void> {
    const address = this.#nextAddress();
    const workload = this.#bench.cluster.runService(`${service}-service`, [
      ...["--listen", `${address}:${SERVICE_PORT}`, "--name", service],
      ...["--zone", this.controlPlane.name],
    ]);
    await workload.ready;
    await this.#startProxy(service, "dataplane", [
      ...dataplane(service, address),
      "  inbound:",
      `  - port: ${INBOUND_PORT}`,
      `    servicePort: ${SERVICE_PORT}`,
      `    serviceAddress: ${address}`,
      `    tags: {kuma.io/service: ${service}, kuma.io/protocol: http}`,
    ]);
  }

  /** A gateway beside nothing: what calls its entrance comes out at `destination`. */
  async startFrontend(service: string, destination: string): Promise<Entrance> {
    const host = this.#nextAddress();
    await this.#startProxy(service, "dataplane", [
      ...dataplane(service, host),
      "  gateway:",
      "    type: DELEGATED",
      `    tags: {kuma.io/service: ${service}}`,
      "  outbound:",
      `  - {address: ${host}, port: ${OUTBOUND_PORT}, tags: {kuma.io/service: ${destination}}}`,
    ]);
    return { host, port: OUTBOUND_PORT };
  }

  async stop(): Promise<void> {
    await Promise.all(this.#children.map((child) => child.stop()));
    await this.controlPlane.stop();
    this.block.release();
  }

  #nextAddress(): string {
    return this.block.address(++this.#lastHost);
  }

  async #startProxy(
    name: string,
    proxyType: "dataplane" | "ingress",
    resource: readonly string[],
  ): Promise<void> {
    const { url, caFile } = { url: this.controlPlane.url("dp"), caFile: this.controlPlane.caFile };
    this.#children.push(
      await startKumaDp({
        ...this.#bench,
        name: `${this.controlPlane.name}-${name}`,
        resource: `${resource.join("\n")}\n`,
        controlPlane: { url, caFile },
        proxyType,
      }),
    );
  }
}

function dataplane(name: string, address: string): readonly string[] {
  return [
    "type: Dataplane",
    "mesh: default",
    `name: ${name}`,
    "networking:",
    `  address: ${address}`,
    `  admin: {port: ${freePort()}}`,
  ];
}
