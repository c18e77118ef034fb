// A simulated control plane: the real tree over a disk that outlives it, with a clock of its own, at
// the edges of a process that is killed, stopped and started.

import { HUB, type HubMsg, type WriteResult } from "../actors/hub/messages.ts";
import type { LogLevel, Message, Path, ReplyTo } from "../actors/runtime/actor.ts";
import { Kernel } from "../actors/runtime/kernel.ts";
import type { Tree } from "../actors/runtime/tree.ts";
import { everyKind } from "../cli/kinds.ts";
import { treeOf } from "../cli/run.ts";
import type { ControlPlaneConfig } from "../cli/settings.ts";
import type { EnvoyAnswer } from "../core/envoy_admin.ts";
import type { JsonObject } from "../core/resource.ts";
import type { AdminRequest } from "../kds/admin.ts";
import type { DnsCommand } from "../dns/zone_table.ts";
import type { SignerCommand } from "../identity/signing.ts";
import type { LinkCommand } from "../kds/peer_wire.ts";
import type { ClientCommand, ServerCommand } from "../kds/wire.ts";
import type { XdsCommand } from "../actors/dataplane/messages.ts";
import type { Op } from "../store/store.ts";
import { AdsEdge } from "./ads_edge.ts";
import type { Dice } from "./dice.ts";
import type { Disk } from "./disk.ts";
import { DnsEdge } from "./dns_edge.ts";
import { type Host, KdsClientEdge, KdsServerEdge } from "./kds_edges.ts";
import { LinkEdge, reachOf } from "./link_edge.ts";
import type { Network, Site } from "./network.ts";
import { Quirks } from "./quirks.ts";
import { sign } from "./signer.ts";
import type { Luck } from "./unlucky.ts";

export const START_MS = Date.parse("2026-01-01T00:00:00Z");
export const KINDS = everyKind();
/** As long as edges wait for an answer. */
const ASK_MS = 30_000;
/** What was said last is on its way. */
const STOPPING_MS = 300;
/** Keys come from secrets alone. */
const SECRETS = { publicKeys: [], useSecrets: true };
const KEYS = { dataplane: SECRETS, zone: SECRETS, user: SECRETS };

/** How fast a process is: after so many turns others get their share of time. */
export interface Pace {
  readonly turns: number;
  readonly sliceMs: number;
}

export interface Reports {
  logged(where: ControlPlane, level: LogLevel, message: string, fields: JsonObject): void;
  gaveUp(where: ControlPlane, reason: string): void;
  count(what: string): void;
}

export interface Inquiry {
  readonly request: AdminRequest;
  readonly answered: (answer: EnvoyAnswer) => void;
}

export interface ControlPlaneOptions {
  readonly config: ControlPlaneConfig;
  readonly site: Site;
  readonly global: Site | null;
  readonly network: Network;
  readonly dice: Dice;
  readonly luck: Luck;
  readonly disk: Disk;
  readonly pace: Pace;
  readonly seed: number;
  readonly reports: Reports;
  /** Puts a question to one of its Envoys. */
  readonly inquire: (where: ControlPlane, asked: Inquiry) => void;
  /** What is put around the actors and the tree: counters, and deliberate bugs. */
  readonly around: (tree: Tree, where: ControlPlane) => Tree;
}

export class ControlPlane {
  readonly options: ControlPlaneOptions;
  readonly name: string;
  readonly disk: Disk;
  readonly site: Site;
  /** Of its link to global. */
  readonly quirks = new Quirks();
  kernel: Kernel | null = null;
  ads: AdsEdge | null = null;
  kdsServer: KdsServerEdge | null = null;
  kdsClient: KdsClientEdge | null = null;
  dns: DnsEdge | null = null;
  /** What it shows to global. */
  token: string | null = null;
  /** How far its clock is off, and how fast it goes. */
  clock = { offsetMs: 0, rate: 1, sinceMs: 0 };
  /** Turns of all its lives. */
  turns = 0;
  restarts = 0;
  readonly #answers = new Map<string, (value: unknown) => void>();
  #asked = 0;
  #scheduled = false;
  #woken = false;
  /** For when it set itself an alarm last; what it was set for before comes to nothing. */
  #alarmAtMs = Infinity;
  #life = 0;
  #serial = 0;

