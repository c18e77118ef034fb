// A mesh without a flat network: two zones whose machines have the same private addresses, each
// behind a gateway that translates them. What is reachable from outside is the ingress and nothing
// else; what is reachable outside is global's port for zones, and the other zone's ingress.

import type { Child } from "../../cli/demo/process.ts";
import { DATAPLANE_TEMPLATE } from "../../cli/demo/resources.ts";
import { until } from "../../cli/demo/until.ts";
import type { JsonObject } from "../../core/resource.ts";
import { PROJECT } from "../e2e/one_cluster.ts";
import type { DialResult, LoadResult, Order, RestAnswer } from "./agent.ts";
import { type Machine, Site } from "./namespaces.ts";

/** Ports are the defaults: every machine has all of its own. */
const API = "http://127.0.0.1:5681";
const DP_SERVER = "https://127.0.0.1:5678";
export const KDS_PORT = 5_685;
export const API_PORT = 5_681;
/** Where ingresses listen, and what their gateways make of it. */
const INGRESS_PORT = 10_001;
export const ADVERTISED_PORT = 20_001;

/** Documentation addresses (RFC 5737). */
export const GLOBAL_ADDRESS = "198.51.100.10";
const GATEWAY_INSIDE = "10.1.0.1";
const INGRESS_ADDRESS = "10.1.0.3";
const ZONE_ADDRESSES = ["10.1.0.2", INGRESS_ADDRESS, "10.1.0.4", "10.1.0.5"] as const;

export class PrivateZone {
  readonly name: string;
  /** The gateway's, outside. */
  readonly publicAddress: string;
  readonly #sites: PrivateSites;
  readonly #machine: Machine;

  constructor(
    sites: PrivateSites,
    made: { readonly machine: Machine; readonly publicAddress: string },
  ) {
    this.#sites = sites;
    this.#machine = made.machine;
    this.name = made.machine.name;
    this.publicAddress = made.publicAddress;
  }

  rest(method: string, path: string, body?: JsonObject): Promise<string> {
    return this.#sites.rest(this.#machine, method, path, body);
  }

  load(name: string, how: { readonly perSecond: number; readonly seconds: number }) {
    return this.#sites.try<LoadResult>(this.#machine, { do: "load", name, ...how });
  }

  dial(host: string, port: number) {
    return this.#sites.try<DialResult>(this.#machine, { do: "dial", host, port });
  }

  /** With the words that global printed for it. */
  async join(words: readonly string[]): Promise<void> {
    await this.#sites.ursa(this.#machine, this.name, "remote", [
      ...words,
      ...["--data", this.#data, "--bind", "0.0.0.0", "--vip-range", "127.100.0.0/24"],
    ]).ready;
  }

  async startIngress(): Promise<void> {
    const token = await this.#sites.globalRest("POST", "/tokens/zone", {
      zone: this.name,
      scope: ["ingress"],
      validFor: "1h",
    });
    await this.#startProxy("ingress", {
      template: ingress(this.publicAddress),
      vars: {},
      token,
      flags: ["--proxy-type", "ingress"],
    });
  }

  /** `host`: which of the zone's addresses. */
  async startWorkload(service: string, host: 4 | 5): Promise<void> {
    const address = `10.1.0.${host}`;
    const vars = {
      ...{ mesh: "default", address, service, version: "v1" },
      ...{ port: "8080", servicePort: "9080" },
    };
    await this.#sites.service(this.#machine, `${service}-${this.name}-service`, [
      ...["--listen", `${address}:9080`, "--name", service, "--zone", this.name],
    ]).ready;
    let token = "";
    await until(`token for ${service}`, async () => {
      // Its mesh, and the key that signs, come from global.
      try {
        token = await this.rest("POST", "/tokens/dataplane", {
          mesh: "default",
          tags: { "kuma.io/service": [service] },
          validFor: "1h",
        });
        return true;
      } catch (error) {
        return String(error);
      }
    });
    await this.#startProxy(service, {
      template: DATAPLANE_TEMPLATE,
      vars,
      token,
      flags: ["--bind-outbounds"],
    });
  }

  get #data(): string {
    return `${this.#sites.dir}/${this.name}`;
  }

  async #startProxy(name: string, { template, vars, token, flags }: {
    readonly template: string;
    readonly vars: Readonly<Record<string, string>>;
    readonly token: string;
    readonly flags: readonly string[];
  }): Promise<void> {
    const file = `${this.#sites.dir}/${name}-${this.name}`;
    await Deno.writeTextFile(`${file}.yaml`, template);
    await Deno.writeTextFile(`${file}.token`, token, { mode: 0o600 });
    await this.#sites.ursa(this.#machine, `${name}-${this.name}`, "dp", [
      ...["run", "--cp-address", DP_SERVER, "--ca-cert-file", `${this.#data}/ca.crt`],
      ...["--dataplane-file", `${file}.yaml`, "--token-file", `${file}.token`],
      ...["--work-dir", `${this.#sites.dir}/dp`, "--binary-path", this.#sites.envoy],
      ...["--concurrency", "1", "--drain-time", "500ms", "--envoy-log-level", "warning"],
      ...Object.entries({ name: `${name}-${this.name}`, ...vars })
        .flatMap(([key, value]) => ["--dataplane-var", `${key}=${value}`]),
      ...flags,
    ]).ready;
  }
}

function ingress(publicAddress: string): string {
  return `type: ZoneIngress
name: {{ name }}
networking:
  address: ${INGRESS_ADDRESS}
  port: ${INGRESS_PORT}
  advertisedAddress: ${publicAddress}
  advertisedPort: ${ADVERTISED_PORT}
`;
}

