// What a peer survived, over its sessions: how one resource that ends its stream is found.
//
// Kuma ends a stream on what it cannot decode, comes back, and gets the same again. So after a
// session that the peer ended with a response unanswered, one response is sent at a time; the one
// that ends a session again holds the culprit; and of several that are new to the peer, each is sent
// alone. What ended a session alone is kept back until it changes.
//
//   free ──ended by the peer, unanswered──▶ cautious ──ended again──▶ suspects, each alone
//     ▲                                        │                           │
//     └──────────── all is answered ───────────┘◀──── ended again: kept back ┘

import type { KdsItem } from "./wire.ts";

type Versions = Map<string, string>;

export interface Trust {
  /** What the peer answered last, with yes or no, by type and name: this does not end its stream. */
  readonly answered: Map<string, Map<string, KdsItem>>;
  /** One response at a time over all types. */
  cautious: boolean;
  /** How many were asked for in the session that made it so. */
  types: number;
  /** By type: names to the version that is to be sent alone. */
  readonly suspects: Map<string, Versions>;
  /** By type: names to the version that ended a session. */
  readonly keptBack: Map<string, Versions>;
  /** Types of which nothing is known to be safe, with what is new in them. */
  readonly stopped: Map<string, Versions>;
  /** When it was last told, for the log, that the peer refuses of a type. */
  readonly toldAtMs: Map<string, number>;
}

const TELL_AGAIN_MS = 60_000;

export function newTrust(): Trust {
  return {
    answered: new Map(),
    cautious: false,
    types: 0,
    suspects: new Map(),
    keptBack: new Map(),
    stopped: new Map(),
    toldAtMs: new Map(),
  };
}

/** The peer is another process now, perhaps of another version: it may take what the former did not. */
export function forgive({ suspects, keptBack, stopped }: Trust): void {
  for (const held of [suspects, keptBack, stopped]) held.clear();
}

export interface Unanswered {
  readonly typeUrl: string;
  readonly items: readonly KdsItem[];
}

/** Kept back from now on. */
export interface KeptBack {
  readonly typeUrl: string;
  readonly names: readonly string[];
}

/** The peer ended the session without an answer to `open`; it had asked for `types` types. */
export function sessionEnded(
  trust: Trust,
  { open, types }: { readonly open: readonly Unanswered[]; readonly types: number },
): readonly KeptBack[] {
  if (open.length === 0) return [];
  trust.types = types;
  if (!trust.cautious) {
    trust.cautious = true;
    return [];
  }
  return open.flatMap(({ typeUrl, items }) => {
    const known = trust.answered.get(typeUrl);
    const fresh = items.filter(({ name, version }) => known?.get(name)?.version !== version);
    const versions = new Map(fresh.map(({ name, version }) => [name, version]));
    if (fresh.length === 0) return [];
    if (fresh.length > 1 && known) {
      trust.suspects.set(typeUrl, versions);
      return [];
    }
    // A first state without what is suspect would make the peer delete what it may have of it.
    if (!known) trust.stopped.set(typeUrl, versions);
    else shelf(trust.keptBack, typeUrl).set(fresh[0]!.name, fresh[0]!.version);
    return [{ typeUrl, names: fresh.map(({ name }) => name).sort() }];
  });
}

export function answeredWith(trust: Trust, { typeUrl, items }: Unanswered): void {
  const known = shelf(trust.answered, typeUrl);
  for (const item of items) {
    known.set(item.name, item);
    // An older state that stood in says nothing of the newer one.
    if (isSuspect(trust, typeUrl, item)) trust.suspects.get(typeUrl)!.delete(item.name);
  }
}

export function removedFrom(trust: Trust, typeUrl: string, names: readonly string[]): void {
  for (const name of names) trust.answered.get(typeUrl)?.delete(name);
}

export function isSuspect({ suspects }: Trust, typeUrl: string, item: KdsItem): boolean {
  return suspects.get(typeUrl)?.get(item.name) === item.version;
}

export function isKeptBack({ keptBack }: Trust, typeUrl: string, item: KdsItem): boolean {
  return keptBack.get(typeUrl)?.get(item.name) === item.version;
}

/** Until one of those that are new changes or goes: then it is tried again. */
export function isStopped(
  { stopped }: Trust,
  typeUrl: string,
  offered: ReadonlyMap<string, KdsItem> | undefined,
): boolean {
  const held = stopped.get(typeUrl);
  if (!held) return false;
  const same = [...held].every(([name, version]) => offered?.get(name)?.version === version);
  if (!same) stopped.delete(typeUrl);
  return same;
}

/** Whether to tell that it refuses, which it may do many times a second. */
export function tellsRefusal({ toldAtMs }: Trust, typeUrl: string, nowMs: number): boolean {
  const told = toldAtMs.get(typeUrl);
  if (told !== undefined && nowMs >= told && nowMs < told + TELL_AGAIN_MS) return false;
  toldAtMs.set(typeUrl, nowMs);
  return true;
}

function shelf<Value>(shelves: Map<string, Map<string, Value>>, key: string): Map<string, Value> {
  let found = shelves.get(key);
  if (!found) shelves.set(key, found = new Map());
  return found;
}
