// Virtual addresses of services: one per service name across the meshes of a zone, kept in Config
// resources of Kuma's form.
//
// A DNS question names no mesh, so a name has one address whatever mesh asks; each proxy routes it
// to its own mesh's service. An address outlives its service by a grace time, because clients
// remember answers.

import ipaddr from "ipaddr.js";
import { type DataplaneSpec, SERVICELESS_PORT } from "../core/dataplane.ts";
import { InvalidError } from "../core/errors.ts";
import type { ConfigSpec } from "../core/mesh.ts";
import { compareText, type Draft, type Resource } from "../core/resource.ts";
import { SERVICE_TAG } from "../core/tags.ts";
import type { ZoneIngressSpec } from "../core/zone.ts";
import type { Op } from "../store/store.ts";

/** A set of names; a Set, or the keys of a Map. */
export interface Names {
  readonly size: number;
  has(name: string): boolean;
  keys(): Iterable<string>;
}

/** Prefix of the keys of services; hosts are `1:`, full names `2:`. kuma@v2.13.10:pkg/dns/vips. */
const SERVICE_KEY = "0:";

/** One entry of the JSON text, in the letter case of Kuma's readers. */
interface Entry {
  readonly address?: string;
  readonly outbounds?: readonly unknown[];
  /** When its service vanished; absent while it exists. Kuma's readers ignore it. */
  readonly releasedAtMs?: number;
}

interface Parsed {
  readonly entries: ReadonlyMap<string, Entry>;
  /** Entries of other origin, such as hosts, stay as they are. */
  readonly foreign: readonly (readonly [string, unknown])[];
  readonly vips: ReadonlyMap<string, string>;
}

export interface VipInput {
  /** Service names of each mesh. */
  readonly services: ReadonlyMap<string, Names>;
  /** Config resources; those of other content are left alone. */
  readonly configs: readonly Resource<ConfigSpec>[];
  readonly cidr: string;
  readonly nowMs: number;
  readonly graceMs: number;
}

export interface VipOutcome {
  readonly ops: Op[];
  /** When to call again although nothing changed; null when no address waits for its release. */
  readonly nextReleaseAtMs: number | null;
  /** Services that got no address, because there is none left. */
  readonly exhausted: string[];
}

/** The name of the Config resource that holds a mesh's addresses. */
export function vipConfigName(mesh: string): string {
  return `kuma-${mesh}-dns-vips`;
}

/** The mesh whose addresses a Config resource holds; undefined for any other. */
export function meshOfVipConfig(name: string): string | undefined {
  return /^kuma-(.+)-dns-vips$/.exec(name)?.[1];
}

/** Addresses by service name. The same resource gives the same map. */
export function vipsOf(config: Resource<ConfigSpec>): ReadonlyMap<string, string> {
  return parsedOf(config).vips;
}

/** Keeps, gives and releases addresses so that every service has one. */
export function allocateVips(input: VipInput): VipOutcome {
  const configs = new Map<string, Resource<ConfigSpec>>();
  for (const config of input.configs) {
    const mesh = meshOfVipConfig(config.name);
    if (mesh !== undefined) configs.set(mesh, config);
  }
  const meshes = [...new Set([...configs.keys(), ...input.services.keys()])].sort(compareText);
  const plan = planMeshes(meshes, configs, input);
  if (plan.settled) return { ops: [], nextReleaseAtMs: plan.nextReleaseAtMs, exhausted: [] };

  const { addresses, exhausted } = assign(meshes, configs, plan.wanted, input.cidr);
  const ops: Op[] = [];
  for (const mesh of meshes) {
    const op = opFor(mesh, configs.get(mesh), plan.wanted.get(mesh) ?? new Map(), addresses);
    if (op) ops.push(op);
  }
  return { ops, nextReleaseAtMs: plan.nextReleaseAtMs, exhausted };
}

/** Service name → when it vanished, or null while it exists. */
type Wanted = ReadonlyMap<string, number | null>;