export class PrivateSites {
  readonly dir: string;
  readonly envoy: string;
  readonly #site: Site;
  #global: Machine | null = null;
  #globalProcess: Child | null = null;

  constructor(options: { readonly dir: string; readonly envoy: string }) {
    this.dir = options.dir;
    this.envoy = options.envoy;
    this.#site = new Site({ dir: this.dir, project: PROJECT });
  }

  /** Cables, addresses, translation, and global. */
  async start(): Promise<{ readonly east: PrivateZone; readonly west: PrivateZone }> {
    const internet = await this.#site.machine("internet");
    await internet.sh("ip link add name bridge0 type bridge; ip link set bridge0 up");
    this.#global = await this.#site.machine("global");
    await this.#plug(internet, this.#global, GLOBAL_ADDRESS);
    const [east, west] = [
      await this.#zone(internet, "east", "198.51.100.1"),
      await this.#zone(internet, "west", "198.51.100.2"),
    ];
    await this.startGlobal();
    return { east, west };
  }

  async startGlobal(): Promise<void> {
    this.#globalProcess = this.ursa(this.#global!, "global", "global", [
      ...["--data", `${this.dir}/global`, "--bind", "0.0.0.0"],
      ...["--advertise", `${GLOBAL_ADDRESS}:${KDS_PORT}`],
    ]);
    await this.#globalProcess.ready;
  }

  async killGlobal(): Promise<void> {
    this.#globalProcess!.signal("SIGKILL");
    await this.#globalProcess!.exited;
  }

  globalRest(method: string, path: string, body?: JsonObject): Promise<string> {
    return this.rest(this.#global!, method, path, body);
  }

  /** The words after `ursa remote` that global prints for a zone. */
  async joining(zone: string): Promise<readonly string[]> {
    const printed = await this.#global!.sh(
      `NO_COLOR=1 "${Deno.execPath()}" run -q -P=ctl ${PROJECT}/main.ts ` +
        `ctl --address ${API} zone join ${zone}`,
    );
    const [, , ...words] = printed.replaceAll("\\\n", "").trim().split(/\s+/);
    return words;
  }

  async rest(machine: Machine, method: string, path: string, body?: JsonObject): Promise<string> {
    const url = API + path;
    const order = { do: "rest", method, url, ...(body && { body }) } as const;
    const { status, text } = await this.try<RestAnswer>(machine, order);
    if (status >= 300) throw new Error(`${method} ${path} on ${machine.name}: ${status} ${text}`);
    return text;
  }

  async try<Result>(machine: Machine, order: Order): Promise<Result> {
    const agent = `${PROJECT}/tests/survival/agent.ts`;
    const quoted = JSON.stringify(order).replaceAll("'", `'\\''`);
    return JSON.parse(
      await machine.sh(
        `"${Deno.execPath()}" run -q --no-prompt --allow-net --allow-env ${agent} '${quoted}'`,
      ),
    );
  }

  /** A process with the permissions that users give it. */
  ursa(machine: Machine, name: string, command: string, args: readonly string[]): Child {
    return machine.start(name, Deno.execPath(), [
      ...["run", "-q", "--no-prompt", "--allow-sys=hostname", `-P=${command}`],
      ...(command === "dp" ? [`--allow-run=${this.envoy}`] : []),
      ...[`${PROJECT}/main.ts`, command, ...args],
    ]);
  }

  service(machine: Machine, name: string, args: readonly string[]): Child {
    const file = `${PROJECT}/cli/demo/service.ts`;
    return machine.start(name, Deno.execPath(), [
      ...["run", "-q", "--no-prompt", "--allow-net", file, ...args],
    ]);
  }

  stop(): Promise<void> {
    return this.#site.stop();
  }

  /** A machine with an address of the internet. */
  async #plug(internet: Machine, machine: Machine, address: string): Promise<void> {
    await this.#site.connect(internet, machine);
    await internet.sh(`ip link set ${machine.name} master bridge0`);
    await machine.sh(`ip addr add ${address}/24 dev internet`);
  }

  async #zone(internet: Machine, name: string, publicAddress: string): Promise<PrivateZone> {
    const gateway = await this.#site.machine(`${name}-gate`);
    await this.#plug(internet, gateway, publicAddress);
    const machine = await this.#site.machine(name);
    await this.#site.connect(gateway, machine);
    await gateway.sh(`ip addr add ${GATEWAY_INSIDE}/24 dev ${name}`);
    for (const address of ZONE_ADDRESSES) {
      await machine.sh(`ip addr add ${address}/24 dev ${gateway.name}`);
    }
    await machine.sh(`ip route add default via ${GATEWAY_INSIDE}`);
    const rules = translation(name, publicAddress);
    await gateway.sh(`echo 1 > /proc/sys/net/ipv4/ip_forward; nft '${rules}'`);
    return new PrivateZone(this, { machine, publicAddress });
  }
}

/** What a gateway lets through, and under which addresses. */
function translation(inside: string, publicAddress: string): string {
  return `
table ip translation {
  chain arriving {
    type nat hook prerouting priority dstnat;
    ip daddr ${publicAddress} tcp dport ${ADVERTISED_PORT} dnat to ${INGRESS_ADDRESS}:${INGRESS_PORT}
  }
  chain leaving {
    type nat hook postrouting priority srcnat;
    oifname "internet" masquerade
  }
}
table ip wall {
  chain through {
    type filter hook forward priority filter; policy drop;
    ct state established,related accept
    ct status dnat accept
    iifname "${inside}" ip daddr ${GLOBAL_ADDRESS} tcp dport ${KDS_PORT} accept
    iifname "${inside}" tcp dport ${ADVERTISED_PORT} accept
  }
}
`;
}
