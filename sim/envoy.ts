// A simulated proxy, over bytes and a network that breaks: takes what it is sent as Envoy does, asks
// for what that refers to, answers, and dials again.

import { UNAVAILABLE } from "../core/grpc_status.ts";
import type { ProxyKey } from "../core/proxy.ts";
import type { JsonObject } from "../core/resource.ts";
import { TYPES, type TypeUrl } from "../xds/snapshot.ts";
import type { AdsRequest, Dialect } from "../xds/stream.ts";
import { adsDial, writeHeaders } from "./ads_edge.ts";
import { type Held, readResponse, type Response, writeRequest } from "./ads_messages.ts";
import type { Dice } from "./dice.ts";
import { HEALTH, Probing } from "./health.ts";
import type { End, Ended, Network, Site } from "./network.ts";

interface OfType {
  readonly resources: Map<string, Held>;
  /** Delta: what it tells a new stream of what it still has. */
  readonly versions: Map<string, string>;
  readonly names: Set<string>;
  nonce: string;
}

/** Who wants to know what a proxy got, as soon as it runs it. */
export interface EnvoyEvents {
  received(envoy: Envoy, response: Response): void;
  applied(envoy: Envoy, response: Response): void;
}

export interface EnvoyOptions {
  readonly key: ProxyKey;
  readonly dialect: Dialect;
  /** What it registers with; null when it relies on what is stored. */
  readonly resource: JsonObject | null;
  readonly metadata?: JsonObject;
  readonly site: Site;
  readonly server: Site;
  /** Of its control plane, which pings it accordingly. */
  readonly leaseMs: number;
  readonly network: Network;
  readonly dice: Dice;
  readonly events: EnvoyEvents;
}

const REDIAL_FIRST_MS = 200;
const REDIAL_MAX_MS = 5_000;

export class Envoy {
  readonly options: EnvoyOptions;
  resource: JsonObject | null;
  /** What its next stream shows to prove who it is. */
  token: string | null = null;
  /** The stream that is open may have come with it. */
  tokenBefore: string | null = null;
  /** Null: it does not report health. */
  probing: Probing | null = null;
  /** Which run of the dp process; "" for none. */
  instance = "";
  /** Whether its process is there; it dials again for as long as it is. */
  running = false;
  /** It asked to be taken out of others' endpoints. */
  draining = false;
  end: End | null = null;
  /** Why the control plane ended the last stream. */
  ended: Ended | null = null;
  /** Envoy's words when it does not like a response; null when it does. */
  judge: ((response: Response) => string | null) | null = null;
  /** How long it takes to make a configuration its own. */
  warmingMs = 0;
  /** Responses since the last look, as `CDS a b -c`. */
  readonly seen: string[] = [];
  /** Everything that this proxy ever accepted. */
  readonly taken = new WeakSet<Held>();
  /** Every `address:port` on which it ever listened. */
  readonly listened = new Set<string>();
  /**
   * It has listeners of this stream. State of the world cannot say what it had before, so between two
   * streams its clusters may be newer than its listeners.
   */
  caughtUp = false;
  /** Since everything was healed. */
  nacks = 0;
  rejected = 0;
  /** Accepted, by type. */
  readonly #types = new Map<TypeUrl, OfType>();
  #attempts = 0;
  #dialing = 0;

  constructor(options: EnvoyOptions) {
    this.options = options;
    this.resource = options.resource;
  }

  get text(): string {
    const { type, mesh, name } = this.options.key;
    return `${type} ${mesh}/${name} (${this.options.dialect})`;
  }

  /** The process starts, or starts again. */
  start(instance: string): void {
    this.#forget();
    const { site } = this.options;
    site.alive = true;
    site.paused = false;
    site.incarnation++;
    this.instance = instance;
    this.running = true;
    this.draining = false;
    this.#types.clear();
    this.#attempts = 0;
    this.#dial();
  }

  /** The stream ends in order, and the process dials again. */
  reconnect(): void {
    if (!this.running) return;
    this.#forget();
    this.#dial();
  }

  /** The process ends: by itself, killed, or with its machine. */
  stop(how: "close" | "kill" | "vanish"): void {
    if (!this.running) return;
    const { site, network } = this.options;
    this.running = false;
    if (how === "close") this.end?.close();
    this.end = null;
    network.died(site, how === "vanish");
    site.alive = false;
    site.incarnation++;
  }

