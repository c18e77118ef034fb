// The runs of a global, and how far its store had come when each began: by these a zone knows a global
// that was restored from a backup, also when it has written more since than the zone had seen.
//
//   before the disk was lost   a from 0 ─── b from 40 ─── 90: the zone has seen this, in run b
//   restored from a backup     a from 0 ─ c from 30 ──────────── 120: knows no b; a ended at 30
//
// A number alone would not tell: 120 is more than 90.

import { isObject } from "../core/json.ts";
import type { Draft, Resource } from "../core/resource.ts";

export interface Epoch {
  /** The instance that it was. */
  readonly id: string;
  /** Revision of the store when it began. */
  readonly from: number;
}

/** Global's own note, in its store; it goes to zones in system versions. */
export const EPOCHS_CONFIG = "ursa-epochs";
/** A zone that was away for more restarts than this is judged by its number alone. */
const EPOCHS_MAX = 16;

/** What one can tell by: `epoch` is "" for who did not say it. */
export interface Seen {
  readonly epoch: string;
  readonly revision: number;
}

/** `known` and this one, as a new note. */
export function beginEpoch(known: readonly Epoch[], epoch: Epoch): Draft {
  const epochs = [...known, epoch].slice(-EPOCHS_MAX);
  const spec = { config: JSON.stringify(epochs) };
  return { type: "Config", mesh: "", name: EPOCHS_CONFIG, labels: {}, spec };
}

/** Every response asks, and the note hardly ever changes. */
const read = new WeakMap<Resource, readonly Epoch[]>();

/** None of a note that cannot be read. */
export function readEpochs(note: Resource | undefined): readonly Epoch[] {
  if (!note) return [];
  const known = read.get(note) ?? parseNote(note);
  read.set(note, known);
  return known;
}

function parseNote({ spec }: Resource): readonly Epoch[] {
  try {
    const epochs: unknown = JSON.parse(String(spec["config"]));
    return Array.isArray(epochs) && epochs.every(isEpoch) ? epochs : [];
  } catch {
    return [];
  }
}

function isEpoch(value: unknown): value is Epoch {
  return isObject(value) && typeof value["id"] === "string" && Number.isSafeInteger(value["from"]);
}

/** Whether a global with this past, now at `revision`, is one that ever was where we saw it. */
export function remembers(epochs: readonly Epoch[], revision: number, seen: Seen): boolean {
  if (!isTold(epochs, seen)) return revision >= seen.revision;
  const at = epochs.findIndex(({ id }) => id === seen.epoch);
  // Of before everything that it tells.
  if (at < 0) return seen.revision <= epochs[0]!.from;
  return seen.revision <= (epochs[at + 1]?.from ?? revision);
}

/** Whether there is more to judge by than a number. */
export function isTold(epochs: readonly Epoch[], { epoch }: Seen): boolean {
  return epochs.length > 0 && epoch !== "";
}

/** `a@0,b@40`; of what was known once already, the last is enough. */
export function epochsText(epochs: readonly Epoch[]): string {
  return epochs.map(({ id, from }) => `${id}@${from}`).join(",");
}

export function parseEpochs(text: string): readonly Epoch[] {
  return text.split(",").flatMap((one) => {
    const [, id, from] = /^([-.\w]+)@([0-9]{1,15})$/.exec(one) ?? [];
    return id === undefined ? [] : [{ id, from: Number(from) }];
  });
}
