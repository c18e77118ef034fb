// A simulated world: one global, zones and proxies with the network and the disks between them, under
// one virtual clock. Everything that happens follows from the seed and the plan.
//
//   plan ──▶ agenda ──▶ processes (real actors) ◀── network (real bytes) ──▶ proxies
//                            │ ▲                         │
//                            ▼ │                         ▼
//                           disks                      checks

import type { UplinkMsg } from "../actors/uplink/messages.ts";
import type { LogLevel, Message } from "../actors/runtime/actor.ts";
import type { Tree } from "../actors/runtime/tree.ts";
import type { WriteResult } from "../actors/hub/messages.ts";
import { resolveConfig } from "../cli/config.ts";
import { type LogLimit, logLimit } from "../cli/log_limit.ts";
import type { ControlPlaneConfig, Mode } from "../cli/settings.ts";
import { type ProxyKey, proxyText } from "../core/proxy.ts";
import type { JsonObject } from "../core/resource.ts";
import type { Epoch } from "../kds/epochs.ts";
import { asksToCompare, type KdsResponse } from "../kds/wire.ts";
import type { ApiAnswer } from "../api/exchange.ts";
import type { CommitResult, Op } from "../store/store.ts";
import type { Dialect } from "../xds/stream.ts";
import type { Response } from "./ads_messages.ts";
import { Agenda } from "./agenda.ts";
import { ControlPlane, KINDS, type Pace } from "./control_plane.ts";
import { Dice } from "./dice.ts";
import type { Asking, Resolved } from "./dns_edge.ts";
import { type Copy, Disk } from "./disk.ts";
import { Envoy } from "./envoy.ts";
import { answer } from "./inquiries.ts";
import { Journal } from "./journal.ts";
import { Network, type Site } from "./network.ts";
import type { RestCall } from "./rest.ts";
import { serveRest } from "./rest_edge.ts";
import { Tokens } from "./tokens.ts";
import { Luck } from "./unlucky.ts";
import { type Turns, watched } from "./watch.ts";

export const GLOBAL = "global";
const NAMES = ["east", "west", "north", "south", "middle", "far"];
const TYPES = KINDS.all().map(({ name }) => name);
const TICK_MS = 1_000;
const LINES_KEPT = 10_000;
/** After everything is healed: keys have arrived by then. */
const NEW_TOKENS_MS = 10_000;
export const NAMESAKE = ".namesake";
/** Of the id of a second process with a proxy's name. */
export const TWIN = ".twin";

export function zoneNames(count: number): readonly string[] {
  return Array.from({ length: count }, (_, n) => NAMES[n] ?? `zone-${n + 1}`);
}

/** Something that must hold, looked at wherever it can be seen. */
export interface Check {
  readonly name: string;
  received?(envoy: Envoy, response: Response): void;
  applied?(envoy: Envoy, response: Response): void;
  committed?(where: ControlPlane, commit: CommitResult & { readonly ok: true }): void;
  wrote?(where: ControlPlane, ops: readonly Op[]): void;
  answered?(where: ControlPlane, ops: readonly Op[], result: WriteResult): void;
  /** The API answers a call that came at `fromMs`. */
  served?(call: RestCall, answer: ApiAnswer, fromMs: number): void;
  started?(where: ControlPlane): void;
  turned?(where: ControlPlane, path: string, msg: Message): void;
  /** Somebody was told what a name stands for. */
  resolved?(where: ControlPlane, resolved: Resolved): void;
  /** Every virtual second. */
  tick?(): void;
  /** Nothing is under way, and nothing is broken. */
  atRest?(): void;
}

export class Violation extends Error {
  readonly check: string;
  readonly atMs: number;

  constructor(check: string, message: string, atMs: number) {
    super(message);
    this.check = check;
    this.atMs = atMs;
  }
}

interface LogLine {
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: JsonObject;
}

/** What may be known of a zone's link. */
interface UplinkSeen {
  readonly session: { readonly global: { readonly epochs: readonly Epoch[] } | null } | null;
  readonly allegiance: { readonly held: unknown };
}

