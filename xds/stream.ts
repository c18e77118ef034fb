// One ADS stream as a pure machine: what the client subscribed to, what it holds, what it is owed.
//
//            onRequest (first, subscribe)        ┌── ACK: the client holds it
//   nothing ───────────────▶ owed ──▶ in flight ─┤
//              onSnapshot      ▲     (one a type)└── NACK: kept aside until the snapshot changes
//                              └────────────────────── newest snapshot differs
//
// Order of sending is clusters, endpoints, listeners, routes, secrets. Two gates make before break:
// - Listeners and routes come from a snapshot only after the client has settled all its clusters.
//   Envoy ACKs clusters when they are warm, endpoints and secrets included, so nothing routes to
//   a cluster that cannot serve yet.
// - A cluster that the snapshot lacks is taken away only after the listeners and routes that may
//   use it were replaced, and the replacement ACKed.
//
// The tables inside a state belong to it alone and are changed in place.

import { sha256Hex } from "../core/version.ts";
import { encode, packAny } from "../proto/mod.ts";
import { type EncodedResource, type Snapshot, TYPES, type TypeUrl } from "./snapshot.ts";

export type Dialect = "sotw" | "delta";

/** One discovery request, of either dialect. */
export interface AdsRequest {
  readonly dialect: Dialect;
  readonly typeUrl: string;
  /** "" on the first request of a type. */
  readonly nonce: string;
  /** State of the world: what the client runs. Informative. */
  readonly version?: string;
  /** State of the world: all names, empty or "*" for everything (clusters and listeners). */
  readonly names?: readonly string[];
  /** Delta. */
  readonly subscribe?: readonly string[];
  readonly unsubscribe?: readonly string[];
  /** Delta, on the first request of a type: what the client still holds from an earlier stream. */
  readonly initialVersions?: Readonly<Record<string, string>>;
  /** The client's message when it rejects the response `nonce`. */
  readonly error?: string;
}

export interface Outgoing {
  readonly typeUrl: TypeUrl;
  readonly nonce: string;
  /** Names the content of this response: equal for equal content, on every stream. */
  readonly version: string;
  readonly resources: readonly EncodedResource[];
  /** Delta only. */
  readonly removed: readonly string[];
}

export type StreamEvent =
  | {
    readonly event: "acked";
    readonly typeUrl: TypeUrl;
    readonly nonce: string;
    readonly version: string;
  }
  | {
    readonly event: "nacked";
    readonly typeUrl: TypeUrl;
    readonly nonce: string;
    readonly version: string;
    /** The client's words. */
    readonly message: string;
    /** What the rejected response carried, removals included. */
    readonly names: readonly string[];
  };

export interface StepResult {
  readonly state: StreamState;
  readonly out: readonly Outgoing[];
  readonly events: readonly StreamEvent[];
}

/** What the client holds under a name. `version` is "" when a NACK leaves it uncertain. */
interface Held {
  readonly version: string;
  /** The last one that was ACKed, or else sent; null when it is from an earlier stream. */
  readonly resource: EncodedResource | null;
}

/** A response by name. A removed name has null. */
type Content = ReadonlyMap<string, EncodedResource | null>;

/** A response on its way. */
interface InFlight {
  readonly nonce: string;
  readonly version: string;
  readonly content: ReadonlyMap<string, EncodedResource | null>;
  /** The snapshot it was made from, and its place in the order of snapshots. */
  readonly snapshot: Snapshot;
  readonly order: number;
}

/** What was rejected together: names with versions, "" for a removal. */
interface Rejection {
  readonly versions: ReadonlyMap<string, string>;
  readonly message: string;
}

/** One type on one stream. */
interface TypeState {
  wildcard: boolean;
  readonly names: Set<string>;
  lastNonce: string;
  inFlight: InFlight | null;
  /** The next response goes out even when nothing differs. */
  answerOwed: boolean;
  /** Names to send again although the client holds their version. */
  readonly owed: Set<string>;
  readonly held: Map<string, Held>;
  rejections: readonly Rejection[];
  /** Nothing is left to say about these, until the subscription changes or something is rejected. */
  said: Said | null;
}

