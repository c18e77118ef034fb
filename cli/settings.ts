// Every setting of a control plane: its flag, environment variable and YAML key come from one row.

import ipaddr from "ipaddr.js";
import type { LogLevel } from "../actors/runtime/actor.ts";
import { durationMs } from "../core/duration.ts";
import type { AccessRules, Grant } from "../api/access.ts";
import { isZoneName } from "../core/names.ts";
import type { TokenKind } from "../core/token.ts";
import { LEASE_MS_MIN } from "../xds/lease.ts";

/** How a peer proves who it is. */
export type Authentication = "token" | "none";

export type Mode = "global" | "remote" | "standalone";

/** What a control plane runs with. Fields of other modes hold their defaults and are not looked at. */
export interface ControlPlaneConfig {
  readonly mode: Mode;
  /** Name of the own zone; "" on global. */
  readonly zone: string;
  /** grpcs:// or grpc:// address of global; null unless the mode is remote. */
  readonly global: string | null;
  /** PEM file that the certificate of global must chain to; null: the system's roots. */
  readonly globalCa: string | null;
  /** Hex of the SHA-256 of that root, where its file is not at hand. */
  readonly globalCaFingerprint: string | null;
  /** What global knows this zone by; null: what an earlier start kept, if anything. */
  readonly zoneToken: string | null;
  readonly zoneTokenFile: string | null;
  readonly store: "kv" | "memory";
  readonly data: string;
  /** An IP address; the ports below listen on it. Port 0: any free one. */
  readonly bind: string;
  readonly apiPort: number;
  /** Of the REST API over TLS; null: there is none. */
  readonly apiTlsPort: number | null;
  readonly dpPort: number;
  readonly kdsPort: number;
  /** Zones reach global without TLS. */
  readonly kdsPlaintext: boolean;
  /** `HOST[:PORT]` by which zones reach global; null: as it listens. */
  readonly advertise: string | null;
  /** Other zones are heard themselves while global is gone. */
  readonly zoneLinks: boolean;
  readonly zoneLinksPort: number;
  /** `HOST[:PORT]` by which other zones reach this one; null: as it listens. */
  readonly zoneLinksAdvertise: string | null;
  readonly dnsPort: number;
  /** `ADDRESS:PORT` of the resolvers that get other names; none: such queries are refused. */
  readonly dnsUpstream: readonly string[];
  readonly vipRange: string;
  readonly vipPort: number;
  readonly vipGraceMs: number;
  readonly dpAuth: Authentication;
  readonly zoneAuth: Authentication;
  /** Zones that Kuma's control planes run: they are believed without a token. */
  readonly zoneAuthExempt: readonly string[];
  /** A zone of which nothing is heard for so long is left out of the others; 0: never. */
  readonly unreachableZoneAfterMs: number;
  /** Envoys read their tokens from a file for each connection, so that a new one needs no restart. */
  readonly reloadableTokens: boolean;
  /** How long a proxy is an endpoint of others after its last sign of life. */
  readonly endpointLeaseMs: number;
  /** How often Envoys report whether workloads answer; 0: they probe nothing. */
  readonly healthReportMs: number;
  /** Whether a new mesh, and the control plane itself, begins with what Kuma's would. */
  readonly initialPolicies: "kuma" | "none";
  /** Whether a new mesh begins with the classic policies that allow and route everything. */
  readonly meshRoutingResources: boolean;
  readonly localhostIsAdmin: boolean;
  readonly dpTokenKeys: readonly KeyFile[];
  readonly dpTokenSecrets: boolean;
  readonly zoneTokenKeys: readonly KeyFile[];
  readonly zoneTokenSecrets: boolean;
  readonly userTokenKeys: readonly KeyFile[];
  readonly userTokenSecrets: boolean;
  readonly dpTokenIssuer: boolean;
  readonly zoneTokenIssuer: boolean;
  readonly userTokenIssuer: boolean;
  readonly adminToken: boolean;
  readonly accessAdminResources: Grant;
  readonly accessGenerateDpToken: Grant;
  readonly accessGenerateZoneToken: Grant;
  readonly accessGenerateUserToken: Grant;
  readonly accessViewConfigDump: Grant;
  readonly accessViewStats: Grant;
  readonly accessViewClusters: Grant;
  readonly accessControlPlaneMetadata: Grant;
  readonly logLevel: LogLevel;
  readonly logFormat: "logfmt" | "json";
}

