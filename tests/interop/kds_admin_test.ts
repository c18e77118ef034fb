// What global asks about Envoys that are in a zone: Ursa of Kuma's, and Kuma of Ursa's.

import { stringify } from "yaml";
import { claimBlock } from "../../cli/demo/addresses.ts";
import { until } from "../../cli/demo/until.ts";
import { type Bench, interop } from "./interop.ts";
import { copyOf } from "./kds_copies.ts";
import { freePort, KumaCp, Kumactl, startKumaDp } from "./kuma.ts";

interface At {
  readonly dp: { readonly url: string; readonly caFile: string };
  readonly address: string;
}

async function startProxies(bench: Bench, { dp, address }: At): Promise<void> {
  const admin = () => ({ port: freePort() });
  const proxies = [
    {
      type: "Dataplane",
      mesh: "default",
      name: "web-1",
      networking: {
        address,
        admin: admin(),
        inbound: [{ port: 8080, tags: { "kuma.io/service": "web" } }],
      },
    },
    {
      type: "ZoneIngress",
      name: "door",
      networking: {
        address,
        admin: admin(),
        port: 10_001,
        advertisedAddress: address,
        advertisedPort: 10_001,
      },
    },
  ];
  for (const proxy of proxies) {
    bench.keep(
      await startKumaDp({
        dir: bench.dir,
        name: proxy.name,
        resource: stringify(proxy),
        controlPlane: dp,
        envoy: bench.envoy,
        proxyType: proxy.type === "Dataplane" ? "dataplane" : "ingress",
      }),
    );
  }
}

async function inspectAll(kumactl: Kumactl, zone: string): Promise<void> {
  const web = copyOf({ type: "Dataplane", mesh: "default", name: "web-1" }, zone).name;
  const door = copyOf({ type: "ZoneIngress", mesh: "", name: "door" }, zone).name;
  const ask = (kind: string, name: string, type: string) =>
    kumactl.run(["inspect", kind, name, `--type=${type}`]);
  // Each question has a stream of its own, and they come one after the other.
  const answers = (what: readonly [kind: string, name: string, type: string], pattern: RegExp) =>
    until(`${what[2]} of the ${what[0]}`, async () => {
      const { code, stdout, stderr } = await ask(...what);
      return code === 0 && pattern.test(stdout) || stderr || "not what was asked for";
    });
  await answers(["dataplane", web, "config-dump"], /"inbound:/);
  await answers(["dataplane", web, "clusters"], /::default_priority::/);
  await answers(["dataplane", web, "stats"], /^cluster\./m);
  await answers(["zoneingress", door, "config-dump"], /"configs"/);
}

/** What the zone reports of its proxies. */
async function untilOnline(kumactl: Kumactl, zone: string): Promise<void> {
  for (const [kind, name] of [["dataplanes", "web-1"], ["zone-ingresses", "door"]] as const) {
    await until(`${name} online`, async () => {
      const table = await kumactl.ok(["inspect", kind]);
      const row = table.split("\n").find((line) => line.includes(`${name}-`)) ?? table;
      return /\bOnline\b/.test(row) || row;
    });
  }
  await until(
    "the zone online",
    async () =>
      new RegExp(`${zone} +Online`).test(await kumactl.ok(["inspect", "zones"])) || "not yet",
  );
}

interop(import.meta.url, {
  peer: "kuma-cp",
  feature: "as a zone: Ursa's global asks it about its Envoys",
}, async (bench) => {
  const global = await bench.cluster.startGlobal(["--zone-auth", "none"]);
  const zone = new KumaCp({
    ...bench,
    name: "east",
    mode: "zone",
    global: { url: global.url("kds"), caFile: global.caFile },
    env: {
      KUMA_DP_SERVER_AUTHN_DP_PROXY_TYPE: "none",
      KUMA_DP_SERVER_AUTHN_ZONE_PROXY_TYPE: "none",
    },
  });
  await bench.keep(zone).start();
  await until("the mesh", async () => !!await zone.rest.find("/meshes/default") || "not yet");
  const block = claimBlock();
  try {
    const dp = { url: zone.url("dp"), caFile: zone.caFile };
    await startProxies(bench, { dp, address: block.address(100) });
    const kumactl = await Kumactl.of(bench.dir, global.url("api"));
    await untilOnline(kumactl, "east");
    await inspectAll(kumactl, "east");

    await zone.stop();
    const web = copyOf({ type: "Dataplane", mesh: "default", name: "web-1" }, "east").name;
    await until("the zone away", async () => {
      const { code, stderr } = await kumactl.run(["inspect", "dataplane", web, "--type=stats"]);
      return code !== 0 && /zone "east" is not connected/.test(stderr) || stderr;
    });
  } finally {
    block.release();
  }
});

interop(import.meta.url, {
  peer: "kuma-cp",
  feature: "as global: it asks Ursa's zone about its Envoys",
}, async (bench) => {
  const global = await bench.keep(new KumaCp({ ...bench, name: "kuma", mode: "global" })).start();
  const zone = await bench.cluster.startZone("west", {
    url: global.url("kds"),
    caFile: global.caFile,
  });
  await until("the mesh", async () => !!await zone.rest.find("/meshes/default") || "not yet");
  const { controlPlane } = zone;
  const dp = { url: controlPlane.url("dp"), caFile: controlPlane.caFile };
  await startProxies(bench, { dp, address: zone.block.address(100) });
  const kumactl = await global.kumactl();
  await untilOnline(kumactl, "west");
  await inspectAll(kumactl, "west");
});
