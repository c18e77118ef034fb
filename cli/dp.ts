// `ursa dp`: the process beside a workload that runs its Envoy.

import { durationMs } from "../core/duration.ts";
import { InvalidError } from "../core/errors.ts";
import type { Violation } from "../core/violation.ts";
import { Command, InvalidArgumentError, Option } from "commander";
import { runDp } from "../dataplane/io/run.ts";
import { parse } from "yaml";
import { demandNamed, readNamed } from "./named_file.ts";
import { nearest } from "../core/nearest.ts";
import { demandFiles } from "./permissions.ts";

/** Written only where there is no other Envoy. */
const CACHE_DIR = ".ursa/cache/envoy";

export interface DpCommandIo {
  readonly version: string;
  readonly stdout: (line: string) => void;
  readonly stderr: (line: string) => void;
}

/** What commander collects, by flag. */
interface DpFlags {
  readonly cpAddress: string;
  readonly caCertFile?: string;
  readonly proxyType: "dataplane" | "ingress";
  readonly dataplaneFile?: string;
  readonly dataplaneVar: readonly string[];
  readonly tokenFile?: string;
  readonly drainTime: number;
  readonly xds: "delta" | "sotw";
  readonly bindOutbounds: boolean;
  readonly concurrency: number;
  readonly envoyLogLevel: string;
  readonly workDir: string;
  readonly binaryPath?: string;
  readonly cacheDir: string;
  readonly logFormat: "logfmt" | "json";
}

const AFTER_HELP = `
Examples:
  $ ursa dp run --ca-cert-file .ursa/standalone/ca.crt --token-file web.token \\
    --dataplane-file web.yaml --dataplane-var name=web-1 --dataplane-var address=10.0.0.7
  $ ursa dp run --proxy-type ingress --ca-cert-file ca.crt --token-file ingress.token \\
    --dataplane-file ingress.yaml -- --component-log-level upstream:debug

On SIGTERM the proxy leaves the endpoints of all others, serves what is left for --drain-time,
deregisters and ends; a second SIGTERM skips the waiting.`;

export function buildDp(io: DpCommandIo): Command {
  return new Command("dp")
    .description("Run a proxy beside a workload, or as the ingress of a zone")
    .addCommand(buildRun(io));
}

function buildRun(io: DpCommandIo): Command {
  const run = new Command("run")
    .description("Get a bootstrap from the control plane and run Envoy with it")
    .usage("[options] [-- ENVOY-ARGUMENTS…]")
    .argument("[envoy-arguments...]", "further arguments for Envoy, after --")
    .addHelpText("after", AFTER_HELP);
  for (const [heading, options] of Object.entries(runOptions())) {
    for (const option of options) run.addOption(option.helpGroup(`${heading}:`));
  }
  run.action(async (envoyArguments: string[], _flags: DpFlags, command: Command) => {
    const { config } = command.opts<{ config?: string }>();
    if (config) {
      applyConfigFile(command, { path: config, text: await readNamed("--config", config) });
    }
    await start(command.opts<DpFlags>(), { envoyArguments, io });
  });
  return run;
}

/** By heading of the help. */
function runOptions(): Readonly<Record<string, readonly Option[]>> {
  return {
    "Control plane": [
      option("--cp-address <url>", "dp-server of the control plane", "CP_ADDRESS")
        .default("https://127.0.0.1:5678"),
      option("--ca-cert-file <file>", "root of the control plane's certificate", "CA_CERT_FILE"),
      option(
        "--token-file <file>",
        "file with the token that the control plane asks for; may be replaced at any time",
        "TOKEN_FILE",
      ),
    ],
    "Proxy": [
      option("--proxy-type <type>", "what this proxy is", "PROXY_TYPE")
        .choices(["dataplane", "ingress"]).default("dataplane"),
      option(
        "-d, --dataplane-file <file>",
        "Dataplane or ZoneIngress in YAML; - is standard input",
        "DATAPLANE_FILE",
      ),
      option(
        "-v, --dataplane-var <key=value>",
        "value for {{ key }} in that file, repeatable",
        "DATAPLANE_VAR",
      )
        .argParser((word: string, before: readonly string[]) => [...before, ...word.split("\n")])
        .default([], ""),
      option(
        "--bind-outbounds",
        "listen on the virtual IPs instead of redirecting to them",
        "BIND_OUTBOUNDS",
      )
        .default(false),
      option("--drain-time <duration>", "how long to serve on after SIGTERM", "DRAIN_TIME")
        .argParser(seconds).default(30, "30s"),
    ],
    "Envoy": [
      option("--xds <dialect>", "how Envoy talks to the control plane", "XDS")
        .choices(["delta", "sotw"]).default("delta"),
      option("--concurrency <count>", "worker threads; 0: one per core", "CONCURRENCY")
        .argParser(wholeNumber).default(0),
      option("--envoy-log-level <level>", "how much Envoy says", "ENVOY_LOG_LEVEL")
        .choices(["trace", "debug", "info", "warning", "error", "critical", "off"])
        .default("info"),
      option(
        "--binary-path <file>",
        "Envoy to run; without it URSA_ENVOY, PATH, or an installed one",
        "BINARY_PATH",
      ),
      option("--cache-dir <dir>", "where Envoy is installed if it is not on PATH", "CACHE_DIR")
        .default(CACHE_DIR),
      option("--work-dir <dir>", "where the bootstrap file lies while Envoy runs", "WORK_DIR")
        .default(".ursa/dp"),
    ],
    "Logging": [
      option("--log-format <format>", "form of this process's own log on stderr", "LOG_FORMAT")
        .choices(["logfmt", "json"]).default("logfmt"),
    ],
    "Configuration": [
      option("--config <file>", "YAML file with any of these, such as drainTime: 1m", "CONFIG"),
    ],
  };
}