/** Who may do what, by the API's words for it. */
export function accessOf(config: ControlPlaneConfig): AccessRules {
  return {
    adminResources: config.accessAdminResources,
    generateDpToken: config.accessGenerateDpToken,
    generateZoneToken: config.accessGenerateZoneToken,
    generateUserToken: config.accessGenerateUserToken,
    viewConfigDump: config.accessViewConfigDump,
    viewStats: config.accessViewStats,
    viewClusters: config.accessViewClusters,
    controlPlaneMetadata: config.accessControlPlaneMetadata,
  };
}

/** Public key in a PEM file, for tokens that name it in their header. */
export interface KeyFile {
  /** Of dataplane tokens, when they are one mesh's alone. */
  readonly mesh?: string;
  readonly keyId: string;
  readonly path: string;
}

export type SettingKey = Exclude<keyof ControlPlaneConfig, "mode">;

type Parsed<T> = { readonly value: T } | { readonly error: string };

export interface Setting<Value = unknown> {
  /** Placeholder in the help; absent: a switch. */
  readonly argument?: string;
  /** Heading in the help. */
  readonly group:
    | "Identity"
    | "Storage"
    | "Listening"
    | "Names"
    | "Admission"
    | "New meshes"
    | "Access"
    | "Logging";
  readonly help: string;
  readonly modes: readonly Mode[];
  /** As a user would write it; absent: none. */
  readonly fallback?: string | ((mode: Mode, zone: string) => string);
  /** Missing is an error. */
  readonly required?: true;
  readonly parse: (text: string) => Parsed<Value>;
}

const EVERY: readonly Mode[] = ["global", "remote", "standalone"];
const ZONES: readonly Mode[] = ["remote", "standalone"];

/** kuma@v2.13.10:pkg/config/access (static). */
const ADMIN = "user:mesh-system:admin,group:mesh-system:admin";
const ANYBODY = "group:mesh-system:unauthenticated,group:mesh-system:authenticated";

