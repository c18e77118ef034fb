// What the demo starts: two zones with their services, or one zone that has them all.

import type { Cluster, Workload, Zone } from "./cluster.ts";
import { allowAll, meshWithMtls } from "./resources.ts";
import { until } from "./until.ts";

/** A cluster whose roles are known: the checks do not ask how many zones there are. */
export interface Scene {
  readonly cluster: Cluster;
  /** Where frontend runs, and whose virtual IPs it calls. */
  readonly home: Zone;
  /** Where billing runs: another zone, if there is one. */
  readonly away: Zone;
  readonly frontend: Workload;
  readonly billing: Workload;
  /** From nothing to the first answer of billing through DNS, virtual IP and Envoys. */
  readonly firstAnswerMs: number;
}

type Progress = (line: string) => void;

/** Global, remotes east and west with an ingress each; backend in both, billing in west only. */
export async function startTwoZones(cluster: Cluster, say: Progress): Promise<Scene> {
  const startedAtMs = performance.now();
  const global = await cluster.startGlobal();
  say(`global answers on ${global.url("api")}`);
  const [east, west] = await Promise.all([
    cluster.startZone("east"),
    cluster.startZone("west"),
    secureMesh(cluster),
  ]);
  say(`zones east and west joined, mesh default with mutual TLS`);
  const [frontend, billing] = await Promise.all([
    east.startWorkload({ service: "frontend", bindOutbounds: true }),
    west.startWorkload({ service: "billing" }),
    east.startIngress(),
    west.startIngress(),
    east.startWorkload({ service: "backend", name: "backend-v1", version: "v1" }),
    west.startWorkload({ service: "backend", name: "backend-v2", version: "v2" }),
  ]);
  say(`frontend and backend v1 (east), backend v2 and billing (west), an ingress in each zone`);
  const firstAnswerMs = await firstAnswer(east, startedAtMs);
  return { cluster, home: east, away: west, frontend, billing, firstAnswerMs };
}

/** The same services in one zone without a global. */
export async function startStandalone(cluster: Cluster, say: Progress): Promise<Scene> {
  const startedAtMs = performance.now();
  const zone = await cluster.startZone("alone");
  await secureMesh(cluster);
  say(`standalone answers on ${zone.controlPlane.url("api")}`);
  const [frontend, billing] = await Promise.all([
    zone.startWorkload({ service: "frontend", bindOutbounds: true }),
    zone.startWorkload({ service: "billing" }),
    zone.startWorkload({ service: "backend", name: "backend-v1", version: "v1" }),
  ]);
  say(`frontend, backend and billing run behind their Envoys`);
  const firstAnswerMs = await firstAnswer(zone, startedAtMs);
  return { cluster, home: zone, away: zone, frontend, billing, firstAnswerMs };
}

async function secureMesh(cluster: Cluster): Promise<void> {
  await cluster.policies.put("/meshes/default", meshWithMtls("default"));
  await cluster.policies.put(
    "/meshes/default/traffic-permissions/everyone",
    allowAll("default"),
  );
}

async function firstAnswer(home: Zone, startedAtMs: number): Promise<number> {
  const { client } = home;
  await until("an answer of billing", async () => {
    const { error } = await client.call("billing.mesh");
    return error === "" ? true : error;
  });
  await until("an answer of backend", async () => {
    const { error } = await client.call("backend.mesh");
    return error === "" ? true : error;
  });
  return performance.now() - startedAtMs;
}