export interface Figure {
  readonly what: string;
  readonly ms: number;
  readonly withinMs: number;
  /** How long it then had to stay so. */
  readonly forMs: number;
  /** The longest time of what there was to measure meanwhile. */
  mostMs?: number;
}

export interface WorldOptions {
  readonly seed: number;
  readonly zones: number;
  /** Without one, the only zone stands alone. */
  readonly global: boolean;
  /** Share of runs in which a place of bad luck is active. */
  readonly bad: number;
  readonly leaseMs?: number;
  readonly vipGraceMs?: number;
  /** As global's setting says it; default: never. */
  readonly unreachableZoneAfter?: string;
  /** Lines to read are kept. */
  readonly readable?: boolean;
  readonly checks?: (world: World) => readonly Check[];
  readonly around?: (tree: Tree, where: ControlPlane, world: World) => Tree;
}

export class World {
  readonly options: WorldOptions;
  readonly agenda = new Agenda();
  readonly journal: Journal;
  readonly network: Network;
  readonly luck: Luck;
  readonly global: ControlPlane | null;
  readonly zones: readonly ControlPlane[];
  /** Second control planes with the name of a zone, which nobody looks at but scenarios. */
  readonly namesakes = new Map<string, ControlPlane>();
  readonly envoys = new Map<string, Envoy>();
  /** By proxy; part of its address. */
  readonly serials = new Map<string, number>();
  /** Of stores, put aside. */
  readonly copies = new Map<string, Copy>();
  readonly counts = new Map<string, number>();
  /** What every actor was told. */
  readonly turns: Turns = new Map();
  readonly warnings = new Map<string, number>();
  readonly dice: Readonly<Record<"process" | "proxies" | "checks" | "dns", Dice>>;
  readonly pace: Pace;
  readonly tokens: Tokens;
  violation: Violation | null = null;
  /** What zones must keep whose global was replaced, until somebody tells them to follow the new one. */
  readonly heldBack = new Map<string, ReadonlySet<string>>();
  /** Whether global's store ever was. */
  replaced = false;
  /** What scenarios measured. */
  readonly figures: Figure[] = [];
  /** When each zone had both streams last, and how long one had been without. */
  readonly seenOnline = new Map<string, number>();
  awayMsMax = 0;
  /** Since the last mark: keys that were deleted, by process. */
  readonly deleted = new Map<string, string[]>();
  /** Since the last mark: responses by receiver and type. */
  readonly responses = new Map<string, number>();
  /** Since the last mark: warnings and errors that are written, by process. */
  readonly troubles = new Map<string, string[]>();
  /** Commits at the last mark, by process. */
  readonly marks = new Map<string, number>();
  /** Addresses of Dataplanes that came through the API. */
  readonly writtenByHand = new Set<string>();
  /** Of the API, by their id. */
  readonly calls = new Map<string, RestCall>();
  readonly #checks: readonly Check[];
  readonly #limits = new Map<string, LogLimit>();
  readonly #byZone = new Map<string, Envoy[]>();
  readonly #byName = new Map<string, Envoy[]>();

