// `ursa dp run`: from a resource file to a serving Envoy, and back out without a failed request.
//
//   read → find Envoy → bootstrap ⟲ → run Envoy ⟲ ─SIGTERM→ leave others' endpoints → drain
//                         (waits for      (restarts          → end Envoy → deregister
//                          mesh, CP)       with backoff)

import { InvalidError } from "../../core/errors.ts";
import type { JsonObject } from "../../core/resource.ts";
import { Buffer } from "node:buffer";
import { followToken, readToken } from "./token_file.ts";
import {
  backoffMs,
  bootstrapRequest,
  type BootstrapStep,
  envoyArgs,
  parseVars,
  readBootstrapAnswer,
  renderTemplate,
} from "../args.ts";
import { readableLine } from "../envoy_line.ts";
import { parseProxyResource, type ProxyResource, renderProxyResource } from "../resource.ts";
import { type ControlPlane, controlPlane } from "./control_plane.ts";
import {
  type EnvoyAdmin,
  envoyAdmin,
  type EnvoyProcess,
  envoyVersion,
  startEnvoy,
} from "./envoy.ts";
import { findEnvoy } from "./envoy_binary.ts";

export interface DpOptions {
  readonly cpAddress: string;
  readonly caCertFile: string;
  readonly proxyType: "dataplane" | "ingress";
  /** Path of the resource, or "-" for standard input. */
  readonly dataplaneFile: string;
  readonly dataplaneVars: readonly string[];
  readonly tokenFile: string;
  readonly drainTimeSeconds: number;
  readonly xds: "delta" | "sotw";
  readonly bindOutbounds: boolean;
  readonly concurrency: number;
  readonly envoyLogLevel: string;
  readonly workDir: string;
  /** Envoy to run; "": whatever findEnvoy finds. */
  readonly binaryPath: string;
  readonly cacheDir: string;
  readonly envoyArgs: readonly string[];
}

export interface DpIo {
  readonly version: string;
  readonly log: (
    level: "info" | "warn" | "error",
    message: string,
    fields?: Readonly<Record<string, unknown>>,
  ) => void;
  /** Once, when Envoy has its first configuration. */
  readonly ready: (facts: { readonly admin: string; readonly envoyPid: number }) => void;
  /** A line of Envoy's own output. */
  readonly envoyLine: (source: "stdout" | "stderr", text: string) => void;
  /** Aborted by the first SIGTERM or SIGINT: leave in good order. */
  readonly stop: AbortSignal;
  /** Aborted by the second one: leave now. */
  readonly stopNow: AbortSignal;
}

/** Runs until stopped; throws InvalidError or UnavailableError for what waiting cannot mend. */
export async function runDp(options: DpOptions, io: DpIo): Promise<void> {
  const resource = await readResource(options);
  // Said at once; later a file that is just being replaced is waited for.
  await readToken(options.tokenFile);
  const caCert = options.caCertFile ? await Deno.readTextFile(options.caCertFile) : "";
  const cp = controlPlane(cpUrl(options.cpAddress), caCert);
  const log = (line: string) => io.log("info", line);
  const binary = options.binaryPath || await findEnvoy({ cacheDir: options.cacheDir, log });
  const adminPort = resource.spec.networking.admin?.port ?? freePort();
  const instance = crypto.randomUUID();
  const workdir = `${options.workDir}/${resource.name}-${instance.slice(0, 8)}`;
  const tokenSecretPath = `${workdir}/token.json`;
  const identity = {
    proxyType: options.proxyType,
    resource,
    resourceText: renderProxyResource(resource, adminPort),
    instance,
    xds: options.xds,
    bindOutbounds: options.bindOutbounds,
    caCert,
    tokenSecretPath,
    workdir,
    ursaVersion: io.version,
    envoyVersion: await envoyVersion(binary),
  };
  const request = async () =>
    bootstrapRequest({ ...identity, token: await readToken(options.tokenFile) });
  const bootstrap = await untilBootstrapped(cp, { request, io });
  if (bootstrap === null) return;
  await Deno.mkdir(workdir, { recursive: true });
  const over = new AbortController();
  try {
    const configPath = `${workdir}/bootstrap.yaml`;
    // It may hold a token.
    await Deno.writeTextFile(configPath, bootstrap, { mode: 0o600 });
    if (options.tokenFile) {
      await followToken(options.tokenFile, {
        copy: tokenSecretPath,
        stop: over.signal,
        log: (level, message, reason) => io.log(level, message, reason ? { reason } : {}),
      });
    }
    const owner = {
      mesh: resource.mesh,
      name: resource.name,
      type: options.proxyType,
      instance,
    };
    await serve({ options, io, cp, owner, adminPort, configPath, binary });
  } finally {
    over.abort();
    await Deno.remove(workdir, { recursive: true });
  }
}

