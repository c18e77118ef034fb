// A child process of the demo: it says when it is ready, and its output goes to a file.

import { eachLine } from "../../dataplane/io/envoy.ts";

export interface ChildCommand {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly logFile: string;
}

/** What a process prints as `{"ready":{…}}` once it serves. */
export type ReadyFacts = Readonly<Record<string, string | number>>;

export interface Child {
  readonly name: string;
  readonly pid: number;
  readonly logFile: string;
  /** Rejects when the process ends before. */
  readonly ready: Promise<ReadyFacts>;
  readonly exited: Promise<Deno.CommandStatus>;
  isRunning(): boolean;
  signal(name: Deno.Signal): void;
  /** SIGTERM; SIGKILL after the grace. */
  stop(graceMs?: number): Promise<void>;
}

const LAST_LINES = 12;

export function startChild(options: ChildCommand): Child {
  const log = Deno.openSync(options.logFile, { create: true, append: true });
  const encoder = new TextEncoder();
  const process = new Deno.Command(options.command, {
    args: [...options.args],
    ...(options.env ? { env: { ...options.env } } : {}),
    ...(options.cwd ? { cwd: options.cwd } : {}),
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const last: string[] = [];
  const ready = Promise.withResolvers<ReadyFacts>();
  // Nobody may be waiting for it when a process is stopped while it starts.
  ready.promise.catch(() => {});
  function take(line: string): void {
    log.writeSync(encoder.encode(`${line}\n`));
    last.push(line);
    if (last.length > LAST_LINES) last.shift();
    if (line.startsWith('{"ready":')) ready.resolve(JSON.parse(line).ready);
  }
  let running = true;
  const exited = Promise.all([
    process.status,
    eachLine(process.stdout, take),
    eachLine(process.stderr, take),
  ]).then(([status]) => {
    running = false;
    log.close();
    const how = status.signal ?? `status ${status.code}`;
    ready.reject(new Error(`${options.name} ended with ${how}:\n${last.join("\n")}`));
    return status;
  });
  function signal(name: Deno.Signal): void {
    if (!running) return;
    try {
      process.kill(name);
    } catch (error) {
      // It ended a moment ago, and nobody was told yet.
      if (!(error instanceof TypeError || error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return {
    name: options.name,
    pid: process.pid,
    logFile: options.logFile,
    ready: ready.promise,
    exited,
    isRunning: () => running,
    signal,
    async stop(graceMs = 10_000) {
      signal("SIGTERM");
      const timer = setTimeout(() => signal("SIGKILL"), graceMs);
      await exited;
      clearTimeout(timer);
    },
  };
}