/** The parts of a snapshot that a response is made from, by identity. */
interface Said {
  readonly resources: ReadonlyMap<string, EncodedResource>;
  readonly clusters: ReadonlyMap<string, EncodedResource>;
}

export interface StreamState {
  readonly dialect: Dialect;
  readonly nonces: number;
  readonly types: ReadonlyMap<TypeUrl, TypeState>;
  readonly newest: Snapshot | null;
  readonly newestOrder: number;
  /** Where listeners and routes come from: the newest snapshot whose clusters are settled. */
  readonly released: Snapshot | null;
  readonly releasedOrder: number;
  /** The client brought clusters from an earlier stream, and listeners that may use them. */
  readonly resumed: boolean;
}

const SEND_ORDER: readonly TypeUrl[] = [
  TYPES.cluster,
  TYPES.endpoint,
  TYPES.listener,
  TYPES.route,
  TYPES.secret,
];
const WILDCARD = "*";
const NOTHING: ReadonlyMap<string, EncodedResource> = new Map();
const NO_SNAPSHOT: Snapshot = { resources: new Map() };

export function openStream(dialect: Dialect): StreamState {
  return {
    dialect,
    nonces: 0,
    types: new Map(),
    newest: null,
    newestOrder: 0,
    released: null,
    releasedOrder: 0,
    resumed: false,
  };
}

/** `snapshot` is the newest there is; null as long as there is none. */
export function onRequest(
  state: StreamState,
  request: AdsRequest,
  snapshot: Snapshot | null,
): StepResult {
  const typeUrl = SEND_ORDER.find((known) => known === request.typeUrl);
  // Types that are never served stay unanswered: an empty answer would mean "there are none".
  if (!typeUrl) return { state, out: [], events: [] };
  const next = withSnapshot(state, snapshot);
  return state.dialect === "sotw"
    ? onSotwRequest(next, typeUrl, request)
    : onDeltaRequest(next, typeUrl, request);
}

export function onSnapshot(state: StreamState, snapshot: Snapshot): StepResult {
  return pump(withSnapshot(state, snapshot), []);
}

/**
 * Everything of the newest snapshot that this client subscribed to is ACKed, or rejected by it.
 * False before the first subscription and before the first snapshot.
 */
export function isSettled(state: StreamState): boolean {
  if (!state.newest || state.types.size === 0 || state.released !== state.newest) return false;
  for (const type of state.types.values()) if (type.inFlight) return false;
  return true;
}

/** What the client rejects of the newest snapshot, in its own words. */
export function rejectionsOf(
  state: StreamState,
): readonly { readonly typeUrl: TypeUrl; readonly message: string }[] {
  return [...state.types].flatMap(([typeUrl, type]) =>
    type.rejections.map(({ message }) => ({ typeUrl, message }))
  );
}

function withSnapshot(state: StreamState, snapshot: Snapshot | null): StreamState {
  if (!snapshot || snapshot === state.newest) return state;
  return { ...state, newest: snapshot, newestOrder: state.newestOrder + 1 };
}

// --- Requests of each dialect -------------------------------------------------------------------

function onSotwRequest(state: StreamState, typeUrl: TypeUrl, request: AdsRequest): StepResult {
  const known = state.types.get(typeUrl);
  // The client will answer the response that is under way, with all its names.
  const isStale = known && known.lastNonce !== "" && request.nonce !== "" &&
    request.nonce !== known.lastNonce;
  if (isStale) {
    if (!isWhole(typeUrl)) oweDropped(known, request.names ?? []);
    return { state, out: [], events: [] };
  }
  const opened = known ? state : withType(state, typeUrl);
  const type = opened.types.get(typeUrl)!;
  const settled = settle(opened, typeUrl, request);
  if (!known || request.nonce === "") askAgain(type, typeUrl);
  subscribeTo(type, typeUrl, request.names ?? []);
  return pump(settled.state, settled.events);
}