async function readResource(options: DpOptions): Promise<ProxyResource> {
  const template = await readInput(options.dataplaneFile);
  const { vars, violations } = parseVars(options.dataplaneVars);
  const rendered = renderTemplate(template, vars);
  const found = rendered.ok ? violations : [...violations, ...rendered.violations];
  const subject = `Cannot read the resource in "${options.dataplaneFile}"`;
  if (!rendered.ok || found.length > 0) throw new InvalidError(subject, found);
  const parsed = parseProxyResource(rendered.text, options.proxyType);
  if (!parsed.ok) throw new InvalidError(subject, parsed.violations);
  return parsed.resource;
}

function readInput(path: string): Promise<string> {
  return path === "-" ? new Response(Deno.stdin.readable).text() : Deno.readTextFile(path);
}

function cpUrl(address: string): URL {
  const url = URL.canParse(address) ? new URL(address) : null;
  if (url?.protocol === "https:") return url;
  throw new InvalidError("Cannot reach the control plane", [
    { path: "--cp-address", message: `must be https://HOST:PORT, is "${address}"` },
  ]);
}

/** Asks until there is an answer to start with; null when stopped before. */
async function untilBootstrapped(
  cp: ControlPlane,
  { request, io }: { readonly request: () => Promise<JsonObject>; readonly io: DpIo },
): Promise<string | null> {
  let said = "";
  for (let attempt = 0; !io.stop.aborted; attempt++) {
    const step = await askOnce(cp, { request, stop: io.stop });
    if (step.step === "start") return bootstrapIn(step.bootstrap);
    if (step.step === "fail") {
      throw new InvalidError(`The control plane refuses this proxy: ${step.reason}`);
    }
    // Once per reason: a proxy that waits for days must not fill the log.
    if (step.reason !== said && !io.stop.aborted) {
      const advice = adviceOn(step.reason);
      io.log("warn", "Waiting for the control plane", {
        reason: step.reason,
        ...(advice !== null && { advice }),
      });
    }
    said = step.reason;
    await pause(backoffMs(attempt, Math.random()), io.stop);
  }
  return null;
}

/** Which flag is probably wrong. */
function adviceOn(reason: string): string | null {
  if (/certificate|sys access to "ca"/i.test(reason)) {
    return "--ca-cert-file names the root of the control plane's certificate: ca.crt in its data folder";
  }
  if (/wrong version number|packet length|ECONNREFUSED|socket hang up/i.test(reason)) {
    return "--cp-address is where the control plane listens for proxies: `dp` in what it says when ready";
  }
  return null;
}

async function askOnce(
  cp: ControlPlane,
  { request, stop }: { readonly request: () => Promise<JsonObject>; readonly stop: AbortSignal },
): Promise<BootstrapStep> {
  try {
    const { status, body } = await cp.post("/bootstrap", await request(), { signal: stop });
    return readBootstrapAnswer(status, body);
  } catch (error) {
    return { step: "wait", reason: (error as Error).message };
  }
}

/** kuma@v2.13.10:app/kuma-dp/pkg/dataplane/envoy/remote_bootstrap.go: base64 in a JSON envelope. */
function bootstrapIn(body: string): string {
  const { bootstrap } = JSON.parse(body) as { bootstrap: string };
  return Buffer.from(bootstrap, "base64").toString();
}

