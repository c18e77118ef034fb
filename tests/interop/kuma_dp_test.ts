// kuma-dp as it is, with a control plane of Ursa's.

import assert from "node:assert/strict";
import type { Zone } from "../../cli/demo/cluster.ts";
import { allowAll, meshWithMtls } from "../../cli/demo/resources.ts";
import { type Bench, interop } from "./interop.ts";
import { Kumactl } from "./kuma.ts";
import { startSidecar, untilReaches } from "./sidecar.ts";

const OUT = 10_080;
const OUT_2 = 10_081;

async function startZone(bench: Bench): Promise<Zone> {
  const zone = await bench.cluster.startZone("alone");
  await zone.rest.put("/meshes/default", meshWithMtls("default"));
  await zone.rest.put("/meshes/default/traffic-permissions/everyone", allowAll("default"));
  return zone;
}

interop(
  import.meta.url,
  { peer: "kuma-dp", feature: "explicit outbounds under mutual TLS, also to and from ursa dp" },
  async (bench) => {
    const zone = await startZone(bench);
    const web = await startSidecar(bench, zone, {
      name: "web-1",
      service: "web",
      host: 100,
      outbounds: { api: OUT, ours: OUT_2 },
    });
    await startSidecar(bench, zone, { name: "api-1", service: "api", host: 101 });
    await zone.startWorkload({ service: "ours" });
    await untilReaches(web, OUT, "api");
    await untilReaches(web, OUT_2, "ours");
    const gateway = await zone.startGateway("edge", "web");
    const answer = await (await fetch(gateway.url)).json() as { service: string };
    assert.equal(answer.service, "web");
  },
);

interop(
  import.meta.url,
  {
    peer: "kuma-dp",
    feature: "Envoy's configuration, statistics and clusters by REST and kumactl",
  },
  async (bench) => {
    const zone = await startZone(bench);
    const web = await startSidecar(bench, zone, {
      name: "web-1",
      service: "web",
      host: 100,
      outbounds: { web: OUT },
    });
    await untilReaches(web, OUT, "web");
    const kumactl = await Kumactl.of(bench.dir, zone.controlPlane.url("api"));
    const inspect = (type: string) =>
      kumactl.ok(["inspect", "dataplane", "web-1", `--type=${type}`]);
    assert.match(await inspect("clusters"), /^web::default_priority/m);
    assert.match(await inspect("stats"), /^cluster\.web\.upstream_rq_completed: /m);
    const dump = await inspect("config-dump");
    assert.match(dump, /"inbound:127\./);
    assert.doesNotMatch(dump, /PRIVATE KEY/);
  },
);
