// The store port: a durable set of resources with revisions. One contract test, every backend.

import type { Draft, Resource, ResourceKey } from "../core/resource.ts";

/** One write. `expected` is the version that must be there: 0 for "absent", undefined for "whatever". */
export type Op =
  | { readonly op: "put"; readonly resource: Draft; readonly expected?: number }
  | { readonly op: "delete"; readonly key: ResourceKey; readonly expected?: number };

/** What happened to one key in one commit. */
export interface Change {
  readonly revision: number;
  readonly key: ResourceKey;
  /** null when it was deleted. */
  readonly resource: Resource | null;
  /** What it was before; null when it was created. */
  readonly previous: Resource | null;
}

export type CommitResult =
  | { readonly ok: true; readonly revision: number; readonly changes: readonly Change[] }
  | {
    readonly ok: false;
    readonly conflict: ResourceKey;
    readonly expected: number;
    readonly actual: number;
  };

/**
 * All reads are from memory and see exactly what is durable. A commit is atomic over all its ops,
 * gets one revision, and resolves after it is durable; concurrent commits may share one write.
 * It rejects with UnavailableError when the disk fails; then nothing of it was applied, unless the
 * disk does not even say what it holds: that is found out before the next commit, an empty one too.
 * With InvalidError it rejects what it can never hold, however often it is tried.
 * `nowMs` stamps creation and modification times.
 */
export interface Store {
  /** Revision of the newest durable commit; 0 when empty. */
  readonly revision: number;
  get(key: ResourceKey): Resource | undefined;
  /** Sorted by mesh and name. `mesh` undefined: over all meshes. */
  list(type: string, mesh?: string): readonly Resource[];
  commit(ops: readonly Op[], nowMs: number): Promise<CommitResult>;
  /** Changes after `revision`, oldest first; "gone" when they are no longer kept (list again). */
  changesSince(revision: number): readonly Change[] | "gone";
  close(): Promise<void>;
}
