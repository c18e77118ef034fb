// The real Kuma: its binaries as processes that end with the test.

import { startChild } from "../../cli/demo/process.ts";
import type { Child } from "../../cli/demo/process.ts";
import { Rest } from "../../cli/demo/rest.ts";
import { until } from "../../cli/demo/until.ts";

export type Binary = "kumactl" | "kuma-dp" | "kuma-cp";

/** Folder with kumactl, kuma-dp and kuma-cp; null: these tests have nobody to talk to. */
export const KUMA_BIN: string | null = Deno.env.get("URSA_KUMA_BIN") || null;

export function binary(name: Binary): string {
  if (!KUMA_BIN) throw new Error("URSA_KUMA_BIN names no folder");
  return `${KUMA_BIN}/${name}`;
}

/** A port of 127.0.0.1 that nobody has. */
export function freePort(): number {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  listener.close();
  return port;
}

export interface Answer {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command to its end. `stdin` is what it reads, if anything. */
export async function runToEnd(
  command: string,
  args: readonly string[],
  options: { readonly stdin?: string; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<Answer> {
  const process = new Deno.Command(command, {
    args: [...args],
    ...(options.env ? { env: { ...options.env } } : {}),
    stdin: options.stdin === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const output = process.output();
  if (options.stdin !== undefined) {
    const writer = process.stdin.getWriter();
    await writer.write(new TextEncoder().encode(options.stdin));
    await writer.close();
  }
  const { code, stdout, stderr } = await output;
  const text = new TextDecoder();
  return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
}

/** kumactl with a configuration of its own, whose one control plane is the one given. */
export class Kumactl {
  readonly #config: string;

  private constructor(config: string) {
    this.#config = config;
  }

  static async of(dir: string, api: string): Promise<Kumactl> {
    const made = new Kumactl(`${dir}/kumactl-${crypto.randomUUID().slice(0, 8)}.yaml`);
    await made.ok([
      ...["config", "control-planes", "add", "--name", "peer", "--address", api, "--overwrite"],
    ]);
    return made;
  }

  run(args: readonly string[], stdin?: string): Promise<Answer> {
    return runToEnd(binary("kumactl"), ["--config-file", this.#config, ...args], {
      ...(stdin === undefined ? {} : { stdin }),
    });
  }

  /** Its standard output; throws with what it said when it fails. */
  async ok(args: readonly string[], stdin?: string): Promise<string> {
    const { code, stdout, stderr } = await this.run(args, stdin);
    if (code === 0) return stdout;
    throw new Error(`kumactl ${args.join(" ")} ended with status ${code}:\n${stdout}${stderr}`);
  }

  apply(yaml: string): Promise<string> {
    return this.ok(["apply", "-f", "-"], yaml);
  }
}

export interface KumaCpOptions {
  /** Folder of this run: logs and the control plane's own files. */
  readonly dir: string;
  readonly name: string;
  readonly mode: "global" | "zone";
  /** Address of its global (`grpcs://HOST:PORT`) and the PEM file of that one's root. */
  readonly global?: { readonly url: string; readonly caFile: string };
  /** Further settings, by their environment variables. */
  readonly env?: Readonly<Record<string, string>>;
}

/**
 * kuma-cp on Universal with its memory store. It listens on all addresses, so it belongs into a
 * network namespace: `deno task interop` makes one. It keeps its ports and certificates over
 * restarts, and forgets every resource.
 */
export class KumaCp {
  readonly name: string;
  readonly workDir: string;
  readonly logFile: string;
  readonly #options: KumaCpOptions;
  readonly #ports = {
    api: freePort(),
    dp: freePort(),
    kds: freePort(),
    diagnostics: freePort(),
    interCp: freePort(),
    mads: freePort(),
  };
  #child: Child | null = null;

  constructor(options: KumaCpOptions) {
    this.#options = options;
    this.name = options.name;
    this.workDir = `${options.dir}/${options.name}`;
    this.logFile = `${options.dir}/${options.name}.log`;
  }

  /** Root of its certificate: kuma-cp signs its own. */
  get caFile(): string {
    return `${this.workDir}/kuma-cp.crt`;
  }

  get rest(): Rest {
    return new Rest(this.url("api"));
  }

  url(server: "api" | "dp" | "kds"): string {
    const scheme = { api: "http", dp: "https", kds: "grpcs" }[server];
    return `${scheme}://127.0.0.1:${this.#ports[server]}`;
  }

  kumactl(): Promise<Kumactl> {
    return Kumactl.of(this.#options.dir, this.url("api"));
  }

  async start(): Promise<this> {
    await Deno.mkdir(this.workDir, { recursive: true });
    this.#child = startChild({
      name: this.name,
      command: binary("kuma-cp"),
      args: ["run", "--log-level", "info"],
      env: { ...this.#environment(), ...this.#options.env },
      logFile: this.logFile,
    });
    await until(`${this.name} ready`, async () => {
      if (!this.#child?.isRunning()) throw new Error(`${this.name} ended: see ${this.logFile}`);
      return await isReady(`http://127.0.0.1:${this.#ports.diagnostics}/ready`) || "not ready";
    });
    return this;
  }

  async stop(): Promise<void> {
    await this.#child?.stop();
  }

  /** Kill −9. */
  async kill(): Promise<void> {
    this.#child?.signal("SIGKILL");
    await this.#child?.exited;
  }

  #environment(): Record<string, string> {
    const { mode, global } = this.#options;
    const ports = this.#ports;
    return {
      KUMA_ENVIRONMENT: "universal",
      KUMA_STORE_TYPE: "memory",
      KUMA_MODE: mode,
      KUMA_GENERAL_WORK_DIR: this.workDir,
      KUMA_API_SERVER_HTTP_INTERFACE: "127.0.0.1",
      KUMA_API_SERVER_HTTP_PORT: String(ports.api),
      KUMA_API_SERVER_HTTPS_ENABLED: "false",
      KUMA_DP_SERVER_PORT: String(ports.dp),
      KUMA_MULTIZONE_GLOBAL_KDS_GRPC_PORT: String(ports.kds),
      KUMA_DIAGNOSTICS_SERVER_PORT: String(ports.diagnostics),
      KUMA_INTER_CP_SERVER_PORT: String(ports.interCp),
      KUMA_INTER_CP_CATALOG_INSTANCE_ADDRESS: "127.0.0.1",
      KUMA_MONITORING_ASSIGNMENT_SERVER_PORT: String(ports.mads),
      ...(mode === "zone" ? { KUMA_MULTIZONE_ZONE_NAME: this.name } : {}),
      ...(global
        ? {
          KUMA_MULTIZONE_ZONE_GLOBAL_ADDRESS: global.url,
          KUMA_MULTIZONE_ZONE_KDS_ROOT_CA_FILE: global.caFile,
        }
        : {}),
    };
  }
}

async function isReady(url: string): Promise<boolean> {
  try {
    const response = await fetch(url);
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false;
  }
}

export interface KumaDpOptions {
  readonly dir: string;
  readonly name: string;
  /** YAML of the Dataplane or ZoneIngress that it registers; null: `flags` name one that is there. */
  readonly resource: string | null;
  readonly controlPlane: { readonly url: string; readonly caFile: string };
  readonly envoy: string;
  readonly proxyType?: "dataplane" | "ingress" | "egress";
  readonly token?: string;
  readonly flags?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** `kuma-dp run` with its Envoy; it has no word for being ready, so tests wait for what they need. */
export async function startKumaDp(options: KumaDpOptions): Promise<Child> {
  const work = `${options.dir}/${options.name}`;
  await Deno.mkdir(work, { recursive: true });
  const resource = `${work}/resource.yaml`;
  if (options.resource !== null) await Deno.writeTextFile(resource, options.resource);
  if (options.token) await Deno.writeTextFile(`${work}/token`, options.token, { mode: 0o600 });
  return startChild({
    name: options.name,
    command: binary("kuma-dp"),
    args: [
      "run",
      ...["--cp-address", options.controlPlane.url, "--ca-cert-file", options.controlPlane.caFile],
      ...(options.resource === null ? [] : ["--dataplane-file", resource]),
      ...["--work-dir", work],
      ...["--proxy-type", options.proxyType ?? "dataplane", "--binary-path", options.envoy],
      ...["--drain-time", "500ms", "--concurrency", "1"],
      ...(options.token ? ["--dataplane-token-file", `${work}/token`] : []),
      ...(options.flags ?? ["--dns-enabled=false"]),
    ],
    // From 2.14 on a fixed port, unless it is told another.
    env: { KUMA_READINESS_PORT: String(freePort()), ...options.env },
    logFile: `${options.dir}/${options.name}.log`,
  });
}