  constructor(options: ControlPlaneOptions) {
    this.options = options;
    this.name = options.site.name;
    this.disk = options.disk;
    this.site = options.site;
  }

  get config(): ControlPlaneConfig {
    return this.options.config;
  }

  /** Of its present life. */
  get instanceId(): string {
    return `${this.name}-${this.#life}`;
  }

  /** What its own clock says. */
  get nowMs(): number {
    const { offsetMs, rate, sinceMs } = this.clock;
    const nowMs = this.options.network.agenda.nowMs;
    return START_MS + Math.floor(sinceMs + (nowMs - sinceMs) * rate + offsetMs);
  }

  start(): void {
    if (this.kernel) return;
    const { site, network, config, seed, around, disk } = this.options;
    const life = ++this.#life;
    site.alive = true;
    site.paused = false;
    site.incarnation++;
    const host: Host = {
      site,
      network,
      luck: this.options.luck,
      quirks: this.quirks,
      inquire: (request, answered) => this.options.inquire(this, { request, answered }),
      token: () => this.token,
      deliver: (to, msg) => life === this.#life && this.#deliver(to, msg),
      count: (what) => this.options.reports.count(what),
    };
    const { instanceId } = this;
    const dns = new DnsEdge(network);
    const ads = new AdsEdge(host, instanceId);
    const kdsServer = new KdsServerEdge(host);
    const run = { instance: instanceId, startedAtMs: this.nowMs };
    const kdsClient = this.options.global && new KdsClientEdge(host, this.options.global, run);
    const links = config.mode === "remote" && config.zoneLinks ? new LinkEdge(host) : null;
    const tree = treeOf({
      config,
      kinds: KINDS,
      reader: disk.image,
      instanceId,
      newClusterId: `cluster-${seed}-${life}`,
      admin: null,
      keys: KEYS,
      link: links && reachOf(site.name),
    });
    const alive = <Args extends unknown[]>(act: (...args: Args) => void) => (...args: Args) => {
      if (life === this.#life) act(...args);
    };
    const kernel = new Kernel({
      seed: seed + life,
      tree: around(tree, this),
      now: () => this.nowMs,
      elapsed: () => network.agenda.nowMs,
      wake: alive(() => this.#wake()),
      log: alive((level: LogLevel, message: string, fields: JsonObject) =>
        this.options.reports.logged(this, level, message, fields)
      ),
      count: (metric) => this.options.reports.count(metric),
      replied: alive((ref: string, value: unknown) => this.#replied(ref, value)),
      fatal: alive((reason: string) => this.options.reports.gaveUp(this, reason)),
      ports: {
        store: disk.port(() => this.nowMs),
        signer: (command, _from, answer) => {
          const value = sign(command as SignerCommand, `${this.name}-${++this.#serial}`);
          const { dice, luck } = this.options;
          const slow = luck.strikes("a certificate takes seconds") ? 3_000 : 0;
          network.agenda.after(
            dice.between(0.2, 2) + slow,
            alive(() => answer({ ok: true, value })),
          );
        },
        xds: (command) => ads.command(command as XdsCommand),
        dns: (command) => dns.publish((command as DnsCommand).table),
        kds: (command) =>
          kdsClient
            ? kdsClient.command(command as ClientCommand)
            : kdsServer.command(command as ServerCommand),
        ...(links && { links: (command) => links.command(command as LinkCommand) }),
      },
    });
    this.ads = ads;
    this.dns = dns;
    this.kdsServer = kdsServer;
    this.kdsClient = kdsClient;
    this.kernel = kernel;
    kernel.start();
    if (config.mode === "global") network.listen(site, "kds", (end) => kdsServer.accept(end));
    else {
      network.listen(site, "dp", (end) => ads.accept(end));
      network.listen(site, "dns", (end) => dns.accept(end));
    }
    if (links) network.listen(site, "links", (end) => links.accept(end));
    this.#wake();
  }

  /** `silent`: with its machine, so that nobody tells the peers. */
  kill(silent: boolean): void {
    if (!this.kernel) return;
    this.#life++;
    this.restarts++;
    this.kernel = null;
    this.dns = null;
    this.#scheduled = false;
    this.#woken = false;
    this.#alarmAtMs = Infinity;
    this.#answers.clear();
    const { network, site } = this.options;
    network.died(site, silent);
    site.alive = false;
    site.incarnation++;
    this.disk.crash();
  }

  /** As it does when it is asked to: peers are told, then it goes. */
  stop(): void {
    this.kdsServer?.endAll();
    const life = this.#life;
    this.#later(STOPPING_MS, () => {
      if (life === this.#life) this.kill(false);
    });
  }

  pause(): void {
    this.site.paused = true;
    this.options.network.stirred(this.site);
  }

  resume(): void {
    if (!this.site.paused) return;
    this.site.paused = false;
    this.options.network.stirred(this.site);
    if (this.#woken) this.#wake();
    else this.#sleep();
  }

  /** Sends, and hears the answer at some time, or never. */
  ask<T>(to: Path, make: (reply: ReplyTo) => Message, answered: (value: T) => void): void {
    const ref = `sim-${++this.#asked}`;
    this.#answers.set(ref, answered as (value: unknown) => void);
    this.#later(ASK_MS, () => this.#answers.delete(ref));
    if (!this.kernel?.send(to, make({ path: "", tag: "", ref }))) this.#answers.delete(ref);
  }

  write(ops: readonly Op[], by: string, answered: (result: WriteResult) => void): void {
    this.ask<WriteResult>(HUB, (reply): HubMsg => ({ tag: "write", by, ops, reply }), answered);
  }

  get unanswered(): number {
    return this.#answers.size;
  }

  #replied(ref: string, value: unknown): void {
    const answered = this.#answers.get(ref);
    this.#answers.delete(ref);
    answered?.(value);
  }

  #deliver(to: Path, msg: Message): boolean {
    return this.kernel?.send(to, msg) ?? false;
  }

  #wake(): void {
    if (this.site.paused) {
      this.#woken = true;
      return;
    }
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#later(0, () => this.#run());
  }

