// The in-memory image of a store: what every backend reads from, and how it judges a commit.

import { assert } from "../core/assert.ts";
import {
  byMeshAndName,
  type Draft,
  keyText,
  type Resource,
  type ResourceKey,
} from "../core/resource.ts";
import type { Change, CommitResult, Op } from "./store.ts";

/**
 * Changes kept for `changesSince`, each with its resource, which may be a megabyte. Whoever follows
 * the store asks after each commit: only of commits whose answer was lost it asks later.
 */
const CHANGES_MAX = 256;
/** The last commits are kept however many changes they made. */
const COMMITS_MIN = 8;

type Conflict = Extract<CommitResult, { ok: false }>;

/** A commit that fits the state it was judged against. */
export interface Accepted {
  readonly ok: true;
  readonly revision: number;
  readonly changes: readonly Change[];
}

export class StoreImage {
  #revision: number;
  #floor: number;
  readonly #resources = new Map<string, Resource>();
  readonly #byType = new Map<string, Map<string, Resource>>();
  /** Sorted lists by type and mesh, built when first asked for and dropped when a member changes. */
  readonly #lists = new Map<string, Map<string | undefined, readonly Resource[]>>();
  readonly #changesMax: number;
  #log: Change[] = [];

  constructor(options: { readonly revision?: number; readonly changesMax?: number } = {}) {
    this.#revision = options.revision ?? 0;
    this.#floor = this.#revision;
    this.#changesMax = options.changesMax ?? CHANGES_MAX;
  }

  get revision(): number {
    return this.#revision;
  }

  get(key: ResourceKey): Resource | undefined {
    return this.#resources.get(keyText(key));
  }

  list(type: string, mesh?: string): readonly Resource[] {
    const lists = this.#lists.get(type) ?? new Map<string | undefined, readonly Resource[]>();
    this.#lists.set(type, lists);
    const known = lists.get(mesh);
    if (known) return known;
    const members = [...this.#byType.get(type)?.values() ?? []];
    const list = members.filter((it) => mesh === undefined || it.mesh === mesh).sort(byMeshAndName);
    lists.set(mesh, list);
    return list;
  }

  changesSince(revision: number): readonly Change[] | "gone" {
    // A revision of the future belongs to another history, such as a store that was replaced.
    if (revision < this.#floor || revision > this.#revision) return "gone";
    let from = this.#log.length;
    while (from > 0 && this.#log[from - 1]!.revision > revision) from--;
    return this.#log.slice(from);
  }

  /** Adds what was read from disk; no change is recorded. */
  load(resource: Resource): void {
    this.#place(resource, resource);
  }

  /** Makes a commit visible. Its revision must be the next one. */
  apply(commit: Accepted): void {
    if (commit.changes.length === 0) return;
    assert(commit.revision === this.#revision + 1, "commits are applied in order");
    this.#revision = commit.revision;
    for (const { key, resource } of commit.changes) this.#place(key, resource);
    for (const change of commit.changes) this.#log.push(change);
    this.#trim();
  }

  #place(key: ResourceKey, resource: Resource | null): void {
    const text = keyText(key);
    const members = this.#byType.get(key.type) ?? new Map<string, Resource>();
    this.#byType.set(key.type, members);
    if (resource) {
      this.#resources.set(text, resource);
      members.set(text, resource);
    } else {
      this.#resources.delete(text);
      members.delete(text);
    }
    const lists = this.#lists.get(key.type);
    lists?.delete(key.mesh);
    lists?.delete(undefined);
  }

  /** Whole commits go, the oldest first; a quarter at a time, since moving the rest costs. */
  #trim(): void {
    if (this.#log.length <= this.#changesMax) return;
    const target = this.#log.length - Math.floor(this.#changesMax * 0.75);
    const floor = Math.min(this.#log[target - 1]!.revision, this.#revision - COMMITS_MIN);
    if (floor <= this.#floor) return;
    this.#floor = floor;
    this.#log = this.#log.filter((change) => change.revision > this.#floor);
  }
}

/**
 * Commits that go to disk together. Each is judged against the image with all earlier ones of the
 * batch in place, and nothing of it is visible before `image.apply`.
 */
export class Batch {
  readonly #image: StoreImage;
  readonly #pending = new Map<string, Change>();
  readonly #commits: Accepted[] = [];

  constructor(image: StoreImage) {
    this.#image = image;
  }

  /** Of the newest commit in the batch: the image's, once it is applied. */
  get revision(): number {
    return this.#image.revision + this.#commits.length;
  }

  get commits(): readonly Accepted[] {
    return this.#commits;
  }

  /**
   * What these ops would do. The last op on a key wins; `expected` speaks of the state before the
   * commit. Deleting what is not there changes nothing, and a commit without changes costs no revision.
   */
  judge(ops: readonly Op[], nowMs: number): Accepted | Conflict {
    for (const op of ops) {
      const actual = this.#current(keyOf(op))?.version ?? 0;
      if (op.expected !== undefined && op.expected !== actual) {
        return { ok: false, conflict: keyOf(op), expected: op.expected, actual };
      }
    }
    const last = new Map(ops.map((op) => [keyText(keyOf(op)), op]));
    const revision = this.revision + 1;
    const changes = [...last.values()]
      .map((op) => this.#change(op, revision, nowMs))
      .filter((change) => change.resource !== null || change.previous !== null);
    return { ok: true, revision: changes.length === 0 ? this.revision : revision, changes };
  }

  add(commit: Accepted): void {
    if (commit.changes.length === 0) return;
    this.#commits.push(commit);
    for (const change of commit.changes) this.#pending.set(keyText(change.key), change);
  }

  #current(key: ResourceKey): Resource | undefined {
    const change = this.#pending.get(keyText(key));
    return change ? change.resource ?? undefined : this.#image.get(key);
  }

  #change(op: Op, revision: number, nowMs: number): Change {
    const key = keyOf(op);
    const previous = this.#current(key) ?? null;
    const resource = op.op === "put" ? stamp(op.resource, previous, { revision, nowMs }) : null;
    return { revision, key, resource, previous };
  }
}

function keyOf(op: Op): ResourceKey {
  const { type, mesh, name } = op.op === "put" ? op.resource : op.key;
  return { type, mesh, name };
}

function stamp(
  draft: Draft,
  previous: Resource | null,
  at: { readonly revision: number; readonly nowMs: number },
): Resource {
  const now = new Date(at.nowMs).toISOString();
  return {
    type: draft.type,
    mesh: draft.mesh,
    name: draft.name,
    labels: draft.labels,
    spec: draft.spec,
    ...(draft.status && { status: draft.status }),
    version: at.revision,
    creationTime: previous?.creationTime ?? now,
    modificationTime: now,
  };
}
