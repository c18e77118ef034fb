// ZP: a zone and global that cannot reach each other, or think so, or are told so.

import assert from "node:assert/strict";
import { type Fleet, usageOf } from "../../bench/harness.ts";
import type { ControlPlane, Zone } from "../../cli/demo/cluster.ts";
import { allowAll } from "../../cli/demo/resources.ts";
import { pause, until } from "../../cli/demo/until.ts";
import { uses } from "../e2e/envoys.ts";
import { responsesSent, untilAgreed } from "./agreement.ts";
import { EndpointWatch } from "./endpoints.ts";
import { BOTH } from "./faulty_link.ts";
import {
  type Federation,
  lasting,
  openSubscriptions,
  untilAllOnline,
  untilConnected,
  untilPresence,
} from "./federation.ts";
import { fleetNames, withFleet } from "./fleet.ts";
import { ended, loads } from "./global_down.ts";
import { KeptWatch } from "./kept.ts";
import { type Scenario, seconds, sinceMs } from "./scenario.ts";

/** A keepalive, and its answer that does not come. */
const NOTICED_MS_MAX = 35_000;
/** The longest pause between two attempts, and one that nobody answers. */
const RECONNECT_MS_MAX = 14_000;
const EDITS = 500;
const EDITED = 50;
const FLEET = 100;

const silence: Scenario = {
  ids: ["ZP-1", "ZP-3"],
  async run(federation) {
    const { global, east, bounds } = federation;
    const running = await loads(federation, 20);
    const cutAtMs = performance.now();
    east.link.hold(BOTH);
    const noticed = Promise.all([
      untilPresence(global, "east", "offline"),
      untilConnected(east.zone, false),
    ]);
    const figures = await withFleet(east.zone, async (fleet) => {
      await Promise.all([editPolicies(global), changeProxies(fleet)]);
      const [offlineMs, aloneMs] = await noticed;
      await pause(Math.max(0, lasting(5, { secondsInTests: 0 }) - sinceMs(cutAtMs)));
      await untilStill(east.zone);
      const sentBefore = await responsesSent(east.zone.rest, "Dataplane");
      east.link.heal();
      const healedAtMs = performance.now();
      await untilAllOnline(federation);
      const backMs = sinceMs(healedAtMs);
      await untilAgreed(federation);
      const agreedMs = sinceMs(healedAtMs) - backMs;
      const down = await responsesInSession(global, "east", "TrafficPermission");
      const up = await responsesSent(east.zone.rest, "Dataplane") - sentBefore;
      assert.ok(down <= 1, `${down} responses brought the policies`);
      assert.ok(up <= 2, `${up} responses brought the proxies`);
      return [
        [
          bounds.atMost(offlineMs, NOTICED_MS_MAX, "global shows the zone as offline"),
          bounds.atMost(aloneMs, NOTICED_MS_MAX, "the zone says that it is alone"),
          bounds.atMost(backMs, RECONNECT_MS_MAX, "back after it was healed"),
          await ended(running),
        ].join(", "),
        [
          `${EDITS} edits of ${EDITED} policies crossed in ${down} response`,
          `${FLEET} proxies that changed ${FLEET_CHANGES} times in ${up}`,
          bounds.atMost(agreedMs, 2_000 + CHECK_MS_MAX, "all agreed"),
        ].join(", "),
      ];
    });
    await removePolicies(global);
    return figures;
  },
};

const FLEET_CHANGES = 500;
/** What it takes this test to compare everything, on a busy machine. */
const CHECK_MS_MAX = 3_000;

function policyPath(n: number): string {
  return `/meshes/default/traffic-permissions/edited-${n}`;
}

/** Of a service that is not there: what is looked at is the way, not what it does to requests. */
function policy(version: number) {
  const destinations = [{ match: { "kuma.io/service": "nobodys", version: String(version) } }];
  return { ...allowAll("default"), destinations };
}

