// From flags, environment and a YAML file to the configuration of a control plane.

import { parseDocument } from "yaml";
import { InvalidError } from "../core/errors.ts";
import type { Violation } from "../core/violation.ts";
import { nearest } from "../core/nearest.ts";
import {
  type ControlPlaneConfig,
  fallbackOf,
  flagOf,
  isLoopback,
  type Mode,
  type SettingKey,
  SETTINGS,
  settingsOf,
  variableOf,
  wordOf,
} from "./settings.ts";

export interface Sources {
  /** By word: `apiPort` for `--api-port`. */
  readonly flags: Readonly<Record<string, string | boolean | undefined>>;
  readonly env: (variable: string) => string | undefined;
  /** The text of `--config FILE`. */
  readonly file?: { readonly path: string; readonly text: string };
}

export interface Configured {
  readonly config: ControlPlaneConfig;
  /** What the operator should know before it runs. */
  readonly warnings: readonly string[];
}

interface Given {
  readonly text: string;
  /** As the user wrote it: `--api-port`, `URSA_API_PORT`, `ursa.yaml: apiPort`. */
  readonly where: string;
}

/** A flag beats its environment variable, that the file, that the default. All problems at once. */
export function resolveConfig(mode: Mode, sources: Sources): Configured {
  const violations: Violation[] = [];
  const file = sources.file ? readFile(mode, sources.file, violations) : new Map<string, Given>();
  const given = new Map<SettingKey, Given>();
  for (const key of settingsOf(mode)) {
    const found = fromFlags(key, sources) ?? fromEnvironment(key, sources) ?? file.get(key);
    if (found) given.set(key, found);
  }
  const config = parseAll(mode, given, violations);
  checkMembership(config, violations);
  const warnings = checkExposure(config);
  checkKeys(config, violations);
  if (violations.length > 0) throw new InvalidError(`Cannot start ${mode}`, violations);
  return { config, warnings };
}

function fromFlags(key: SettingKey, { flags }: Sources): Given | undefined {
  const value = flags[wordOf(key)];
  return value === undefined ? undefined : { text: String(value), where: flagOf(key) };
}

function fromEnvironment(key: SettingKey, { env }: Sources): Given | undefined {
  const value = env(variableOf(key));
  return value === undefined ? undefined : { text: value, where: variableOf(key) };
}

function readFile(
  mode: Mode,
  file: { readonly path: string; readonly text: string },
  violations: Violation[],
): ReadonlyMap<string, Given> {
  const document = parseDocument(file.text);
  for (const error of document.errors) violations.push({ path: file.path, message: error.message });
  const content: unknown = document.errors.length === 0 ? document.toJS() ?? {} : {};
  const found = new Map<string, Given>();
  if (typeof content !== "object" || content === null || Array.isArray(content)) {
    violations.push({ path: file.path, message: "must be a YAML mapping of settings" });
    return found;
  }
  const byWord = new Map(settingsOf(mode).map((key) => [wordOf(key), key]));
  for (const [word, value] of Object.entries(content)) {
    const where = `${file.path}: ${word}`;
    const key = byWord.get(word);
    if (!key) violations.push({ path: where, message: whyUnknown(word, mode) });
    else if (isScalar(value)) found.set(key, { text: String(value), where });
    else violations.push({ path: where, message: "must be one value, or a list of them" });
  }
  return found;
}

function isScalar(value: unknown): boolean {
  return Array.isArray(value) ? value.every(isScalar) : value !== null && typeof value !== "object";
}

function whyUnknown(word: string, mode: Mode): string {
  const all = Object.keys(SETTINGS) as SettingKey[];
  const elsewhere = all.find((key) => wordOf(key) === word);
  if (elsewhere) {
    return `is a setting of ${SETTINGS[elsewhere].modes.join(" and ")}, not of ${mode}`;
  }
  const near = nearest(word, settingsOf(mode).map(wordOf));
  return near ? `is not a setting; did you mean ${near}?` : "is not a setting";
}

