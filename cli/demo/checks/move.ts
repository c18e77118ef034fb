// Check 4: a service moves to another port, and its name follows.

import { Load } from "../client.ts";
import type { Scene } from "../scene.ts";
import { until } from "../until.ts";
import { type Check, expect, expectNoFailures, ms } from "./check.ts";

const MOVED_PORT = 8_181;

export const move: Check = {
  name: "backend v1 moves to another port while frontend calls backend.mesh",
  async run(scene) {
    const { home } = scene;
    const before = home.workloads.get("backend-v1");
    expect(before, "backend v1 does not run");
    const load = new Load(100, () => home.client.call("backend.mesh"));
    const startedAtMs = performance.now();
    await before.stop();
    await home.startWorkload({
      service: "backend",
      name: "backend-v1",
      version: "v1",
      port: before.proxy.port === MOVED_PORT ? 8_080 : MOVED_PORT,
    });
    await until("proxy of frontend that has the new port", () => hasSettled(scene));
    const upAtMs = performance.now();
    await until("answer from the new port", async () => {
      const { answer, error } = await home.client.call("backend.mesh");
      return answer?.zone === home.name ? true : error || "only the other zone answers";
    });
    const reachedMs = performance.now() - upAtMs;
    // Long enough for any straggler that still knew the old port.
    await new Promise((done) => setTimeout(done, 2_000));
    await load.stop();
    expectNoFailures(load.failuresSince(upAtMs), load, "after the new port was up");
    const [first] = load.failures;
    const meanwhile = `${load.failures.length} of ${load.outcomes.length} failed meanwhile` +
      (first ? ` (${first.reply.error})` : "");
    return {
      figure: `moved in ${ms(upAtMs - startedAtMs)}, answered ${
        ms(reachedMs)
      } later; ${meanwhile}, 0 after`,
    };
  },
};

/** Frontend's Envoy itself says which endpoints it uses. */
async function hasSettled({ home, frontend }: Scene): Promise<true | string> {
  const { proxy } = home.workloads.get("backend-v1")!;
  const response = await fetch(`${frontend.proxy.admin}/clusters`);
  const wanted = `${proxy.address}:${proxy.port}::`;
  return (await response.text()).includes(wanted) || `no endpoint ${wanted}`;
}
