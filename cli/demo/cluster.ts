// A mesh of real processes on loopback: control planes, proxies with their Envoys, services.

import { type AddressBlock, choosePort, claimBlock } from "./addresses.ts";
import { MeshClient } from "./client.ts";
import { type Child, startChild } from "./process.ts";
import {
  DATAPLANE_TEMPLATE,
  GATEWAY_TEMPLATE,
  INBOUND_PORT,
  INGRESS_TEMPLATE,
  PROBE,
  type ServiceSpec,
} from "./resources.ts";
import { Rest } from "./rest.ts";
import { until } from "./until.ts";
import { CONTROL_PLANE_SCOPE } from "../../core/token.ts";

export interface ClusterOptions {
  /** Folder of this run: data, logs, resource files. */
  readonly dir: string;
  /** The project's folder: `main.ts` and `deno.json` lie there. */
  readonly project: string;
  readonly envoy: string;
  readonly xds?: "delta" | "sotw";
  /** Default token: proxies and zones prove who they are. */
  readonly auth?: "token" | "none";
  /** For `deno run`, of each of Ursa's processes. */
  readonly denoFlags?: readonly string[];
}

/** Where zones reach a global, and the PEM file with the root of its certificate. */
export interface GlobalAddress {
  readonly url: string;
  readonly caFile: string;
}

type ControlPlaneMode = "global" | "remote" | "standalone";

const PORT_FLAGS = {
  api: "api-port",
  dp: "dp-port",
  kds: "kds-port",
  dns: "dns-port",
  links: "zone-links-port",
} as const;
const DRAIN_TIME = "500ms";

/** A control plane that keeps its addresses over restarts, as a machine with a name would. */
export class ControlPlane {
  readonly name: string;
  readonly mode: ControlPlaneMode;
  readonly address: string;
  readonly #cluster: Cluster;
  readonly #flags: readonly string[];
  #data: string;
  #child: Child | null = null;
  #urls: Readonly<Record<string, string>> = {};

  constructor(
    cluster: Cluster,
    made: {
      readonly name: string;
      readonly mode: ControlPlaneMode;
      readonly address: string;
      readonly flags: readonly string[];
    },
  ) {
    this.name = made.name;
    this.mode = made.mode;
    this.address = made.address;
    this.#cluster = cluster;
    this.#flags = made.flags;
    this.#data = `${cluster.options.dir}/${made.name}`;
  }

  get data(): string {
    return this.#data;
  }

  get caFile(): string {
    return `${this.#data}/ca.crt`;
  }

  get logFile(): string {
    return `${this.#cluster.options.dir}/logs/${this.name}.log`;
  }

  get rest(): Rest {
    return new Rest(this.url("api"));
  }

  /** Where a server of it listens. */
  url(server: keyof typeof PORT_FLAGS | "apiTls"): string {
    const url = this.#urls[server];
    if (!url) throw new Error(`${this.name} has no ${server} server`);
    return url;
  }

