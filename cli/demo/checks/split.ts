// Check 2: shares of requests by zone.

import { Load } from "../client.ts";
import { splitByZone } from "../resources.ts";
import type { Scene } from "../scene.ts";
import { type Check, expect, expectNoFailures } from "./check.ts";

const REQUESTS = 2_000;
const PER_SECOND = 400;
const TOLERANCE_PERCENT = 3;
const PATH = "/meshes/default/traffic-routes/backend-by-zone";

export const split: Check = {
  name: "a TrafficRoute shares backend over the zones, and is shifted without a failed request",
  async run(scene) {
    const { home, away, cluster } = scene;
    const vip = await home.client.resolve("backend.mesh");
    const others = new Load(20, () => home.client.call("billing.mesh"));
    try {
      await route(scene, { [home.name]: 80, [away.name]: 20 });
      const load = await send(() => home.client.callAt(vip, "backend.mesh"));
      expectNoFailures(load.failures, load, "with the shares at 80/20");
      const share = 100 * (load.byZone()[away.name] ?? 0) / load.outcomes.length;
      const figure = `${share.toFixed(1)} % of ${load.outcomes.length} in ${away.name}`;
      expect(Math.abs(share - 20) <= TOLERANCE_PERCENT, `20 % were wanted`, figure);

      const shifting = new Load(200, () => home.client.callAt(vip, "backend.mesh"));
      await route(scene, { [home.name]: 0, [away.name]: 100 });
      const only = await send(() => home.client.callAt(vip, "backend.mesh"), 200);
      expect(!only.byZone()[home.name], `${home.name} still answers at 0/100`, figure);
      await route(scene, { [home.name]: 100, [away.name]: 0 });
      const back = await send(() => home.client.callAt(vip, "backend.mesh"), 200);
      expect(!back.byZone()[away.name], `${away.name} still answers at 100/0`, figure);
      await shifting.stop();
      expectNoFailures(shifting.failures, shifting, "while the shares were shifted");
      await others.stop();
      expectNoFailures(others.failures, others, "of billing, which has no route");
      return { figure: `${figure}, ${shifting.outcomes.length} while shifting, 0 failed` };
    } finally {
      await others.stop();
      await cluster.policies.delete(PATH);
    }
  },
};

async function route({ cluster }: Scene, shares: Readonly<Record<string, number>>): Promise<void> {
  const { revision } = await cluster.policies.put(PATH, splitByZone("backend", shares));
  const receipt = await cluster.policies.receipt(revision);
  expect(receipt.complete, `no proxy says that it has ${JSON.stringify(shares)}`);
}

async function send(
  call: ConstructorParameters<typeof Load>[1],
  requests = REQUESTS,
): Promise<Load> {
  const load = new Load(PER_SECOND, call);
  await new Promise((done) => setTimeout(done, 1_000 * requests / PER_SECOND));
  return load.stop();
}
