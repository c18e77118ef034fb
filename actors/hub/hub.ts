// The hub: the one writer of the store. Turns waiting writes into commits, commits into change sets.
//
//   write ──▶ waiting ──▶ batch (decided over one image, derived ops added) ──▶ store ──▶ commit_done
//                                                                                │
//                        answers to the writers, change sets to subscribers ◀────┘
//
// One commit is under way at a time: writes that arrive meanwhile share the next one (group commit),
// and whatever a write is compared with is what will be on disk before it.

import { assert } from "../../core/assert.ts";
import { keyText, type ResourceKey } from "../../core/resource.ts";
import type { Change, CommitResult, Op } from "../../store/store.ts";
import {
  type Actor,
  cancel,
  command,
  type Context,
  count,
  type Effect,
  isAt,
  log,
  type Path,
  type PortResult,
  reply,
  type ReplyTo,
  send,
  timer,
  type Turn,
} from "../runtime/actor.ts";
import { type Admit, decide, fits, Overlay, type StoreReader } from "./batch.ts";
import { type MeshArgs, meshPath } from "../mesh/messages.ts";
import type { ReceiptsMsg } from "../receipts/messages.ts";
import { PARKED_MS } from "../runtime/tree.ts";
import type { HubMsg, ResourcesChanged, WriteResult } from "./messages.ts";

/**
 * What follows from a batch by itself, such as virtual IPs: computed over the image with it applied.
 * null: nothing that matters changed.
 */
export type Derive = (
  overlay: Overlay,
  at: { readonly nowMs: number; readonly due: boolean },
) => Derived | null;

export interface Derived {
  readonly ops: readonly Op[];
  /** When to derive again though nothing was written. */
  readonly nextAtMs: number | null;
  /** For the log: what could not be derived, and why. */
  readonly problems: readonly string[];
}

export interface HubArgs {
  readonly reader: StoreReader;
  /** Every type there is, for those who subscribe to all. */
  readonly types: readonly string[];
  readonly admit: Admit;
  readonly derive: Derive;
  /** Arguments for the mesh actors that follow the Mesh resources; null on a global. */
  readonly meshes: Omit<MeshArgs, "mesh"> | null;
  /** Told `revision_committed` of each commit that anybody else was told of. */
  readonly receipts: Path | null;
}

interface Waiting {
  readonly ops: readonly Op[];
  readonly by: string;
  readonly reply?: ReplyTo;
}

interface Decided {
  readonly waiting: Waiting;
  readonly keys: readonly ResourceKey[];
}

interface Subscription {
  readonly types: ReadonlySet<string> | "all";
  readonly mesh: string | undefined;
}

interface State {
  readonly args: HubArgs;
  /** Owned tables, mutated in place. */
  readonly waiting: Waiting[];
  readonly subscriptions: Map<Path, Subscription>;
  readonly underWay: readonly Decided[] | null;
  /** Subscribers were told of everything up to this revision. */
  readonly published: number;
  /**
   * A commit that failed, or of an earlier incarnation, may reach the disk still: nothing is decided on
   * what it may change.
   */
  readonly unsettled: boolean;
  /** How many writes may share a commit: few after the store refused what was in one. */
  readonly sharing: number;
}

/** After a disk that failed: by then it may say what it holds. */
const SETTLE_MS = 1_000;
const DERIVE_AGAIN_MS = 60_000;

export const hub: Actor<State, HubMsg, HubArgs> = {
  // Writers wait for their answer; this many at once can only be a loop.
  mailbox: { capacity: 100_000, whenFull: "refuse" },

  init(args) {
    const state: State = {
      args,
      waiting: [],
      subscriptions: new Map(),
      underWay: [],
      published: args.reader.revision,
      unsettled: true,
      sharing: Infinity,
    };
    const meshes = args.reader.list("Mesh").flatMap(({ name }) => startMesh(args, name));
    // After a crash a commit may be under way still.
    // The actors of the meshes began anew with the hub, and those that were ending are gone.
    return [state, [...leftReceipts(args, meshPath("")), ...meshes, SETTLE]];
  },

  receive(state, msg, at) {
    switch (msg.tag) {
      case "write":
        state.waiting.push(msg);
        return beginBatch(state, at, false);
      case "commit_done":
        return commitDone(state, msg.result as PortResult<CommitResult>, at);
      case "derive_due":
        return beginBatch(state, at, true);
      case "settle_due":
        return state.underWay ? [state, []] : [{ ...state, underWay: [] }, [SETTLE]];
      case "subscribe":
        return subscribe(state, msg);
      case "unsubscribe":
        return [state, unsubscribe(state, msg.to)];
      case "child_restarted":
        return [state, []];
      case "child_parked":
        // Nobody waits for what it would say of a change.
        return [state, [
          ...unsubscribe(state, msg.path),
          timer(`parked ${msg.path}`, PARKED_MS, { tag: "mesh_due", path: msg.path }),
        ]];
      case "mesh_due":
        return [state, revive(state.args, msg.path)];
    }
  },

  describe: ({ args, waiting, subscriptions, underWay }) => ({
    revision: args.reader.revision,
    waiting: waiting.length,
    committing: underWay?.length ?? 0,
    subscribers: subscriptions.size,
  }),
};

