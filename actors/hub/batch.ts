// Several writes decided in order over one image, to become one commit.

import { assert } from "../../core/assert.ts";
import { sameJson } from "../../core/json.ts";
import { type Draft, keyText, type Resource, type ResourceKey } from "../../core/resource.ts";
import type { Violation } from "../../core/violation.ts";
import type { Change, Op } from "../../store/store.ts";

/** The read half of the store: sees exactly what is durable. */
export interface StoreReader {
  readonly revision: number;
  get(key: ResourceKey): Resource | undefined;
  list(type: string, mesh?: string): readonly Resource[];
  /** Oldest first; "gone" when they are no longer kept. */
  changesSince(revision: number): readonly Change[] | "gone";
}

/** What is put as it shall be stored (tags and labels completed), or why it may not be. */
export type Admission = Draft | readonly Violation[];

export type Admit = (draft: Draft, overlay: Overlay) => Admission;

/** Refuses these types where there is no such mesh: it may have gone since the writer looked. */
export function onlyInMeshes(types: readonly string[], admit: Admit): Admit {
  return (draft, overlay) => {
    const mesh = { type: "Mesh", mesh: "", name: draft.mesh };
    if (!types.includes(draft.type) || overlay.get(mesh)) return admit(draft, overlay);
    return [{ path: "mesh", message: `mesh "${draft.mesh}" does not exist` }];
  };
}

/** The durable image with the ops of a batch on top: later writes see earlier ones. */
export class Overlay {
  readonly #reader: StoreReader;
  readonly #ops = new Map<string, Op>();
  readonly #types = new Set<string>();

  constructor(reader: StoreReader) {
    this.#reader = reader;
  }

  /** The same, to try further ops on. */
  fork(): Overlay {
    const fork = new Overlay(this.#reader);
    for (const op of this.#ops.values()) fork.apply(op);
    return fork;
  }

  get ops(): readonly Op[] {
    return [...this.#ops.values()];
  }

  get size(): number {
    return this.#ops.size;
  }

  /** Whether any op is about this type. */
  touches(type: string): boolean {
    return this.#types.has(type);
  }

  get(key: ResourceKey): Draft | undefined {
    const op = this.#ops.get(keyText(key));
    if (!op) return this.#reader.get(key);
    return op.op === "put" ? op.resource : undefined;
  }

  /** As it is stored, whatever the ops do to it. */
  before(key: ResourceKey): Draft | undefined {
    return this.#reader.get(key);
  }

  list(type: string): readonly Draft[] {
    if (!this.#types.has(type)) return this.#reader.list(type);
    const stored: Draft[] = this.#reader.list(type).filter((resource) =>
      !this.#ops.has(keyText(resource))
    );
    const written = this.ops.flatMap((op) =>
      op.op === "put" && op.resource.type === type ? [op.resource] : []
    );
    return written.length === 0 ? stored : [...stored, ...written];
  }

  /** The version to compare `expected` with; a key already written in this batch has none yet. */
  version(key: ResourceKey): number | "pending" {
    return this.#ops.has(keyText(key)) ? "pending" : this.#reader.get(key)?.version ?? 0;
  }

  apply(op: Op): void {
    const key = op.op === "put" ? op.resource : op.key;
    this.#types.add(key.type);
    // Versions were compared here; the store is told only what to do.
    this.#ops.set(
      keyText(key),
      op.op === "put" ? { op: "put", resource: op.resource } : { op: "delete", key: op.key },
    );
  }
}

export type Decision =
  | { readonly ok: true; readonly keys: readonly ResourceKey[] }
  | {
    readonly ok: false;
    readonly reason: "conflict";
    readonly expected: number;
    readonly actual: number;
  }
  | { readonly ok: false; readonly reason: "invalid"; readonly violations: readonly Violation[] };

export interface Rules {
  readonly admit: Admit;
  /** Every type there is. */
  readonly types: readonly string[];
}

/** Decides one write as a whole, and applies it to the overlay if it is accepted. */
export function decide(
  overlay: Overlay,
  ops: readonly Op[],
  { admit, types }: Rules,
): Decision {
  const accepted: Op[] = [];
  // A mesh and what is in it may come in one write.
  const seen = ops.length > 1 ? overlay.fork() : overlay;
  const accept = (op: Op) => {
    accepted.push(op);
    if (seen !== overlay) seen.apply(op);
  };
  for (const op of ops) {
    const key = op.op === "put" ? op.resource : op.key;
    const actual = overlay.version(key);
    if (op.expected !== undefined && op.expected !== actual) {
      return conflict(op.expected, actual);
    }
    if (op.op === "delete") {
      if (overlay.get(key)) accept(op);
      continue;
    }
    const admitted = admitSafely(admit, op.resource, seen);
    if (isViolations(admitted)) return { ok: false, reason: "invalid", violations: admitted };
    const stored = overlay.get(key);
    if (!stored || !sameState(stored, admitted)) accept({ op: "put", resource: admitted });
  }
  for (const op of ops) {
    if (op.expected !== undefined && isLeft(op, seen, types)) {
      return conflict(op.expected, "pending");
    }
  }
  for (const op of accepted) overlay.apply(op);
  return { ok: true, keys: accepted.map((op) => op.op === "put" ? op.resource : op.key) };
}

function conflict(expected: number, actual: number | "pending"): Decision {
  return { ok: false, reason: "conflict", expected, actual: actual === "pending" ? -1 : actual };
}

/**
 * Whoever deletes a mesh as it was seen deletes what was in it then. With what came into it since,
 * it would leave resources that nobody can reach, until a mesh of that name has them.
 */
function isLeft(op: Op, seen: Overlay, types: readonly string[]): boolean {
  return op.op === "delete" && op.key.type === "Mesh" &&
    types.some((type) => seen.list(type).some(({ mesh }) => mesh === op.key.name));
}

/** One that makes no sense is refused by itself: the others of its batch are not the worse for it. */
function admitSafely(admit: Admit, draft: Draft, overlay: Overlay): Admission {
  try {
    return admit(draft, overlay);
  } catch (error) {
    return [{ path: "", message: `makes no sense: ${error}` }];
  }
}

function isViolations(admission: Admission): admission is readonly Violation[] {
  return Array.isArray(admission);
}

/** Whether a put would change nothing. */
function sameState(a: Draft, b: Draft): boolean {
  return sameJson(a.spec, b.spec) && sameJson(a.labels, b.labels) &&
    sameJson(a.status, b.status);
}

/** The largest commit that one batch may become; a single larger write goes alone. */
const OPS_PER_BATCH = 500;

export function fits(overlay: Overlay, ops: readonly Op[]): boolean {
  assert(ops.length > 0, "a write without ops");
  return overlay.size === 0 || overlay.size + ops.length <= OPS_PER_BATCH;
}