interface Plan {
  readonly wanted: ReadonlyMap<string, Wanted>;
  readonly nextReleaseAtMs: number | null;
  /** True when the configs are already as they should be. */
  readonly settled: boolean;
}

function planMeshes(
  meshes: readonly string[],
  configs: ReadonlyMap<string, Resource<ConfigSpec>>,
  { services, cidr, nowMs, graceMs }: VipInput,
): Plan {
  const wanted = new Map<string, Wanted>();
  const addressOwners = new Map<string, string>();
  const nameAddresses = new Map<string, string>();
  let nextReleaseAtMs = Infinity;
  let settled = true;
  for (const mesh of meshes) {
    const config = configs.get(mesh);
    const entries = config ? parsedOf(config).entries : NO_ENTRIES;
    const names = new Map<string, number | null>();
    for (const name of services.get(mesh)?.keys() ?? []) {
      names.set(name, null);
      if (!entries.has(name)) settled = false;
    }
    for (const [name, entry] of entries) {
      const exists = names.has(name);
      if (exists !== (entry.releasedAtMs === undefined)) settled = false;
      const address = entry.address ?? "";
      if (
        (addressOwners.get(address) ?? name) !== name ||
        (nameAddresses.get(name) ?? address) !== address || !isInside(address, cidr)
      ) settled = false;
      addressOwners.set(address, name);
      nameAddresses.set(name, address);
      if (exists) continue;
      const releasedAtMs = entry.releasedAtMs ?? nowMs;
      if (releasedAtMs + graceMs <= nowMs) {
        settled = false;
        continue;
      }
      nextReleaseAtMs = Math.min(nextReleaseAtMs, releasedAtMs + graceMs);
      names.set(name, releasedAtMs);
    }
    if (config && names.size === 0 && parsedOf(config).foreign.length === 0) settled = false;
    wanted.set(mesh, names);
  }
  return {
    wanted,
    nextReleaseAtMs: nextReleaseAtMs === Infinity ? null : nextReleaseAtMs,
    settled,
  };
}

/** One address per name: the first that it already has in any mesh, else a free one. */
function assign(
  meshes: readonly string[],
  configs: ReadonlyMap<string, Resource<ConfigSpec>>,
  wanted: ReadonlyMap<string, Wanted>,
  cidr: string,
): { readonly addresses: ReadonlyMap<string, string>; readonly exhausted: string[] } {
  const live = new Set<string>();
  const names = new Set<string>();
  for (const mesh of wanted.values()) {
    for (const [name, releasedAtMs] of mesh) {
      names.add(name);
      if (releasedAtMs === null) live.add(name);
    }
  }
  const addresses = new Map<string, string>();
  const owners = new Map<string, string>();
  const keep = (chosen: (name: string) => boolean) => {
    for (const mesh of meshes) {
      const config = configs.get(mesh);
      if (!config) continue;
      for (const [name, { address }] of parsedOf(config).entries) {
        if (!chosen(name) || addresses.has(name) || address === undefined) continue;
        if (owners.has(address) || !isInside(address, cidr)) continue;
        addresses.set(name, address);
        owners.set(address, name);
      }
    }
  };
  // Who exists comes first: another installation's data may hold one address twice.
  keep((name) => live.has(name));
  keep((name) => names.has(name) && !live.has(name));

  const free = freeAddresses(cidr, owners);
  const exhausted: string[] = [];
  for (const name of [...live].sort(compareText)) {
    if (addresses.has(name)) continue;
    const address = free();
    if (address === null) exhausted.push(name);
    else addresses.set(name, address);
  }
  return { addresses, exhausted };
}

