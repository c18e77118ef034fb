// A global that is stopped again and again, as during an upgrade that goes wrong: its zone lives on.

import { deepEqual, equal } from "node:assert/strict";
import { Load } from "../../cli/demo/client.ts";
import type { Zone } from "../../cli/demo/cluster.ts";
import { allowAll } from "../../cli/demo/resources.ts";
import { until } from "../../cli/demo/until.ts";
import { logFromNow, withCluster } from "./one_cluster.ts";

const STOPS = 20;
const PERMISSION = "/meshes/default/traffic-permissions/everyone";

const JOINED = /connected to global/;

Deno.test(`a zone outlives ${STOPS} stops of its global, and joins again each time`, async () => {
  await withCluster("delta", async (cluster) => {
    const global = await cluster.startGlobal();
    const zone = await cluster.startZone("east");
    await Promise.all([
      zone.startWorkload({ service: "frontend", bindOutbounds: true }),
      zone.startWorkload({ service: "backend" }),
    ]);
    await until("answer of backend", async () => {
      const { error } = await zone.client.call("backend.mesh");
      return error === "" ? true : error;
    });
    const load = new Load(20, () => zone.client.call("backend.mesh"));
    for (let stop = 1; stop <= STOPS; stop++) {
      const log = await logFromNow(zone.controlPlane);
      // Now and then in the middle of a transfer.
      if (stop % 2 === 0) await global.rest.put(PERMISSION, permissionOf(stop));
      await global.stop();
      await global.start();
      await until(`connection after stop ${stop}`, async () => {
        return JOINED.test(await log()) || "the zone has not joined";
      });
      if (stop % 2 === 0) await until("permission in the zone", () => has(zone, stop));
    }
    await load.stop();
    const [first] = load.failures;
    equal(first, undefined, `${load.failures.length} of ${load.outcomes.length} failed`);
    const actors = await zone.rest.get<{ items: Actor[] }>("/debug/actors");
    deepEqual(actors.items.filter(({ restarts }) => restarts > 0), []);
    console.log(`  joined ${STOPS} times, 0 of ${load.outcomes.length} requests failed`);
  });
});

interface Actor {
  readonly path: string;
  readonly restarts: number;
}

function permissionOf(stop: number) {
  const sources = [{ match: { "kuma.io/service": "*", round: String(stop) } }];
  return { ...allowAll("default"), sources };
}

async function has(zone: Zone, stop: number): Promise<true | string> {
  const found = await zone.rest.find(`/meshes/default/traffic-permissions`);
  return JSON.stringify(found).includes(`"round":"${stop}"`) || JSON.stringify(found);
}
