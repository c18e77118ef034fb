// The dp-server's health discovery and a real grpc-js client.

import assert from "node:assert/strict";
import { snapshotOf, TestClient, TestControlPlane, within } from "./ads_fixture.ts";

const NODE = { id: "default.web" };

function report(healthStatus: string) {
  return {
    endpointHealthResponse: {
      clusterEndpointsHealth: [{
        clusterName: "localhost:80",
        localityEndpointsHealth: [{ endpointsHealth: [{ healthStatus }] }],
      }],
    },
  };
}

Deno.test("a stream of health is told what to probe, and heard only when it has news", async () => {
  const plane = await TestControlPlane.start(snapshotOf({}));
  const web = new TestClient(plane.port, "health");
  web.send({ healthCheckRequest: { node: NODE, capability: {} } });
  assert.deepEqual(await web.next(), { interval: "5s" });
  for (const status of ["HEALTHY", "HEALTHY", "HEALTHY", "UNHEALTHY", "HEALTHY"]) {
    web.send(report(status));
  }
  await plane.until(() => plane.health.length === 3, "three reports");
  const seen = plane.health.map(({ workloads }) => workloads["localhost:80"]);
  assert.deepEqual(seen, [true, false, true]);
  await web.close();
  await plane.server.close(1_000);
});

for (
  const [what, message] of [
    ["without a node", report("HEALTHY")],
    ["of nothing", {}],
  ] as const
) {
  Deno.test(`a stream of health that begins ${what} is ended with the reason`, async () => {
    const plane = await TestControlPlane.start(snapshotOf({}));
    const web = new TestClient(plane.port, "health");
    web.send(message);
    const { code, details } = await within(20_000, "the end", web.status);
    assert.equal(code, 3);
    assert.match(details, /^health: /);
    web.abandon();
    await plane.server.close(1_000);
  });
}