/** The change of one mesh's Config, or null when it already says so. */
function opFor(
  mesh: string,
  config: Resource<ConfigSpec> | undefined,
  wanted: Wanted,
  addresses: ReadonlyMap<string, string>,
): Op | null {
  const name = vipConfigName(mesh);
  const key = { type: "Config", mesh: "", name };
  const entries = new Map<string, unknown>(config ? parsedOf(config).foreign : []);
  for (const [service, releasedAtMs] of wanted) {
    const address = addresses.get(service);
    if (address === undefined) continue;
    entries.set(SERVICE_KEY + service, entryOf(service, address, releasedAtMs));
  }
  if (entries.size === 0) {
    return config ? { op: "delete", key, expected: config.version } : null;
  }
  const sorted = [...entries].sort(([a], [b]) => compareText(a, b));
  const text = JSON.stringify(Object.fromEntries(sorted));
  if (config && config.spec.config === text) return null;
  const resource = { ...key, labels: config?.labels ?? {}, spec: { config: text } };
  return { op: "put", resource, expected: config?.version ?? 0 };
}

function entryOf(service: string, address: string, releasedAtMs: number | null): Entry {
  return {
    address,
    outbounds: [{ Port: 0, TagSet: { [SERVICE_TAG]: service }, Origin: "service" }],
    ...(releasedAtMs !== null && { releasedAtMs }),
  };
}

// --- reading ---

const NO_ENTRIES: ReadonlyMap<string, Entry> = new Map();

/** Parsing is paid once per state of a Config: resources never change in place. */
const parsedConfigs = new WeakMap<Resource<ConfigSpec>, Parsed>();

function parsedOf(config: Resource<ConfigSpec>): Parsed {
  const known = parsedConfigs.get(config);
  if (known) return known;
  const entries = new Map<string, Entry>();
  const vips = new Map<string, string>();
  const foreign: (readonly [string, unknown])[] = [];
  for (const [key, value] of jsonEntries(config)) {
    if (!key.startsWith(SERVICE_KEY)) {
      foreign.push([key, value]);
      continue;
    }
    const name = key.slice(SERVICE_KEY.length);
    const entry = readEntry(value);
    entries.set(name, entry);
    if (entry.address !== undefined) vips.set(name, entry.address);
  }
  const parsed = { entries, foreign, vips };
  parsedConfigs.set(config, parsed);
  return parsed;
}

/** Whatever the text is: an entry that cannot be read is one without address, and gets a new one. */
function jsonEntries(config: Resource<ConfigSpec>): readonly (readonly [string, unknown])[] {
  try {
    const json: unknown = JSON.parse(config.spec.config ?? "{}");
    return typeof json === "object" && json !== null ? Object.entries(json) : [];
  } catch {
    return [];
  }
}

function readEntry(value: unknown): Entry {
  if (typeof value !== "object" || value === null) return {};
  const { address, releasedAtMs } = value as Record<string, unknown>;
  return {
    // In one spelling, so that an address is one text and one text an address.
    ...(typeof address === "string" && ipaddr.isValid(address) &&
      { address: ipaddr.parse(address).toString() }),
    ...(typeof releasedAtMs === "number" && { releasedAtMs }),
  };
}

// --- addresses ---

interface Range {
  readonly first: bigint;
  readonly last: bigint;
  readonly bits: 32 | 128;
}

const ranges = new Map<string, Range>();

/** First and last address to give away. Throws InvalidError for what is no CIDR. */
export function vipRange(cidr: string): Range {
  const known = ranges.get(cidr);
  if (known) return known;
  if (!ipaddr.isValidCIDR(cidr)) throw new InvalidError(`"${cidr}" is not an address range`);
  const [address, prefix] = ipaddr.parseCIDR(cidr);
  const bits = address.kind() === "ipv4" ? 32 : 128;
  const size = 1n << BigInt(bits - prefix);
  const first = (toNumber(address) / size) * size;
  // The first and last address of a network often mean the network itself, and everybody in it.
  const edge = size > 2n ? 1n : 0n;
  const range: Range = { first: first + edge, last: first + size - 1n - edge, bits };
  ranges.set(cidr, range);
  return range;
}

type Address = ReturnType<typeof ipaddr.parse>;

function toNumber(address: Address): bigint {
  return address.toByteArray().reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
}

function toText(value: bigint, bits: 32 | 128): string {
  const bytes = Array.from({ length: bits / 8 }, (_, index) => {
    return Number((value >> BigInt(bits - 8 * (index + 1))) & 0xffn);
  });
  return ipaddr.fromByteArray(bytes).toString();
}