function onDeltaRequest(state: StreamState, typeUrl: TypeUrl, request: AdsRequest): StepResult {
  const known = state.types.get(typeUrl);
  const opened = known ? state : withType(state, typeUrl);
  const type = opened.types.get(typeUrl)!;
  const settled = settle(opened, typeUrl, request);
  let next = settled.state;
  const subscribe = request.subscribe ?? [];
  if (!known || subscribe.length > 0 || request.unsubscribe?.length) type.said = null;
  if (!known) {
    const everything = subscribe.length === 0 && isWhole(typeUrl);
    type.wildcard = everything || subscribe.includes(WILDCARD);
    type.answerOwed = type.wildcard;
    for (const name of subscribe) if (name !== WILDCARD) type.names.add(name);
    for (const [name, version] of Object.entries(request.initialVersions ?? {})) {
      if (!wants(type, name)) continue;
      type.held.set(name, { version, resource: null });
      if (typeUrl === TYPES.cluster) next = { ...next, resumed: true };
    }
  } else {
    for (const name of subscribe) {
      if (name === WILDCARD) {
        type.answerOwed = !type.wildcard;
        type.wildcard = true;
      } else {
        type.names.add(name);
        // Whoever subscribes again has thrown away what it had.
        forgetRejections(type, name);
        type.owed.add(name);
      }
    }
  }
  for (const name of request.unsubscribe ?? []) {
    if (name === WILDCARD) type.wildcard = false;
    else type.names.delete(name);
  }
  if (request.unsubscribe?.length) forgetUnwanted(type);
  return pump(next, settled.events);
}

function withType(state: StreamState, typeUrl: TypeUrl): StreamState {
  const type: TypeState = {
    wildcard: false,
    names: new Set(),
    lastNonce: "",
    inFlight: null,
    answerOwed: false,
    owed: new Set(),
    held: new Map(),
    rejections: [],
    said: null,
  };
  return { ...state, types: new Map([...state.types, [typeUrl, type]]) };
}

/**
 * What the client let go of meanwhile it may want again by the time it answers, and then the answer
 * would not tell: it has to be sent again.
 */
function oweDropped(type: TypeState, names: readonly string[]): void {
  const kept = new Set(names);
  for (const name of type.names) if (!kept.has(name)) type.owed.add(name);
  type.said = null;
}

/** A first request: whatever the client had is gone. */
function askAgain(type: TypeState, typeUrl: TypeUrl): void {
  type.answerOwed = isWhole(typeUrl);
  type.rejections = [];
  type.said = null;
  for (const [name, { resource }] of type.held) type.held.set(name, { version: "", resource });
}

/** All names of a state-of-the-world request. Without any, clusters and listeners mean everything. */
function subscribeTo(type: TypeState, typeUrl: TypeUrl, names: readonly string[]): void {
  const explicit = [...new Set(names)].filter((name) => name !== WILDCARD);
  const wildcard = names.includes(WILDCARD) ||
    (isWhole(typeUrl) && names.length === 0 && type.names.size === 0);
  const added = explicit.filter((name) => !type.names.has(name));
  const dropped = type.names.size + added.length > explicit.length;
  if (!dropped && added.length === 0 && wildcard === type.wildcard) return;
  type.said = null;
  type.wildcard = wildcard;
  type.names.clear();
  for (const name of explicit) type.names.add(name);
  for (const name of added) forgetRejections(type, name);
  forgetUnwanted(type);
  if (isWhole(typeUrl)) type.answerOwed = true;
}

function wants(type: TypeState, name: string): boolean {
  return type.wildcard || type.names.has(name);
}

function forgetUnwanted(type: TypeState): void {
  if (type.wildcard) return;
  for (const name of type.held.keys()) if (!type.names.has(name)) type.held.delete(name);
  for (const name of type.owed) if (!type.names.has(name)) type.owed.delete(name);
}

function forgetRejections(type: TypeState, name: string): void {
  type.rejections = type.rejections.filter(({ versions }) => !versions.has(name));
}

// --- Settling -----------------------------------------------------------------------------------

