// The demo's checks with real processes and real Envoys, over two zones and in one.

import { equal, ok } from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { runCheck, STANDALONE_CHECKS, TWO_ZONE_CHECKS } from "../../cli/demo/checks/mod.ts";
import type { Check } from "../../cli/demo/checks/mod.ts";
import { Cluster } from "../../cli/demo/cluster.ts";
import { type Scene, startStandalone, startTwoZones } from "../../cli/demo/scene.ts";
import { until } from "../../cli/demo/until.ts";
import { findEnvoy } from "../../dataplane/io/envoy_binary.ts";

const project = fileURLToPath(new URL("../../", import.meta.url)).replace(/\/$/, "");

interface Setting {
  readonly name: string;
  readonly start: typeof startTwoZones;
  readonly xds: "delta" | "sotw";
  readonly checks: readonly Check[];
}

const settings: readonly Setting[] = [
  { name: "standalone", start: startStandalone, xds: "sotw", checks: STANDALONE_CHECKS },
  { name: "two zones", start: startTwoZones, xds: "delta", checks: TWO_ZONE_CHECKS },
];

for (const { name, start, xds, checks } of settings) {
  Deno.test(`${name}, over ${xds}`, async (t) => {
    const dir = `${project}/.ursa/e2e/${crypto.randomUUID().slice(0, 8)}`;
    const envoy = await findEnvoy({ cacheDir: `${project}/.ursa/cache/envoy`, log: console.log });
    const cluster = new Cluster({ dir, project, envoy, xds });
    let allHold = true;
    try {
      const scene: Scene = await start(cluster, () => {});
      for (const check of checks) {
        allHold = await t.step(check.name, async () => {
          const { ok: holds, figure, detail } = await runCheck(check, scene);
          console.log(`  ${figure}`);
          ok(holds, detail);
        }) && allHold;
      }
      await t.step("every Envoy took all that it was sent", () => noneRejected(scene));
      await t.step("insights count every dataplane, of all zones", () => allCounted(scene));
    } finally {
      await cluster.stop();
    }
    // The logs of a failed run are what one wants to read.
    if (allHold) await Deno.remove(dir, { recursive: true });
  });
}

/** On top: at global, or in the only zone. */
async function allCounted({ cluster }: Scene): Promise<void> {
  const dataplanes =
    [...cluster.zones.values()].flatMap(({ workloads }) => [...workloads.keys()]).length;
  await until(`${dataplanes} dataplanes online`, async () => {
    const insight = await cluster.policies.get("/mesh-insights/default");
    const { online, total } = insight["dataplanes"] as { online?: number; total?: number };
    return online === dataplanes && total === dataplanes || JSON.stringify(insight);
  });
}

/** Envoy's own counters, and its log: nothing refused, nothing warming, nothing deprecated. */
async function noneRejected({ cluster }: Scene): Promise<void> {
  for (const proxy of cluster.proxies) {
    const stats = await (await fetch(`${proxy.admin}/stats?filter=(update_rejected|warming)`))
      .text();
    for (const line of stats.trim().split("\n")) {
      const [stat = "", value = "0"] = line.split(": ");
      equal(Number(value), 0, `${proxy.name}: ${stat} is ${value}`);
    }
    const log = await Deno.readTextFile(proxy.child.logFile);
    ok(!/deprecated/i.test(log), `${proxy.name} warns: ${/.*deprecated.*/i.exec(log)?.[0]}`);
  }
}
