// Played proxies of a zone by the hundred, for what so many Envoys would be too much.

import { Fleet } from "../../bench/harness.ts";
import type { Zone } from "../../cli/demo/cluster.ts";
import { until } from "../../cli/demo/until.ts";

/** Nothing of the fleet is left in the zone when this resolves. */
export async function withFleet<T>(
  { controlPlane, rest }: Zone,
  run: (fleet: Fleet) => Promise<T>,
): Promise<T> {
  const fleet = new Fleet({ urls: { dp: controlPlane.url("dp") }, ca: controlPlane.caFile });
  try {
    return await run(fleet);
  } finally {
    await fleet.stop();
    await until("end of the fleet", async () => {
      const { items } = await rest.get<{ items: readonly { name: string }[] }>("/dataplanes");
      const left = items.filter(({ name }) => name.startsWith("bench-")).length;
      return left === 0 || `${left} are left`;
    });
  }
}

/** By the numbers that they joined with. */
export function fleetNames(from: number, to: number): readonly string[] {
  return Array.from({ length: to - from }, (_, i) => `default.bench-${from + i}`);
}
