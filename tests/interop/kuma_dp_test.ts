// kuma-dp as it is, with a control plane of Ursa's.

import assert from "node:assert/strict";
import { isIP } from "node:net";
import { stringify } from "yaml";
import { Cluster, type Zone } from "../../cli/demo/cluster.ts";
import { allowAll, meshWithMtls } from "../../cli/demo/resources.ts";
import type { JsonObject } from "../../core/resource.ts";
import { get, Load } from "../../cli/demo/client.ts";
import { until } from "../../cli/demo/until.ts";
import type { Inbound } from "../../core/dataplane.ts";
import { type Bench, interop } from "./interop.ts";
import { PROJECT } from "../e2e/one_cluster.ts";
import { freePort, Kumactl, startKumaDp } from "./kuma.ts";
import { Relay } from "./relay.ts";
import { type Sidecar, startProxy, startService, startSidecar, untilReaches } from "./sidecar.ts";

const OUT = 10_080;
const OUT_2 = 10_081;

async function startZone(bench: Bench): Promise<Zone> {
  const zone = await bench.cluster.startZone("alone");
  await zone.rest.put("/meshes/default", meshWithMtls("default"));
  await zone.rest.put("/meshes/default/traffic-permissions/everyone", allowAll("default"));
  return zone;
}

/** The proxy that asks the others. */
function startWeb(
  bench: Bench,
  zone: Zone,
  outbounds: Readonly<Record<string, number>>,
): Promise<Sidecar> {
  return startSidecar(bench, zone, { name: "web-1", service: "web", host: 100, outbounds });
}

async function untilGone(zone: Zone, name: string): Promise<void> {
  await until(
    `deregistration of ${name}`,
    async () =>
      await zone.rest.find(`/meshes/default/dataplanes/${name}`) === null || "still registered",
  );
}