function settle(
  state: StreamState,
  typeUrl: TypeUrl,
  request: AdsRequest,
): { readonly state: StreamState; readonly events: readonly StreamEvent[] } {
  const type = state.types.get(typeUrl)!;
  const { inFlight } = type;
  if (!inFlight || request.nonce !== inFlight.nonce) return { state, events: [] };
  type.inFlight = null;
  const about = { typeUrl, nonce: inFlight.nonce, version: inFlight.version };
  const events: StreamEvent[] = [];
  if (request.error === undefined) {
    hold(type, inFlight, sendsWhole(state, typeUrl));
    events.push({ event: "acked", ...about });
  } else {
    type.said = null;
    reject(type, inFlight, { whole: sendsWhole(state, typeUrl), message: request.error });
    const names = [...inFlight.content.keys()];
    events.push({ event: "nacked", ...about, message: request.error, names });
  }
  const releases = typeUrl === TYPES.cluster && inFlight.order > state.releasedOrder;
  return {
    state: releases
      ? { ...state, released: inFlight.snapshot, releasedOrder: inFlight.order }
      : state,
    events,
  };
}

function hold(type: TypeState, { content }: InFlight, whole: boolean): void {
  if (whole) type.held.clear();
  for (const [name, resource] of content) {
    if (!resource) type.held.delete(name);
    else if (wants(type, name)) type.held.set(name, { version: resource.version, resource });
  }
}

/**
 * Envoy applies the good part of what it rejects, so nothing is certain about these names but that
 * this version of them, together, is not taken.
 */
function reject(
  type: TypeState,
  { content }: InFlight,
  { whole, message }: { readonly whole: boolean; readonly message: string },
): void {
  const touched = whole ? new Set([...type.held.keys(), ...content.keys()]) : content.keys();
  for (const name of touched) {
    if (!wants(type, name)) continue;
    const resource = type.held.get(name)?.resource ?? content.get(name) ?? null;
    type.held.set(name, { version: "", resource });
  }
  const versions = new Map([...content].map(([name, resource]) => [name, resource?.version ?? ""]));
  type.rejections = [...(whole ? [] : type.rejections), { versions, message }];
}

// --- Sending ------------------------------------------------------------------------------------

/** Clusters and listeners: types that can be subscribed to as a whole. */
function isWhole(typeUrl: TypeUrl): boolean {
  return typeUrl === TYPES.cluster || typeUrl === TYPES.listener;
}

/** State of the world repeats all clusters and listeners; of other types it may send what differs. */
function sendsWhole(state: StreamState, typeUrl: TypeUrl): boolean {
  return state.dialect === "sotw" && isWhole(typeUrl);
}

/** What the next response carries, null for "no response", and which rejections still hold. */
interface Plan {
  readonly content: Content | null;
  readonly rejections: readonly Rejection[];
}

function pump(state: StreamState, events: readonly StreamEvent[]): StepResult {
  const out: Outgoing[] = [];
  let next = release(state);
  for (const typeUrl of SEND_ORDER) {
    const type = next.types.get(typeUrl);
    const base = baseOf(next, typeUrl);
    if (!type || type.inFlight || !base || !mayGo(next, typeUrl)) continue;
    if (isSaid(type, typeUrl, base)) continue;
    const { content, rejections } = planFor(next, typeUrl, base);
    type.rejections = rejections;
    // What clusters wait for is not in the snapshot alone.
    const waits = typeUrl === TYPES.cluster && goneFrom(type, base);
    type.said = waits ? null : saidOf(typeUrl, base);
    if (!content) continue;
    next = { ...next, nonces: next.nonces + 1 };
    out.push(put(next, typeUrl, { base, content }));
  }
  return { state: next, out, events };
}

function saidOf(typeUrl: TypeUrl, base: Snapshot): Said {
  return { resources: resourcesOf(base, typeUrl), clusters: resourcesOf(base, TYPES.cluster) };
}

function isSaid({ said }: TypeState, typeUrl: TypeUrl, base: Snapshot): boolean {
  const now = saidOf(typeUrl, base);
  return said?.resources === now.resources &&
    (typeUrl !== TYPES.endpoint || said.clusters === now.clusters);
}

function goneFrom(clusters: TypeState, base: Snapshot): boolean {
  const present = resourcesOf(base, TYPES.cluster);
  return [...clusters.held.keys()].some((name) => !present.has(name));
}

