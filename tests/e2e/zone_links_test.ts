// Global is killed; services that start and stop in one zone are seen in the other all the same, also
// by a zone that starts anew meanwhile. Global comes back, and all is as it had been told.

import { deepEqual, equal } from "node:assert/strict";
import type { PeersStatus } from "../../actors/peers/messages.ts";
import { Load } from "../../cli/demo/client.ts";
import type { Zone } from "../../cli/demo/cluster.ts";
import { allowAll, meshWithMtls } from "../../cli/demo/resources.ts";
import { until } from "../../cli/demo/until.ts";
import type { JsonObject } from "../../core/resource.ts";
import { withCluster } from "./one_cluster.ts";

Deno.test("without global, zones hear of each other's services themselves", async () => {
  await withCluster("delta", async (cluster) => {
    const global = await cluster.startGlobal();
    const [east, west] = await Promise.all([cluster.startZone("east"), cluster.startZone("west")]);
    await cluster.policies.put("/meshes/default", meshWithMtls("default"));
    await cluster.policies.put("/meshes/default/traffic-permissions/everyone", allowAll("default"));
    const [, , first] = await Promise.all([
      east.startWorkload({ service: "frontend", bindOutbounds: true }),
      west.startIngress(),
      west.startWorkload({ service: "first" }),
      west.startWorkload({ service: "steady" }),
    ]);
    await answers(east, "first");
    await answers(east, "steady");
    await until("how west is reached, in east", async () => {
      const { peers } = await linksOf(east);
      return peers.some(({ zone }) => zone === "west") || "global has not told";
    });

    const load = new Load(20, () => east.client.call("steady.mesh"));
    await global.kill();
    const linkedMs = await until("link of the zones", () => hears(east, "west"));
    const startedMs = performance.now();
    const second = await west.startWorkload({ service: "second" });
    const servedMs = performance.now() - startedMs;
    const seenMs = await answers(east, "second");
    await first.stop();
    const goneMs = await until("end of first in east", async () => {
      return !await offers(east, "first") || "it is still offered";
    });

    await east.controlPlane.stop();
    await east.controlPlane.start();
    await until("link of the zones after a restart", () => hears(east, "west"));
    await west.startWorkload({ service: "third" });
    await answers(east, "third");
    await second.stop();
    await until("end of second in east", async () => {
      return !await offers(east, "second") || "it is still offered";
    });

    const before = await ingresses(east);
    await global.start();
    for (const zone of [east, west]) {
      await until(`global in ${zone.name}`, async () => {
        const { alone } = await linksOf(zone);
        return !alone || "it is alone";
      });
    }
    await until("end of links", async () => {
      const { peers } = await linksOf(east);
      return peers.every(({ linkedSince }) => linkedSince === null) || JSON.stringify(peers);
    });
    await until("what east knows on global", async () => {
      const known = JSON.stringify(await cluster.policies.get("/zoneingresses"));
      return known.includes('"third"') && !known.includes('"first"') || known;
    });
    deepEqual(await ingresses(east), before);
    await load.stop();
    equal(load.failures[0], undefined, `${load.failures.length} of ${load.outcomes.length} failed`);
    console.log(
      `  linked ${Math.round(linkedMs)} ms after global was killed; a service (up in ` +
        `${Math.round(servedMs)} ms) answered ${
          Math.round(seenMs)
        } ms later in the other zone, one ` +
        `that ended was gone there after ${Math.round(goneMs)} ms; ` +
        `0 of ${load.outcomes.length} requests failed`,
    );
  });
});

function linksOf({ rest }: Zone): Promise<PeersStatus> {
  return rest.get<PeersStatus & JsonObject>("/zone-links");
}

async function hears(zone: Zone, other: string): Promise<true | string> {
  const { peers } = await linksOf(zone);
  const found = peers.find((peer) => peer.zone === other);
  return found?.hears && found.linkedSince !== null || JSON.stringify(peers);
}

function answers(zone: Zone, service: string): Promise<number> {
  return until(`answer of ${service}`, async () => {
    const { error } = await zone.client.call(`${service}.mesh`);
    return error === "" || error;
  });
}

async function offers(zone: Zone, service: string): Promise<boolean> {
  return (await ingresses(zone)).some((ingress) =>
    JSON.stringify(ingress).includes(`"${service}"`)
  );
}

/** What is known of other zones: without times, which are a store's own. */
async function ingresses({ rest, name }: Zone): Promise<readonly JsonObject[]> {
  const { items } = await rest.get<{ items: JsonObject[] }>("/zoneingresses");
  return items.filter(({ zone }) => zone !== name).map((
    { creationTime: _created, modificationTime: _modified, ...rest },
  ) => rest);
}