interop(
  import.meta.url,
  { peer: "kuma-dp", feature: "explicit outbounds under mutual TLS, also to and from ursa dp" },
  async (bench) => {
    const zone = await startZone(bench);
    const web = await startWeb(bench, zone, { api: OUT, ours: OUT_2 });
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
    const web = await startWeb(bench, zone, { web: OUT });
    await untilReaches(web, OUT, "web");
    const kumactl = await Kumactl.of(bench.dir, zone.controlPlane.url("api"));
    const inspect = (type: string) =>
      kumactl.ok(["inspect", "dataplane", "web-1", `--type=${type}`]);
    assert.match(await inspect("clusters"), /^web::default_priority/m);
    // Envoy counts a request a moment after its answer.
    await until("statistics of the request", async () => {
      const stats = await inspect("stats");
      return /^cluster\.web\.upstream_rq_completed: /m.test(stats) || "it is not counted";
    });
    const dump = await inspect("config-dump");
    assert.match(dump, /"inbound:127\./);
    assert.doesNotMatch(dump, /PRIVATE KEY/);
    const told = await kumactl.ok([
      ...["inspect", "dataplane", "web-1", "--type=config", "--shadow", "--include=diff"],
    ]);
    assert.match(told, /"inbound:127\./);
    assert.doesNotMatch(told, /PRIVATE KEY/);
  },
);

interop(
  import.meta.url,
  {
    peer: "kuma-dp",
    feature: "service probes, and leaving the endpoints of others while it drains",
  },
  async (bench) => {
    const zone = await startZone(bench);
    const web = await startWeb(bench, zone, { api: OUT });
    const api = await startSidecar(bench, zone, {
      name: "api-1",
      service: "api",
      host: 101,
      inbound: { serviceProbe: { interval: "0.2s", timeout: "0.2s", tcp: {} } },
      flags: ["--dns-enabled=false", "--drain-time", "10s"],
    });
    await untilReaches(web, OUT, "api");
    const isReady = async () => {
      const { networking } = await zone.rest.get<{ networking: { inbound: Inbound[] } }>(
        "/meshes/default/dataplanes/api-1",
      );
      return networking.inbound[0]!.state !== "NotReady";
    };
    await api.workload.stop();
    await until("an inbound that is not ready", async () => !(await isReady()) || "still ready");
    await until("no endpoint", async () => {
      const { status, error } = await web.ask(OUT);
      // A service that nobody has speaks no protocol either.
      return status === 503 || error.includes("ECONNRESET") || error;
    });
    await startService(bench, zone, api);
    await until("an inbound that is ready", async () => await isReady() || "not ready");
    await untilReaches(web, OUT, "api");
    api.child.signal("SIGTERM");
    await until("an inbound that drains", async () => !(await isReady()) || "still ready");
    assert.ok(api.child.isRunning());
    await api.child.exited;
    await untilGone(zone, "api-1");
  },
);

interop(
  import.meta.url,
  {
    peer: "kuma-dp",
    feature: "serves while the control plane is away, and follows it when it is back",
  },
  async (bench) => {
    const zone = await startZone(bench);
    const web = await startWeb(bench, zone, { api: OUT, late: OUT_2 });
    await startSidecar(bench, zone, { name: "api-1", service: "api", host: 101 });
    await untilReaches(web, OUT, "api");
    for (const way of ["stop", "kill"] as const) {
      await zone.controlPlane[way]();
      assert.equal((await web.ask(OUT)).answer?.service, "api");
      await zone.controlPlane.start();
      // What changes afterwards arrives, and what was there has not gone in between.
      await startSidecar(bench, zone, {
        name: `late-${way}`,
        service: "late",
        host: way === "stop" ? 102 : 103,
      });
      await untilReaches(web, OUT_2, "late");
      assert.equal((await web.ask(OUT)).answer?.service, "api");
    }
  },
);

interop(
  import.meta.url,
  {
    peer: "kuma-dp",
    feature: "ends and starts again under its name, and is gone when it does not",
  },
  async (bench) => {
    const zone = await startZone(bench);
    const web = await startWeb(bench, zone, { api: OUT });
    const startApi = () => startSidecar(bench, zone, { name: "api-1", service: "api", host: 101 });
    const first = await startApi();
    await untilReaches(web, OUT, "api");
    await first.child.stop();
    await first.workload.stop();
    const second = await startApi();
    await untilReaches(web, OUT, "api");
    await second.child.stop();
    await second.workload.stop();
    await untilGone(zone, "api-1");
    assert.equal(await zone.rest.find("/meshes/default/dataplanes/api-1/_overview"), null);
    // Killed, it cannot say that it leaves.
    const third = await startApi();
    await untilReaches(web, OUT, "api");
    third.child.signal("SIGKILL");
    await untilGone(zone, "api-1");
  },
);

interop(
  import.meta.url,
  { peer: "kuma-dp", feature: "a control plane that moves, behind the address that proxies know" },
  async (bench) => {
    const zone = await startZone(bench);
    const relay = bench.keep(await Relay.start(zone.controlPlane.url("dp")));
    const at = { controlPlane: relay.url.replace("grpcs:", "https:") };
    const web = await startSidecar(bench, zone, {
      ...at,
      name: "web-1",
      service: "web",
      host: 100,
      outbounds: { api: OUT, late: OUT_2 },
    });
    await startSidecar(bench, zone, { ...at, name: "api-1", service: "api", host: 101 });
    await untilReaches(web, OUT, "api");
    await zone.controlPlane.stop();
    zone.controlPlane.forgetPorts();
    await zone.controlPlane.start();
    relay.switchTo(zone.controlPlane.url("dp"));
    await startSidecar(bench, zone, { ...at, name: "late-1", service: "late", host: 102 });
    await untilReaches(web, OUT_2, "late");
    assert.equal((await web.ask(OUT)).answer?.service, "api");
  },
);

interop(
  import.meta.url,
  { peer: "kuma-dp", feature: "names under .mesh, from its embedded DNS server and from Envoy's" },
  async (bench) => {
    const zone = await startZone(bench);
    await startSidecar(bench, zone, { name: "api-1", service: "api", host: 101 });
    for (const [host, embedded] of [[102, true], [103, false]] as const) {
      const [dnsPort, inbound, outbound] = [freePort(), freePort(), freePort()];
      const config = `${bench.dir}/redirect-${host}.yaml`;
      await Deno.writeTextFile(
        config,
        stringify({
          redirect: {
            inbound: { enabled: true, port: inbound },
            outbound: { enabled: true, port: outbound },
            dns: { enabled: true, port: dnsPort },
          },
        }),
      );
      await startSidecar(bench, zone, {
        name: `redirected-${host}`,
        service: `redirected-${host}`,
        host,
        networking: { outbound: [] },
        env: embedded ? { KUMA_DNS_PROXY_PORT: String(dnsPort) } : {},
        flags: [
          ...["--transparent-proxy-config", config],
          // Without the embedded server kuma-dp would look for CoreDNS.
          ...(embedded ? [] : ["--dns-enabled=false", "--dns-envoy-port", String(dnsPort)]),
        ],
      });
      const ask = (name: string) => addressOf(name, dnsPort);
      await until("an address of api.mesh", async () => {
        const found = await ask("api.mesh");
        return isIP(found) === 4 || found;
      });
      // What comes later is known later.
      await startSidecar(bench, zone, {
        name: `late-${host}`,
        service: `late-${host}`,
        host: host + 10,
      });
      await until("an address of a later service", async () => {
        const found = await ask(`late-${host}.mesh`);
        return isIP(found) === 4 || found;
      });
    }
  },
);

/** Or why there is none. */
async function textAt(url: string): Promise<string> {
  try {
    return await (await fetch(url)).text();
  } catch (error) {
    return (error as Error).message;
  }
}

async function addressOf(name: string, port: number): Promise<string> {
  try {
    const [address] = await Deno.resolveDns(name, "A", {
      nameServer: { ipAddr: "127.0.0.1", port },
    });
    return address ?? "no address";
  } catch (error) {
    return (error as Error).message;
  }
}

interop(
  import.meta.url,
  {
    peer: "kuma-dp",
    feature: "delta xDS, bound outbounds, readiness by TCP; its metadata is kept",
  },
  async (bench) => {
    const zone = await startZone(bench);
    const web = await startSidecar(bench, zone, {
      name: "web-1",
      service: "web",
      host: 100,
      flags: ["--dns-enabled=false", "--bind-outbounds"],
      env: {
        KUMA_DATAPLANE_RUNTIME_ENVOY_XDS_TRANSPORT_PROTOCOL_VARIANT: "DELTA_GRPC",
        KUMA_READINESS_UNIX_SOCKET_DISABLED: "true",
        KUMA_READINESS_PORT: String(freePort()),
        KUMA_DATAPLANE_RUNTIME_UNIFIED_RESOURCE_NAMING_ENABLED: "true",
      },
    });
    await until("a request by the virtual address", async () => {
      const { answer, error } = await zone.client.call("web.mesh");
      return answer?.service === "web" || error;
    });
    // Where everybody may ask, on the proxy's own address.
    await until("READY", async () => {
      const port = new URL(web.admin).port;
      const text = await textAt(`http://${web.address}:${port}/ready`);
      return text.includes("READY") || text;
    });
    const { dataplaneInsight } = await zone.rest.get<{
      dataplaneInsight: { metadata: JsonObject; subscriptions: readonly JsonObject[] };
    }>("/meshes/default/dataplanes/web-1/_overview");
    const features = dataplaneInsight.metadata["features"] as readonly string[];
    for (const feature of ["delta-grpc", "bind-outbounds", "reuse-port", "strict-inbound-ports"]) {
      assert.ok(features.includes(`feature-${feature}`), feature);
    }
    const { kumaDp, envoy } = dataplaneInsight.subscriptions.at(-1)!["version"] as JsonObject;
    assert.deepEqual(
      [(kumaDp as JsonObject)["version"], (kumaDp as JsonObject)["kumaCpCompatible"]],
      ["2.13.10", true],
    );
    assert.match(String((envoy as JsonObject)["version"]), /^1\./);
  },
);

interop(
  import.meta.url,
  {
    peer: "kuma-dp",
    feature: "zone ingress, delegated gateway; a builtin gateway runs without effect",
  },
  async (bench) => {
    const global = await bench.cluster.startGlobal();
    await global.rest.put("/meshes/default", meshWithMtls("default"));
    await global.rest.put("/meshes/default/traffic-permissions/everyone", allowAll("default"));
    const east = await bench.cluster.startZone("east");
    const west = await bench.cluster.startZone("west");
    await startSidecar(bench, east, { name: "api-1", service: "api", host: 100 });
    const ingress = await startProxy(bench, east, {
      name: "ingress-1",
      host: 101,
      proxyType: "ingress",
      resource: (address) => ({
        type: "ZoneIngress",
        networking: { address, port: 10_001, advertisedAddress: address, advertisedPort: 10_001 },
      }),
    });
    const gateway = (type: string, outbound: readonly JsonObject[] = []) => (address: string) => ({
      type: "Dataplane",
      mesh: "default",
      networking: {
        address,
        gateway: { type, tags: { "kuma.io/service": type.toLowerCase() } },
        ...(outbound.length > 0 && { outbound }),
      },
    });
    const out = { port: OUT, address: west.block.address(102), tags: { "kuma.io/service": "api" } };
    await startProxy(bench, west, {
      name: "edge-1",
      host: 102,
      resource: gateway("DELEGATED", [out]),
    });
    await until("a request through the ingress", async () => {
      const { answer, error } = await get({ host: out.address, port: OUT });
      return answer?.service === "api" && answer.zone === "east" || error;
    });
    const overview = await east.rest.get<{ zoneIngressInsight: { subscriptions: JsonObject[] } }>(
      "/zoneingresses/ingress-1/_overview",
    );
    assert.equal(overview.zoneIngressInsight.subscriptions.at(-1)!["disconnectTime"], undefined);
    const clusters = await fetch(
      `${east.controlPlane.url("api")}/zoneingresses/ingress-1/clusters`,
    );
    assert.match(await clusters.text(), /^default:api::/m);
    assert.equal((await fetch(`${ingress.admin}/ready`)).status, 200);
    const builtin = await startProxy(bench, west, {
      name: "builtin-1",
      host: 103,
      resource: gateway("BUILTIN"),
    });
    await until("READY", async () => {
      const text = await textAt(`http://${builtin.address}:${new URL(builtin.admin).port}/ready`);
      return text.includes("READY") || text;
    });
  },
);

interop(
  import.meta.url,
  {
    peer: "kuma-dp",
    feature: "waits for a Dataplane that somebody else writes, and leaves it there",
  },
  async (bench) => {
    const zone = await startZone(bench);
    const web = await startWeb(bench, zone, { api: OUT });
    const address = zone.block.address(101);
    await startService(bench, zone, { name: "api-1", service: "api", address, servicePort: 9080 });
    const controlPlane = { url: zone.controlPlane.url("dp"), caFile: zone.controlPlane.caFile };
    const child = bench.keep(
      await startKumaDp({
        dir: bench.dir,
        name: "api-1",
        resource: null,
        controlPlane,
        envoy: bench.envoy,
        flags: ["--name", "api-1", "--mesh", "default", "--dns-enabled=false"],
      }),
    );
    await until("kuma-dp that waits", async () => {
      const log = await Deno.readTextFile(child.logFile);
      return /Dataplane entity is not yet found|not yet/i.test(log) || log.slice(-200);
    });
    const path = "/meshes/default/dataplanes/api-1";
    await zone.rest.put(path, {
      type: "Dataplane",
      mesh: "default",
      name: "api-1",
      networking: {
        address,
        admin: { port: freePort() },
        inbound: [{
          port: 8080,
          servicePort: 9080,
          serviceAddress: address,
          tags: { "kuma.io/service": "api", "kuma.io/protocol": "http" },
        }],
      },
    });
    await untilReaches(web, OUT, "api");
    await child.stop();
    await until("offline", async () => {
      const { dataplaneInsight } = await zone.rest.get<{
        dataplaneInsight: { subscriptions: readonly JsonObject[] };
      }>(`${path}/_overview`);
      return dataplaneInsight.subscriptions.at(-1)!["disconnectTime"] !== undefined || "online";
    });
    assert.ok(await zone.rest.find(path));
  },
);

interop(
  import.meta.url,
  {
    peer: "kuma-dp",
    feature: "shows its token on every stream, and is told why another is refused",
  },
  async (bench) => {
    const { envoy, dir } = bench;
    const cluster = bench.keep(new Cluster({ dir, project: PROJECT, envoy, auth: "token" }));
    const secured = { ...bench, cluster };
    const zone = await startZone(secured);
    const tokenFor = async (service: string) =>
      (await zone.rest.token("dataplane", {
        mesh: "default",
        tags: { "kuma.io/service": [service] },
        validFor: "1h",
      }))!;
    const web = await startSidecar(secured, zone, {
      name: "web-1",
      service: "web",
      host: 100,
      outbounds: { api: OUT },
      token: await tokenFor("web"),
    });
    await startSidecar(secured, zone, {
      name: "api-1",
      service: "api",
      host: 101,
      // Ready only after a report on a stream of health, which shows the token, too.
      inbound: { serviceProbe: { tcp: {} } },
      token: await tokenFor("api"),
    });
    await untilReaches(web, OUT, "api");
    const dump = await fetch(`${zone.controlPlane.url("api")}/meshes/default/dataplanes/web-1/xds`);
    const text = await dump.text();
    assert.match(text, /"authorization",\s+"value": "\[redacted\]"/);
    assert.doesNotMatch(text, /eyJ[\w-]+\.eyJ/);
    const refused = await startSidecar(secured, zone, {
      name: "thief-1",
      service: "api",
      host: 102,
      token: await tokenFor("web"),
    });
    await until("a refusal", async () => {
      const log = await Deno.readTextFile(refused.child.logFile) +
        await Deno.readTextFile(zone.controlPlane.logFile);
      return /kuma\.io\/service/.test(log) && /thief-1/.test(log) || log.slice(-300);
    });
    assert.equal(await zone.rest.find("/meshes/default/dataplanes/thief-1"), null);
    // Without one, bootstrap says what to do.
    const bare = await startSidecar(secured, zone, { name: "bare-1", service: "bare", host: 103 });
    await bare.child.exited;
    assert.match(await Deno.readTextFile(bare.child.logFile), /token/i);
  },
);

interop(
  import.meta.url,
  { peer: "kuma-dp", feature: "one of two restarts under traffic, and no request is lost" },
  async (bench) => {
    const zone = await startZone(bench);
    const web = await startWeb(bench, zone, { api: OUT });
    const instance = { service: "api", flags: ["--dns-enabled=false", "--drain-time", "10s"] };
    const leaving = await startSidecar(bench, zone, { ...instance, name: "api-1", host: 101 });
    await startSidecar(bench, zone, { ...instance, name: "api-2", host: 102 });
    const areReady = () =>
      until("two endpoints", async () => {
        const clusters = await textAt(`${web.admin}/clusters`);
        const found = clusters.match(/^api::\d[\d.:]*::health_flags::healthy$/gm) ?? [];
        return found.length === 2 || `${found.length}`;
      });
    await areReady();
    const load = new Load(50, () => web.ask(OUT));
    leaving.child.signal("SIGTERM");
    await leaving.child.exited;
    await leaving.workload.stop();
    await startSidecar(bench, zone, { ...instance, name: "api-1", host: 101 });
    await areReady();
    await load.stop();
    assert.deepEqual(load.failures.map(({ reply }) => reply.error), []);
    assert.ok(load.outcomes.length > 0);
  },
);
