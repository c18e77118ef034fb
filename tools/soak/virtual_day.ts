// A day in the simulator: every hour some work and some faults, then everything healed and looked at.

import { everyCheck } from "../../sim/checks/mod.ts";
import { DEFAULT_MIX, type Mix, planOf } from "../../sim/plan.ts";
import { empty, sizesOf } from "../../sim/run.ts";
import { actOf } from "../../sim/steps.ts";
import { Violation, World } from "../../sim/world.ts";
import { mesh } from "../../tests/system/zone_edits.ts";
import type { Point } from "./slope.ts";

export interface Day {
  /** Bytes of the heap after each hour, by the hour; all garbage is collected before. */
  readonly heap: readonly Point[];
  readonly steps: number;
  readonly turns: number;
  /** The most that any hour ended with, and what is left when everybody has gone. */
  readonly actors: { readonly start: number; readonly peak: number; readonly end: number };
}

const SETUP_MS = 2_000;
const HOUR_MS = 3_600_000;
/** Of each hour: for what comes back by itself, and for looking at a world at rest. */
const REST_MS = 600_000;
/** An operation every minute, and a fault now and then. */
const MIX: Mix = {
  ...DEFAULT_MIX,
  zones: 2,
  proxies: 4,
  seconds: (HOUR_MS - REST_MS) / 1_000,
  work: 1 / 60,
  faults: 4,
};

/** Throws what does not hold. `hour` is told after each. */
export async function virtualDay(
  seed: number,
  hours: number,
  hour: (heap: Point, actors: number) => void,
): Promise<Day> {
  const world = new World({ seed, zones: MIX.zones, global: true, bad: 0.25, checks: everyCheck });
  world.write(world.writer, [
    { op: "put", resource: mesh("default") },
    { op: "put", resource: mesh("other") },
  ]);
  world.luck.healed = true;
  world.run(SETUP_MS);
  const before = sizesOf(world);
  const start = actorsIn(world);
  const heap: Point[] = [];
  let [steps, peak] = [0, 0];
  for (let x = 1; x <= hours; x++) {
    world.luck.healed = false;
    const plan = planOf(seed + x, MIX);
    for (const step of plan) world.agenda.after(step.atMs, () => actOf(step.verb).run(world, step));
    steps += plan.length;
    world.run(HOUR_MS - REST_MS);
    peak = Math.max(peak, actorsIn(world));
    world.heal();
    world.run(REST_MS);
    const wrong = world.unrest();
    if (wrong) throw new Violation(wrong.check, `after hour ${x}: ${wrong.message}`, world.nowMs);
    await collectGarbage();
    heap.push({ x, y: Deno.memoryUsage().heapUsed });
    hour(heap.at(-1)!, actorsIn(world));
  }
  empty(world, before);
  const turns = world.planes.reduce((sum, plane) => sum + plane.turns, 0);
  return { heap, steps, turns, actors: { start, peak, end: actorsIn(world) } };
}

function actorsIn({ planes }: World): number {
  return planes.reduce((sum, { kernel }) => sum + (kernel?.actors().length ?? 0), 0);
}

async function collectGarbage(): Promise<void> {
  const { gc } = globalThis as { gc?: () => void };
  if (!gc) throw new Error("garbage cannot be collected: run with --v8-flags=--expose-gc");
  // What weak references were followed to is kept until the turn of the event loop is over.
  await new Promise((done) => setTimeout(done, 0));
  gc();
}
