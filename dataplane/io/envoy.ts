// Envoy as a child process: its output line by line, its admin interface, its end.

import { Buffer } from "node:buffer";

export interface EnvoyProcess {
  readonly pid: number;
  /** Resolves when the process has ended and its output is passed on. */
  readonly exited: Promise<{ readonly code: number; readonly signal: string | null }>;
  /** SIGTERM, and SIGKILL when that takes longer than the grace. */
  end(graceMs: number): Promise<void>;
}

export interface EnvoyCommand {
  readonly binary: string;
  readonly args: readonly string[];
  readonly line: (source: "stdout" | "stderr", text: string) => void;
}

export function startEnvoy(command: EnvoyCommand): EnvoyProcess {
  const child = new Deno.Command(command.binary, {
    args: [...command.args],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let ended = false;
  const exited = Promise.all([
    child.status,
    eachLine(child.stdout, (text) => command.line("stdout", text)),
    eachLine(child.stderr, (text) => command.line("stderr", text)),
  ]).then(([{ code, signal }]) => {
    ended = true;
    return { code, signal };
  });
  return {
    pid: child.pid,
    exited,
    async end(graceMs) {
      if (ended) return;
      kill(child, "SIGTERM");
      const timer = setTimeout(() => kill(child, "SIGKILL"), graceMs);
      await exited;
      clearTimeout(timer);
    },
  };
}

/** A child that ended a moment ago is gone, which is what was wanted. */
function kill(child: Deno.ChildProcess, signal: Deno.Signal): void {
  try {
    child.kill(signal);
  } catch (error) {
    if (!(error instanceof TypeError || error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** Hands on each line; a line without an end is cut at 16 KiB, so that no output fills the memory. */
export async function eachLine(
  stream: ReadableStream<Uint8Array>,
  take: (line: string) => void,
): Promise<void> {
  const lineMax = 16 * 1024;
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) take(line);
    if (rest.length > lineMax) {
      take(rest);
      rest = "";
    }
  }
  if (rest !== "") take(rest);
}

/** `hash/1.40.0/Clean/RELEASE/BoringSSL`, or "" when the binary says nothing of that form. */
export async function envoyVersion(binary: string): Promise<string> {
  const { stdout } = await new Deno.Command(binary, { args: ["--version"], stderr: "null" })
    .output();
  return /version: (\S+)/.exec(Buffer.from(stdout).toString())?.[1] ?? "";
}

export interface EnvoyAdmin {
  /** Whether Envoy has its first configuration and serves. */
  isLive(): Promise<boolean>;
  /** Fails health checks and closes connections as they become idle; new ones are still served. */
  drain(): Promise<void>;
}

export function envoyAdmin(port: number): EnvoyAdmin {
  const base = `http://127.0.0.1:${port}`;
  async function ask(method: string, path: string): Promise<number> {
    const response = await fetch(base + path, { method, signal: AbortSignal.timeout(2_000) });
    await response.body?.cancel();
    return response.status;
  }
  return {
    async isLive() {
      try {
        return await ask("GET", "/ready") === 200;
      } catch {
        return false;
      }
    },
    async drain() {
      await ask("POST", "/healthcheck/fail");
      await ask("POST", "/drain_listeners?inboundonly&graceful");
    },
  };
}
