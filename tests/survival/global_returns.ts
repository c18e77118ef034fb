// GD: a global that comes back slowly, or as another one.

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import type { Zone } from "../../cli/demo/cluster.ts";
import { allowAll, meshWithMtls } from "../../cli/demo/resources.ts";
import { pause, until } from "../../cli/demo/until.ts";
import { PROJECT } from "../e2e/one_cluster.ts";
import { untilAgreed } from "./agreement.ts";
import { EndpointWatch } from "./endpoints.ts";
import { lasting, untilAllOnline, untilAnswers, untilConnected, uplinkOf } from "./federation.ts";
import { ended, loads } from "./global_down.ts";
import { KeptWatch } from "./kept.ts";
import { type Scenario, seconds } from "./scenario.ts";

const SLOW_MS = 5_000;

const slowStore: Scenario = {
  ids: ["GD-8"],
  async run(federation) {
    const { global, east, west, frontend } = federation;
    const kept = await KeptWatch.start([east.zone, west.zone]);
    const endpoints = await EndpointWatch.start(frontend.proxy);
    const running = await loads(federation, 20);
    await global.kill();
    // The disk answers, but nobody may read: another program has the whole file.
    const store = new DatabaseSync(`${global.data}/store.kv`);
    store.exec("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE");
    const said = () => east.link.bytes("down") + west.link.bytes("down");
    const saidBefore = said();
    let loaded = false;
    const starting = global.start().then(() => loaded = true);
    await pause(SLOW_MS);
    assert.equal(loaded, false, "the store was read all the same");
    assert.equal(said(), saidBefore, "global spoke to zones before it had its store");
    store.exec("ROLLBACK");
    store.close();
    await starting;
    await untilAllOnline(federation);
    const startedAtMs = performance.now();
    await untilAgreed(federation);
    const agreedMs = performance.now() - startedAtMs;
    return [[
      `nothing said in ${seconds(SLOW_MS)} without its store`,
      await kept.stop(),
      await endpoints.stop(),
      await ended(running),
      `all agreed ${seconds(agreedMs)} after zones were back`,
    ].join(", ")];
  },
};

/** A zone looks for its global every 4 s at most. */
const RECONNECT_MS_MAX = 5_000;

const lostState: Scenario = {
  ids: ["GD-7"],
  async run(federation) {
    const { global, east, west, frontend, bounds } = federation;
    const kept = await KeptWatch.start([east.zone, west.zone]);
    const endpoints = await EndpointWatch.start(frontend.proxy);
    const running = await loads(federation, 20);
    await global.kill();
    await global.forgetEverything();
    await global.start();
    const startedAtMs = performance.now();
    await Promise.all([east, west].map(({ zone }) => untilHeld(zone)));
    const heldMs = performance.now() - startedAtMs;
    for (const { zone } of [east, west]) {
      const log = await Deno.readTextFile(zone.controlPlane.logFile);
      assert.match(log, /another global: nothing is deleted or overwritten for it/);
    }
    await pause(lasting(1, { secondsInTests: 5 }));
    const figures = [
      bounds.atMost(heldMs, RECONNECT_MS_MAX, "both zones say that they hold on"),
      await kept.stop(),
      await endpoints.stop(),
      await ended(running),
    ];

    const releasedAtMs = performance.now();
    await release(east.zone);
    await until("end of the old global's permission in east", async () => {
      return await permissions(east.zone) === 0 || "still there";
    });
    figures.push(
      bounds.atMost(performance.now() - releasedAtMs, 5_000, "east follows after its release"),
    );
    assert.equal(await permissions(west.zone), 1, "west was not released");

    await global.rest.put("/meshes/default", meshWithMtls("default"));
    await global.rest.put("/meshes/default/traffic-permissions/everyone", allowAll("default"));
    await release(west.zone);
    for (const { zone } of [east, west]) await untilConnected(zone, true);
    for (const service of ["backend", "billing"]) await untilAnswers(east.zone, service);
    return [figures.join(", ")];
  },
};

function untilHeld(zone: Zone): Promise<number> {
  return until(`word of ${zone.name} that it holds on`, async () => {
    const { held } = await uplinkOf(zone);
    return held !== null || "nothing is held";
  });
}

async function permissions({ rest }: Zone): Promise<number> {
  return (await rest.get<{ total: number }>("/traffic-permissions")).total;
}

/** As an operator would. */
async function release({ rest }: Zone): Promise<void> {
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-q", "-P=ctl", "main.ts", "ctl", "--address", rest.address]
      .concat("zone", "accept-global"),
    cwd: PROJECT,
    env: { NO_COLOR: "1" },
  }).output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
}

export const GLOBAL_RETURNS: readonly Scenario[] = [slowStore];
/** The last one: what it leaves is another global. */
export const GLOBAL_LOST: readonly Scenario[] = [lostState];