/** Listeners and routes may follow a snapshot once no cluster of it is unknown to the client. */
function release(state: StreamState): StreamState {
  const { newest } = state;
  if (!newest || state.released === newest) return state;
  const clusters = state.types.get(TYPES.cluster);
  if (clusters) {
    const content = clusters.inFlight?.content;
    const whole = sendsWhole(state, TYPES.cluster);
    // What is on its way may take away what the client still has.
    const leaves = (name: string) =>
      content !== undefined && (whole ? !content.has(name) : content.get(name) === null);
    for (const name of resourcesOf(newest, TYPES.cluster).keys()) {
      if (wants(clusters, name) && (!clusters.held.has(name) || leaves(name))) return state;
    }
  }
  return { ...state, released: newest, releasedOrder: state.newestOrder };
}

function baseOf(state: StreamState, typeUrl: TypeUrl): Snapshot | null {
  const follows = typeUrl === TYPES.listener || typeUrl === TYPES.route;
  return follows ? state.released : state.newest;
}

/** Routes wait for listeners that are still to be sent. */
function mayGo(state: StreamState, typeUrl: TypeUrl): boolean {
  const listeners = state.types.get(TYPES.listener);
  if (typeUrl !== TYPES.route || !listeners?.inFlight) return true;
  return listeners.inFlight.snapshot === state.released;
}

function put(
  state: StreamState,
  typeUrl: TypeUrl,
  { base, content }: { readonly base: Snapshot; readonly content: Content },
): Outgoing {
  const type = state.types.get(typeUrl)!;
  if (typeUrl === TYPES.cluster) oweEndpoints(state, content);
  const nonce = String(state.nonces);
  const version = versionOf(content);
  const order = base === state.newest ? state.newestOrder : state.releasedOrder;
  type.inFlight = { nonce, version, content, snapshot: base, order };
  type.lastNonce = nonce;
  type.answerOwed = false;
  for (const name of content.keys()) type.owed.delete(name);
  return {
    typeUrl,
    nonce,
    version,
    resources: [...content.values()].filter((resource) => resource !== null),
    removed: [...content].filter(([, resource]) => !resource).map(([name]) => name),
  };
}

/**
 * A changed cluster warms up anew and waits for endpoints, which Envoy does not ask for again when
 * it has subscribed to them already.
 */
function oweEndpoints(state: StreamState, content: Content): void {
  const clusters = state.types.get(TYPES.cluster)!;
  const endpoints = state.types.get(TYPES.endpoint);
  if (!endpoints) return;
  for (const [name, cluster] of content) {
    if (!cluster || clusters.held.get(name)?.version === cluster.version) continue;
    if (!wants(endpoints, name)) continue;
    endpoints.owed.add(name);
    endpoints.said = null;
  }
}

function planFor(state: StreamState, typeUrl: TypeUrl, base: Snapshot): Plan {
  return sendsWhole(state, typeUrl)
    ? planWhole(state, typeUrl, base)
    : planChanges(state, typeUrl, base);
}

function planWhole(state: StreamState, typeUrl: TypeUrl, base: Snapshot): Plan {
  const type = state.types.get(typeUrl)!;
  const { rejections } = type;
  const content = new Map<string, EncodedResource>();
  for (const name of namesOf(type, typeUrl, base)) {
    const resource = resourceAt(type, typeUrl, { base, name });
    if (resource) content.set(name, resource);
  }
  if (typeUrl === TYPES.cluster) {
    const gone = [...type.held.keys()].filter((name) => !content.has(name));
    for (const name of clustersInUse(state, gone)) {
      const { resource } = type.held.get(name)!;
      if (resource) content.set(name, resource);
    }
  }
  if (type.answerOwed) return { content, rejections };
  const equals = (size: number, versionAt: (name: string) => string | undefined) =>
    size === content.size &&
    [...content].every(([name, { version }]) => versionAt(name) === version);
  if (equals(type.held.size, (name) => type.held.get(name)?.version)) {
    return { content: null, rejections: [] };
  }
  const rejected = rejections.some(({ versions }) =>
    equals(versions.size, (name) => versions.get(name))
  );
  return rejected ? { content: null, rejections } : { content, rejections: [] };
}