/** In the order of the help. */
export const SETTINGS: { readonly [K in SettingKey]: Setting<ControlPlaneConfig[K]> } = {
  zone: {
    argument: "NAME",
    group: "Identity",
    help: "name of this zone",
    modes: ZONES,
    required: true,
    parse: zoneName,
  },
  global: {
    argument: "URL",
    group: "Identity",
    help: "where global is, as grpcs://HOST:PORT; grpc:// goes without TLS",
    modes: ["remote"],
    required: true,
    parse: globalUrl,
  },
  globalCa: {
    argument: "FILE",
    group: "Identity",
    help: "PEM file with the root of global's certificate; without it, the system's roots",
    modes: ["remote"],
    parse: nonEmpty,
  },
  globalCaFingerprint: {
    argument: "sha256:HEX",
    group: "Identity",
    help: "fingerprint of that root in place of the file: `ursa ctl zone join` on global prints it",
    modes: ["remote"],
    parse: fingerprint,
  },
  zoneToken: {
    argument: "TOKEN",
    group: "Identity",
    help: "what global knows this zone by; kept in the data folder for later starts",
    modes: ["remote"],
    parse: nonEmpty,
  },
  zoneTokenFile: {
    argument: "FILE",
    group: "Identity",
    help: "file with that token, read anew for each connection",
    modes: ["remote"],
    parse: nonEmpty,
  },
  store: {
    argument: "KIND",
    group: "Storage",
    help: "kv keeps everything in the data folder, memory only the certificates",
    modes: EVERY,
    fallback: "kv",
    parse: oneOf(["kv", "memory"]),
  },
  data: {
    argument: "DIR",
    group: "Storage",
    help: "data folder, for one process at a time",
    modes: EVERY,
    fallback: (mode, zone) => mode === "remote" ? `.ursa/zones/${zone}` : `.ursa/${mode}`,
    parse: nonEmpty,
  },
  bind: {
    argument: "ADDRESS",
    group: "Listening",
    help: "IP address to listen on",
    modes: EVERY,
    fallback: "127.0.0.1",
    parse: ipAddress,
  },
  apiPort: {
    argument: "PORT",
    group: "Listening",
    help: "REST API; 0 here and below means any free port",
    modes: EVERY,
    fallback: "5681",
    parse: port(0),
  },
  apiTlsPort: {
    argument: "PORT",
    group: "Listening",
    help: "REST API over TLS as well, by the certificate that proxies trust too; Kuma's is 5682",
    modes: EVERY,
    parse: port(0),
  },
  dpPort: {
    argument: "PORT",
    group: "Listening",
    help: "dataplanes: bootstrap and xDS",
    modes: ZONES,
    fallback: "5678",
    parse: port(0),
  },
  kdsPort: {
    argument: "PORT",
    group: "Listening",
    help: "zones",
    modes: ["global"],
    fallback: "5685",
    parse: port(0),
  },
  kdsPlaintext: {
    group: "Listening",
    help: "let zones connect without TLS",
    modes: ["global"],
    fallback: "false",
    parse: onOrOff,
  },
  advertise: {
    argument: "HOST[:PORT]",
    group: "Listening",
    help: "where zones reach this global, if not at --bind; becomes a name in its certificate",
    modes: ["global"],
    parse: hostAndPort,
  },
  zoneLinks: {
    argument: "BOOL",
    group: "Listening",
    help: "while global is gone, hear from the other zones themselves which services they have",
    modes: ["remote"],
    fallback: "true",
    parse: onOrOff,
  },
  zoneLinksPort: {
    argument: "PORT",
    group: "Listening",
    help: "other zones",
    modes: ["remote"],
    fallback: "5686",
    parse: port(0),
  },
  zoneLinksAdvertise: {
    argument: "HOST[:PORT]",
    group: "Listening",
    help: "where other zones reach this one, if not at --bind, as behind address translation",
    modes: ["remote"],
    parse: hostAndPort,
  },
  dnsPort: {
    argument: "PORT",
    group: "Listening",
    help: "DNS, over UDP and TCP",
    modes: ZONES,
    fallback: "5653",
    parse: port(0),
  },
  dnsUpstream: {
    argument: "LIST",
    group: "Names",
    help: "resolvers for names outside the mesh, as ADDRESS[:PORT],…; none: such names are refused",
    modes: ZONES,
    fallback: "",
    parse: resolvers,
  },
  vipRange: {
    argument: "CIDR",
    group: "Names",
    help: "virtual IPs are taken from this range",
    modes: ZONES,
    fallback: "240.0.0.0/4",
    parse: ipRange,
  },
  vipPort: {
    argument: "PORT",
    group: "Names",
    help: "port of a virtual IP that reaches its service on whatever port that listens",
    modes: ZONES,
    fallback: "80",
    parse: port(1),
  },
  vipGraceMs: {
    argument: "DURATION",
    group: "Names",
    help: "a service that is gone keeps its virtual IP for this long",
    modes: ZONES,
    fallback: "1h",
    parse: duration,
  },
  dpAuth: {
    argument: "HOW",
    group: "Admission",
    help: "how proxies prove who they are: token, or none",
    modes: ZONES,
    fallback: "token",
    parse: oneOf(["token", "none"]),
  },
  zoneAuth: {
    argument: "HOW",
    group: "Admission",
    help: "how zones prove who they are: token, or none",
    modes: ["global"],
    fallback: "token",
    parse: oneOf(["token", "none"]),
  },
  zoneAuthExempt: {
    argument: "LIST",
    group: "Admission",
    help: "zones that need no token, as NAME,…: Kuma's control planes have none to show",
    modes: ["global"],
    fallback: "",
    parse: zoneNames,
  },
  unreachableZoneAfterMs: {
    argument: "DURATION",
    group: "Admission",
    help: "a zone that nothing is heard of for this long is left out of the others; 0: never",
    modes: ["global"],
    fallback: "0",
    parse: silence,
  },
  reloadableTokens: {
    group: "Admission",
    help: "proxies read the token file at each connection, so that a new token needs no restart",
    modes: ZONES,
    fallback: "false",
    parse: onOrOff,
  },
  dpTokenKeys: publicKeys("dataplane", "Admission", ZONES),
  dpTokenSecrets: useSecrets("dataplane", "Admission", ZONES),
  zoneTokenKeys: publicKeys("zone", "Admission", EVERY),
  zoneTokenSecrets: useSecrets("zone", "Admission", EVERY),
  endpointLeaseMs: {
    argument: "DURATION",
    group: "Admission",
    help: "a proxy that nothing is heard of stays an endpoint of others for this long; 5s at least",
    modes: ZONES,
    fallback: "10s",
    parse: lease,
  },
  healthReportMs: {
    argument: "DURATION",
    group: "Admission",
    help: "how often proxies report the health of their workloads, and that they drain; 0: never",
    modes: ZONES,
    fallback: "3s",
    parse: duration,
  },
  initialPolicies: {
    argument: "WHOSE",
    group: "New meshes",
    help: "kuma puts the policies and host name generators there that Kuma does; none nothing",
    modes: EVERY,
    fallback: "none",
    parse: oneOf(["kuma", "none"]),
  },
  meshRoutingResources: {
    group: "New meshes",
    help: "put a TrafficPermission and a TrafficRoute for everything into a new mesh",
    modes: ["global", "standalone"],
    fallback: "false",
    parse: onOrOff,
  },
  localhostIsAdmin: {
    argument: "BOOL",
    group: "Access",
    help: "REST requests from this machine, over a loopback address, are the administrator's",
    modes: EVERY,
    fallback: "true",
    parse: onOrOff,
  },
  userTokenKeys: publicKeys("user", "Access", EVERY),
  userTokenSecrets: useSecrets("user", "Access", EVERY),
  dpTokenIssuer: issuer("dataplane"),
  zoneTokenIssuer: issuer("zone"),
  userTokenIssuer: issuer("user"),
  adminToken: {
    argument: "BOOL",
    group: "Access",
    help: "make a token for the administrator, kept as GlobalSecret admin-user-token",
    modes: EVERY,
    fallback: "true",
    parse: onOrOff,
  },
  accessAdminResources: grant("read and write secrets, and look inside", ADMIN),
  accessGenerateDpToken: grant("have dataplane tokens issued", ADMIN),
  accessGenerateZoneToken: grant("have zone tokens issued", ADMIN),
  accessGenerateUserToken: grant("have user tokens issued", ADMIN),
  accessViewConfigDump: grant("see what a proxy's Envoy is configured with", ANYBODY),
  accessViewStats: grant("see the statistics of a proxy's Envoy", ANYBODY),
  accessViewClusters: grant("see the clusters of a proxy's Envoy", ANYBODY),
  accessControlPlaneMetadata: grant("see the control plane's configuration", ANYBODY),
  logLevel: {
    argument: "LEVEL",
    group: "Logging",
    help: "debug, info, warn or error",
    modes: EVERY,
    fallback: "info",
    parse: oneOf(["debug", "info", "warn", "error"]),
  },
  logFormat: {
    argument: "FORMAT",
    group: "Logging",
    help: "logfmt or json, on stderr",
    modes: EVERY,
    fallback: "logfmt",
    parse: oneOf(["logfmt", "json"]),
  },
};

