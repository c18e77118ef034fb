// A zone of Ursa's under kuma-cp as global.

import assert from "node:assert/strict";
import type { Zone } from "../../cli/demo/cluster.ts";
import { until } from "../../cli/demo/until.ts";
import { type Bench, interop } from "./interop.ts";
import { copyOf, keysOf, pathOf, untilCopied, untilGone } from "./kds_copies.ts";
import { GLOBAL_SAMPLES, ZONE_SAMPLES } from "./kds_samples.ts";
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
  assert.match(await kumactl.ok(["inspect", "zones"]), /west +Online .* 2\.13\.\d+ +memory/);

  await kumactl.apply(GLOBAL_SAMPLES);
  const down = keysOf(GLOBAL_SAMPLES);
  await untilCopied({ from: global.rest, to: zone.rest }, down);
  const publicKey = "/global-secrets/zone-token-signing-public-key-1";
  assert.ok(await zone.rest.find(publicKey), "what zone tokens are checked with");

  const inZone = await Kumactl.of(bench.dir, zone.controlPlane.url("api"));
  await inZone.apply(ZONE_SAMPLES);
  const up = keysOf(ZONE_SAMPLES).filter(({ type }) => type !== "Secret");
  await untilCopied({ from: zone.rest, to: global.rest, zone: "west" }, up);
  const secret = { type: "Secret", mesh: "default", name: "zsec1" };
  assert.equal(await global.rest.find(pathOf(secret)), null, "a zone's secrets stay there");

  await kumactl.apply(GLOBAL_SAMPLES.replace("connectionTimeout: 5s", "connectionTimeout: 6s"));
  await untilCopied({ from: global.rest, to: zone.rest }, down);
  await kumactl.ok(["delete", "meshtimeout", "mt1"]);
  await untilGone(zone.rest, [copyOf({ type: "MeshTimeout", mesh: "default", name: "mt1" })]);
  await inZone.ok(["delete", "dataplane", "be-1"]);
  const dataplane = { type: "Dataplane", mesh: "default", name: "be-1" };
  await untilGone(global.rest, [copyOf(dataplane, "west")]);
  assert.match(await inZone.ok(["inspect", "zones"]), /west +Online .* 2\.13\.\d+/);
});
