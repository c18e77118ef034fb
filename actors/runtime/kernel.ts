// The kernel: runs turns one at a time, carries out their effects, restarts what crashes.
//
// It guarantees: a turn that throws has no visible consequence; a local send only enqueues, so
// delivery is breadth-first and a turn is never re-entered; everything an actor does follows from
// its messages, the clock value of the turn and its seeded randomness. It does not know sockets,
// disks or real time: those are ports, a `now` and a pump given from outside.

import { BugError } from "../../core/errors.ts";
import type { JsonObject } from "../../core/resource.ts";
import type {
  Actor,
  Context,
  Effect,
  LogLevel,
  Message,
  Path,
  PortResult,
  ReplyTo,
} from "./actor.ts";
import { type Envelope, Mailbox } from "./mailbox.ts";
import { seededRandom, seedFor } from "./random.ts";
import { Timers } from "./timers.ts";
import { Trace, type TurnRecord } from "./trace.ts";
import { afterCrash, type AnyActor, type Intensity, type Many, type Tree } from "./tree.ts";

/** An edge: carries out commands, answers at most once (or never, for commands without `then`). */
export type Port = (
  command: unknown,
  from: Path,
  answer: (result: PortResult) => void,
) => void;

export interface KernelOptions {
  readonly seed: number;
  readonly tree: Tree;
  readonly ports: Readonly<Record<string, Port>>;
  /** Milliseconds; wall time in production, virtual time in the simulator. */
  readonly now: () => number;
  /** Milliseconds that only go forward: delays must not wait for a clock that was set back. Default: now. */
  readonly elapsed?: () => number;
  readonly log: (level: LogLevel, message: string, fields: JsonObject) => void;
  readonly count: (metric: string, by: number, labels: Readonly<Record<string, string>>) => void;
  /** Called when something can be run: a message waits, or a timer was set. */
  readonly wake: () => void;
  /** An answer for an edge (ReplyTo.path === ""). */
  readonly replied: (ref: string, value: unknown) => void;
  /** A permanent member crashed too often: nothing can be served any more. */
  readonly fatal: (reason: string) => void;
  /** Microseconds, for turn records; left out, they say 0. */
  readonly stopwatch?: () => number;
}

export interface ActorInfo {
  readonly path: Path;
  readonly status: "running" | "parked";
  readonly depth: number;
  readonly peak: number;
  readonly turns: number;
  readonly restarts: number;
  readonly summary: JsonObject;
}

interface Cell {
  readonly path: Path;
  readonly actor: AnyActor;
  readonly args: unknown;
  readonly intensity: Intensity;
  readonly group: Many | undefined;
  mailbox: Mailbox;
  state: unknown;
  random: () => number;
  incarnation: number;
  turns: number;
  crashesAtMs: readonly number[];
  parked: boolean;
  queued: boolean;
}

const TRACE_SIZE = 4096;
/** The sender of messages that come from an edge. */
const EDGE: Path = "edge";

export class Kernel {
  readonly #options: KernelOptions;
  readonly #cells = new Map<Path, Cell>();
  readonly #timers = new Timers();
  readonly #trace = new Trace(TRACE_SIZE);
  #ready: Cell[] = [];

  constructor(options: KernelOptions) {
    this.#options = options;
  }

  /** Starts the permanent members, in order. */
  start(): void {
    for (const node of this.#options.tree) {
      if (node.kind === "one") {
        this.#create(node.name, node.actor, node.args, node.intensity, undefined);
      }
    }
  }

  /** From an edge. False when the mailbox refused it, or nobody lives there. */
  send(to: Path, msg: Message): boolean {
    return this.#deliver(to, msg, EDGE);
  }

  /** Runs one turn. False when nothing was waiting. */
  step(): boolean {
    this.#fireTimers();
    const cell = this.#ready.shift();
    if (!cell) return false;
    cell.queued = false;
    const envelope = cell.mailbox.shift();
    if (envelope && this.#cells.get(cell.path) === cell && !cell.parked) this.#turn(cell, envelope);
    this.#enqueue(cell);
    return true;
  }

  /** When to call `step` again if it returned false, as `elapsed` counts; undefined when no timer is set. */
  get nextTimerAtMs(): number | undefined {
    return this.#timers.nextAtMs;
  }

  /** The live tree, in order of path. */
  actors(): readonly ActorInfo[] {
    return [...this.#cells.values()].map((cell): ActorInfo => ({
      path: cell.path,
      status: cell.parked ? "parked" : "running",
      depth: cell.mailbox.depth,
      peak: cell.mailbox.peak,
      turns: cell.turns,
      restarts: cell.incarnation,
      summary: this.#describe(cell),
    })).sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  /** The state of an actor, for edges that only look. Undefined when nobody lives there. */
  peek(path: Path): unknown {
    return this.#cells.get(path)?.state;
  }