  /** What it runs: name to resource, of one type. */
  runs(typeUrl: TypeUrl): ReadonlyMap<string, Held> {
    return this.#types.get(typeUrl)?.resources ?? new Map();
  }

  /** What it would ask for. */
  wants(typeUrl: TypeUrl): ReadonlySet<string> {
    return this.#types.get(typeUrl)?.names ?? new Set();
  }

  /** `address:port` of a cluster's endpoints. */
  endpoints(cluster: string): readonly string[] {
    return [...this.runs(TYPES.endpoint).get(cluster)?.addresses ?? []].sort();
  }

  /** Whether it reports health, from its next stream on. */
  probes(does: boolean): void {
    const { network: { agenda } } = this.options;
    this.probing = does ? this.probing ?? new Probing((ms, run) => agenda.after(ms, run)) : null;
  }

  /** Sends bytes as they are: what no Envoy would say. */
  say(bytes: Uint8Array): void {
    this.end?.send(this.options.dialect, bytes);
  }

  #forget(): void {
    this.#dialing++;
    const { end } = this;
    this.end = null;
    end?.close();
  }

  #dial(): void {
    const { network, site, server, dice } = this.options;
    const dialing = ++this.#dialing;
    network.dial(site, server, adsDial(this.options.leaseMs), (end) => {
      if (dialing !== this.#dialing || !this.running) {
        return typeof end === "string" ? undefined : end.close();
      }
      if (typeof end !== "string") return this.#connected(end);
      const ceiling = Math.min(REDIAL_MAX_MS, REDIAL_FIRST_MS * 2 ** this.#attempts++);
      network.agenda.after(ceiling * (0.5 + dice.random() / 2), () => {
        if (dialing === this.#dialing && this.running) this.#dial();
      });
    });
  }

  #connected(end: End): void {
    this.ended = null;
    this.caughtUp = this.options.dialect === "delta";
    this.end = end;
    end.handler = {
      frame: (channel, bytes) => {
        if (channel.startsWith(HEALTH)) this.probing?.frame(bytes);
        else this.#frame(end, bytes);
      },
      ended: (channel, why) => {
        if (channel.startsWith(HEALTH)) return this.probing?.ended(() => this.#headers());
        end.close();
        this.#over(end, why);
      },
      lost: (message) => this.#over(end, { code: UNAVAILABLE, message }),
    };
    end.send(this.options.dialect, this.#headers());
    // Of an earlier stream it keeps everything, and goes on with it.
    this.#send(this.#first(TYPES.cluster), this.#node());
    this.#send(this.#first(TYPES.listener));
    for (const [typeUrl, { names }] of this.#types) {
      if (names.size > 0) this.#send(this.#first(typeUrl));
    }
    this.probing?.connected(end, this.#headers(), this.#node());
  }

  #headers(): Uint8Array {
    return writeHeaders({ authorization: this.token });
  }

  #first(typeUrl: TypeUrl): AdsRequest {
    const { dialect } = this.options;
    const held = this.#ofType(typeUrl);
    held.nonce = "";
    const names = [...held.names];
    const about = { dialect, typeUrl, nonce: "" };
    if (dialect === "sotw") return { ...about, names };
    const initialVersions = Object.fromEntries(held.versions);
    return { ...about, ...(names.length > 0 && { subscribe: names }), initialVersions };
  }

  #over(end: End, why: Ended): void {
    if (this.end !== end) return;
    this.end = null;
    this.ended = why;
    this.probing?.lost();
    const { dice, network } = this.options;
    const dialing = this.#dialing;
    const ceiling = Math.min(REDIAL_MAX_MS, REDIAL_FIRST_MS * 2 ** this.#attempts++);
    network.agenda.after(ceiling * (0.5 + dice.random() / 2), () => {
      if (dialing === this.#dialing && this.running && !this.end) this.#dial();
    });
  }

  #node(): JsonObject {
    const { key, metadata = {} } = this.options;
    return {
      id: `${key.mesh}.${key.name}`,
      metadata: {
        "dataplane.proxyType": key.type,
        "dataplane.admin.port": "9901",
        ...(this.resource && { "dataplane.resource": JSON.stringify(this.resource) }),
        ...(this.instance && { dynamicMetadata: { "ursa.instance": this.instance } }),
        ...metadata,
      },
    };
  }

  #frame(end: End, bytes: Uint8Array): void {
    const response = readResponse(this.options.dialect, bytes);
    if (this.warmingMs === 0) return this.#take(end, response);
    this.options.network.agenda.after(this.warmingMs, () => this.#take(end, response));
  }

  #take(end: End, response: Response): void {
    if (end !== this.end) return;
    this.#attempts = 0;
    this.seen.push(textOf(response));
    if (this.seen.length > 64) this.seen.splice(0, 32);
    const { events } = this.options;
    events.received(this, response);
    const held = this.#ofType(response.typeUrl);
    held.nonce = response.nonce;
    const error = this.judge?.(response) ?? null;
    if (error === null) {
      this.#apply(held, response);
      if (response.typeUrl === TYPES.listener) this.caughtUp = true;
      events.applied(this, response);
    } else {
      this.nacks++;
      this.rejected++;
    }
    this.#ask(response.typeUrl, { nonce: response.nonce, ...(error !== null && { error }) });
    const { typeUrl } = response;
    if (error === null && (typeUrl === TYPES.cluster || typeUrl === TYPES.listener)) this.#follow();
  }

  #ofType(typeUrl: TypeUrl): OfType {
    let held = this.#types.get(typeUrl);
    if (!held) {
      held = { resources: new Map(), versions: new Map(), names: new Set(), nonce: "" };
      this.#types.set(typeUrl, held);
    }
    return held;
  }

  #apply(
    { resources, versions, names }: OfType,
    { typeUrl, resources: sent, versions: sentVersions, removed }: Response,
  ): void {
    const whole = typeUrl === TYPES.cluster || typeUrl === TYPES.listener;
    const delta = this.options.dialect === "delta";
    if (!delta && whole) resources.clear();
    // A response may cross the word that its names are of no use any more.
    for (const [i, resource] of sent.entries()) {
      this.taken.add(resource);
      if (!whole && !names.has(resource.name)) continue;
      resources.set(resource.name, resource);
      if (delta) versions.set(resource.name, sentVersions[i]!);
      if (typeUrl === TYPES.listener) {
        for (const at of resource.addresses) this.listened.add(at);
      }
    }
    for (const name of removed) {
      resources.delete(name);
      versions.delete(name);
    }
  }

  /** Asks for what it now refers to, and lets go of what it does not. */
  #follow(): void {
    for (const typeUrl of [TYPES.endpoint, TYPES.route, TYPES.secret]) {
      const wanted = new Set<string>();
      for (const holder of [TYPES.cluster, TYPES.listener]) {
        for (const { refers } of this.#ofType(holder).resources.values()) {
          for (const name of refers[typeUrl] ?? []) wanted.add(name);
        }
      }
      const held = this.#ofType(typeUrl);
      const added = [...wanted].filter((name) => !held.names.has(name));
      const dropped = [...held.names].filter((name) => !wanted.has(name));
      if (added.length === 0 && dropped.length === 0) continue;
      held.names.clear();
      for (const name of wanted) held.names.add(name);
      for (const name of dropped) {
        held.resources.delete(name);
        held.versions.delete(name);
      }
      this.#ask(typeUrl, { nonce: held.nonce, added, dropped });
    }
  }

  #ask(
    typeUrl: TypeUrl,
    { nonce, error, added = [], dropped = [] }: {
      readonly nonce: string;
      readonly error?: string;
      readonly added?: readonly string[];
      readonly dropped?: readonly string[];
    },
  ): void {
    const { dialect } = this.options;
    const about = { dialect, typeUrl, ...(error !== undefined && { error }) };
    // Delta subscriptions are no answer, so they carry no nonce.
    const answers = added.length === 0 && dropped.length === 0;
    this.#send(
      dialect === "sotw"
        ? { ...about, nonce, names: [...this.#ofType(typeUrl).names] }
        : { ...about, nonce: answers ? nonce : "", subscribe: added, unsubscribe: dropped },
    );
  }

  #send(request: AdsRequest, node?: JsonObject): void {
    this.end?.send(this.options.dialect, writeRequest(request, node));
  }
}

const SHORT: Readonly<Record<TypeUrl, string>> = {
  [TYPES.cluster]: "CDS",
  [TYPES.endpoint]: "EDS",
  [TYPES.listener]: "LDS",
  [TYPES.route]: "RDS",
  [TYPES.secret]: "SDS",
};

function textOf({ typeUrl, resources, removed }: Response): string {
  return [
    SHORT[typeUrl],
    ...resources.map(({ name }) => name),
    ...removed.map((name) => `-${name}`),
  ].join(" ");
}
