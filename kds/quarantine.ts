// What one side could not take of what the other sent: each by itself, with the reason, until it can.
//
//   refused ──▶ in quarantine ──newer version, removal──▶ out, or in with the newer reason
//                   ▲     │
//                   └─────┘ what may have been in the way changed, or a while passed: tried again

import type { JsonObject, ResourceKey } from "../core/resource.ts";
import { type KdsItem, parseWireName, wireName } from "./wire.ts";

export interface Refused {
  readonly item: KdsItem;
  readonly reason: string;
  /** Something here was in the way; what cannot be read stays so until the sender changes it. */
  readonly passing: boolean;
}

/** By type and the name that it would have here. */
export type Quarantine = Map<string, Map<string, Refused>>;

/** What a response came to. */
export interface Verdicts {
  /** The names that it was about, removed ones too. */
  readonly about: Iterable<string>;
  readonly refused: ReadonlyMap<string, Refused>;
  /** It was the whole state: what it does not name is gone. Null: it was not. */
  readonly whole: ReadonlySet<string> | null;
}

export interface News {
  /** `NAME: reason`, of those whose reason is another than before. */
  readonly refused: readonly string[];
  readonly out: readonly string[];
}

/** More of one type are not kept: the sender tries again, too. */
const NAMES_MAX = 1_000;
/** In one attempt, of one type. */
const AGAIN_MAX = 64;
const SHOWN_MAX = 20;
const REASON_CHARS_MAX = 300;

export function enterVerdicts(
  quarantine: Quarantine,
  typeUrl: string,
  { about, refused, whole }: Verdicts,
): News {
  const held = quarantine.get(typeUrl) ?? new Map<string, Refused>();
  const news: string[] = [];
  const out: string[] = [];
  for (const name of whole ? held.keys() : []) if (!whole!.has(name)) held.delete(name);
  for (const name of about) if (!refused.has(name) && held.delete(name)) out.push(name);
  for (const [name, verdict] of refused) {
    if (held.get(name)?.reason !== verdict.reason) news.push(`${name}: ${verdict.reason}`);
    // The one that was tried last is the last to be tried again.
    held.delete(name);
    if (held.size < NAMES_MAX) held.set(name, verdict);
  }
  if (held.size > 0) quarantine.set(typeUrl, held);
  else quarantine.delete(typeUrl);
  return { refused: news, out };
}

/** Types of which something may be tried again. */
export function passingTypes(quarantine: Quarantine): readonly string[] {
  return [...quarantine].filter(([, held]) => [...held.values()].some(({ passing }) => passing))
    .map(([typeUrl]) => typeUrl);
}

export function passingItems(quarantine: Quarantine, typeUrl: string): readonly KdsItem[] {
  return [...quarantine.get(typeUrl)?.values() ?? []].filter(({ passing }) => passing)
    .slice(0, AGAIN_MAX).map(({ item }) => item);
}

/** Types of which something may not be in the way any more: itself, or its mesh, changed here. */
export function concerned(
  quarantine: Quarantine,
  changed: readonly ResourceKey[],
): readonly string[] {
  if (quarantine.size === 0) return [];
  const meshes = new Set(changed.filter(({ type }) => type === "Mesh").map(({ name }) => name));
  const own = (type: string, name: string) =>
    changed.some((key) => key.type === type && wireName(key) === name);
  return passingTypes(quarantine).filter((type) =>
    [...quarantine.get(type)!.keys()].some((name) =>
      meshes.has(parseWireName(name).mesh) || own(type, name)
    )
  );
}

/** For the insight: by type how many, and the first of them with their reasons. */
export function renderQuarantine(quarantine: Quarantine): JsonObject {
  return Object.fromEntries(
    [...quarantine].map(([typeUrl, held]) => [typeUrl, {
      count: held.size,
      resources: Object.fromEntries(
        [...held].slice(0, SHOWN_MAX).map(([name, { reason }]) => [
          name,
          reason.slice(0, REASON_CHARS_MAX),
        ]),
      ),
    }]),
  );
}