  async start(): Promise<void> {
    const ports = Object.entries(PORT_FLAGS).flatMap(([server, flag]) => {
      if (!serversOf(this.mode).includes(server)) return [];
      const url = this.#urls[server];
      return [`--${flag}`, url ? new URL(url.replace(/^\w+:/, "http:")).port || "80" : "0"];
    });
    this.#child = this.#cluster.run(this.name, this.mode, [
      "--data",
      this.#data,
      "--bind",
      this.address,
      ...ports,
      ...this.#flags,
    ]);
    this.#urls = await this.#child.ready as Readonly<Record<string, string>>;
  }

  async stop(): Promise<void> {
    await this.#child?.stop();
  }

  /** Of the process that runs now. */
  get pid(): number {
    if (!this.#child) throw new Error(`${this.name} was not started`);
    return this.#child.pid;
  }

  signal(name: "SIGSTOP" | "SIGCONT"): void {
    this.#child?.signal(name);
  }

  /** Kill −9. */
  async kill(): Promise<void> {
    this.#child?.signal("SIGKILL");
    await this.#child?.exited;
  }

  /** The same addresses with an empty store from now on; who it is to its peers' TLS stays. */
  async forgetEverything(): Promise<void> {
    const before = this.#data;
    this.#data = `${before}-empty`;
    await Deno.mkdir(this.#data, { recursive: true });
    for await (const { name, isFile } of Deno.readDir(before)) {
      if (isFile && /\.(crt|key|pem)$/.test(name)) {
        await Deno.copyFile(`${before}/${name}`, `${this.#data}/${name}`);
      }
    }
  }

  /** It moves: the next start chooses other ports. */
  forgetPorts(): void {
    this.#urls = {};
  }

  rememberAgain(): void {
    this.#data = this.#data.replace(/-empty$/, "");
  }
}

function serversOf(mode: ControlPlaneMode): readonly string[] {
  if (mode === "global") return ["api", "kds"];
  return mode === "remote" ? ["api", "dp", "dns", "links"] : ["api", "dp", "dns"];
}

/** A proxy: its dp process, and through that its Envoy. */
export interface Proxy {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  /** Envoy's admin interface. */
  readonly admin: string;
  /** What it shows; "" where nobody asks. */
  readonly tokenFile: string;
  readonly child: Child;
  readonly envoyPid: number;
  stop(): Promise<void>;
}

/** A workload and the proxy beside it. */
export interface Workload {
  readonly spec: ServiceSpec;
  readonly proxy: Proxy;
  readonly service: Child;
  stop(): Promise<void>;
}

/** A workload that only calls: what comes to its `url`, or to its proxy's entrance, is carried on. */
export interface Gateway extends Workload {
  readonly url: string;
  readonly entrance: { readonly host: string; readonly port: number };
}

/** One zone: its control plane, its addresses, and what runs there. */
export class Zone {
  readonly name: string;
  readonly controlPlane: ControlPlane;
  readonly block: AddressBlock;
  readonly vips: AddressBlock;
  ingress: Proxy | null = null;
  readonly workloads = new Map<string, Workload>();
  readonly #cluster: Cluster;
  #lastHost = 9;

  constructor(
    cluster: Cluster,
    made: {
      readonly name: string;
      readonly controlPlane: ControlPlane;
      readonly block: AddressBlock;
      readonly vips: AddressBlock;
    },
  ) {
    this.#cluster = cluster;
    this.name = made.name;
    this.controlPlane = made.controlPlane;
    this.block = made.block;
    this.vips = made.vips;
  }

  get rest(): Rest {
    return this.controlPlane.rest;
  }

  /** A program in this zone whose requests go through the virtual IPs. */
  get client(): MeshClient {
    return new MeshClient(this.controlPlane.url("dns"), this.#cluster.vipPort);
  }

  async startIngress(): Promise<Proxy> {
    this.ingress = await this.startAnotherIngress(`ingress-${this.name}`, 2);
    return this.ingress;
  }

  /** Besides the zone's own one. */
  startAnotherIngress(name: string, host = this.#nextHost()): Promise<Proxy> {
    return this.#startProxy(name, {
      address: this.block.address(host),
      port: 10_001,
      template: INGRESS_TEMPLATE,
      vars: {},
      flags: ["--proxy-type", "ingress"],
    });
  }

  /** A workload and its proxy; both serve when this resolves. */
  async startWorkload(spec: ServiceSpec): Promise<Workload> {
    const name = spec.name ?? spec.service;
    const address = this.block.address(this.#nextHost());
    const port = spec.port ?? INBOUND_PORT;
    const servicePort = port + 1_000;
    const version = spec.version ?? "v1";
    const service = this.#cluster.runService(`${name}-${this.name}-service`, [
      ...["--listen", `${address}:${servicePort}`, "--name", spec.service],
      ...["--zone", this.name, "--version", version],
    ]);
    await service.ready;
    const proxy = await this.#startProxy(name, {
      address,
      port,
      template: DATAPLANE_TEMPLATE + (spec.probed ? PROBE : ""),
      vars: {
        mesh: spec.mesh ?? "default",
        port: String(port),
        servicePort: String(servicePort),
        service: spec.service,
        version,
      },
      flags: spec.bindOutbounds ? ["--bind-outbounds"] : [],
    });
    return this.#keep(name, { spec, proxy, service });
  }

  /** A new token in the same file, for a proxy that runs. */
  async renewToken({ spec, proxy }: Workload): Promise<void> {
    await this.#writeToken(proxy.name, spec);
  }

  /** A gateway that is no part of the mesh itself: its proxy carries its requests on. */
  async startGateway(service: string, destination: string): Promise<Gateway> {
    const address = this.block.address(this.#nextHost());
    const proxy = await this.#startProxy(service, {
      address,
      port: 0,
      template: GATEWAY_TEMPLATE,
      vars: { mesh: "default", service, destination, outboundPort: "10090" },
      flags: [],
    });
    const child = this.#cluster.runService(`${service}-${this.name}-service`, [
      ...["--listen", `${address}:8000`, "--forward", `http://${address}:10090`],
    ]);
    const { url } = await child.ready as { url: string };
    const kept = this.#keep(service, { spec: { service }, proxy, service: child });
    return { ...kept, url, entrance: { host: address, port: 10_090 } };
  }

  #keep(name: string, parts: Omit<Workload, "stop">): Workload {
    const workload: Workload = {
      ...parts,
      stop: async () => {
        // Another instance may have taken the name over.
        if (this.workloads.get(name) === workload) this.workloads.delete(name);
        // The workload ends last: its proxy still hands requests to it while it drains.
        await parts.proxy.stop();
        await parts.service.stop();
      },
    };
    this.workloads.set(name, workload);
    return workload;
  }

  /** Each proxy has an address of its own, also the one that takes over from another. */
  #nextHost(): number {
    return ++this.#lastHost;
  }

  /** What a proxy shows: for its service alone, or for ingresses of this zone. */
  async #writeToken(
    name: string,
    { mesh, service }: {
      readonly mesh?: string | undefined;
      readonly service?: string | undefined;
    },
  ): Promise<string> {
    const file = `${this.#cluster.options.dir}/${name}-${this.name}.token`;
    // A zone signs for its services itself: that works without global, too.
    const ask = () =>
      service === undefined
        ? this.#cluster.policies.token("zone", { zone: this.name, scope: ["ingress"] })
        : this.rest.token("dataplane", {
          mesh: mesh ?? "default",
          tags: { "kuma.io/service": [service] },
        });
    await until(`token for ${name}`, async () => {
      const token = await ask();
      if (token === null) return "no signing key";
      await Deno.writeTextFile(file, token, { mode: 0o600 });
      return true;
    });
    return file;
  }

  async #startProxy(
    name: string,
    made: {
      readonly address: string;
      readonly port: number;
      readonly template: string;
      readonly vars: Readonly<Record<string, string>>;
      readonly flags: readonly string[];
    },
  ): Promise<Proxy> {
    const { dir, xds = "delta", auth = "token" } = this.#cluster.options;
    const file = `${dir}/${name}-${this.name}.yaml`;
    await Deno.writeTextFile(file, made.template);
    const vars = { name, address: made.address, port: String(made.port), ...made.vars };
    const tokenFile = auth === "token" ? await this.#writeToken(name, made.vars) : "";
    const token = tokenFile === "" ? [] : ["--token-file", tokenFile];
    const child = this.#cluster.run(`${name}-${this.name}`, "dp", [
      "run",
      ...["--cp-address", this.controlPlane.url("dp"), "--ca-cert-file", this.controlPlane.caFile],
      ...["--dataplane-file", file, "--drain-time", DRAIN_TIME, "--xds", xds, ...token],
      ...["--concurrency", "1", "--work-dir", `${dir}/dp`, "--envoy-log-level", "warning"],
      ...["--binary-path", this.#cluster.options.envoy],
      ...Object.entries(vars).flatMap(([key, value]) => ["--dataplane-var", `${key}=${value}`]),
      ...made.flags,
    ]);
    const { admin, envoyPid } = await child.ready;
    return {
      name,
      address: made.address,
      port: made.port,
      admin: String(admin),
      tokenFile,
      envoyPid: Number(envoyPid),
      child,
      stop: () => child.stop(),
    };
  }
}

