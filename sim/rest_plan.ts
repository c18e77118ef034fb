// What operators write through the API in a run of the default mix: by dice of its own, so that the
// rest of the plan is what it would be without.

import { Dice } from "./dice.ts";
import type { Mix } from "./plan.ts";
import { REST } from "./rest.ts";
import type { Step } from "./steps.ts";

const SHARE = 0.5;
const STEPS_MAX = 5;
const HOW = ["put", "put", "edit", "edit", "edit", "delete", "nonsense"];

export function restSteps(seed: number, mix: Mix): readonly Step[] {
  const dice = new Dice(seed, "rest");
  if (!dice.chance(SHARE)) return [];
  const steps: Step[] = [];
  const add = (atMs: number, of: string, how: string) =>
    steps.push({ atMs: Math.round(atMs), verb: "rest", of, with: { how } });
  const untilMs = mix.seconds * 1_000;
  const count = Math.round(dice.between(1, STEPS_MAX));
  for (let n = 0; n < count; n++) {
    const policy = `${dice.pick(["default", "other"])}/${REST}1`;
    add(dice.between(1_500, untilMs), policy, dice.pick(HOW));
  }
  if (dice.chance(0.3)) {
    const atMs = dice.between(1_500, untilMs);
    for (const how of ["put", "edit"]) add(atMs + dice.durationMs(1, 10_000), MESH, how);
    const endsMs = Math.round(atMs + dice.durationMs(1, 10_000));
    add(endsMs, MESH, "delete");
    // While the mesh goes, or before or after.
    add(endsMs + dice.pick([-1, 0, 0, 1]), `${MESH}/${REST}1`, "put");
  }
  return steps;
}

const MESH = `${REST}mesh`;
