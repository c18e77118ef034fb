// What a caller notices when something between it and an answer is killed, with a second one there.

import { doesNotMatch, equal, ok } from "node:assert/strict";
import { Load } from "../../cli/demo/client.ts";
import type { Cluster, Proxy, Workload, Zone } from "../../cli/demo/cluster.ts";
import { allowAll, meshWithMtls } from "../../cli/demo/resources.ts";
import { until } from "../../cli/demo/until.ts";
import { allConnected, uses } from "./envoys.ts";
import { logFromNow, withCluster } from "./one_cluster.ts";

const PER_SECOND = 50;
/** `--endpoint-lease`, as it is without a word. */
const LEASE_MS = 10_000;
/** What a machine that is busy with other things adds. */
const SLACK_MS = 5_000;
/** How long a caller waits for an answer, at most. */
const FAILOVER_MS = 5_000;

Deno.test("two ingresses, one killed: requests go on, and none fails after its lease", async () => {
  await withCluster("delta", async (cluster) => {
    const { east, west } = await twoZones(cluster, {});
    const [first, second] = await Promise.all([
      west.startAnotherIngress("gate-1"),
      west.startAnotherIngress("gate-2"),
      west.startWorkload({ service: "billing" }),
    ]);
    const caller = await east.startWorkload({ service: "frontend", bindOutbounds: true });
    await untilAnswered(east, "billing.mesh", west);
    await until("both ingresses", () => knows(caller, [first, second]));
    await oneIsKilled({ east, caller, gate: first });
    await until("no stale endpoint", () => knows(caller, [second]));
    const third = await west.startAnotherIngress("gate-3");
    await until("both ingresses", () => knows(caller, [third, second]));
    await oneStandsStill({ east, caller, gate: second });
  });
});

async function oneIsKilled(
  { east, caller, gate }: {
    readonly east: Zone;
    readonly caller: Workload;
    readonly gate: Proxy;
  },
): Promise<void> {
  const leftMs = await nothingFailsOnceItLeft("ingress killed", {
    load: new Load(PER_SECOND, () => east.client.call("billing.mesh")),
    end: () => kill(gate),
    leaves: () => leaves(caller, gate),
  });
  ok(leftMs < LEASE_MS + SLACK_MS, `it left after ${leftMs} ms`);
}

/** Its machine answers for it, and it does not: as if its line were cut. */
async function oneStandsStill(
  { east, caller, gate }: {
    readonly east: Zone;
    readonly caller: Workload;
    readonly gate: Proxy;
  },
): Promise<void> {
  try {
    const leftMs = await nothingFailsOnceItLeft("ingress stands still", {
      load: new Load(PER_SECOND, () => east.client.call("billing.mesh")),
      end: () => Deno.kill(gate.envoyPid, "SIGSTOP"),
      leaves: () => leaves(caller, gate),
    });
    ok(leftMs < LEASE_MS + SLACK_MS, `it left after ${leftMs} ms`);
  } finally {
    Deno.kill(gate.envoyPid, "SIGCONT");
  }
  await until("the ingress that goes on", () => uses(caller.proxy, placeOf(gate)).then(orNotYet));
}

Deno.test("a backend in the own zone killed: the other zone's answers", async () => {
  await withCluster("sotw", async (cluster) => {
    const { east, west } = await twoZones(cluster, {
      routing: { localityAwareLoadBalancing: true },
    });
    const [backend] = await Promise.all([
      east.startWorkload({ service: "backend" }),
      west.startWorkload({ service: "backend" }),
      west.startIngress(),
    ]);
    const caller = await east.startWorkload({ service: "frontend", bindOutbounds: true });
    await untilAnswered(east, "backend.mesh", east);
    await until("the other zone", () => knows(caller, [west.ingress!, backend.proxy]));
    const load = new Load(PER_SECOND, () => east.client.call("backend.mesh"));
    await until("requests", () => load.outcomes.length > PER_SECOND || "too few");
    deepEqualZones(load, [east.name]);
    const atMs = performance.now();
    kill(backend.proxy);
    backend.service.signal("SIGKILL");
    await until("answers of the other zone", () => west.name in load.byZone() || "none yet");
    const answeredMs = performance.now() - atMs;
    await leaves(caller, backend.proxy);
    const leftMs = performance.now() - atMs;
    await later(load);
    await load.stop();
    report(`backend killed, answer of the other zone after ${Math.round(answeredMs)} ms`, {
      load,
      atMs,
      leftMs,
    });
    ok(answeredMs < FAILOVER_MS, `answered after ${answeredMs} ms`);
    equal(load.failuresSince(atMs + FAILOVER_MS).length, 0, "failed later");
    await workloadIsKilled(east, west);
  });
});