function option(flags: string, help: string, variable: string): Option {
  return new Option(flags, help).env(`URSA_DP_${variable}`);
}

/** Fills in what neither a flag nor a variable said. */
export function applyConfigFile(
  command: Command,
  file: { readonly path: string; readonly text: string },
): void {
  const content: unknown = parse(file.text) ?? {};
  const known = new Map(command.options.map((it) => [it.attributeName(), it]));
  const violations: Violation[] = [];
  if (typeof content !== "object" || content === null || Array.isArray(content)) {
    violations.push({ path: file.path, message: "must be a YAML mapping of settings" });
    throw new InvalidError("Cannot start dp", violations);
  }
  for (const [word, value] of Object.entries(content)) {
    const found = known.get(word);
    if (!found) {
      const near = nearest(word, [...known.keys()]);
      violations.push({
        path: `${file.path}: ${word}`,
        message: near ? `is not a setting; did you mean ${near}?` : "is not a setting",
      });
      continue;
    }
    const source = command.getOptionValueSource(word);
    if (source !== "default" && source !== undefined) continue;
    try {
      command.setOptionValueWithSource(word, valueOf(found, value), "config");
    } catch (error) {
      violations.push({ path: `${file.path}: ${word}`, message: (error as Error).message });
    }
  }
  if (violations.length > 0) throw new InvalidError("Cannot start dp", violations);
}

function valueOf(known: Option, value: unknown): unknown {
  if (typeof value === "boolean") return value;
  const words = Array.isArray(value) ? value.map(String) : [String(value)];
  if (known.argChoices && !known.argChoices.includes(words[0] ?? "")) {
    throw new InvalidArgumentError(`must be one of ${known.argChoices.join(", ")}`);
  }
  const { parseArg } = known;
  if (!parseArg) return words[0];
  return words.reduce<unknown>((before, word) => parseArg(word, before), known.defaultValue);
}

interface Starting {
  readonly envoyArguments: readonly string[];
  readonly io: DpCommandIo;
}

async function start(flags: DpFlags, { envoyArguments, io }: Starting): Promise<void> {
  if (!flags.dataplaneFile) {
    throw new InvalidError("Cannot start dp", [
      { path: "--dataplane-file", message: "is needed: a Dataplane or ZoneIngress in YAML" },
    ]);
  }
  await demandFilesOf(flags);
  const signals = stopSignals();
  try {
    await runDp({
      cpAddress: flags.cpAddress,
      caCertFile: flags.caCertFile ?? "",
      proxyType: flags.proxyType,
      dataplaneFile: flags.dataplaneFile,
      dataplaneVars: flags.dataplaneVar,
      tokenFile: flags.tokenFile ?? "",
      drainTimeSeconds: flags.drainTime,
      xds: flags.xds,
      bindOutbounds: flags.bindOutbounds,
      concurrency: flags.concurrency,
      envoyLogLevel: flags.envoyLogLevel,
      workDir: flags.workDir,
      binaryPath: flags.binaryPath ?? "",
      cacheDir: flags.cacheDir,
      envoyArgs: envoyArguments,
    }, {
      version: io.version,
      log: (level, message, fields = {}) =>
        io.stderr(logLine(flags.logFormat, { level, message, ...fields })),
      ready: (facts) => io.stdout(JSON.stringify({ ready: facts })),
      envoyLine: (source, line) => io[source](`[envoy] ${line}`),
      stop: signals.stop,
      stopNow: signals.stopNow,
    });
  } finally {
    signals.forget();
  }
}

async function demandFilesOf(flags: DpFlags): Promise<void> {
  const { workDir, cacheDir, dataplaneFile, caCertFile, tokenFile } = flags;
  const write = cacheDir === CACHE_DIR ? [workDir] : [workDir, cacheDir];
  demandFiles({ set: "dp", read: null, write });
  if (dataplaneFile && dataplaneFile !== "-") await demandNamed("--dataplane-file", dataplaneFile);
  if (caCertFile) await demandNamed("--ca-cert-file", caCertFile, CA_HINT);
  if (tokenFile) await demandNamed("--token-file", tokenFile);
}

const CA_HINT = "a control plane makes it at its first start, as ca.crt in its data folder";

/** The first signal asks to leave in good order, the second to leave now. */
function stopSignals(): {
  readonly stop: AbortSignal;
  readonly stopNow: AbortSignal;
  readonly forget: () => void;
} {
  const first = new AbortController();
  const second = new AbortController();
  const heard = () => first.signal.aborted ? second.abort() : first.abort();
  const names = ["SIGTERM", "SIGINT"] as const;
  for (const name of names) Deno.addSignalListener(name, heard);
  return {
    stop: first.signal,
    stopNow: second.signal,
    forget: () => names.forEach((name) => Deno.removeSignalListener(name, heard)),
  };
}

function logLine(format: "logfmt" | "json", fields: Readonly<Record<string, unknown>>): string {
  const entry = { time: new Date().toISOString(), ...fields };
  if (format === "json") return JSON.stringify(entry);
  return Object.entries(entry).map(([key, value]) => {
    const text = String(value);
    return `${key}=${/^[\w.:/@+-]+$/.test(text) ? text : JSON.stringify(text)}`;
  }).join(" ");
}

/** Fractions of a second serve tests. */
function seconds(text: string): number {
  const length = durationMs(text);
  if (length === null) throw new InvalidArgumentError("must be a duration such as 30s or 1m");
  return length / 1_000;
}

function wholeNumber(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError("must be a whole number");
  return Number(text);
}
