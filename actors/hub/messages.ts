// Everything that may be said to the hub: the one writer of the store, and the source of change sets.

import { keyText } from "../../core/resource.ts";
import type { Violation } from "../../core/violation.ts";
import type { Change, Op } from "../../store/store.ts";
import {
  type Effect,
  type MailboxPolicy,
  type Message,
  type Path,
  type PortResult,
  type ReplyTo,
  send,
} from "../runtime/actor.ts";
import type { ChildReport } from "../runtime/tree.ts";

export const HUB: Path = "hub";

export const toHub = (msg: HubMsg): Effect => send(HUB, msg);

export type HubMsg =
  /** Writes atomically; answered with WriteResult after it is durable, derived changes included. */
  | {
    readonly tag: "write";
    readonly ops: readonly Op[];
    /** Who wants it, for the log: "rest", "kds", a proxy. */
    readonly by: string;
    readonly reply?: ReplyTo;
  }
  /**
   * From now on `to` gets `resources_changed` for these types (of one mesh, and global ones);
   * the first comes at once and holds everything that is there.
   */
  | {
    readonly tag: "subscribe";
    readonly to: Path;
    readonly types: readonly string[] | "all";
    readonly mesh?: string;
  }
  /** Nobody is there any more, nor will answer for what was told; `dataplanes/` is everybody below. */
  | { readonly tag: "unsubscribe"; readonly to: Path }
  | { readonly tag: "commit_done"; readonly ref: string; readonly result: PortResult }
  /** Something derived falls due by time alone, such as the release of a virtual IP. */
  | { readonly tag: "derive_due" }
  | { readonly tag: "settle_due" }
  /** Of the actors of the meshes, which the hub starts. */
  | ChildReport
  | { readonly tag: "mesh_due"; readonly path: Path };

/** The answer to a write. Without changes, everything was already as asked. */
export type WriteResult =
  | { readonly ok: true; readonly revision: number; readonly changes: readonly Change[] }
  | {
    readonly ok: false;
    readonly reason: "conflict";
    readonly expected: number;
    readonly actual: number;
  }
  | { readonly ok: false; readonly reason: "invalid"; readonly violations: readonly Violation[] }
  | { readonly ok: false; readonly reason: "unavailable"; readonly error: string };

/** What subscribers receive: all that changed since the last one, the newest state of each key. */
export interface ResourcesChanged extends Message {
  readonly tag: "resources_changed";
  readonly revision: number;
  /** The first message after subscribing: `changes` is then everything there is. */
  readonly full: boolean;
  readonly changes: readonly Change[];
}

/** For mailboxes: two change sets as one, the newer state of a key winning in its older place. */
export function mergeChanges(
  waiting: ResourcesChanged,
  arrived: ResourcesChanged,
): ResourcesChanged {
  if (arrived.full) return arrived;
  const byKey = new Map(waiting.changes.map((change) => [keyText(change.key), change]));
  for (const change of arrived.changes) {
    const key = keyText(change.key);
    const before = byKey.get(key);
    byKey.set(key, before ? { ...change, previous: before.previous } : change);
  }
  return { ...arrived, full: waiting.full, changes: [...byKey.values()] };
}

/** For mailboxes of mixed messages: at most one change set waits, and holds everything new. */
export function oneChangeSet<Msg extends Message>(): Pick<
  MailboxPolicy<Msg>,
  "coalesce" | "merge"
> {
  const isChange = (msg: Message): msg is ResourcesChanged => msg.tag === "resources_changed";
  return {
    coalesce: (msg) => isChange(msg) ? "resources_changed" : null,
    merge: (waiting, arrived) =>
      isChange(waiting) && isChange(arrived)
        ? mergeChanges(waiting, arrived) as Message as Msg
        : arrived,
  };
}

export type { Change, Op };
