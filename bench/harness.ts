// The processes of a measurement: control planes as a user starts them, and fleets of fake proxies.

import { type Child, startChild } from "../cli/demo/process.ts";
import { Rest } from "../cli/demo/rest.ts";
import type { Joined, Order } from "./fleet/main.ts";

const PROJECT = new URL("..", import.meta.url).pathname;
const TICKS_PER_SECOND = 100;

export interface Usage {
  readonly cpuMs: number;
  readonly rssKb: number;
  /** Open ones, sockets included. */
  readonly files: number;
  readonly threads: number;
}

export class ControlPlane {
  readonly rest: Rest;
  readonly urls: Readonly<Record<string, string>>;
  readonly ca: string;
  readonly #child: Child;

  constructor(child: Child, urls: Readonly<Record<string, string>>, dir: string) {
    this.#child = child;
    this.urls = urls;
    this.ca = `${dir}/ca.crt`;
    this.rest = new Rest(urls["api"]!);
  }

  usage(): Promise<Usage> {
    return usageOf(this.#child.pid);
  }

  /** The sum of a counter over its labels. */
  async metric(name: string): Promise<number> {
    const text = await (await fetch(`${this.rest.address}/metrics`)).text();
    return text.split("\n").filter((line) => line.startsWith(name))
      .reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
  }

  stop(): Promise<void> {
    return this.#child.stop();
  }
}

export async function usageOf(pid: number): Promise<Usage> {
  const stat = await proc(pid, "stat");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const ticks = Number(fields[11]) + Number(fields[12]);
  const status = await proc(pid, "status");
  const of = (field: string) => Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1]);
  return {
    cpuMs: ticks * 1_000 / TICKS_PER_SECOND,
    rssKb: of("VmRSS"),
    threads: of("Threads"),
    files: (await output("ls", `/proc/${pid}/fd`)).trim().split("\n").length,
  };
}

/** What /proc says. Deno itself does not let a program with fewer than all permissions read it. */
function proc(pid: number, file: string): Promise<string> {
  return output("cat", `/proc/${pid}/${file}`);
}

async function output(command: string, path: string): Promise<string> {
  const { stdout } = await new Deno.Command(command, { args: [path] }).output();
  return new TextDecoder().decode(stdout);
}

export class Fleet {
  readonly #process: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #answers = new Map<number, (line: { answer?: unknown; error?: string }) => void>();
  #orders = 0;

  constructor({ urls, ca }: Pick<ControlPlane, "urls" | "ca">) {
    this.#process = new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "--quiet", "--no-prompt", "--allow-net", "--allow-env", "--allow-read"],
        `${PROJECT}bench/fleet/main.ts`,
        new URL(urls["dp"]!.replace("https:", "http:")).host,
        ca,
      ],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    this.#input = this.#process.stdin.getWriter();
    this.#listen();
  }

  join(order: Omit<Order & { readonly do: "join" }, "do">): Promise<Joined> {
    return this.#ask<Joined>({ do: "join", ...order });
  }

  leave(names: readonly string[]): Promise<void> {
    return this.#ask({ do: "leave", names });
  }

  async acknowledged(marker: string, proxies: number): Promise<readonly number[]> {
    return (await this.#ask<{ at: readonly number[] }>({ do: "await", marker, proxies })).at;
  }

  usage(): Promise<Usage> {
    return usageOf(this.#process.pid);
  }

  report(): Promise<{ responses: number; bytes: number; errors: readonly string[] }> {
    return this.#ask({ do: "report" });
  }

  async stop(): Promise<void> {
    await this.#input.close();
    await this.#process.status;
  }

  #ask<T>(order: Order): Promise<T> {
    const id = ++this.#orders;
    return new Promise((resolve, reject) => {
      this.#answers.set(id, ({ answer, error }) => {
        if (error === undefined) resolve(answer as T);
        else reject(new Error(error));
      });
      this.#input.write(new TextEncoder().encode(`${JSON.stringify({ id, ...order })}\n`));
    });
  }

  async #listen(): Promise<void> {
    let rest = "";
    for await (const chunk of this.#process.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop()!;
      for (const line of lines) {
        const parsed = JSON.parse(line) as { id: number; answer?: unknown; error?: string };
        this.#answers.get(parsed.id)?.(parsed);
        this.#answers.delete(parsed.id);
      }
    }
    for (const tell of this.#answers.values()) tell({ error: "the fleet ended" });
  }
}

/** Everything that a measurement starts, ended in reverse order whatever happens. */
export class Bench {
  readonly dir: string;
  readonly store: string;
  readonly #stop: (() => Promise<void>)[] = [];
  #started = 0;

  constructor({ dir, store }: { readonly dir: string; readonly store: string }) {
    this.dir = dir;
    this.store = store;
  }

  async controlPlane(
    mode: "standalone" | "global" | "remote",
    { zone = "", global }: { readonly zone?: string; readonly global?: ControlPlane } = {},
  ): Promise<ControlPlane> {
    const name = `${mode}${++this.#started}`;
    const data = `${this.dir}/${name}`;
    const servers = mode === "global" ? ["api", "kds"] : ["api", "dp", "dns"];
    const child = startChild({
      name,
      command: Deno.execPath(),
      cwd: PROJECT,
      logFile: `${this.dir}/${name}.log`,
      args: [
        ...["run", "--quiet", "--no-prompt", "--allow-sys=hostname"],
        ...denoFlags(),
        ...[`-P=${mode}`, `${PROJECT}main.ts`, mode, "--data", data, "--store", this.store],
        ...servers.flatMap((server) => [`--${server}-port`, "0"]),
        // Its proxies are played, by the thousand: what tokens cost is another question.
        ...[mode === "global" ? "--zone-auth" : "--dp-auth", "none"],
        ...(zone ? ["--zone", zone] : []),
        ...(global ? ["--global", global.urls["kds"]!, "--global-ca", global.ca] : []),
      ],
    });
    this.#stop.push(() => child.stop());
    return new ControlPlane(child, await child.ready as Record<string, string>, data);
  }

  fleet(of: ControlPlane): Fleet {
    const fleet = new Fleet(of);
    this.#stop.push(() => fleet.stop());
    return fleet;
  }

  async end(): Promise<void> {
    for (const stop of this.#stop.splice(0).reverse()) await stop();
  }
}

/** For profiling: `BENCH_DENO_FLAGS="--cpu-prof --cpu-prof-dir=…"`. */
function denoFlags(): readonly string[] {
  return Deno.env.get("BENCH_DENO_FLAGS")?.split(" ").filter((flag) => flag !== "") ?? [];
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? NaN;
}

export const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