Deno.test("a control plane that stood still for longer than a lease drops nobody", async () => {
  await withCluster("delta", async (cluster) => {
    const zone = await cluster.startZone("alone");
    await cluster.policies.put("/meshes/default", meshWithMtls("default"));
    await cluster.policies.put("/meshes/default/traffic-permissions/everyone", allowAll("default"));
    const backend = await zone.startWorkload({ service: "backend" });
    const caller = await zone.startWorkload({ service: "frontend", bindOutbounds: true });
    await untilAnswered(zone, "backend.mesh", zone);
    const log = await logFromNow(zone.controlPlane);
    const address = await zone.client.resolve("backend.mesh");
    const load = new Load(PER_SECOND, () => zone.client.callAt(address, "backend.mesh"));
    zone.controlPlane.signal("SIGSTOP");
    await until("a lease and a half", () => passed(load, 1.5 * LEASE_MS));
    zone.controlPlane.signal("SIGCONT");
    await until("proxies that are connected", () => allConnected([backend.proxy, caller.proxy]));
    await until("another lease", () => passed(load, 2.6 * LEASE_MS));
    await load.stop();
    equal(load.failures.length, 0);
    doesNotMatch(await log(), /deregistered/);
    const { outcomes } = load;
    console.log(
      `  control plane stood still for 15 s: 0 of ${outcomes.length} failed, nobody left`,
    );
  });
});

/** By the requests that were made. */
function passed({ outcomes }: Load, ms: number): true | string {
  return outcomes.length * 1_000 >= ms * PER_SECOND || `${outcomes.length} requests`;
}

/** Its proxy looks every second, and says what it sees every three. */
async function workloadIsKilled(east: Zone, west: Zone): Promise<void> {
  const backend = await east.startWorkload({ service: "probed", probed: true });
  const caller = await east.startWorkload({ service: "caller", bindOutbounds: true });
  await west.startWorkload({ service: "probed" });
  await untilAnswered(east, "probed.mesh", east);
  await until("the other zone", () => knows(caller, [west.ingress!, backend.proxy]));
  const leftMs = await nothingFailsOnceItLeft("workload of a probed backend killed", {
    load: new Load(PER_SECOND, () => east.client.call("probed.mesh")),
    end: () => backend.service.signal("SIGKILL"),
    leaves: () => leaves(caller, backend.proxy),
  });
  ok(leftMs < FAILOVER_MS + SLACK_MS, `it left after ${leftMs} ms`);
}

/** Returns how long it took to leave. */
async function nothingFailsOnceItLeft(
  title: string,
  { load, end, leaves }: {
    readonly load: Load;
    readonly end: () => void;
    readonly leaves: () => Promise<unknown>;
  },
): Promise<number> {
  await until("requests", () => load.outcomes.length > PER_SECOND || "too few");
  const atMs = performance.now();
  end();
  await leaves();
  const leftMs = performance.now() - atMs;
  await later(load);
  await load.stop();
  report(title, { load, atMs, leftMs });
  equal(load.failuresSince(atMs + leftMs).length, 0, "failed after it left");
  return leftMs;
}

async function twoZones(
  cluster: Cluster,
  mesh: Record<string, unknown>,
): Promise<{ readonly east: Zone; readonly west: Zone }> {
  await cluster.startGlobal();
  const [east, west] = await Promise.all([cluster.startZone("east"), cluster.startZone("west")]);
  await cluster.policies.put("/meshes/default", { ...meshWithMtls("default"), ...mesh } as never);
  await cluster.policies.put("/meshes/default/traffic-permissions/everyone", allowAll("default"));
  return { east, west };
}

/** The process that would start it again as well. */
function kill({ child, envoyPid }: Proxy): void {
  child.signal("SIGKILL");
  Deno.kill(envoyPid, "SIGKILL");
}

const placeOf = ({ address, port }: Proxy) => `${address}:${port}`;
const orNotYet = (is: boolean): true | string => is || "not yet";

async function knows(caller: Workload, proxies: readonly Proxy[]): Promise<true | string> {
  for (const proxy of proxies) {
    if (!await uses(caller.proxy, placeOf(proxy))) return `${proxy.name} is unknown`;
  }
  return true;
}

function leaves(caller: Workload, gone: Proxy): Promise<number> {
  return until(`end of ${gone.name}`, async () => {
    return !await uses(caller.proxy, placeOf(gone)) || "it is an endpoint still";
  });
}

/** Until so many have begun that a failure would show. */
async function later(load: Load): Promise<void> {
  const before = load.outcomes.length;
  await until("requests afterwards", () => load.outcomes.length > before + 100 || "too few");
}

function deepEqualZones(load: Load, zones: readonly string[]): void {
  equal(Object.keys(load.byZone()).sort().join(), [...zones].sort().join());
}

async function untilAnswered({ client }: Zone, name: string, by: Zone): Promise<void> {
  await until(`answer of ${name}`, async () => {
    const { answer, error } = await client.call(name);
    return answer?.zone === by.name || error || `${answer?.zone} answers`;
  });
}

function report(
  what: string,
  { load, atMs, leftMs }: {
    readonly load: Load;
    readonly atMs: number;
    readonly leftMs: number;
  },
): void {
  const { failures, outcomes } = load;
  const last = Math.max(0, ...failures.map(({ startedAtMs }) => startedAtMs - atMs));
  console.log(
    `  ${what}: ${failures.length} of ${outcomes.length} failed at ${PER_SECOND}/s, ` +
      `the last began after ${Math.round(last)} ms; it left after ${Math.round(leftMs)} ms` +
      (failures[0] ? ` (${failures[0].reply.error})` : ""),
  );
}