/** Everything of one run. `stop()` ends every process of it. */
export class Cluster {
  readonly options: ClusterOptions;
  readonly vipPort: number;
  readonly zones = new Map<string, Zone>();
  global: ControlPlane | null = null;
  readonly #children = new Set<Child>();
  readonly #blocks: AddressBlock[] = [];
  #stopping = false;

  constructor(options: ClusterOptions) {
    this.options = options;
    Deno.mkdirSync(`${options.dir}/logs`, { recursive: true });
    const probe = claimBlock();
    this.vipPort = choosePort(probe);
    probe.release();
  }

  zone(name: string): Zone {
    const zone = this.zones.get(name);
    if (!zone) throw new Error(`There is no zone ${name}`);
    return zone;
  }

  /** Where policies are written. */
  get policies(): Rest {
    const [only] = this.zones.values();
    return (this.global ?? only!.controlPlane).rest;
  }

  /** All proxies that run now. */
  get proxies(): readonly Proxy[] {
    return [...this.zones.values()].flatMap(({ ingress, workloads }) => [
      ...(ingress ? [ingress] : []),
      ...[...workloads.values()].map(({ proxy }) => proxy),
    ]);
  }

  get #ownGlobal(): GlobalAddress | null {
    return this.global && { url: this.global.url("kds"), caFile: this.global.caFile };
  }

  async startGlobal(flags: readonly string[] = []): Promise<ControlPlane> {
    this.global = new ControlPlane(this, {
      name: "global",
      mode: "global",
      address: this.#claim().address(1),
      flags: ["--zone-auth", this.options.auth ?? "token", ...flags],
    });
    await this.global.start();
    return this.global;
  }

  /** `joins`: another global than this cluster's own. */
  async startZone(name: string, joins: GlobalAddress | null = this.#ownGlobal): Promise<Zone> {
    const block = this.#claim();
    const vips = this.#claim();
    const controlPlane = new ControlPlane(this, {
      name,
      mode: joins ? "remote" : "standalone",
      address: block.address(1),
      flags: [
        ...["--zone", name, "--vip-range", vips.cidr, "--vip-port", String(this.vipPort)],
        ...["--dp-auth", this.options.auth ?? "token"],
        ...(joins ? ["--global", joins.url, "--global-ca", joins.caFile] : []),
        ...(joins && this.global && this.options.auth !== "none"
          ? ["--zone-token-file", await this.#zoneToken(name, this.global)]
          : []),
      ],
    });
    await controlPlane.start();
    const zone = new Zone(this, { name, controlPlane, block, vips });
    this.zones.set(name, zone);
    return zone;
  }

  async #zoneToken(zone: string, { rest }: ControlPlane): Promise<string> {
    const file = this.#zoneTokenFile(zone);
    const token = await rest.token("zone", { zone, scope: [CONTROL_PLANE_SCOPE] });
    if (token === null) throw new Error("global has no key for zone tokens");
    await Deno.writeTextFile(file, token, { mode: 0o600 });
    return file;
  }

  #zoneTokenFile(zone: string): string {
    return `${this.options.dir}/${zone}.token`;
  }

  /** The zones' tokens as they are now. */
  async zoneTokens(): Promise<{ readonly restore: () => Promise<void> }> {
    const files = [...this.zones.keys()].map((zone) => this.#zoneTokenFile(zone));
    const texts = await Promise.all(files.map((file) => Deno.readTextFile(file)));
    return {
      restore: async () => {
        for (const [i, file] of files.entries()) await Deno.writeTextFile(file, texts[i]!);
      },
    };
  }

  /** New ones, of the global that is there now. */
  async renewZoneTokens(): Promise<void> {
    for (const zone of this.zones.keys()) await this.#zoneToken(zone, this.global!);
  }

  /** Proxies leave before their control planes: what is stopped in this order needs no waiting. */
  async stop(): Promise<void> {
    this.#stopping = true;
    const isControlPlane = ({ name }: Child) => name === "global" || this.zones.has(name);
    const running = [...this.#children].filter((child) => child.isRunning());
    const [last, first] = partition(running, isControlPlane);
    await Promise.all(first.map((child) => child.stop()));
    await Promise.all(last.map((child) => child.stop()));
    for (const block of this.#blocks.splice(0)) block.release();
  }

  /** Starts `ursa COMMAND ARGS` as its own process, with the permissions that users give it. */
  run(name: string, command: string, args: readonly string[]): Child {
    const { envoy, project, denoFlags = [] } = this.options;
    const dpMayRun = command === "dp" ? [`--allow-run=${envoy}`] : [];
    return this.#spawn(
      name,
      Deno.build.standalone ? [command, ...args] : [
        "run",
        "--quiet",
        "--no-prompt",
        "--allow-sys=hostname",
        `-P=${command}`,
        ...denoFlags,
        ...dpMayRun,
        `${project}/main.ts`,
      ]
        .concat(command, args),
    );
  }

  /** Services know nothing of Ursa: they run from their one file where there is one. */
  runService(name: string, args: readonly string[]): Child {
    const file = `${this.options.project}/cli/demo/service.ts`;
    return this.#spawn(
      name,
      Deno.build.standalone
        ? ["demo", "service", "--", ...args]
        : ["run", "--quiet", "--no-prompt", "--allow-net", file, ...args],
    );
  }

  #spawn(name: string, args: readonly string[]): Child {
    // A check that is under way must not start what nobody would end.
    if (this.#stopping) throw new Error("The cluster is being stopped");
    const child = startChild({
      name,
      command: Deno.execPath(),
      args,
      cwd: this.options.project,
      logFile: `${this.options.dir}/logs/${name}.log`,
    });
    this.#children.add(child);
    return child;
  }

  #claim(): AddressBlock {
    const block = claimBlock();
    this.#blocks.push(block);
    return block;
  }
}

function partition<T>(
  items: readonly T[],
  test: (item: T) => boolean,
): readonly [readonly T[], readonly T[]] {
  return [items.filter(test), items.filter((item) => !test(item))];
}