/** A setting as users name it: durations lose their unit. Also its YAML key. */
export function wordOf(key: SettingKey): string {
  return key.replace(/Ms$/, "");
}

export function flagOf(key: SettingKey): string {
  return `--${kebab(wordOf(key))}`;
}

export function variableOf(key: SettingKey): string {
  return `URSA_${kebab(wordOf(key)).replaceAll("-", "_").toUpperCase()}`;
}

export function settingsOf(mode: Mode): readonly SettingKey[] {
  const keys = Object.keys(SETTINGS) as SettingKey[];
  return keys.filter((key) => SETTINGS[key].modes.includes(mode));
}

/** What holds when nobody says anything; undefined: nothing does. */
export function fallbackOf(key: SettingKey, mode: Mode, zone: string): string | undefined {
  if (key === "zone" && mode === "standalone") return "default";
  const { fallback } = SETTINGS[key];
  return typeof fallback === "function" ? fallback(mode, zone) : fallback;
}

/** True for addresses that no other machine can reach. */
export function isLoopback(address: string): boolean {
  return ipaddr.process(address).range() === "loopback";
}

/** True for addresses that mean every address of the machine. */
export function isUnspecified(address: string): boolean {
  return ipaddr.process(address).range() === "unspecified";
}

function kebab(word: string): string {
  return word.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function nonEmpty(text: string): Parsed<string> {
  return text === "" ? { error: "must not be empty" } : { value: text };
}

function oneOf<const T extends string>(words: readonly T[]): (text: string) => Parsed<T> {
  return (text) => {
    const value = words.find((word) => word === text);
    return value === undefined
      ? { error: `must be one of ${words.join(", ")}, is ${JSON.stringify(text)}` }
      : { value };
  };
}

function onOrOff(text: string): Parsed<boolean> {
  const parsed = oneOf(["true", "false"])(text);
  return "error" in parsed ? parsed : { value: parsed.value === "true" };
}

function port(least: 0 | 1): (text: string) => Parsed<number> {
  return (text) => {
    const value = /^\d{1,5}$/.test(text) ? Number(text) : NaN;
    return value >= least && value <= 65_535
      ? { value }
      : { error: `must be a port from ${least} to 65535, is ${JSON.stringify(text)}` };
  };
}

/** Go's notation, since that is what the durations in Kuma's resources look like. */
function lease(text: string): Parsed<number> {
  const parsed = duration(text);
  if ("error" in parsed || parsed.value >= LEASE_MS_MIN) return parsed;
  const seconds = LEASE_MS_MIN / 1_000;
  return { error: `must be ${seconds}s or more, since proxies come back only so fast, is ${text}` };
}

/** A global that was restarted hears from all its zones within this. */
const SILENCE_MS_MIN = 10_000;

function silence(text: string): Parsed<number> {
  const parsed = duration(text);
  const isLong = "error" in parsed || parsed.value === 0 || parsed.value >= SILENCE_MS_MIN;
  return isLong ? parsed : { error: `must be 0 or at least 10s, is ${JSON.stringify(text)}` };
}

function duration(text: string): Parsed<number> {
  const value = durationMs(text);
  return value === null
    ? { error: `must be a duration such as 500ms, 10s or 1h30m, is ${JSON.stringify(text)}` }
    : { value };
}

function zoneName(text: string): Parsed<string> {
  return isZoneName(text) ? { value: text } : {
    error: `must be lower-case letters, digits and -, at most 63, is ${JSON.stringify(text)}`,
  };
}

function zoneNames(text: string): Parsed<readonly string[]> {
  const value = text.split(",").map((name) => name.trim()).filter((name) => name !== "");
  const wrong = value.find((name) => !isZoneName(name));
  return wrong === undefined
    ? { value }
    : { error: `must be a list of zones, has ${JSON.stringify(wrong)}` };
}

function globalUrl(text: string): Parsed<string> {
  const url = URL.canParse(text) ? new URL(text) : null;
  const wellFormed = url !== null && ["grpcs:", "grpc:"].includes(url.protocol) &&
    url.host !== "" && ["", "/"].includes(url.pathname) && url.search === "";
  if (!wellFormed) return { error: `must be grpcs://HOST:PORT, is ${JSON.stringify(text)}` };
  return { value: `${url.protocol}//${url.port === "" ? `${url.host}:5685` : url.host}` };
}

/** As `openssl x509 -fingerprint -sha256` prints it, or as plain hex. */
function fingerprint(text: string): Parsed<string> {
  const hex = text.replace(/^sha256:/i, "").replaceAll(":", "").toLowerCase();
  return /^[\da-f]{64}$/.test(hex)
    ? { value: hex }
    : { error: `must be sha256: and 64 hexadecimal digits, is ${JSON.stringify(text)}` };
}

function hostAndPort(text: string): Parsed<string> {
  const url = URL.canParse(`grpcs://${text}`) ? new URL(`grpcs://${text}`) : null;
  return url !== null && url.host === text && url.hostname !== ""
    ? { value: text }
    : { error: `must be HOST or HOST:PORT, is ${JSON.stringify(text)}` };
}

function ipAddress(text: string): Parsed<string> {
  return ipaddr.isValid(text) && isWhole(text)
    ? { value: text }
    : { error: `must be an IP address, is ${JSON.stringify(text)}` };
}

/** ipaddr.js also takes `127.1`, which not everything behind us does. */
function isWhole(address: string): boolean {
  return address.includes(":") || address.split(".").length === 4;
}

function ipRange(text: string): Parsed<string> {
  return ipaddr.isValidCIDR(text)
    ? { value: text }
    : { error: `must be a range such as 240.0.0.0/4, is ${JSON.stringify(text)}` };
}

function resolvers(text: string): Parsed<readonly string[]> {
  const list = listOf(text);
  const value = list.map(withPort);
  const wrong = list.filter((_, i) => value[i] === null);
  return wrong.length === 0
    ? { value: value as string[] }
    : { error: `must be a list of ADDRESS[:PORT], has ${JSON.stringify(wrong[0])}` };
}

/** `9.9.9.9` → `9.9.9.9:53`, `[::1]:5353` as it is; null when it is neither. */
function withPort(text: string): string | null {
  const match = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(text);
  const address = match?.[1] ?? match?.[2] ?? text;
  if (!ipaddr.isValid(address) || !isWhole(address)) return null;
  return `${address.includes(":") ? `[${address}]` : address}:${match?.[3] ?? 53}`;
}

function publicKeys(
  kind: TokenKind,
  group: Setting["group"],
  modes: readonly Mode[],
): Setting<readonly KeyFile[]> {
  const form = kind === "dataplane" ? "[MESH/]KEY-ID=FILE" : "KEY-ID=FILE";
  return {
    argument: "LIST",
    group,
    help: `public keys of ${kind} tokens that were issued offline, as ${form},…`,
    modes,
    fallback: "",
    parse: keyFiles(form),
  };
}

function useSecrets(
  kind: TokenKind,
  group: Setting["group"],
  modes: readonly Mode[],
): Setting<boolean> {
  return {
    argument: "BOOL",
    group,
    help: `${kind} tokens of signing keys among the secrets are good too`,
    modes,
    fallback: "true",
    parse: onOrOff,
  };
}

function issuer(kind: TokenKind): Setting<boolean> {
  return {
    argument: "BOOL",
    group: "Access",
    help: `issue ${kind} tokens over REST`,
    modes: EVERY,
    fallback: "true",
    parse: onOrOff,
  };
}

function grant(what: string, fallback: string): Setting<Grant> {
  return {
    argument: "LIST",
    group: "Access",
    help: `who may ${what}, as user:NAME and group:NAME`,
    modes: EVERY,
    fallback,
    parse: grantees,
  };
}

function listOf(text: string): readonly string[] {
  return text.split(",").map((it) => it.trim()).filter((it) => it !== "");
}

function grantees(text: string): Parsed<Grant> {
  const list = listOf(text);
  const of = (kind: string) =>
    list.filter((it) => it.startsWith(kind)).map((it) => it.slice(kind.length));
  const wrong = list.find((it) => !/^(user|group):./.test(it));
  return wrong === undefined
    ? { value: { users: of("user:"), groups: of("group:") } }
    : { error: `must be a list of user:NAME and group:NAME, has ${JSON.stringify(wrong)}` };
}

function keyFiles(form: string): (text: string) => Parsed<readonly KeyFile[]> {
  const wellFormed = form.includes("/") ? /^(?:([^=/]+)\/)?([^=/]+)=(.+)$/ : /^()([^=]+)=(.+)$/;
  return (text) => {
    const list = listOf(text);
    const wrong = list.find((it) => !wellFormed.test(it));
    if (wrong !== undefined) {
      return { error: `must be a list of ${form}, has ${JSON.stringify(wrong)}` };
    }
    const value = list.map((it) => {
      const [, mesh, keyId = "", path = ""] = wellFormed.exec(it) ?? [];
      return { keyId, path, ...(mesh && { mesh }) };
    });
    return { value };
  };
}
