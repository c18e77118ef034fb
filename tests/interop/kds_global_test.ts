// A zone of Ursa's under kuma-cp as global.

import assert from "node:assert/strict";
import type { Zone } from "../../cli/demo/cluster.ts";
import type { Json } from "../../core/resource.ts";
import { ZonePeer } from "../wire/kds_peers.ts";
import { until } from "../../cli/demo/until.ts";
import { type Bench, interop } from "./interop.ts";
import {
  copyOf,
  keysOf,
  pathOf,
  untilChangesFollow,
  untilCopied,
  untilGone,
} from "./kds_copies.ts";
import { GLOBAL_SAMPLES } from "./kds_samples.ts";
import { KumaCp, Kumactl } from "./kuma.ts";

interface Federation {
  readonly global: KumaCp;
  readonly zone: Zone;
  /** Speaks with global. */
  readonly kumactl: Kumactl;
}

async function federate(bench: Bench): Promise<Federation> {
  const global = await bench.keep(new KumaCp({ ...bench, name: "kuma", mode: "global" })).start();
  const zone = await bench.cluster.startZone("west", {
    url: global.url("kds"),
    caFile: global.caFile,
  });
  const kumactl = await global.kumactl();
  await until(
    "the zone online",
    async () => /west +Online/.test(await kumactl.ok(["inspect", "zones"])) || "offline",
  );
  return { global, zone, kumactl };
}

interop(import.meta.url, {
  peer: "kuma-cp",
  feature: "as global of Ursa's zone: every kind of resource, both ways, under Kuma's names",
}, async (bench) => {
  const { global, zone, kumactl } = await federate(bench);
  assert.match(await kumactl.ok(["inspect", "zones"]), /west +Online .* 2\.1\d\.\d+ +memory/);

  await kumactl.apply(GLOBAL_SAMPLES);
  const down = keysOf(GLOBAL_SAMPLES);
  await untilCopied({ from: global.rest, to: zone.rest }, down);
  const publicKey = "/global-secrets/zone-token-signing-public-key-1";
  assert.ok(await zone.rest.find(publicKey), "what zone tokens are checked with");

  const inZone = await Kumactl.of(bench.dir, zone.controlPlane.url("api"));
  await untilChangesFollow({
    global: { rest: global.rest, kumactl },
    zone: { rest: zone.rest, kumactl: inZone },
    name: "west",
    down,
  });
  assert.match(await inZone.ok(["inspect", "zones"]), /west +Online .* 2\.1\d\.\d+/);
});

interop(import.meta.url, {
  peer: "kuma-cp",
  feature: "as global of Ursa's zone: one bad resource of the zone is kept back alone, by name",
}, async (bench) => {
  const global = await bench.keep(new KumaCp({ ...bench, name: "kuma", mode: "global" })).start();
  // A zone that checks nothing of what is written in it.
  const zone = new ZonePeer("west", {
    url: global.url("kds"),
    ca: await Deno.readTextFile(global.caFile),
    dir: bench.dir,
  });
  bench.keep(zone);
  const write = (name: string, ports: Json) =>
    zone.put("MeshService", name, { mesh: "default", spec: { ports } });
  const PORTS = [{ port: 80, targetPort: 8080, appProtocol: "http" }];
  const untilPort = (name: string, port: number) =>
    until(`${name} at ${port}`, async () => {
      const copy = copyOf({ type: "MeshService", mesh: "default", name }, "west");
      const found = await global.rest.find(pathOf(copy));
      return JSON.stringify(found).includes(`"port":${port}`) || "not yet";
    });
  await until("the mesh", () => zone.names("Mesh").length > 0 || "not yet");
  await write("good", PORTS);
  await untilPort("good", 80);
  await write("good", "none");
  await until("the culprit named", async () =>
    /^good-\w+\.default ended the peer's stream/.test(
      (await zone.status()).rejected["MeshService"] ?? "",
    ) || "not yet");
  await write("another", [{ ...PORTS[0], port: 81 }]);
  await untilPort("another", 81);
  await write("good", [{ ...PORTS[0], port: 82 }]);
  await untilPort("good", 82);
  assert.deepEqual((await zone.status()).rejected, {});
});

interop(import.meta.url, {
  peer: "kuma-cp",
  feature:
    "as global of Ursa's zone: one that lost its memory deletes nothing until it is accepted",
}, async (bench) => {
  const { global, zone, kumactl } = await federate(bench);
  await kumactl.apply(GLOBAL_SAMPLES);
  const down = keysOf(GLOBAL_SAMPLES);
  await untilCopied({ from: global.rest, to: zone.rest }, down);
  await global.stop();
  await global.start();
  const { logFile } = zone.controlPlane;
  await until(
    "the zone to hold on",
    async () =>
      /another global: nothing is deleted/.test(await Deno.readTextFile(logFile)) || "not yet",
  );
  // It has a mesh default again, and nothing else: what is new in it arrives all the same.
  await kumactl.apply("{type: Mesh, name: new}");
  await until("the new mesh", async () => !!await zone.rest.find("/meshes/new") || "not yet");
  for (const key of down) assert.ok(await zone.rest.find(pathOf(copyOf(key))), key.name);
  const answer = await fetch(`${zone.controlPlane.url("api")}/uplink/accept-global`, {
    method: "POST",
  });
  assert.ok(answer.ok, await answer.text());
  await untilGone(zone.rest, [copyOf({ type: "MeshTimeout", mesh: "default", name: "mt1" })]);
});
