// GD: what zones do without their global, and what happens when it comes back.

import assert from "node:assert/strict";
import type { Fleet } from "../../bench/harness.ts";
import { Load } from "../../cli/demo/client.ts";
import type { Proxy, Workload } from "../../cli/demo/cluster.ts";
import { pause, until } from "../../cli/demo/until.ts";
import { allConnected, allContent, uses } from "../e2e/envoys.ts";
import { namesIn, untilAgreed } from "./agreement.ts";
import { EndpointWatch } from "./endpoints.ts";
import {
  type Federation,
  lasting,
  type Member,
  untilAnswers,
  untilConnected,
} from "./federation.ts";
import { fleetNames, withFleet } from "./fleet.ts";
import { KEPT } from "./kept.ts";
import { noneFailed, p99, type Scenario, seconds, sinceMs } from "./scenario.ts";

const PER_SECOND = 100;

/** New connections from east to a service there, and to one in west. */
export async function loads(
  { east: { zone: { client } } }: Federation,
  perSecond = PER_SECOND,
): Promise<readonly Load[]> {
  return await Promise.all(["backend.mesh", "billing.mesh"].map(async (name) => {
    const address = await client.resolve(name);
    return new Load(perSecond, () => client.callAt(address, name));
  }));
}

export async function ended(running: readonly Load[]): Promise<string> {
  for (const load of running) await load.stop();
  return noneFailed(running);
}

const killed: Scenario = {
  ids: ["GD-1", "GD-2"],
  async run(federation) {
    const { global, east, frontend } = federation;
    const watch = await EndpointWatch.start(frontend.proxy);
    const running = await loads(federation);
    await global.kill();
    const killedAtMs = performance.now();
    const scaled = await scale(federation);
    await pause(Math.max(0, lasting(5, { secondsInTests: 12 }) - sinceMs(killedAtMs)));
    const downMs = sinceMs(killedAtMs);
    const figure = await ended(running);
    assert.ok(running.every(({ perSecond }) => perSecond >= PER_SECOND * 0.9), "less than 100/s");
    const endpoints = await watch.stop();
    await untilConnected(east.zone, false);
    await global.start();
    return [`${figure} in ${seconds(downMs)} without global, ${endpoints}`, scaled];
  },
};

const SCALE = 10;
/** On an idle machine it is milliseconds; here Envoys start beside it. */
const PROPAGATED_MS_MAX = 5_000;

/** A new service, and one of ten instances that come and go two at a time. */
async function scale({ east, frontend, bounds }: Federation): Promise<string> {
  const { zone } = east;
  const newcomer = await zone.startWorkload({ service: "newcomer" });
  const newcomerMs = await untilAnswers(zone, "newcomer");
  const seen = (proxy: Proxy, wanted: boolean) =>
    until(`${proxy.name} ${wanted ? "" : "not "}used`, async () => {
      return await uses(frontend.proxy, addressOf(proxy)) === wanted || "not yet";
    });
  const upMs: number[] = [];
  const workloads: Workload[] = [];
  for (let i = 1; i <= SCALE; i += 2) {
    await Promise.all([i, i + 1].map(async (n) => {
      const version = { name: `scaled-${n}`, version: `v${n}` };
      const workload = await zone.startWorkload({ service: "scaled", ...version });
      upMs.push(await seen(workload.proxy, true));
      workloads.push(workload);
    }));
  }
  await allContent([newcomer, ...workloads].map(({ proxy }) => proxy));
  await untilAllAnswer(east, SCALE);
  const downMs: number[] = [];
  while (workloads.length > 0) {
    await Promise.all(
      workloads.splice(0, 2).map(async (workload) => {
        const stopping = workload.stop();
        downMs.push(await seen(workload.proxy, false));
        await stopping;
      }),
    );
  }
  await newcomer.stop();
  return [
    `a new service answers ${seconds(newcomerMs)} after its proxy is ready`,
    bounds.atMost(p99(upMs), PROPAGATED_MS_MAX, `each of ${SCALE} more is used p99`),
    bounds.atMost(p99(downMs), PROPAGATED_MS_MAX, "each is out of use p99"),
    "all have all that they asked for",
  ].join("; ");
}