interface Serving {
  readonly options: DpOptions;
  readonly io: DpIo;
  readonly cp: ControlPlane;
  readonly owner: JsonObject;
  readonly adminPort: number;
  readonly configPath: string;
  readonly binary: string;
}

async function serve(serving: Serving): Promise<void> {
  const { io, options } = serving;
  const admin = envoyAdmin(serving.adminPort);
  const args = envoyArgs({
    configPath: serving.configPath,
    drainTimeSeconds: options.drainTimeSeconds,
    logLevel: options.envoyLogLevel,
    concurrency: options.concurrency,
    extra: options.envoyArgs,
  });
  let announced = false;
  for (let deaths = 0; !io.stop.aborted; deaths++) {
    const startedAtMs = performance.now();
    const envoy = startEnvoy({
      binary: serving.binary,
      args,
      line: (source, text) => io.envoyLine(source, readableLine(text)),
    });
    const over = new AbortController();
    const exited = envoy.exited.finally(() => over.abort());
    const live = whenLive(admin, AbortSignal.any([io.stop, over.signal])).then((isLive) => {
      if (!isLive) return;
      io.log("info", "Envoy serves", { pid: envoy.pid });
      // A restarted Envoy is the same proxy again: whoever waits for it has been told.
      if (!announced) {
        io.ready({ admin: `http://127.0.0.1:${serving.adminPort}`, envoyPid: envoy.pid });
      }
      announced = true;
    });
    await Promise.race([exited, aborted(io.stop)]);
    if (io.stop.aborted) return await leave(serving, { admin, envoy });
    const { code, signal } = await exited;
    await live;
    // One that served for a while died of something new: no reason to hesitate.
    if (performance.now() - startedAtMs > 60_000) deaths = 0;
    const delayMs = backoffMs(deaths, Math.random());
    io.log("error", "Envoy ended; it is started again", { code, signal, delayMs });
    await pause(delayMs, io.stop);
  }
  await tell(serving, "/ursa/deregister");
}

/** Out of everybody's endpoints first, then draining: whoever still has a connection may finish. */
async function leave(
  serving: Serving,
  { admin, envoy }: { readonly admin: EnvoyAdmin; readonly envoy: EnvoyProcess },
): Promise<void> {
  const { io, options } = serving;
  io.log("info", "Leaving", { drainSeconds: options.drainTimeSeconds });
  await tell(serving, "/ursa/drain");
  try {
    await admin.drain();
    await Promise.race([pause(options.drainTimeSeconds * 1_000, io.stopNow), envoy.exited]);
  } catch (error) {
    io.log("warn", "Envoy cannot drain", { error: (error as Error).message });
  }
  // An Envoy that still runs would come back with a new stream, and be registered again.
  await envoy.end(5_000);
  await tell(serving, "/ursa/deregister");
}

/** An unreachable control plane finds out by the closed stream; leaving goes on. */
async function tell({ cp, io, owner, options }: Serving, path: string): Promise<void> {
  try {
    const signal = AbortSignal.any([AbortSignal.timeout(5_000), io.stopNow]);
    const token = await readToken(options.tokenFile);
    const { status, body } = await cp.post(path, owner, { signal, token });
    if (status !== 200) io.log("warn", "The control plane refuses", { path, status, body });
  } catch (error) {
    io.log("warn", "The control plane cannot be told", { path, error: (error as Error).message });
  }
}

/** Polls, since Envoy tells nobody; false when it is over before. */
async function whenLive(admin: EnvoyAdmin, over: AbortSignal): Promise<boolean> {
  while (!over.aborted) {
    if (await admin.isLive()) return true;
    await pause(50, over);
  }
  return false;
}

/** Ends early when the signal is aborted. */
function pause(ms: number, until: AbortSignal): Promise<void> {
  return new Promise((done) => {
    if (until.aborted) return done();
    const timer = setTimeout(end, ms);
    until.addEventListener("abort", end, { once: true });
    function end() {
      clearTimeout(timer);
      until.removeEventListener("abort", end);
      done();
    }
  });
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    if (signal.aborted) return done();
    signal.addEventListener("abort", () => done(), { once: true });
  });
}

function freePort(): number {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  return port;
}
