// Check 3: nobody is let in without a permission, and the receipt tells when that holds.

import { allowAll } from "../resources.ts";
import { receiptText } from "../rest.ts";
import { type Check, expect, ms } from "./check.ts";
import { until } from "../until.ts";

const PATH = "/meshes/default/traffic-permissions/everyone";

export const permission: Check = {
  name: "without its TrafficPermission billing refuses, and with it answers again",
  async run({ home, cluster }) {
    const { policies } = cluster;
    const vip = await home.client.resolve("billing.mesh");
    const call = () => home.client.callAt(vip, "billing.mesh");
    expect((await call()).error === "", "billing does not answer before");
    const removed = await policies.delete(PATH);
    const removal = policies.receipt(removed.revision);
    await until("refusal", async () => (await call()).error !== "" || "billing still answers");
    const refusedMs = performance.now() - removed.atMs;
    const removedText = receiptText(await removal);
    const restored = await policies.put(PATH, allowAll("default"));
    const restoring = policies.receipt(restored.revision);
    await until("answer", async () => {
      const { error } = await call();
      return error === "" ? true : error;
    });
    const allowedMs = performance.now() - restored.atMs;
    const receipt = await restoring;
    expect(receipt.complete, "the receipt of the change is not complete");
    return {
      figure: `refused after ${ms(refusedMs)} (--wait: ${removedText}), ` +
        `allowed after ${ms(allowedMs)} (--wait: ${receiptText(receipt)})`,
    };
  },
};