async function editPolicies({ rest }: ControlPlane): Promise<void> {
  for (let edit = 0; edit < EDITS; edit++) {
    const n = edit % EDITED;
    await rest.put(policyPath(n), { ...policy(edit), name: `edited-${n}` });
  }
}

async function removePolicies({ rest }: ControlPlane): Promise<void> {
  for (let n = 0; n < EDITED; n++) await rest.delete(policyPath(n));
}

/** A hundred come, go, come, go, and come. */
async function changeProxies(fleet: Fleet): Promise<void> {
  for (let change = FLEET; change <= FLEET_CHANGES; change += 2 * FLEET) {
    await fleet.join({ who: "proxies", from: 0, to: FLEET });
    if (change < FLEET_CHANGES) await fleet.leave(fleetNames(0, FLEET));
  }
}

const STILL_MS = 1_000;

/** Until nothing has changed of a zone's proxies for a while. */
async function untilStill({ rest }: Zone): Promise<void> {
  let [last, sinceMs] = ["", 0];
  await until("an end of changes", async () => {
    const now = JSON.stringify(await rest.get("/dataplanes?size=1000"));
    if (now !== last) [last, sinceMs] = [now, performance.now()];
    return performance.now() - sinceMs >= STILL_MS || "they go on";
  });
}

interface Overview {
  readonly zoneInsight: {
    readonly subscriptions: readonly {
      readonly status: { readonly stat: Readonly<Record<string, { responsesSent?: string }>> };
    }[];
  };
}

/** Of this connection of the zone, as its insight counts. */
async function responsesInSession(
  { rest }: ControlPlane,
  zone: string,
  type: string,
): Promise<number> {
  const overview = () => rest.get<Overview>(`/zones/${zone}/_overview`);
  let sent = 0;
  await until("statistics", async () => {
    const last = (await overview()).zoneInsight.subscriptions.at(-1);
    sent = Number(last?.status.stat[type]?.responsesSent ?? 0);
    return sent > 0 || "not written yet";
  });
  return sent;
}

const halfOpen: Scenario = {
  ids: ["ZP-4"],
  async run(federation) {
    const { global, east } = federation;
    const left = east.link.halfOpen();
    assert.equal(left, 1, "the zone has one connection");
    const leftAtMs = performance.now();
    await untilPresence(global, "east", "online");
    const path = "/meshes/default/traffic-permissions/once";
    await global.rest.put(path, { ...allowAll("default"), name: "once" });
    const backMs = await untilIn(east.zone, "once", true);
    const aliveMs = lasting(0.5, { secondsInTests: 8 });
    while (performance.now() - leftAtMs < aliveMs) {
      assert.ok(await openSubscriptions(global, "east") <= 1, "two subscriptions are shown");
      await pause(250);
    }
    assert.equal(await openSubscriptions(global, "east"), 1);
    const before = await responsesSent(global.rest, "TrafficPermission");
    await global.rest.delete(path);
    await untilIn(east.zone, "once", false);
    await untilAgreed(federation);
    const sent = await responsesSent(global.rest, "TrafficPermission") - before;
    assert.equal(sent, 2, "one response to each zone, none to the old stream");
    return [
      `the old connection open for ${seconds(aliveMs)}, one subscription shown, ` +
      `news over the new one ${seconds(backMs)} later, each of them once`,
    ];
  },
};

function untilIn({ name, rest }: Zone, permission: string, wanted: boolean): Promise<number> {
  return until(`${permission} ${wanted ? "" : "gone "}in ${name}`, async () => {
    const all = JSON.stringify(await rest.get("/traffic-permissions"));
    return all.includes(`__${permission}_`) || all.includes(`"${permission}"`)
      ? wanted || "there"
      : !wanted || "not there";
  });
}

