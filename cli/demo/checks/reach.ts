// Checks 1 and 10: names are answered by the other zone, with and without a sidecar.

import { get } from "../client.ts";
import { until } from "../until.ts";
import { type Check, expect, ms } from "./check.ts";

/** Through DNS, virtual IP, own Envoy, the other zone's ingress and the service's Envoy. */
export const crossZone: Check = {
  name: "billing.mesh is answered by the other zone, and only through its ingress",
  async run({ home, away, firstAnswerMs }) {
    const { client } = home;
    const reply = await client.call("billing.mesh", "/hello");
    expect(reply.error === "", `billing does not answer: ${reply.error}`);
    expect(reply.answer?.zone === away.name, `answered by ${reply.answer?.zone}, not ${away.name}`);
    await away.ingress!.stop();
    const stopped = await client.call("billing.mesh");
    expect(stopped.error !== "", "billing answers although the ingress is stopped");
    const restartedAtMs = performance.now();
    await away.startIngress();
    await until("answer of billing after the ingress is back", async () => {
      const { error } = await client.call("billing.mesh");
      return error === "" ? true : error;
    });
    const recoveredMs = performance.now() - restartedAtMs;
    return { figure: `first answer after ${ms(firstAnswerMs)}, back after ${ms(recoveredMs)}` };
  },
};

/** A client that knows nothing of the mesh calls a gateway, whose proxy knows the way. */
export const gateway: Check = {
  name: "a client without a sidecar reaches billing through a delegated gateway",
  async run({ home, away }) {
    const edge = await home.startGateway("edge", "billing");
    try {
      const { hostname, port } = new URL(edge.url);
      const startedAtMs = performance.now();
      await until("answer through the gateway", async () => {
        const { error } = await get({ host: hostname, port: Number(port), path: "/outside" });
        return error === "" ? true : error;
      });
      const { answer } = await get({ host: hostname, port: Number(port), path: "/outside" });
      expect(answer?.service === "billing", `answered by ${answer?.service}, not billing`);
      expect(answer.zone === away.name, `answered by ${answer.zone}, not ${away.name}`);
      return { figure: `first answer ${ms(performance.now() - startedAtMs)} after its start` };
    } finally {
      await edge.stop();
    }
  },
};
