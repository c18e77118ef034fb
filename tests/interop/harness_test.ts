import assert from "node:assert/strict";
import { interop } from "./interop.ts";
import { KumaCp, Kumactl } from "./kuma.ts";

interop(import.meta.url, { peer: "kuma-cp", feature: "starts beside Ursa" }, async (bench) => {
  const kuma = await bench.keep(new KumaCp({ ...bench, name: "kuma", mode: "global" })).start();
  const kumactl = await kuma.kumactl();
  assert.match(await kumactl.ok(["get", "meshes"]), /default/);
});

interop(import.meta.url, { peer: "kumactl", feature: "takes Ursa for its own" }, async (bench) => {
  const global = await bench.cluster.startGlobal();
  const kumactl = await Kumactl.of(bench.dir, global.url("api"));
  assert.match(await kumactl.ok(["get", "meshes"]), /default/);
});