function planChanges(state: StreamState, typeUrl: TypeUrl, base: Snapshot): Plan {
  const type = state.types.get(typeUrl)!;
  const at = (name: string) =>
    wants(type, name) ? resourceAt(type, typeUrl, { base, name }) : undefined;
  // What was rejected together is tried again when one of it has changed.
  const rejections = type.rejections.filter(({ versions }) =>
    [...versions].every(([name, version]) => (at(name)?.version ?? "") === version)
  );
  const isRejected = (name: string) => rejections.some(({ versions }) => versions.has(name));
  const content = new Map<string, EncodedResource | null>();
  for (const name of namesOf(type, typeUrl, base)) {
    const resource = at(name);
    if (!resource) continue;
    const differs = type.held.get(name)?.version !== resource.version;
    if (type.owed.has(name) || (differs && !isRejected(name))) content.set(name, resource);
  }
  // Envoy takes no removal of the other types: it drops what nothing refers to any more.
  if (state.dialect === "delta" && isWhole(typeUrl)) {
    const gone = [...type.held.keys()].filter((name) => !at(name));
    const kept = typeUrl === TYPES.cluster ? clustersInUse(state, gone) : new Set();
    for (const name of gone) if (!kept.has(name) && !isRejected(name)) content.set(name, null);
  }
  return { content: content.size > 0 || type.answerOwed ? content : null, rejections };
}

function namesOf(type: TypeState, typeUrl: TypeUrl, base: Snapshot): Iterable<string> {
  return type.wildcard ? resourcesOf(base, typeUrl).keys() : type.names;
}

/**
 * A cluster waits for its endpoints, so an unknown set is answered empty. Endpoints of a cluster
 * that is on its way out stay as they are; secrets and routes follow when they exist.
 */
function resourceAt(
  type: TypeState,
  typeUrl: TypeUrl,
  { base, name }: { readonly base: Snapshot; readonly name: string },
): EncodedResource | undefined {
  const resource = resourcesOf(base, typeUrl).get(name);
  if (resource || typeUrl !== TYPES.endpoint) return resource;
  if (type.held.has(name) && !resourcesOf(base, TYPES.cluster).has(name)) return undefined;
  return emptyEndpoints(name);
}

function emptyEndpoints(name: string): EncodedResource {
  return {
    name,
    version: "empty",
    // Compared often, sent once.
    get any() {
      const message = "envoy.config.endpoint.v3.ClusterLoadAssignment";
      return packAny(TYPES.endpoint, encode(message, { cluster_name: name }));
    },
  };
}

/** Clusters that the client holds, the snapshot lacks, and a listener or route may still use. */
function clustersInUse(state: StreamState, gone: readonly string[]): ReadonlySet<string> {
  if (gone.length === 0) return new Set();
  const unsure = (state.resumed && !state.types.has(TYPES.listener)) || !state.released ||
    ![TYPES.listener, TYPES.route, TYPES.secret].every((typeUrl) => isDone(state, typeUrl));
  const used = resourcesOf(state.released ?? NO_SNAPSHOT, TYPES.cluster);
  return new Set(unsure ? gone : gone.filter((name) => used.has(name)));
}

/** The client runs exactly what the newest possible snapshot says of this type. */
function isDone(state: StreamState, typeUrl: TypeUrl): boolean {
  const type = state.types.get(typeUrl);
  if (!type) return true;
  const base = baseOf(state, typeUrl);
  if (type.inFlight || !base) return false;
  if (isSaid(type, typeUrl, base)) return type.rejections.length === 0;
  const { content, rejections } = planFor(state, typeUrl, base);
  return content === null && rejections.length === 0;
}

function resourcesOf(snapshot: Snapshot, typeUrl: TypeUrl): ReadonlyMap<string, EncodedResource> {
  return snapshot.resources.get(typeUrl) ?? NOTHING;
}

/** Short, since Envoy shows it; nothing is decided by it. */
function versionOf(content: Content): string {
  const parts = [...content].map(([name, resource]) => `${name}=${resource?.version ?? ""}`);
  return sha256Hex(parts.join("\n")).slice(0, 16);
}