function addressOf({ address, port }: Proxy): string {
  return `${address}:${port}`;
}

/** The same service in so many versions. */
async function untilAllAnswer({ zone }: Member, instances: number): Promise<void> {
  const versions = new Set<string>();
  await until(`answers of ${instances} instances`, async () => {
    const { answer, error } = await zone.client.call("scaled.mesh");
    if (!answer) return error;
    versions.add(answer.version);
    return versions.size === instances || `only ${versions.size} answer`;
  });
}

const zoneRestarted: Scenario = {
  ids: ["GD-3"],
  async run(federation) {
    const { global, east, frontend, bounds } = federation;
    const before = await namesIn(east.zone, KEPT);
    await global.kill();
    const watch = await EndpointWatch.start(frontend.proxy);
    const running = await loads(federation);
    await east.zone.controlPlane.kill();
    const startedAtMs = performance.now();
    await east.zone.controlPlane.start();
    await untilAnswers(east.zone, "backend");
    const now = await namesIn(east.zone, KEPT);
    const servedMs = performance.now() - startedAtMs;
    const { ingress, workloads } = east.zone;
    const proxies = [ingress!, ...[...workloads.values()].map(({ proxy }) => proxy)];
    await until("proxies that are connected again", () => allConnected(proxies));
    const connectedMs = performance.now() - startedAtMs;
    // Long enough for what it might take for stale to be let go of.
    await pause(lasting(1, { secondsInTests: 11 }));
    assert.deepEqual(await namesIn(east.zone, KEPT), before);
    assert.deepEqual(now, before);
    const figure = await ended(running);
    const endpoints = await watch.stop();
    await global.start();
    return [[
      bounds.atMost(servedMs, 3_000, `all ${before.size} resources served`),
      `proxies back after ${seconds(connectedMs)}`,
      `${figure}, ${endpoints}`,
    ].join("; ")];
  },
};

const FLEET = 100;

const churned: Scenario = {
  ids: ["GD-5"],
  async run(federation) {
    const { global, east, west, bounds } = federation;
    await global.kill();
    const killedAtMs = performance.now();
    return await withFleet(east.zone, async (fleet) => {
      const downMs = lasting(10, { secondsInTests: 8 });
      let rounds = 0;
      do {
        if (rounds > 0) await fleet.leave(fleetNames(0, FLEET));
        await churn(fleet);
        rounds++;
      } while (sinceMs(killedAtMs) < downMs);
      await global.start();
      const startedAtMs = performance.now();
      await Promise.all([east, west].map(({ zone }) => untilConnected(zone, true)));
      const backMs = sinceMs(startedAtMs);
      await untilAgreed(federation);
      const agreedMs = sinceMs(startedAtMs) - backMs;
      return [[
        `${FLEET} proxies came and went ${rounds} times`,
        bounds.atMost(backMs, RECONNECT_MS_MAX, "both zones back"),
        bounds.atMost(agreedMs, 2_000 + CHECK_MS_MAX, "then all agreed"),
      ].join("; ")];
    });
  },
};

/** Leaves as many as it says, others than there were in between. */
async function churn(fleet: Fleet): Promise<void> {
  const [half, more] = [FLEET / 2, FLEET * 3 / 2];
  const total = FLEET * 2;
  await fleet.join({ who: "proxies", from: 0, to: FLEET, total });
  await fleet.leave(fleetNames(0, half));
  await fleet.join({ who: "proxies", from: FLEET, to: more, total });
  await fleet.leave(fleetNames(FLEET, more));
  await fleet.join({ who: "proxies", from: 0, to: half, total });
}

/** A zone looks for its global every 4 s at most. */
const RECONNECT_MS_MAX = 5_000;
/** What it takes this test to compare everything, on a busy machine. */
const CHECK_MS_MAX = 3_000;

export const GLOBAL_DOWN: readonly Scenario[] = [killed, zoneRestarted, churned];
