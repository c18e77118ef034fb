// Ursa and kuma-cp in the same role, with the same clients: what one answers, the other should.

import { claimBlock } from "../../cli/demo/addresses.ts";
import { ControlPlane } from "../../cli/demo/cluster.ts";
import { Rest } from "../../cli/demo/rest.ts";
import { until } from "../../cli/demo/until.ts";
import type { Bench } from "./interop.ts";
import { KumaCp, Kumactl } from "./kuma.ts";

export interface Side {
  readonly api: string;
  readonly kumactl: Kumactl;
}

export interface Sides {
  readonly ursa: Side;
  readonly kuma: Side;
}

/** `zone`: one without a global; both sides give it the name `z`. */
export async function sideBySide(bench: Bench, mode: "global" | "zone"): Promise<Sides> {
  const kumaCp = bench.keep(new KumaCp({ ...bench, name: mode === "zone" ? "z" : "kuma", mode }));
  const [kuma, ursa] = await Promise.all([
    kumaCp.start().then(() => sideOf(bench, kumaCp.url("api"))),
    startUrsa(bench, mode).then((api) => sideOf(bench, api)),
  ]);
  return { kuma, ursa };
}

export interface Pair {
  readonly global: Side;
  /** The zone `z` under it. */
  readonly zone: Side;
}

/** A global and its zone, of each. */
export async function pairsSideBySide(
  bench: Bench,
): Promise<{ readonly ursa: Pair; readonly kuma: Pair }> {
  const [kuma, ursa] = await Promise.all([kumaPair(bench), ursaPair(bench)]);
  for (const { zone } of [kuma, ursa]) {
    await until("the first mesh is in the zone", async () => {
      return await new Rest(zone.api).find("/meshes/default") !== null || "not yet";
    });
  }
  return { kuma, ursa };
}

async function kumaPair(bench: Bench): Promise<Pair> {
  const above = await bench.keep(new KumaCp({ ...bench, name: "kuma", mode: "global" })).start();
  const global = { url: above.url("kds"), caFile: above.caFile };
  const below = await bench.keep(new KumaCp({ ...bench, name: "z", mode: "zone", global })).start();
  return {
    global: await sideOf(bench, above.url("api")),
    zone: await sideOf(bench, below.url("api")),
  };
}

async function ursaPair(bench: Bench): Promise<Pair> {
  const global = await bench.cluster.startGlobal();
  const { controlPlane } = await bench.cluster.startZone("z");
  return {
    global: await sideOf(bench, global.url("api")),
    zone: await sideOf(bench, controlPlane.url("api")),
  };
}

/** Its API's address. `initial`: what it begins with, Kuma's resources or none. */
export async function startUrsa(
  bench: Bench,
  mode: "global" | "zone",
  initial: "kuma" | "none" = "kuma",
): Promise<string> {
  const block = claimBlock();
  bench.keep({ stop: () => Promise.resolve(block.release()) });
  const controlPlane = new ControlPlane(bench.cluster, {
    name: `ursa-${mode}-${crypto.randomUUID().slice(0, 4)}`,
    mode: mode === "zone" ? "standalone" : "global",
    address: block.address(1),
    flags: ["--initial-policies", initial, ...(mode === "zone" ? ["--zone", "z"] : [])],
  });
  await controlPlane.start();
  return controlPlane.url("api");
}

export async function sideOf(bench: Bench, api: string): Promise<Side> {
  return { api, kumactl: await Kumactl.of(bench.dir, api) };
}
