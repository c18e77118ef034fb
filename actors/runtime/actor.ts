// The contract of an actor: a pure reducer over messages, with its effects as data.

import type { JsonObject } from "../../core/resource.ts";

/** Where an actor lives in the tree, such as `hub` or `dataplanes/dataplane/default/web-1`. */
export type Path = string;

/** Whether `path` is meant by `at`: the same, or below it when `at` ends in a slash. */
export function isAt(at: Path, path: Path): boolean {
  return at.endsWith("/") ? path.startsWith(at) : path === at;
}

/** Every message carries a tag. Facts in the past tense, commands in the imperative, timers end in `_due`. */
export interface Message {
  readonly tag: string;
}

/** Fixed for a whole turn: the same message log gives the same run. */
export interface Context {
  readonly nowMs: number;
  readonly self: Path;
  /** In [0, 1); seeded from system seed, path and incarnation. */
  random(): number;
}

/** Where an answer goes: a message `{tag, ref, …}` for an actor, a promise for an edge. */
export interface ReplyTo {
  readonly path: Path;
  readonly tag: string;
  readonly ref: string;
}

export type LogLevel = "debug" | "info" | "warn" | "error";

/** What a turn wants done. Run in order after the new state is in place; a local send only enqueues. */
export type Effect =
  | { readonly do: "send"; readonly to: Path; readonly msg: Message }
  | { readonly do: "reply"; readonly to: ReplyTo; readonly value: unknown }
  /** Same name replaces; dies with the incarnation. */
  | { readonly do: "timer"; readonly name: string; readonly afterMs: number; readonly msg: Message }
  | { readonly do: "cancel"; readonly name: string }
  /** Starts a child `GROUP/id` unless it is there. */
  | { readonly do: "spawn"; readonly group: Path; readonly id: string; readonly args: unknown }
  | { readonly do: "stop"; readonly path: Path }
  /**
   * A command to an edge (store, sockets, signer). With `then`, the edge's answer comes back as
   * `{tag: then, ref, result}` where result is PortResult.
   */
  | {
    readonly do: "command";
    readonly port: string;
    readonly command: unknown;
    readonly then?: string;
    readonly ref?: string;
  }
  | {
    readonly do: "log";
    readonly level: LogLevel;
    readonly message: string;
    readonly fields?: JsonObject;
  }
  /** Adds to a counter of /metrics. */
  | {
    readonly do: "count";
    readonly metric: string;
    readonly by?: number;
    readonly labels?: Readonly<Record<string, string>>;
  };

export type PortResult<T = unknown> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: string; readonly retryable: boolean };

export type Turn<State> = readonly [State, readonly Effect[]];

/** What happens when a message finds the mailbox full. */
export type WhenFull = "crash" | "shed_oldest" | "refuse";

export interface MailboxPolicy<Msg> {
  readonly capacity: number;
  /** "refuse": the sender's edge is told (`send` returns false) and ends the peer's stream. */
  readonly whenFull: WhenFull;
  /** A waiting message with the same key is replaced by, or merged into, the new one. */
  readonly coalesce?: (msg: Msg) => string | null;
  /** Default: the new message wins. */
  readonly merge?: (waiting: Msg, arrived: Msg) => Msg;
}

/**
 * `receive` must not await, read clocks, draw randomness or do I/O. It returns the next state:
 * small records by copy; large Maps inside may be mutated in place, since a turn that throws
 * ends the incarnation and its state is never seen again.
 */
export interface Actor<State, Msg extends Message, Args> {
  readonly mailbox: MailboxPolicy<Msg>;
  init(args: Args, at: Context): Turn<State>;
  receive(state: State, msg: Msg, at: Context): Turn<State>;
  /** A short summary for `debug actors` and crash reports. */
  describe?(state: State): JsonObject;
}

export const send = <Msg extends Message>(to: Path, msg: Msg): Effect => ({ do: "send", to, msg });
export const reply = (to: ReplyTo, value: unknown): Effect => ({ do: "reply", to, value });
export const timer = <Msg extends Message>(name: string, afterMs: number, msg: Msg): Effect => ({
  do: "timer",
  name,
  afterMs,
  msg,
});
export const cancel = (name: string): Effect => ({ do: "cancel", name });
export const command = (
  port: string,
  what: unknown,
  answer?: { readonly then: string; readonly ref?: string },
): Effect => ({ do: "command", port, command: what, ...answer });
export const log = (level: LogLevel, message: string, fields?: JsonObject): Effect => ({
  do: "log",
  level,
  message,
  ...(fields && { fields }),
});
export const count = (
  metric: string,
  labels?: Readonly<Record<string, string>>,
  by = 1,
): Effect => ({
  do: "count",
  metric,
  by,
  ...(labels && { labels }),
});