  constructor(options: WorldOptions) {
    const { seed, zones, readable = false } = options;
    this.options = options;
    this.journal = new Journal(readable);
    this.network = new Network(this.agenda, this.journal, seed);
    this.luck = new Luck(seed, options.bad);
    this.network.late = () => this.luck.strikes("a frame is late by half a second") ? 500 : 0;
    const dice = (concern: string) => new Dice(seed, concern);
    this.dice = {
      process: dice("process"),
      proxies: dice("proxies"),
      checks: dice("checks"),
      dns: dice("dns"),
    };
    this.pace = this.dice.process.pick([
      { turns: Infinity, sliceMs: 0 },
      { turns: 1, sliceMs: 0.01 },
      { turns: 16, sliceMs: 0.2 },
      // A process on a machine that has no time for it: messages wait, and are merged.
      { turns: 1, sliceMs: 1 },
    ]);
    this.tokens = new Tokens(this, seed);
    this.#checks = options.checks?.(this) ?? [];
    const globalSite = options.global ? this.network.site(GLOBAL) : null;
    this.global = globalSite && this.#controlPlane("global", GLOBAL, null);
    this.zones = zoneNames(zones).map((name) => {
      if (globalSite) this.#farLink(name);
      return this.#controlPlane(options.global ? "remote" : "standalone", name, globalSite);
    });
    this.writer.disk.load(this.tokens.firstStore("the same"));
    if (this.global) { for (const zone of this.zones) this.tokens.giveZone(zone, "none"); }
    for (const plane of this.planes) {
      this.network.listen(plane.site, "api", serveRest(this, plane));
      this.start(plane);
    }
    this.agenda.after(TICK_MS, () => this.#tick());
  }

  get nowMs(): number {
    return this.agenda.nowMs;
  }

  get planes(): readonly ControlPlane[] {
    return this.global ? [this.global, ...this.zones] : this.zones;
  }

  /** A zone under a global takes what people want from there. */
  get writer(): ControlPlane {
    return this.global ?? this.zones[0]!;
  }

  /** What two runs of one seed must agree in. */
  get hash(): string {
    this.journal.number(this.dice.process.draws + this.dice.proxies.draws);
    return this.journal.hash;
  }

  plane(name: string): ControlPlane {
    const found = this.namesakes.get(name) ?? this.planes.find((plane) => plane.name === name);
    if (!found) throw new Error(`no process "${name}" in this world`);
    return found;
  }

  /** Starts, or starts again, another process that says it is `zone`; its own name is in its place. */
  namesake(zone: string): ControlPlane {
    const name = `${zone}${NAMESAKE}`;
    let plane = this.namesakes.get(name);
    if (!plane) {
      this.#farLink(name);
      plane = this.#controlPlane("remote", zone, this.network.site(GLOBAL), name);
      this.namesakes.set(name, plane);
    }
    // As on a machine that was copied.
    plane.token = this.zone(zone).token;
    plane.start();
    return plane;
  }

  zone(name: string): ControlPlane {
    const found = this.zones.find((plane) => plane.name === name);
    if (!found) throw new Error(`no zone "${name}" in this world`);
    return found;
  }

  start(plane: ControlPlane): void {
    if (plane.kernel) return;
    plane.start();
    this.note(plane.name, () => "starts");
    this.#each((check) => check.started?.(plane));
  }

  /** Lets time pass; throws what a check found. */
  run(ms: number): void {
    const untilMs = this.nowMs + ms;
    while (this.nowMs < untilMs) {
      this.agenda.runUntil(Math.min(untilMs, Math.floor(this.nowMs / 100 + 1) * 100));
      if (this.violation) throw this.violation;
    }
  }

  write(
    plane: ControlPlane,
    wanted: readonly Op[],
    answered: (result: WriteResult) => void = () => {},
    by = "test",
  ): void {
    const ops = [...wanted, ...this.tokens.missingKeys(wanted, plane.disk.image)];
    this.#each((check) => check.wrote?.(plane, ops));
    plane.write(ops, by, (result) => {
      this.note(
        plane.name,
        () => `answers ${textOf(ops)}: ${result.ok ? result.revision : result.reason}`,
      );
      this.#each((check) => check.answered?.(plane, ops, result));
      // A deletion of that mesh was under way, and took the key that it had.
      const missing = result.ok ? this.tokens.missingKeys(wanted, plane.disk.image) : [];
      if (missing.length > 0) this.write(plane, missing);
      answered(result);
    });
  }

  served(call: RestCall, answer: ApiAnswer, fromMs: number): void {
    const { plane, method, url, id } = call;
    const { status } = answer;
    if (status >= 400 && status < 500) call.refused++;
    this.note(plane.name, () => `answers ${id}, ${method} ${url}: ${status}`);
    this.#each((check) => check.served?.(call, answer, fromMs));
  }

  /** `id`: zone/mesh/name, or zone/name of an ingress. */
  envoy(
    id: string,
    make: () => {
      readonly key: ProxyKey;
      readonly dialect: Dialect;
      readonly resource: JsonObject | null;
      readonly metadata?: JsonObject;
    },
  ): Envoy {
    let envoy = this.envoys.get(id);
    if (!envoy) {
      const zone = this.zone(id.split("/")[0]!);
      const made = make();
      envoy = new Envoy({
        ...made,
        site: this.network.site(id),
        server: zone.site,
        leaseMs: zone.config.endpointLeaseMs,
        network: this.network,
        dice: new Dice(this.options.seed, id),
        events: {
          received: (from, response) => this.#each((check) => check.received?.(from, response)),
          applied: (from, response) => {
            this.note(id, () => `runs ${from.seen.at(-1)}`);
            this.#each((check) => check.applied?.(from, response));
          },
        },
      });
      envoy.judge = () =>
        this.luck.strikes("a proxy rejects a good response") ? "not to my liking" : null;
      this.envoys.set(id, envoy);
      add(this.#byZone, zone.name, envoy);
      add(this.#byName, `${zone.name} ${proxyText(made.key)}`, envoy);
    }
    return envoy;
  }

  /** The id of a run of a dp process: a random UUID. */
  newInstance(): string {
    const hex = () =>
      Math.floor(this.dice.proxies.random() * 2 ** 32).toString(16).padStart(8, "0");
    const [a, b, c, d] = [hex(), hex(), hex(), hex()];
    return `${a}-${b.slice(4)}-4${c.slice(5)}-8${c.slice(1, 4)}-${b.slice(0, 4)}${d}`;
  }

  envoysOf(zone: string): readonly Envoy[] {
    return this.#byZone.get(zone) ?? [];
  }

  /** More than one has a name when it was copied. */
  envoysNamed(zone: string, proxy: string): readonly Envoy[] {
    return this.#byName.get(`${zone} ${proxy}`) ?? [];
  }

  /** An operator takes the global that is there for the right one, as often as it takes. */
  accept(zone: string, untilMs = 0): void {
    this.heldBack.delete(zone);
    const plane = this.zone(zone);
    const again = (): void => {
      // It was meant for the global of that time.
      if (this.heldBack.has(zone)) return;
      const uplink = plane.kernel?.peek("uplink") as UplinkSeen | undefined;
      const { global } = uplink?.session ?? {};
      // Its session may be with the one before, which it obeyed.
      const isPresent = global?.epochs.at(-1)?.id === this.global?.instanceId;
      const isAccepted = isPresent && !uplink?.allegiance.held;
      if (isAccepted && this.nowMs >= untilMs) return;
      if (global && !isAccepted) {
        plane.ask("uplink", (reply): UplinkMsg => ({ tag: "accept_global", reply }), () => {});
      }
      this.agenda.after(TICK_MS, again);
    };
    again();
  }

  /** A zone does not take the global that is there for the right one, or may not. */
  isHeld(zone: string): boolean {
    const uplink = this.zone(zone).kernel?.peek("uplink") as UplinkSeen | undefined;
    return this.heldBack.has(zone) || !!uplink?.allegiance.held;
  }

  /** Everything that was broken is whole from now on. */
  heal(): void {
    for (const namesake of this.namesakes.values()) namesake.kill(false);
    // Some come only when they have new tokens, or when a keepalive found that their line is dead.
    if (this.replaced) { for (const { name } of this.zones) this.accept(name, Infinity); }
    this.luck.healed = true;
    this.agenda.after(NEW_TOKENS_MS, () => this.tokens.heal());
    for (const link of this.network.links()) link.loss = 0;
    for (const [from, to] of this.#pairs()) this.network.set(from, to, true);
    for (const plane of this.planes) {
      Object.assign(plane.disk, { failing: 0, doubtful: 0, stalledUntilMs: 0, refused: "" });
      if (plane.quirks.plain) this.network.resetBetween(plane.name, GLOBAL);
      Object.assign(plane.quirks, { garbled: "", plain: false });
      plane.quirks.refused.clear();
      plane.disk.latencyMs = { least: 0.3, most: 3 };
      plane.resume();
      this.start(plane);
      for (const end of plane.kdsClient?.end ? [plane.kdsClient.end] : []) {
        end.readingDelayMs = 0;
        end.peer.readingDelayMs = 0;
      }
    }
    for (const [id, envoy] of this.envoys) {
      // The second of a name goes for good.
      if (id.endsWith(TWIN)) envoy.stop("kill");
      envoy.judge = null;
      // What it rejected is not sent to it again, as it would be to no avail; but it would be now.
      if (envoy.nacks > 0) envoy.reconnect();
      envoy.nacks = 0;
      envoy.warmingMs = 0;
      if (envoy.end) envoy.end.readingDelayMs = 0;
    }
  }

  /** What does not hold though everything should be at rest, of all or of one; null when all does. */
  unrest(only?: string): Violation | null {
    for (const check of this.#checks) {
      if (only !== undefined && check.name !== only) continue;
      try {
        check.atRest?.();
      } catch (error) {
        if (!(error instanceof Error) || error.name !== "AssertionError") throw error;
        return new Violation(check.name, error.message, this.nowMs);
      }
    }
    return null;
  }

  /** From wherever it is seen, also in the middle of a turn; the run ends after the event. */
  violate(check: string, message: string): void {
    this.note(check, () => `VIOLATION ${message}`, true);
    this.violation ??= new Violation(check, message, this.nowMs);
  }

  /** Somebody asks a zone's DNS. */
  asking(zone: ControlPlane): Asking {
    return {
      network: this.network,
      dice: this.dice.dns,
      luck: this.luck,
      from: this.network.site(`${zone.name}/resolver`),
      to: zone.site,
      edge: () => zone.dns,
      count: (what) => this.count(what),
      answered: (resolved) => {
        const { name, rcode, addresses } = resolved;
        this.note(zone.name, () => `DNS ${name}: ${addresses.join(" ") || rcode}`);
        this.#each((check) => check.resolved?.(zone, resolved));
      },
      wrong: (message) => this.violate("DNS answers what it was asked", message),
    };
  }

  note(where: string, what: () => string, bold = false): void {
    this.journal.line(this.nowMs, where, what, bold);
  }

  count(what: string, by = 1): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + by);
  }

  #pairs(): readonly (readonly [string, string])[] {
    const names = [...this.planes.map(({ name }) => name)];
    const proxies = [...this.envoys.keys()].flatMap((id) => {
      const zone = id.split("/")[0]!;
      return [[id, zone], [zone, id]] as const;
    });
    return [...names.flatMap((a) => names.map((b) => [a, b] as const)), ...proxies];
  }

  #each(look: (check: Check) => void): void {
    for (const check of this.#checks) {
      try {
        look(check);
      } catch (error) {
        const { name, message, stack } = error as Error;
        this.violate(check.name, name === "AssertionError" ? message : stack ?? message);
      }
    }
  }

