// What the scenarios happen to: a global and two zones as processes, real Envoys, faulty links.

import { Cluster, type ControlPlane, type Workload, type Zone } from "../../cli/demo/cluster.ts";
import { allowAll, meshWithMtls } from "../../cli/demo/resources.ts";
import { until } from "../../cli/demo/until.ts";
import { findEnvoy } from "../../dataplane/io/envoy_binary.ts";
import { PROJECT } from "../e2e/one_cluster.ts";
import { FaultyLink } from "./faulty_link.ts";
import { Bounds } from "./scenario.ts";

export interface Member {
  readonly zone: Zone;
  /** Between this zone and global. */
  readonly link: FaultyLink;
}

export interface Federation {
  readonly cluster: Cluster;
  readonly global: ControlPlane;
  readonly east: Member;
  readonly west: Member;
  /** In east; it calls `backend`, which is in east, and `billing`, which is in west. */
  readonly frontend: Workload;
  readonly bounds: Bounds;
}

/** What it takes two idle cores to start all of it. */
const START_MS = 9_000;

/** With `URSA_SURVIVAL=full`, faults last as long as the scenarios of the specification say. */
export const IS_FULL = Deno.env.get("URSA_SURVIVAL") === "full";

/** How long a fault lasts: what the scenario says, or as long as shows the same in a test. */
export function lasting(minutes: number, { secondsInTests }: { readonly secondsInTests: number }) {
  return IS_FULL ? minutes * 60_000 : secondsInTests * 1_000;
}

/** What a process keeps without need ends it, where a large heap would only grow. */
const HEAP_MB = 96;

export async function withFederation(run: (federation: Federation) => Promise<void>) {
  const dir = `${PROJECT}/.ursa/survival/${crypto.randomUUID().slice(0, 8)}`;
  const envoy = await findEnvoy({ cacheDir: `${PROJECT}/.ursa/cache/envoy`, log: console.log });
  // Fleets of played proxies join, which have no tokens; tests/e2e is about those.
  const denoFlags = [`--v8-flags=--max-old-space-size=${HEAP_MB}`];
  const cluster = new Cluster({ dir, project: PROJECT, envoy, auth: "none", denoFlags });
  const links: FaultyLink[] = [];
  const startedAtMs = performance.now();
  try {
    const global = await cluster.startGlobal();
    await global.rest.put("/meshes/default", meshWithMtls("default"));
    await global.rest.put("/meshes/default/traffic-permissions/everyone", allowAll("default"));
    const member = async (name: string): Promise<Member> => {
      const link = await FaultyLink.start(() => global.url("kds"));
      links.push(link);
      const joins = { url: `grpcs://${link.address}`, caFile: global.caFile };
      return { link, zone: await cluster.startZone(name, joins) };
    };
    const [east, west] = await Promise.all([member("east"), member("west")]);
    const [frontend] = await Promise.all([
      east.zone.startWorkload({ service: "frontend", bindOutbounds: true }),
      east.zone.startWorkload({ service: "backend" }),
      west.zone.startWorkload({ service: "billing" }),
      east.zone.startIngress(),
      west.zone.startIngress(),
    ]);
    await Promise.all(["backend", "billing"].map((name) => untilAnswers(east.zone, name)));
    const bounds = new Bounds((performance.now() - startedAtMs) / START_MS);
    await run({ cluster, global, east, west, frontend, bounds });
  } catch (error) {
    console.error(`Logs are in ${dir}`);
    throw error;
  } finally {
    await cluster.stop();
    for (const link of links) await link.stop();
  }
  await Deno.remove(dir, { recursive: true });
}

export function untilAnswers({ client }: Zone, service: string): Promise<number> {
  return until(`answer of ${service}`, async () => {
    const { error } = await client.call(`${service}.mesh`);
    return error === "" || error;
  });
}

interface Subscription {
  readonly disconnectTime?: string;
}

interface Overview {
  readonly zoneInsight?: { readonly subscriptions?: readonly Subscription[] };
}

/** How many subscriptions global shows as open. */
export async function openSubscriptions({ rest }: ControlPlane, zone: string): Promise<number> {
  const found = await rest.find<Overview>(`/zones/${zone}/_overview`);
  const all = found?.zoneInsight?.subscriptions ?? [];
  return all.filter(({ disconnectTime }) => disconnectTime === undefined).length;
}

export function untilPresence(
  global: ControlPlane,
  zone: string,
  wanted: "online" | "offline",
): Promise<number> {
  return until(`zone ${zone} ${wanted}`, async () => {
    const open = await openSubscriptions(global, zone);
    return open > 0 === (wanted === "online") || `${open} open subscriptions`;
  }, 120_000);
}

export interface Uplink {
  readonly connected: boolean;
  readonly attempts: number;
  readonly held: string | null;
}

export async function uplinkOf({ rest }: Zone): Promise<Uplink> {
  const { items } = await rest.get<{ items: readonly { path: string; state: Uplink }[] }>(
    "/debug/actors",
  );
  return items.find(({ path }) => path === "uplink")!.state;
}

export function untilConnected(zone: Zone, wanted: boolean): Promise<number> {
  return until(`${zone.name} ${wanted ? "with" : "without"} global`, async () => {
    const uplink = await uplinkOf(zone);
    return uplink.connected === wanted || JSON.stringify(uplink);
  }, 120_000);
}

/** All is as before a fault: what a scenario leaves to the next one. */
export async function untilAllOnline({ global, east, west }: Federation): Promise<void> {
  for (const { zone } of [east, west]) {
    await untilConnected(zone, true);
    await untilPresence(global, zone.name, "online");
  }
}