  trace(count: number, path?: Path): readonly TurnRecord[] {
    return this.#trace.last(count, path);
  }

  #elapsed(): number {
    return (this.#options.elapsed ?? this.#options.now)();
  }

  #fireTimers(): void {
    const nowMs = this.#elapsed();
    for (let due = this.#timers.takeDue(nowMs); due; due = this.#timers.takeDue(nowMs)) {
      this.#deliver(due.path, due.msg, due.path);
    }
  }

  #create(
    path: Path,
    actor: AnyActor,
    args: unknown,
    intensity: Intensity,
    group: Many | undefined,
  ): void {
    const cell: Cell = {
      path,
      actor,
      args,
      intensity,
      group,
      mailbox: new Mailbox(actor.mailbox),
      state: undefined,
      random: () => 0,
      incarnation: 0,
      turns: 0,
      crashesAtMs: [],
      parked: false,
      queued: false,
    };
    this.#cells.set(path, cell);
    this.#begin(cell);
  }

  #begin(cell: Cell): void {
    cell.random = seededRandom(seedFor(this.#options.seed, cell.path, cell.incarnation));
    this.#attempt(
      cell,
      { msg: { tag: "init" }, from: cell.path },
      (at) => cell.actor.init(cell.args, at),
    );
  }

  #turn(cell: Cell, envelope: Envelope): void {
    this.#attempt(cell, envelope, (at) => cell.actor.receive(cell.state, envelope.msg, at));
  }

  #attempt(
    cell: Cell,
    { msg, from }: Envelope,
    reduce: (at: Context) => readonly [unknown, readonly Effect[]],
  ): void {
    const at: Context = { nowMs: this.#options.now(), self: cell.path, random: cell.random };
    const started = this.#options.stopwatch?.() ?? 0;
    let effects: readonly Effect[];
    try {
      [cell.state, effects] = reduce(at);
    } catch (error) {
      this.#crash(cell, msg, error);
      return;
    }
    cell.turns++;
    this.#trace.add({
      atMs: at.nowMs,
      path: cell.path,
      tag: msg.tag,
      from,
      effects: effects.map(nameOf),
      micros: (this.#options.stopwatch?.() ?? 0) - started,
    });
    for (const effect of effects) this.#perform(cell, effect);
  }

  #perform(cell: Cell, effect: Effect): void {
    switch (effect.do) {
      case "send":
        this.#deliver(effect.to, effect.msg, cell.path);
        return;
      case "reply":
        this.#reply(effect.to, effect.value, cell.path);
        return;
      case "timer":
        this.#timers.set(
          cell.path,
          effect.name,
          effect.msg,
          this.#elapsed() + effect.afterMs,
        );
        this.#options.wake();
        return;
      case "cancel":
        this.#timers.cancel(cell.path, effect.name);
        return;
      case "spawn":
        this.#spawn(effect.group, effect.id, effect.args);
        return;
      case "stop":
        this.#stop(effect.path);
        return;
      case "command":
        this.#command(cell, effect);
        return;
      case "log":
        this.#options.log(effect.level, effect.message, { actor: cell.path, ...effect.fields });
        return;
      case "count":
        this.#options.count(effect.metric, effect.by ?? 1, effect.labels ?? {});
    }
  }

  #deliver(to: Path, msg: Message, from: Path): boolean {
    const cell = this.#cells.get(to);
    if (!cell || cell.parked) {
      this.#options.count("ursa_messages_undelivered_total", 1, { tag: msg.tag });
      return false;
    }
    const admission = cell.mailbox.push(msg, from);
    if (admission === "overflow") {
      this.#crash(cell, msg, new BugError(`mailbox full at ${cell.mailbox.depth} messages`));
      return false;
    }
    if (admission === "shed" || admission === "refused") {
      this.#options.count("ursa_mailbox_full_total", 1, { action: admission });
    }
    this.#enqueue(cell);
    return admission !== "refused";
  }

  #enqueue(cell: Cell): void {
    if (cell.queued || cell.mailbox.depth === 0 || cell.parked) return;
    cell.queued = true;
    this.#ready.push(cell);
    this.#options.wake();
  }

  #reply(to: ReplyTo, value: unknown, from: Path): void {
    if (to.path === "") this.#options.replied(to.ref, value);
    else this.#deliver(to.path, answerTo(to, value), from);
  }

  #command(cell: Cell, effect: Effect & { readonly do: "command" }): void {
    const port = this.#options.ports[effect.port];
    if (!port) throw new BugError(`no port "${effect.port}", wanted by ${cell.path}`);
    const { incarnation } = cell;
    const answer = (result: PortResult) => {
      // An answer to an earlier incarnation would confuse the one that knows nothing of the question.
      if (effect.then === undefined || cell.incarnation !== incarnation) return;
      if (this.#cells.get(cell.path) !== cell) return;
      this.#deliver(
        cell.path,
        { tag: effect.then, ref: effect.ref ?? "", result } as Message,
        effect.port,
      );
    };
    try {
      port(effect.command, cell.path, answer);
    } catch (error) {
      // An edge that fails must not take the other effects of the turn along, nor the process.
      const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
      this.#options.log("error", "port failed", { actor: cell.path, port: effect.port, reason });
      this.#options.count("ursa_port_failures_total", 1, { port: effect.port });
      answer({ ok: false, error: String(error), retryable: false });
    }
  }

  #spawn(groupName: Path, id: string, args: unknown): void {
    const path = `${groupName}/${id}`;
    const there = this.#cells.get(path);
    if (there && !this.#mayRevive(there)) return;
    const group = this.#options.tree.find((node) => node.name === groupName);
    if (group?.kind !== "many") throw new BugError(`no group "${groupName}" to spawn into`);
    this.#create(path, group.actor, args, group.intensity, group);
  }

  /** Whoever is parked may begin anew when asked for after as long as would have made it a restart. */
  #mayRevive({ parked, crashesAtMs, intensity }: Cell): boolean {
    return parked && (crashesAtMs.at(-1) ?? 0) + intensity.withinMs <= this.#elapsed();
  }

  #stop(path: Path): void {
    this.#timers.cancelAll(path);
    this.#cells.delete(path);
  }

  #crash(cell: Cell, msg: Message, error: unknown): void {
    const nowMs = this.#elapsed();
    const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#options.log("error", "actor crashed", {
      actor: cell.path,
      last: msg.tag,
      reason,
      waiting: cell.mailbox.depth,
      state: this.#describe(cell),
      turns: this.#trace.last(32, cell.path).map(({ tag, effects }) =>
        `${tag} → ${effects.join(" ")}`
      ),
    });
    this.#options.count("ursa_actor_crashes_total", 1, { group: cell.group?.name ?? cell.path });
    const { crashesAtMs, tooMany } = afterCrash(cell.crashesAtMs, nowMs, cell.intensity);
    cell.crashesAtMs = crashesAtMs;
    if (!tooMany) this.#restart(cell);
    else if (cell.group) this.#park(cell, cell.group, reason);
    else this.#options.fatal(`${cell.path} crashed ${crashesAtMs.length} times: ${reason}`);
  }

  /** A member of a group restarts alone; a permanent one takes everything after it along. */
  #restart(cell: Cell): void {
    if (cell.group) {
      this.#renew(cell);
      const { reportTo } = cell.group;
      if (reportTo !== undefined) {
        this.#deliver(reportTo, { tag: "child_restarted", path: cell.path } as Message, cell.path);
      }
      return;
    }
    const { tree } = this.#options;
    const position = tree.findIndex((node) => node.name === cell.path);
    const later = tree.slice(position + 1);
    for (const node of later.filter(({ kind }) => kind === "many")) {
      for (const path of [...this.#cells.keys()]) {
        if (path.startsWith(`${node.name}/`)) this.#stop(path);
      }
    }
    this.#renew(cell);
    for (const node of later) {
      const sibling = this.#cells.get(node.name);
      if (sibling) this.#renew(sibling);
    }
  }

  #renew(cell: Cell): void {
    this.#timers.cancelAll(cell.path);
    cell.mailbox = new Mailbox(cell.actor.mailbox);
    cell.incarnation++;
    cell.state = undefined;
    this.#begin(cell);
  }

  #park(cell: Cell, group: Many, reason: string): void {
    this.#timers.cancelAll(cell.path);
    cell.parked = true;
    cell.mailbox = new Mailbox(cell.actor.mailbox);
    this.#options.log("error", "actor parked after repeated crashes", { actor: cell.path, reason });
    if (group.reportTo === undefined) return;
    this.#deliver(
      group.reportTo,
      { tag: "child_parked", path: cell.path, reason } as Message,
      cell.path,
    );
  }

  #describe(cell: Cell): JsonObject {
    if (cell.state === undefined) return {};
    return (cell.actor as Actor<unknown, Message, unknown>).describe?.(cell.state) ?? {};
  }
}

/** The message by which an answer reaches the actor that asked. */
export function answerTo(to: ReplyTo, value: unknown): Message {
  return { tag: to.tag, ref: to.ref, value } as Message;
}

function nameOf(effect: Effect): string {
  switch (effect.do) {
    case "send":
      return `send:${effect.msg.tag}`;
    case "command":
      return `command:${effect.port}`;
    case "timer":
    case "cancel":
      return `${effect.do}:${effect.name}`;
    default:
      return effect.do;
  }
}