/** An empty commit: answered after every earlier one, also after one whose answer was lost. */
const SETTLE = command("store", { do: "commit", ops: [] }, { then: "commit_done" });

/** Decides what waits, unless a commit is under way. `due`: derive even if nobody wrote. */
function beginBatch(state: State, at: Context, due: boolean): Turn<State> {
  if (state.underWay || (state.waiting.length === 0 && !due)) return [state, []];
  if (state.unsettled) return [{ ...state, underWay: [] }, [SETTLE]];
  const { reader, derive } = state.args;
  const overlay = new Overlay(reader);
  const decided: Decided[] = [];
  const effects: Effect[] = [];
  while (
    state.waiting.length > 0 && decided.length < state.sharing &&
    fits(overlay, state.waiting[0]!.ops)
  ) {
    const waiting = state.waiting.shift()!;
    const decision = decide(overlay, waiting.ops, state.args);
    if (!decision.ok) effects.push(...answer(waiting, decision));
    else if (decision.keys.length > 0 || overlay.size > 0) {
      // What changes nothing may rest on a write before it, which is not durable yet.
      decided.push({ waiting, keys: decision.keys });
    } else effects.push(...answer(waiting, unchanged(reader)));
  }
  const derived = deriveSafely(derive, overlay, { nowMs: at.nowMs, due });
  for (const op of derived?.ops ?? []) overlay.apply(op);
  if (derived) {
    effects.push(
      ...derived.problems.map((problem) => log("warn", problem)),
      nextDerive(derived, at),
    );
  }
  if (overlay.size === 0) {
    const [next, more] = beginBatch(state, at, false);
    return [next, [...effects, ...more]];
  }
  effects.push(command("store", { do: "commit", ops: overlay.ops }, { then: "commit_done" }));
  return [{ ...state, underWay: decided }, effects];
}

/** What cannot be derived keeps nobody from writing. */
function deriveSafely(
  derive: Derive,
  overlay: Overlay,
  at: { readonly nowMs: number; readonly due: boolean },
): Derived | null {
  try {
    return derive(overlay, at);
  } catch (error) {
    const problems = [`what follows from a write cannot be derived: ${error}`];
    return { ops: [], nextAtMs: at.nowMs + DERIVE_AGAIN_MS, problems };
  }
}

function nextDerive({ nextAtMs }: Derived, at: Context): Effect {
  return nextAtMs === null
    ? cancel("derive")
    : timer("derive", Math.max(0, nextAtMs - at.nowMs), { tag: "derive_due" });
}

function unchanged({ revision }: StoreReader): WriteResult {
  return { ok: true, revision, changes: [] };
}

function answer({ reply: to }: Waiting, result: WriteResult): readonly Effect[] {
  return to ? [reply(to, result)] : [];
}

function commitDone(state: State, result: PortResult<CommitResult>, at: Context): Turn<State> {
  const decided = state.underWay ?? [];
  const { reader } = state.args;
  const isRefused = !result.ok && !result.retryable;
  if (isRefused && decided.length > 1) return beginBatch(shared(state, decided), at, false);
  const sharing = state.sharing * 2;
  const unsettled = !result.ok && !isRefused;
  const idle = {
    ...state,
    underWay: null,
    unsettled,
    published: reader.revision,
    sharing,
  };
  const since = changesToTell(state, result);
  const answers = result.ok && result.value.ok
    ? done(decided, result.value)
    : isRefused
    ? refused(decided, result.error)
    : failed(decided, result.ok ? "the store was changed by somebody else" : result.error);
  const told = since.length > 0 ? published(state, since, answers) : answers;
  // A disk that cannot even tell what it has takes nothing more: whoever waits may try again.
  const hopeless = unsettled && decided.length === 0
    ? state.waiting.splice(0).flatMap((one) => answer(one, unavailable(result.error)))
    : [];
  const [next, more] = beginBatch(idle, at, state.unsettled && !unsettled);
  // A failed commit may have reached the disk all the same: its changes are to be told, too.
  const settling = result.ok ? cancel("settle") : timer("settle", SETTLE_MS, { tag: "settle_due" });
  return [next, [...told, ...hopeless, ...more, settling]];
}

/** What is durable counts: also of a commit whose answer was lost, or said that it failed. */
function changesToTell(
  { args: { reader }, published }: State,
  result: PortResult<CommitResult>,
): readonly Change[] {
  const kept = reader.changesSince(published);
  if (kept !== "gone") return kept;
  // One commit alone may be larger than what the store remembers.
  const alone = result.ok && result.value.ok && result.value.revision === published + 1;
  assert(alone, "changes that nobody was told of are gone: everybody begins anew");
  return result.value.changes;
}