  #tick(): void {
    this.tokens.tick();
    this.#each((check) => check.tick?.());
    this.agenda.after(TICK_MS, () => this.#tick());
  }

  #farLink(zone: string): void {
    const delayMs = this.dice.process.between(2, 60);
    for (const [from, to] of [[zone, GLOBAL], [GLOBAL, zone]] as const) {
      Object.assign(this.network.link(from, to), { delayMs, jitterMs: delayMs / 4 });
    }
  }

  /** `where`: its site, when that has another name than it. */
  #controlPlane(mode: Mode, name: string, global: Site | null, where = name): ControlPlane {
    const { seed, around = (tree: Tree) => tree } = this.options;
    const diskDice = new Dice(seed, `disk ${where}`);
    const seen = where === name;
    const disk = new Disk({
      agenda: this.agenda,
      dice: diskDice,
      luck: this.luck,
      types: TYPES,
      events: {
        committed: (commit) => {
          this.journal.number(commit.revision);
          this.note(where, () => `commits ${commit.revision}: ${keysOf(commit)}`);
          this.#noteDeletions(where, commit);
          if (seen) this.#each((check) => check.committed?.(plane, commit));
        },
      },
    });
    const plane: ControlPlane = new ControlPlane({
      config: this.#config(mode, name),
      site: this.network.site(where),
      global,
      network: this.network,
      dice: this.dice.process,
      luck: this.luck,
      disk,
      pace: this.pace,
      seed,
      around: (tree, where) =>
        watched(around(tree, where, this), this.turns, (path, msg) => {
          if (msg.tag === "response_received") this.#noteResponse(where, msg as never);
          if (seen) this.#each((check) => check.turned?.(where, path, msg));
        }),
      inquire: (where, asked) => answer(this, where, asked),
      reports: {
        logged: (where, level, message, fields) => this.#logged(where, level, message, fields),
        gaveUp: (where, reason) => this.violate("alive", `${where.name} gave up: ${reason}`),
        count: (what) => this.count(what),
      },
    });
    return plane;
  }

  #noteDeletions(name: string, { changes }: CommitResult & { readonly ok: true }): void {
    for (const { key, resource } of changes) {
      if (resource || key.type.endsWith("Insight")) continue;
      const text = `${key.type} ${key.mesh && `${key.mesh}/`}${key.name}`;
      const gone = this.deleted.get(name);
      if (gone) gone.push(text);
      else this.deleted.set(name, [text]);
    }
  }

  #noteResponse({ name }: ControlPlane, { response }: { readonly response: KdsResponse }): void {
    if (asksToCompare(response)) return this.count("kds comparisons");
    const key = `${name} ${response.typeUrl}`;
    this.responses.set(key, (this.responses.get(key) ?? 0) + 1);
  }

  #config(mode: Mode, zone: string): ControlPlaneConfig {
    const { leaseMs = 10_000, vipGraceMs = 20_000, unreachableZoneAfter } = this.options;
    const flags = {
      ...(mode === "global" && unreachableZoneAfter && { unreachableZoneAfter }),
      // Of meshes that come through the API.
      ...(mode !== "remote" && { initialPolicies: "kuma" }),
      ...(mode !== "global" && {
        zone,
        endpointLease: `${leaseMs}ms`,
        vipGrace: `${vipGraceMs}ms`,
      }),
      ...(mode === "remote" && { global: "grpcs://global.example:5685" }),
    };
    return resolveConfig(mode, { flags, env: () => undefined }).config;
  }

  #noteTrouble({ name }: ControlPlane, { level, message, fields }: LogLine): void {
    const limit = this.#limits.get(name) ?? logLimit(() => this.nowMs);
    this.#limits.set(name, limit);
    if (!limit(level, message, fields)) return;
    const lines = this.troubles.get(name) ?? [];
    this.troubles.set(name, lines);
    if (lines.length < LINES_KEPT) lines.push(`${message} ${JSON.stringify(fields)}`);
  }

  #logged(where: ControlPlane, level: LogLevel, message: string, fields: JsonObject): void {
    this.note(where.name, () => `${level}: ${message} ${JSON.stringify(fields)}`);
    if (level === "warn" || level === "error") {
      this.warnings.set(message, (this.warnings.get(message) ?? 0) + 1);
      this.#noteTrouble(where, { level, message, fields });
    }
    if (message === "port failed") this.violate("alive", `${where.name}: ${fields["reason"]}`);
    if (message !== "actor crashed" || fields["last"] === "nonsense") return;
    this.violate("alive", `${where.name}: ${fields["actor"]} crashed: ${fields["reason"]}`);
  }
}

function add(table: Map<string, Envoy[]>, key: string, envoy: Envoy): void {
  const there = table.get(key);
  if (there) there.push(envoy);
  else table.set(key, [envoy]);
}

function textOf(ops: readonly Op[]): string {
  return ops.map((op) => {
    const { type, mesh, name } = op.op === "put" ? op.resource : op.key;
    return `${op.op} ${type} ${mesh && `${mesh}/`}${name}`;
  }).join(", ").slice(0, 200);
}

function keysOf({ changes }: CommitResult & { readonly ok: true }): string {
  return changes.map(({ key, resource }) =>
    `${resource ? "" : "-"}${key.type} ${key.mesh && `${key.mesh}/`}${key.name}`
  ).join(", ").slice(0, 300);
}