  #later(ms: number, run: () => void): void {
    const life = this.#life;
    this.options.network.agenda.after(ms, () => {
      if (life === this.#life) run();
    });
  }

  #run(): void {
    this.#scheduled = false;
    this.#woken = false;
    if (this.site.paused) {
      this.#woken = true;
      return;
    }
    const { turns, sliceMs } = this.options.pace;
    const kernel = this.kernel!;
    for (let turn = 0; kernel.step(); turn++) {
      this.turns++;
      if (turn + 1 < turns) continue;
      this.#scheduled = true;
      return this.#later(sliceMs, () => this.#run());
    }
    this.#sleep();
  }

  /** An alarm that is set for earlier does as well: a process that wakes for nothing sleeps on. */
  #sleep(): void {
    const { agenda } = this.options.network;
    const atMs = Math.max(this.kernel?.nextTimerAtMs ?? Infinity, agenda.nowMs);
    if (atMs >= this.#alarmAtMs) return;
    this.#alarmAtMs = atMs;
    this.#later(atMs - agenda.nowMs, () => {
      if (this.#alarmAtMs !== atMs) return;
      this.#alarmAtMs = Infinity;
      if ((this.kernel?.nextTimerAtMs ?? Infinity) <= agenda.nowMs) this.#wake();
      else this.#sleep();
    });
  }
}