const disabled: Scenario = {
  ids: ["ZP-7"],
  async run(federation) {
    const { global, east, west, frontend, bounds } = federation;
    const { address, port } = west.zone.ingress!;
    const offered = (wanted: boolean) =>
      until(`west ${wanted ? "" : "not "}offered`, async () => {
        return await uses(frontend.proxy, `${address}:${port}`) === wanted || "not yet";
      });
    const enable = (enabled: boolean) =>
      global.rest.put("/zones/west", { type: "Zone", name: "west", enabled });
    await enable(false);
    const goneMs = await offered(false);
    const path = "/meshes/default/traffic-permissions/meanwhile";
    await global.rest.put(path, { ...allowAll("default"), name: "meanwhile" });
    const policyMs = await untilIn(west.zone, "meanwhile", true);
    await enable(true);
    const backMs = await offered(true);
    await until("answer of billing", async () => {
      const { error } = await east.zone.client.call("billing.mesh");
      return error === "" || error;
    });
    await global.rest.delete(path);
    return [[
      bounds.atMost(goneMs, 1_000, "out of the other zone's Envoys"),
      `still gets policies after ${seconds(policyMs)}`,
      bounds.atMost(backMs, 1_000, "enabled again, back"),
    ].join(", ")];
  },
};

const PHASE_MS = 2_000;
/** 250 ms, doubled up to 15 s, each times a random share: more than these would be no backoff. */
const DIALS_PER_PHASE_MAX = 20;
const STABLE_MS_MAX = 15_000;

const flapping: Scenario = {
  ids: ["ZP-8"],
  async run(federation) {
    const { global, east, west, frontend, bounds } = federation;
    const kept = await KeptWatch.start([global, east.zone, west.zone]);
    const endpoints = await EndpointWatch.start(frontend.proxy);
    const running = await loads(federation, 20);
    const untilMs = performance.now() + lasting(5, { secondsInTests: 16 });
    const rounds: { readonly dials: number; readonly rssKb: readonly number[] }[] = [];
    while (performance.now() < untilMs) {
      const before = east.link.dials;
      // Half the time a router says no, half the time nobody says anything.
      if (rounds.length % 2 === 0) east.link.cut();
      else east.link.hold(BOTH);
      await pause(PHASE_MS);
      const dials = east.link.dials - before;
      east.link.heal();
      await pause(PHASE_MS);
      rounds.push({ dials, rssKb: await rssOf(federation) });
    }
    const stableAtMs = performance.now();
    await untilAllOnline(federation);
    await untilAgreed(federation);
    const agreedMs = performance.now() - stableAtMs;
    const most = Math.max(...rounds.map(({ dials }) => dials));
    assert.ok(most <= DIALS_PER_PHASE_MAX, `${most} attempts in ${PHASE_MS} ms`);
    return [[
      `${rounds.length} times down`,
      await kept.stop(),
      await endpoints.stop(),
      await ended(running),
      `at most ${most} attempts in ${seconds(PHASE_MS)}`,
      growth(rounds.map(({ rssKb }) => rssKb)),
      bounds.atMost(agreedMs, STABLE_MS_MAX, "all agreed"),
    ].join(", ")];
  },
};

async function rssOf({ global, east }: Federation): Promise<readonly number[]> {
  return await Promise.all(
    [global, east.zone.controlPlane].map(async ({ pid }) => (await usageOf(pid)).rssKb),
  );
}

const GROWTH_MAX = 0.1;

/** From the first round, in which what a fault needs is loaded, to the last. */
function growth(rounds: readonly (readonly number[])[]): string {
  const [first, last] = [rounds[0]!, rounds.at(-1)!];
  const grown = last.map((rssKb, i) => rssKb / first[i]! - 1);
  for (const share of grown) assert.ok(share <= GROWTH_MAX, `memory grew by ${percent(share)}`);
  return `memory of global ${percent(grown[0]!)}, of the zone ${percent(grown[1]!)}`;
}

function percent(share: number): string {
  return `${share < 0 ? "−" : "+"}${Math.abs(share * 100).toFixed(1)} %`;
}

export const PARTITION: readonly Scenario[] = [silence, halfOpen, disabled, flapping];
