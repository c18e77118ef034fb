// What cannot be applied, in a run of the default mix: by dice of its own, so that the rest of the
// plan is what it would be without.

import { Dice } from "./dice.ts";
import type { Mix } from "./plan.ts";
import type { Step, Verb, With } from "./steps.ts";
import { GLOBAL, zoneNames } from "./world.ts";

const BURDEN = "burden";
const RIDDLE = "riddle";
const LATE_MS = 30_000;

export function poisonSteps(seed: number, mix: Mix): readonly Step[] {
  const dice = new Dice(seed, "poison");
  const steps: Step[] = [];
  const zone = dice.pick(zoneNames(mix.zones));
  const atMs = dice.between(2_000, mix.seconds * 900);
  const add = (afterMs: number, verb: Verb, of: string, given: With, fromMs = atMs) =>
    steps.push({ atMs: fromMs + afterMs, verb, of, with: given });
  if (mix.faults === 0) return steps;
  if (dice.chance(0.25)) {
    add(0, "disk", mix.global && dice.chance(0.6) ? GLOBAL : zone, { refuses: BURDEN });
    add(10, "policies", "default", { count: 5, over: 5, named: "before", gap: 1 });
    add(12, "policy", `default/${BURDEN}`, { from: BURDEN });
    add(12, "policies", "default", { count: 5, over: 5, named: "after", gap: 1 });
  }
  if (!mix.global) return steps;
  if (dice.chance(0.3)) {
    const onGlobal = dice.chance(0.3);
    const type = onGlobal ? "Dataplane" : dice.pick(["TrafficPermission", "TrafficRoute"]);
    // Also when all is healed, and no new connection repairs it.
    const lateMs = mix.seconds * 1_000 + LATE_MS;
    add(0, "corrupt", onGlobal ? GLOBAL : zone, { type }, dice.chance(0.5) ? atMs : lateMs);
  }
  if (dice.chance(0.1)) {
    add(0, "garble", zone, { text: RIDDLE });
    add(10, "policy", `other/${RIDDLE}`, { from: RIDDLE });
  }
  if (dice.chance(0.1)) add(0, "refuse", zone, { type: "TrafficPermission", for: 10_000 });
  return steps;
}