/** Remembered: the same few thousand texts are looked at again on each call. */
const numbers = new Map<string, Map<string, bigint | null>>();
const NUMBERS_MAX = 100_000;

/** The number of an address inside a range; null when it is outside, or no address. */
function numberInside(address: string, cidr: string): bigint | null {
  let known = numbers.get(cidr);
  if (!known || known.size > NUMBERS_MAX) numbers.set(cidr, known = new Map());
  let value = known.get(address);
  if (value === undefined) {
    value = parseInside(address, vipRange(cidr));
    known.set(address, value);
  }
  return value;
}

function parseInside(address: string, { first, last, bits }: Range): bigint | null {
  if (!ipaddr.isValid(address)) return null;
  const parsed = ipaddr.parse(address);
  if ((parsed.kind() === "ipv4" ? 32 : 128) !== bits) return null;
  const value = toNumber(parsed);
  return value >= first && value <= last ? value : null;
}

function isInside(address: string, cidr: string): boolean {
  return numberInside(address, cidr) !== null;
}

/** The next one after the highest in use, so that a released address rests; from the start at the end. */
function freeAddresses(
  cidr: string,
  owners: ReadonlyMap<string, string>,
): () => string | null {
  const range = vipRange(cidr);
  let used: Set<bigint> | null = null;
  let next = range.first;
  let wrapped = false;
  return () => {
    if (used === null) {
      used = new Set();
      for (const address of owners.keys()) {
        const value = numberInside(address, cidr);
        if (value === null) continue;
        used.add(value);
        if (value >= next) next = value + 1n;
      }
    }
    for (;;) {
      if (next > range.last) {
        if (wrapped) return null;
        wrapped = true;
        next = range.first;
      }
      const candidate = next++;
      if (used.has(candidate)) continue;
      used.add(candidate);
      return toText(candidate, range.bits);
    }
  };
}

// --- services ---

/** Names that a dataplane's inbounds give: ready or not, so that a restart keeps the address. */
function dataplaneServices(spec: DataplaneSpec): readonly string[] {
  return (spec.networking.inbound ?? [])
    .filter(({ state, port }) => state !== "Ignored" && port !== SERVICELESS_PORT)
    .flatMap(({ tags }) => tags[SERVICE_TAG] ?? []);
}

/** `[mesh, service]` that a resource makes known in a zone: its own dataplanes, others' ingresses. */
export function servicesIn(
  resource: Draft,
  zone: string,
): readonly (readonly [mesh: string, service: string])[] {
  switch (resource.type) {
    case "Dataplane": {
      const { mesh, spec } = resource as unknown as Resource<DataplaneSpec>;
      return dataplaneServices(spec).map((service) => [mesh, service]);
    }
    case "ZoneIngress": {
      const { spec } = resource as unknown as Resource<ZoneIngressSpec>;
      if ((spec.zone ?? "") === zone) return []; // Its services are those of the dataplanes here.
      return (spec.availableServices ?? []).flatMap(({ mesh, tags }) => {
        const service = tags[SERVICE_TAG];
        return service === undefined ? [] : [[mesh, service] as const];
      });
    }
    default:
      return [];
  }
}

/** The services of each mesh. */
export function servicesByMesh(
  dataplanes: Iterable<Resource<DataplaneSpec>>,
  zoneIngresses: Iterable<Resource<ZoneIngressSpec>>,
  zone: string,
): ReadonlyMap<string, ReadonlySet<string>> {
  const services = new Map<string, Set<string>>();
  const add = (resource: Resource) => {
    for (const [mesh, service] of servicesIn(resource, zone)) {
      const names = services.get(mesh);
      if (names) names.add(service);
      else services.set(mesh, new Set([service]));
    }
  };
  for (const dataplane of dataplanes) add(dataplane as unknown as Resource);
  for (const ingress of zoneIngresses) add(ingress as unknown as Resource);
  return services;
}
