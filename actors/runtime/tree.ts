// The supervision tree as data, and what happens when one of its members crashes.

import type { Actor, Path } from "./actor.ts";

/** How many crashes within how long are a restart; one more gives up. */
export interface Intensity {
  readonly crashes: number;
  readonly withinMs: number;
}

// deno-lint-ignore no-explicit-any -- the tree holds actors of every state, message and argument type
export type AnyActor = Actor<any, any, any>;

/** A member that is always there. */
export interface One {
  readonly kind: "one";
  readonly name: Path;
  readonly actor: AnyActor;
  readonly args: unknown;
  readonly intensity: Intensity;
}

/** A group whose members come and go by `spawn` and `stop`; each is counted on its own. */
export interface Many {
  readonly kind: "many";
  readonly name: Path;
  readonly actor: AnyActor;
  readonly intensity: Intensity;
  /** Told `child_restarted` when a member lost its state, `child_parked` when it crashed too often. */
  readonly reportTo?: Path;
}

/** In order of dependency: a crash of one restarts it and everything after it. */
export type Tree = readonly (One | Many)[];

const DEFAULT: Intensity = { crashes: 5, withinMs: 10_000 };

/** After this long a spawn revives a member that was parked. */
export const PARKED_MS = DEFAULT.withinMs;

export function one<Args>(
  name: Path,
  // deno-lint-ignore no-explicit-any -- see AnyActor
  actor: Actor<any, any, Args>,
  args: Args,
  intensity: Intensity = DEFAULT,
): One {
  return { kind: "one", name, actor, args, intensity };
}

export function many(
  name: Path,
  actor: AnyActor,
  options: { readonly intensity?: Intensity; readonly reportTo?: Path } = {},
): Many {
  const { intensity = DEFAULT, reportTo } = options;
  return { kind: "many", name, actor, intensity, ...(reportTo !== undefined && { reportTo }) };
}

/** What a group's `reportTo` hears of its members. */
export type ChildReport =
  | { readonly tag: "child_restarted"; readonly path: Path }
  | { readonly tag: "child_parked"; readonly path: Path; readonly reason: string };

/** The crashes that still count, this one included, and whether they are too many. */
export function afterCrash(
  crashesAtMs: readonly number[],
  nowMs: number,
  intensity: Intensity,
): { readonly crashesAtMs: readonly number[]; readonly tooMany: boolean } {
  const recent = [...crashesAtMs.filter((at) => at > nowMs - intensity.withinMs), nowMs];
  return { crashesAtMs: recent, tooMany: recent.length > intensity.crashes };
}
