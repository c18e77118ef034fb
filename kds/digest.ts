// Whether both sides of a stream hold the same: per type one digest of names and versions, which a
// zone tells with its health checks. What a receiver lost, or somebody altered, is found and sent again.
//
//   zone ──digests (both directions)──▶ global ─┬─ down differs ─▶ asks the zone to compare ─┐
//                                               └─ up differs ──▶ says what it has           ▼
//                                       the type is subscribed again, with the versions that are there

import { compareText } from "../core/resource.ts";
import { sha256Hex } from "../core/version.ts";

/** What is held of a type once a response was answered, with its nonce: others are not compared. */
export interface Standing {
  readonly nonce: string;
  readonly digest: string;
}

/** By type. */
export type Standings = Readonly<Record<string, Standing>>;

/** Of a zone: what it took of global's, and what global should have of its own. */
export interface Digests {
  readonly down: Standings;
  readonly up: Standings;
}

/** How often they are told. */
export const DIGESTS_MS = 30_000;
const DIGEST_CHARS = 12;
const TYPES_MAX = 256;

export function digestOf(versions: ReadonlyMap<string, string>): string {
  const lines = [...versions].sort(([a], [b]) => compareText(a, b)).map((one) => one.join(" "));
  return sha256Hex(lines.join("\n")).slice(0, DIGEST_CHARS);
}

/** Types in which the two sides stand after the same response, and hold something else. */
export function mismatches(told: Standings, own: Standings): readonly string[] {
  return Object.keys(told).filter((typeUrl) => {
    const [a, b] = [told[typeUrl]!, own[typeUrl]];
    return b !== undefined && a.nonce === b.nonce && a.digest !== b.digest;
  });
}

export function writeDigests({ down, up }: Digests): string {
  const lists = [down, up].map((standings) =>
    Object.entries(standings).map(([type, { nonce, digest }]) => [type, nonce, digest])
  );
  return JSON.stringify(lists);
}

/** What a zone wrote, as far as it has the right shape. */
export function readDigests(text: string): Digests | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  const [down, up] = Array.isArray(value) ? value : [];
  return Array.isArray(down) && Array.isArray(up)
    ? { down: readStandings(down), up: readStandings(up) }
    : null;
}

function readStandings(list: readonly unknown[]): Standings {
  const entries = list.slice(0, TYPES_MAX).flatMap((one) => {
    const [type, nonce, digest] = Array.isArray(one) ? one : [];
    const isText = [type, nonce, digest].every((text) => typeof text === "string");
    return isText ? [[type, { nonce, digest }] as const] : [];
  });
  return Object.fromEntries(entries);
}
