// After any run of events, once nothing is under way: every proxy runs what would be made from
// scratch of what is stored, and everything else that is told of the zone is true.

import { drawingFor, mesh, MESHES, somethingHappens } from "./zone_edits.ts";
import { ZoneWorld } from "./zone_world.ts";

/** Of each kind; more by hand with URSA_SEEDS. */
const SEEDS = Number(Deno.env.get("URSA_SEEDS") ?? 60);
const EVENTS = 60;

/** Longer than any delay after which a zone changes by itself; certificates live longer. */
const QUIET_MS = 120_000;

function run(seed: number, faults: boolean): void {
  const world = new ZoneWorld({ seed });
  const draw = drawingFor(world);
  world.put(...MESHES.map((name) => mesh(name)));
  for (let event = 0; event < EVENTS; event++) {
    somethingHappens(draw, { faults });
    // Mostly into the middle of what the last one started.
    for (let steps = draw.pick([0, 3, 10, 30, 200]); steps > 0 && world.step(); steps--);
    if (draw.chance(0.2)) world.pass(draw.pick([10, 100, 3_000, 15_000]));
    if (event % 20 === 19) quiesce(world);
  }
}

function quiesce(world: ZoneWorld): void {
  world.failingCommits = 0;
  world.doubtfulCommits = 0;
  world.pass(QUIET_MS);
  world.check();
}

const wanted = Deno.env.get("URSA_SEED");

for (const faults of [false, true]) {
  Deno.test(`a zone at rest is what its store says${faults ? ", with parts that fail" : ""}`, () => {
    const seeds = wanted ? [Number(wanted)] : Array.from({ length: SEEDS }, (_, i) => i + 1);
    for (const seed of seeds) {
      try {
        run(seed, faults);
      } catch (error) {
        throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
      }
    }
  });
}
