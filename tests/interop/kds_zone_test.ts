// kuma-cp as a zone of Ursa's global.

import assert from "node:assert/strict";
import type { ControlPlane } from "../../cli/demo/cluster.ts";
import { until } from "../../cli/demo/until.ts";
import type { Json, JsonObject } from "../../core/resource.ts";
import { ZonePeer } from "../wire/kds_peers.ts";
import { type Bench, interop } from "./interop.ts";
import { copyOf, keysOf, pathOf, untilChangesFollow, untilCopied } from "./kds_copies.ts";
import { GLOBAL_SAMPLES } from "./kds_samples.ts";
import { KumaCp, Kumactl } from "./kuma.ts";

interface Federation {
  readonly global: ControlPlane;
  readonly zone: KumaCp;
  /** Speaks with global. */
  readonly kumactl: Kumactl;
}

/** Kuma's zones have no token to show: these are let in by their names. */
async function federate(bench: Bench, env: Readonly<Record<string, string>> = {}) {
  const global = await bench.cluster.startGlobal([
    "--zone-auth",
    "token",
    "--zone-auth-exempt",
    "east,west",
  ]);
  const zone = new KumaCp({
    ...bench,
    name: "east",
    mode: "zone",
    global: { url: global.url("kds"), caFile: global.caFile },
    env,
  });
  await bench.keep(zone).start();
  const kumactl = await Kumactl.of(bench.dir, global.url("api"));
  const federation: Federation = { global, zone, kumactl };
  await until(
    "the zone online",
    async () => /east\s+Online/.test(await kumactl.ok(["inspect", "zones"])) || "offline",
  );
  return federation;
}

interop(import.meta.url, {
  peer: "kuma-cp",
  feature: "as a zone of Ursa's global: every kind of resource, both ways, under Kuma's names",
}, async (bench) => {
  const { global, zone, kumactl } = await federate(bench);
  assert.match(await kumactl.ok(["inspect", "zones"]), /east +Online .* 2\.1\d\.\d+ +memory/);

  await kumactl.apply(GLOBAL_SAMPLES);
  const down = keysOf(GLOBAL_SAMPLES);
  await untilCopied({ from: global.rest, to: zone.rest }, down);
  assert.equal(
    copyOf({ type: "TrafficRoute", mesh: "default", name: "split-backend" }).name,
    "split-backend-w56w42z4f45474vw",
  );

  const inZone = await zone.kumactl();
  await untilChangesFollow({
    global: { rest: global.rest, kumactl },
    zone: { rest: zone.rest, kumactl: inZone },
    name: "east",
    down,
  });
  const own = ["local-mesh-external-service", "local-universal-mesh-service"];
  const generators = own.map((name) => ({ type: "HostnameGenerator", mesh: "", name }));
  await untilCopied({ from: zone.rest, to: global.rest, zone: "east" }, generators);

  const { zoneInsight } = await global.rest.get<{ zoneInsight: JsonObject }>(
    "/zones/east/_overview",
  );
  const [subscription] = zoneInsight["subscriptions"] as JsonObject[];
  assert.equal(JSON.parse(String(subscription!["config"])).mode, "zone");
  await until("all streams in the zone's insight", async () => {
    const { zoneInsight } = await global.rest.get<{ zoneInsight: JsonObject }>(
      "/zones/east/_overview",
    );
    const streams = Object.keys(zoneInsight["kdsStreams"] as JsonObject).sort().join(" ");
    return streams === "clusters configDump globalToZone stats zoneToGlobal" || streams;
  });
  await until(
    "the zone's own record of it",
    async () => /east +Online/.test(await inZone.ok(["inspect", "zones"])) || "not yet",
  );
});

interop(import.meta.url, {
  peer: "kuma-cp",
  feature: "as a zone of Ursa's global: one bad resource is kept back alone, by name",
}, async (bench) => {
  const { global, zone, kumactl } = await federate(bench, {
    KUMA_GENERAL_RESILIENT_COMPONENT_BASE_BACKOFF: "1s",
  });
  const inZone = await zone.kumactl();
  const secret = (name: string, data: string) =>
    `{type: Secret, mesh: default, name: ${name}, data: ${data}}`;
  // A zone that checks nothing: what it writes, others get.
  const west = new ZonePeer("west", {
    url: global.url("kds"),
    ca: await Deno.readTextFile(global.caFile),
    dir: bench.dir,
  });
  bench.keep(west);
  const write = (name: string, ports: Json) =>
    west.put("MeshService", name, { mesh: "default", spec: { ports } });
  const PORTS = [{ port: 80, targetPort: 8080, appProtocol: "http" }];
  const serviceOf = (name: string) =>
    zone.rest.find(pathOf(copyOf({ type: "MeshService", mesh: "default", name }, "west")));
  const untilPort = (name: string, port: number) =>
    until(
      `${name} at ${port}`,
      async () => JSON.stringify(await serviceOf(name)).includes(`"port":${port}`) || "not yet",
    );
  const rejected = async (type: string) => {
    const { zoneInsight } = await global.rest.get<
      { zoneInsight: { ursa?: { rejected?: Record<string, string> } } }
    >("/zones/east/_overview");
    return zoneInsight.ursa?.rejected?.[type] ?? "";
  };

  // A secret of the zone's own wins over global's of the same name; Kuma refuses that one alone.
  await until(
    "the mesh in the zone",
    async () => !!await zone.rest.find("/meshes/default") || "not yet",
  );
  await inZone.apply(secret("both", "em9uZQ=="));
  await kumactl.apply(secret("both", "Z2xvYmFs"));
  await kumactl.apply(secret("other", "Z2xvYmFs"));
  await untilCopied({ from: global.rest, to: zone.rest }, keysOf(secret("other", "x")));
  const kept = await zone.rest.get<{ data: string }>("/meshes/default/secrets/both");
  assert.equal(kept.data, "em9uZQ==");
  await until("the refusal told", async () => /both/.test(await rejected("Secret")) || "not yet");

  // What Kuma cannot decode ends its stream, whatever came along: it is found, and kept back.
  await write("good", PORTS);
  await untilPort("good", 80);
  await write("good", "none");
  await until(
    "the culprit named",
    async () =>
      /^good-\w+\.default ended the peer's stream/.test(await rejected("MeshService")) || "not yet",
  );
  assert.match(JSON.stringify(await serviceOf("good")), /"port":80/, "the zone keeps what it had");
  await write("another", [{ ...PORTS[0], port: 81 }]);
  await untilPort("another", 81);
  await write("good", [{ ...PORTS[0], port: 82 }]);
  await untilPort("good", 82);
  await until(
    "nothing left to tell",
    async () => await rejected("MeshService") === "" || "not yet",
  );
  assert.match(await kumactl.ok(["inspect", "zones"]), /east +Online/);
});
