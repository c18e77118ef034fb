// The scenarios of sim/scenarios that involve processes and sockets, with real ones, on one federation.

import assert from "node:assert/strict";
import { untilAgreed, untilQuiet } from "./agreement.ts";
import { type Federation, untilAllOnline, withFederation } from "./federation.ts";
import { GLOBAL_DOWN } from "./global_down.ts";
import { GLOBAL_LOST, GLOBAL_RETURNS } from "./global_returns.ts";
import { PARTITION } from "./partition.ts";
import { type Scenario, seconds } from "./scenario.ts";
import { SLOW_ZONE } from "./slow_zone.ts";

const SCENARIOS: readonly Scenario[] = [
  ...GLOBAL_DOWN,
  ...GLOBAL_RETURNS,
  ...PARTITION,
  ...SLOW_ZONE,
  ...GLOBAL_LOST,
];

Deno.test("real processes and Envoys survive", async (t) => {
  await withFederation(async (federation) => {
    const only = Deno.env.get("URSA_SURVIVAL_ONLY")?.split(",");
    for (const scenario of SCENARIOS) {
      if (only && !scenario.ids.some((id) => only.includes(id))) continue;
      const holds = await t.step(scenario.ids.join(", "), () => runOne(scenario, federation));
      assert.ok(holds, "the next scenarios need what this one left behind");
    }
  });
});

async function runOne({ ids, run }: Scenario, federation: Federation): Promise<void> {
  const figures = await run(federation);
  await untilAllOnline(federation);
  const agreedMs = await untilAgreed(federation);
  await untilQuiet(federation);
  for (const [i, id] of ids.entries()) console.log(`${id}: ${figures[i]}`);
  console.log(`  agreed ${seconds(agreedMs)} later`);
}