function parseAll(
  mode: Mode,
  given: ReadonlyMap<SettingKey, Given>,
  violations: Violation[],
): ControlPlaneConfig {
  const zone = given.get("zone")?.text ?? fallbackOf("zone", mode, "") ?? "";
  const values: Record<string, unknown> = {
    mode,
    zone: "",
    global: null,
    globalCa: null,
    globalCaFingerprint: null,
    zoneToken: null,
    zoneTokenFile: null,
    advertise: null,
    zoneLinksAdvertise: null,
    apiTlsPort: null,
  };
  for (const key of Object.keys(SETTINGS) as SettingKey[]) {
    const { modes, required, parse } = SETTINGS[key];
    const found = given.get(key);
    const text = found?.text ?? fallbackOf(key, mode, zone);
    if (text === undefined) {
      if (required && modes.includes(mode)) {
        violations.push({ path: flagOf(key), message: `is needed by ${mode}` });
      }
      continue;
    }
    const parsed = parse(text);
    if ("value" in parsed) values[key] = parsed.value;
    else violations.push({ path: found?.where ?? flagOf(key), message: parsed.error });
  }
  return values as unknown as ControlPlaneConfig;
}

/** Two answers to one question, or one that another makes void: none is passed over. */
function checkMembership(
  { global, globalCa, globalCaFingerprint, zoneToken, zoneTokenFile }: ControlPlaneConfig,
  violations: Violation[],
): void {
  const refuse = (key: SettingKey, message: string) =>
    violations.push({ path: flagOf(key), message });
  if (globalCa !== null && globalCaFingerprint !== null) {
    refuse("globalCaFingerprint", `${flagOf("globalCa")} says the same: give one of them`);
  }
  if (zoneToken !== null && zoneTokenFile !== null) {
    refuse("zoneToken", `${flagOf("zoneTokenFile")} says the same: give one of them`);
  }
  if (!global?.startsWith("grpc:")) return;
  if (globalCaFingerprint !== null) {
    refuse("globalCaFingerprint", "needs grpcs://: without TLS there is nothing to verify");
  }
  if (zoneToken !== null || zoneTokenFile !== null) {
    const key = zoneToken !== null ? "zoneToken" : "zoneTokenFile";
    refuse(key, "needs grpcs://: without TLS everybody on the way could read it");
  }
}

/** Without any key, everybody would be refused. */
function checkKeys(config: ControlPlaneConfig, violations: Violation[]): void {
  const isGlobal = config.mode === "global";
  const auth = isGlobal ? config.zoneAuth : config.dpAuth;
  const [secrets, keys] = isGlobal
    ? ["zoneTokenSecrets", "zoneTokenKeys"] as const
    : ["dpTokenSecrets", "dpTokenKeys"] as const;
  if (auth !== "token" || config[secrets] !== false || config[keys].length > 0) return;
  violations.push({
    path: flagOf(secrets),
    message: `false leaves no key that a token could be signed with: name some with ${
      flagOf(keys)
    }`,
  });
}

/** Whoever reaches the ports of a control plane that asks for no proof may do anything. */
function checkExposure(config: ControlPlaneConfig): readonly string[] {
  const warnings: string[] = [];
  if (config.global?.startsWith("grpc:")) {
    warnings.push(
      "The connection to global is not encrypted, and global is not verified (grpc://)",
    );
  }
  if (config.kdsPlaintext) {
    warnings.push(
      "Zones connect without TLS (--kds-plaintext): what they send can be read, tokens included",
    );
  }
  if (config.bind === undefined || isLoopback(config.bind)) return warnings;
  if (config.localhostIsAdmin) {
    warnings.push(
      "REST requests from this machine are the administrator's, also those of its other users and " +
        "those that a proxy on it passes on without a Forwarded header; " +
        "--localhost-is-admin false ends that",
    );
  }
  const key = config.mode === "global" ? "zoneAuth" : "dpAuth";
  const who = config.mode === "global" ? "zone" : "dataplane";
  if (config[key] === "token") return warnings;
  warnings.push(
    `Anybody who reaches ${config.bind} can join as a ${who} (${flagOf(key)} none)`,
  );
  return warnings;
}