function done(
  decided: readonly Decided[],
  { revision, changes }: CommitResult & { readonly ok: true },
): readonly Effect[] {
  const byKey = new Map(changes.map((change) => [keyText(change.key), change]));
  return decided.flatMap(({ waiting, keys }) =>
    answer(waiting, {
      ok: true,
      revision,
      changes: keys.flatMap((key) => byKey.get(keyText(key)) ?? []),
    })
  );
}

/** One of them is what the store refuses: half as many go next, until it is alone. */
function shared(state: State, decided: readonly Decided[]): State {
  state.waiting.unshift(...decided.map(({ waiting }) => waiting));
  return { ...state, underWay: null, sharing: Math.ceil(decided.length / 2) };
}

function refused(decided: readonly Decided[], error: string): readonly Effect[] {
  const violations = [{ path: "", message: `the store refuses it: ${error}` }];
  return [
    log("error", "the store refuses a write", {
      error,
      by: decided.map(({ waiting }) => waiting.by),
    }),
    count("ursa_store_writes_refused_total"),
    ...decided.flatMap(({ waiting }) =>
      answer(waiting, { ok: false, reason: "invalid", violations })
    ),
  ];
}

function failed(decided: readonly Decided[], error: string): readonly Effect[] {
  return [
    log("error", "commit failed", { error }),
    count("ursa_store_commit_failures_total"),
    ...decided.flatMap(({ waiting }) => answer(waiting, unavailable(error))),
  ];
}

function unavailable(error: string): WriteResult {
  return { ok: false, reason: "unavailable", error };
}

function published(
  state: State,
  changes: readonly Change[],
  answers: readonly Effect[],
): readonly Effect[] {
  const { revision } = state.args.reader;
  const told = [...state.subscriptions].flatMap(([to, subscription]) => {
    const wanted = changes.filter(({ key }) => wants(subscription, key));
    return wanted.length > 0 ? [{ to, wanted }] : [];
  });
  const meshes = state.args.meshes
    ? changes.filter(({ key, previous, resource }) =>
      key.type === "Mesh" && (previous === null) !== (resource === null)
    )
    : [];
  const { receipts } = state.args;
  return [
    // The receipt exists before anybody can ask for it or add to it.
    ...(receipts ? [send(receipts, committed(revision, changes, told.map(({ to }) => to)))] : []),
    ...answers,
    ...meshes.flatMap(({ key, resource }) =>
      resource
        ? startMesh(state.args, key.name)
        : [send(meshPath(key.name), { tag: "mesh_deleted" })]
    ),
    ...told.map(({ to, wanted }) => send(to, changed(revision, wanted, false))),
  ];
}

function committed(revision: number, changes: readonly Change[], audience: readonly Path[]) {
  return { tag: "revision_committed", revision, keys: changes.map(({ key }) => key), audience };
}

function subscribe(
  state: State,
  { to, types, mesh }: HubMsg & { readonly tag: "subscribe" },
): Turn<State> {
  const subscription: Subscription = { types: types === "all" ? "all" : new Set(types), mesh };
  state.subscriptions.set(to, subscription);
  const { reader } = state.args;
  const all = (types === "all" ? state.args.types : types).flatMap((type) => reader.list(type));
  const changes = all.filter((resource) => wants(subscription, resource)).map((
    resource,
  ): Change => ({
    revision: resource.version,
    key: resource,
    resource,
    previous: null,
  }));
  return [state, [send(to, changed(reader.revision, changes, true))]];
}

function unsubscribe({ args, subscriptions }: State, at: Path): readonly Effect[] {
  for (const to of [...subscriptions.keys()]) if (isAt(at, to)) subscriptions.delete(to);
  const { reader, meshes } = args;
  const stored = meshes ? reader.list("Mesh").map(({ name }) => name) : [];
  return [
    ...leftReceipts(args, at),
    // A mesh may be there again before the actor of the former one has ended.
    ...stored.filter((name) => meshPath(name) === at).flatMap((name) => startMesh(args, name)),
    ...(at.endsWith("/")
      ? stored.map((name) => send(meshPath(name), { tag: "unsubscribe_view", to: at }))
      : []),
  ];
}

function revive(args: HubArgs, path: Path): readonly Effect[] {
  const mesh = args.reader.list("Mesh").find(({ name }) => meshPath(name) === path);
  return mesh ? startMesh(args, mesh.name) : [{ do: "stop", path }];
}

function leftReceipts({ receipts }: HubArgs, at: Path): readonly Effect[] {
  return receipts ? [send<ReceiptsMsg>(receipts, { tag: "audience_left", at })] : [];
}

function wants({ types, mesh }: Subscription, key: ResourceKey): boolean {
  if (types !== "all" && !types.has(key.type)) return false;
  return mesh === undefined || key.mesh === "" || key.mesh === mesh;
}

function changed(revision: number, changes: readonly Change[], full: boolean): ResourcesChanged {
  return { tag: "resources_changed", revision, full, changes };
}

function startMesh({ meshes }: HubArgs, name: string): readonly Effect[] {
  return meshes
    ? [{ do: "spawn", group: "meshes", id: name, args: { mesh: name, ...meshes } }]
    : [];
}
