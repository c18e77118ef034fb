// One zone lives through every kind of change: real Envoys take each, in both dialects.

import { deepEqual, equal, match, ok } from "node:assert/strict";
import { get, Load, type Reply } from "../../cli/demo/client.ts";
import type { Cluster, Proxy, Workload, Zone } from "../../cli/demo/cluster.ts";
import { allowAll, meshWithMtls } from "../../cli/demo/resources.ts";
import { until } from "../../cli/demo/until.ts";
import type { JsonObject } from "../../core/resource.ts";
import { allConnected, allContent, noneConnected, uses } from "./envoys.ts";
import { logFromNow, withCluster } from "./one_cluster.ts";

const MESH = "/meshes/default";
const PERMISSION = `${MESH}/traffic-permissions/everyone`;
const ROUTE = `${MESH}/traffic-routes/backend`;
const BACKEND = "backend.mesh";

const everyone = { match: { "kuma.io/service": "*" } };

function only(source: string): JsonObject {
  return { ...allowAll("default"), sources: [{ match: { "kuma.io/service": source } }] };
}

function routeOf(conf: JsonObject): JsonObject {
  const destinations = [{ match: { "kuma.io/service": "backend" } }];
  return {
    ...{ type: "TrafficRoute", mesh: "default", name: "backend" },
    ...{ sources: [everyone], destinations, conf },
  };
}

function backend(version?: string): JsonObject {
  return { "kuma.io/service": "backend", ...(version && { version }) };
}

const HTTP_ROUTE = routeOf({
  http: [{
    match: { path: { prefix: "/second/" } },
    modify: {
      path: { rewritePrefix: "/" },
      requestHeaders: { add: [{ name: "x-seen", value: "1" }] },
    },
    destination: backend("v2"),
  }, {
    match: { method: { exact: "GET" }, path: { regex: "/both.*" } },
    split: [
      { weight: 1, destination: backend("v1") },
      { weight: 1, destination: backend("v2") },
    ],
  }],
  destination: backend("v1"),
  loadBalancer: { leastRequest: { choiceCount: 3 } },
});

for (const xds of ["sotw", "delta"] as const) {
  Deno.test(`a zone goes through every kind of change over ${xds}`, async (t) => {
    await withCluster(xds, async (cluster) => {
      const zone = await cluster.startZone("alone");
      const [frontend, first] = await Promise.all([
        zone.startWorkload({ service: "frontend", bindOutbounds: true }),
        zone.startWorkload({ service: "backend", name: "backend-1", version: "v1" }),
      ]);
      await untilServed(zone);
      const state: Scene = { cluster, zone, frontend, first };
      for (const step of STEPS) {
        await t.step(step.name, async () => {
          await step.run(state);
          await allContent(cluster.proxies);
        });
      }
    });
  });
}

interface Scene {
  readonly cluster: Cluster;
  readonly zone: Zone;
  readonly frontend: Workload;
  readonly first: Workload;
}

const STEPS: readonly {
  readonly name: string;
  readonly run: (scene: Scene) => Promise<void>;
}[] = [
  { name: "mutual TLS goes on", run: mtlsOn },
  { name: "permissions are narrowed and widened", run: permissions },
  { name: "endpoints come and go below steady traffic", run: endpoints },
  { name: "routes with HTTP rules come, change and go", run: routes },
  { name: "a new instance takes over at once, the old one stays out", run: takeover },
  { name: "the control plane is killed and comes back: nobody notices", run: killed },
  { name: "mutual TLS goes off", run: mtlsOff },
];

async function mtlsOn({ cluster, zone, first }: Scene): Promise<void> {
  await cluster.policies.put(PERMISSION, allowAll("default"));
  equal((await plainly(first)).status, 200);
  await change(cluster, MESH, meshWithMtls("default"));
  await until("refusal without TLS", async () => (await plainly(first)).status === 0 || "served");
  await untilServed(zone);
}

async function mtlsOff({ cluster, zone, first }: Scene): Promise<void> {
  await change(cluster, MESH, { type: "Mesh", name: "default" });
  await until("answer without TLS", async () => {
    const { status, error } = await plainly(first);
    return status === 200 || error;
  });
  await untilServed(zone);
}

async function permissions({ cluster, zone }: Scene): Promise<void> {
  await change(cluster, PERMISSION, only("somebody-else"));
  await until("refusal", async () => (await call(zone)).error !== "" || "it is still let in");
  await change(cluster, PERMISSION, only("frontend"));
  await untilServed(zone);
  await change(cluster, PERMISSION, allowAll("default"));
  equal((await call(zone)).error, "");
}

async function endpoints({ zone, frontend, first }: Scene): Promise<void> {
  const load = await loadOn(zone);
  const second = await zone.startWorkload({ service: "backend", name: "backend-2" });
  const address = endpointOf(second.proxy);
  await until("use of the second instance", async () => await uses(frontend.proxy, address) || "");
  const stopped = second.stop();
  await until("end of the second instance", async () => {
    // In this order: what is gone must have been out of use before.
    const listed = await zone.rest.find(`${MESH}/dataplanes/backend-2`) !== null;
    const used = await uses(frontend.proxy, address);
    ok(listed || !used, "it is gone, and frontend still uses it");
    return !listed || (used ? "it is still used" : "it is still listed");
  });
  await stopped;
  await finish(load);
  ok(await uses(frontend.proxy, endpointOf(first.proxy)));
}

async function routes({ cluster, zone }: Scene): Promise<void> {
  const second = await zone.startWorkload({
    service: "backend",
    name: "backend-2",
    version: "v2",
  });
  await change(cluster, ROUTE, HTTP_ROUTE);
  await until("answer of v2", async () => {
    const { answer, error } = await call(zone, "/second/page");
    return answer?.version === "v2" && answer.path === "/page" || error || JSON.stringify(answer);
  });
  const load = await loadOn(zone);
  equal((await call(zone)).answer?.version, "v1");
  await until("answer of both", async () => {
    const replies = await Promise.all(Array.from({ length: 20 }, () => call(zone, "/both/of")));
    return new Set(replies.map(({ answer }) => answer?.version)).size === 2 || "only one";
  });
  await change(cluster, ROUTE, routeOf({ destination: backend("v2") }));
  await until("v2 alone", async () => (await call(zone)).answer?.version === "v2" || "v1");
  await change(cluster, ROUTE, routeOf({ destination: backend() }));
  const { revision } = await cluster.policies.delete(ROUTE);
  await cluster.policies.receipt(revision);
  await second.stop();
  await finish(load);
}

async function takeover({ zone, frontend }: Scene): Promise<void> {
  const load = await loadOn(zone);
  const spec = { service: "backend", name: "backend-2" };
  const before = await zone.startWorkload(spec);
  await until("use of it", async () => await uses(frontend.proxy, endpointOf(before.proxy)) || "");
  const log = await logFromNow(before.proxy.child);
  const after = await zone.startWorkload(spec);
  await until("use of its successor alone", async () => {
    const [old, current] = await Promise.all(
      [before, after].map(({ proxy }) => uses(frontend.proxy, endpointOf(proxy))),
    );
    return current && !old || (old ? "the old one is still used" : "the new one is not used");
  });
  await until("reason in the log of the old one", async () => {
    return /superseded/.test(await log()) || "nothing";
  });
  const later = await logFromNow(before.proxy.child);
  await zone.controlPlane.kill();
  await zone.controlPlane.start();
  await until("successor that is back", () => allConnected([after.proxy]));
  await until("reason from the new control plane", async () => {
    return /superseded/.test(await later()) || "nothing";
  });
  await before.stop();
  match(await log(), /a newer dp process runs under this name/);
  ok(await uses(frontend.proxy, endpointOf(after.proxy)));
  await after.stop();
  await finish(load);
}

async function killed({ cluster, zone }: Scene): Promise<void> {
  const before = await zone.rest.get(`${MESH}/dataplanes`);
  const load = await loadOn(zone);
  await zone.controlPlane.kill();
  await until("proxies that noticed", () => noneConnected(cluster.proxies));
  await zone.controlPlane.start();
  await until("proxies that are back", () => allConnected(cluster.proxies));
  await change(cluster, PERMISSION, only("frontend"));
  await change(cluster, PERMISSION, allowAll("default"));
  // With the times of their creation: nobody was deregistered in between.
  deepEqual(await identities(zone), identitiesIn(before));
  await finish(load);
}

async function identities({ rest }: Zone): Promise<readonly string[]> {
  return identitiesIn(await rest.get(`${MESH}/dataplanes`));
}

function identitiesIn(list: JsonObject): readonly string[] {
  const { items } = list as unknown as { items: { name: string; creationTime: string }[] };
  return items.map(({ name, creationTime }) => `${name} since ${creationTime}`);
}

// ---- small words

function call({ client }: Zone, path = "/"): Promise<Reply> {
  return client.call(BACKEND, path);
}

function plainly({ proxy }: Workload): Promise<Reply> {
  return get({ host: proxy.address, port: proxy.port });
}

/** A hundred new connections per second, without asking DNS each time. */
async function loadOn({ client }: Zone): Promise<Load> {
  const address = await client.resolve(BACKEND);
  return new Load(100, () => client.callAt(address, BACKEND));
}

async function finish(load: Load): Promise<void> {
  await load.stop();
  const { outcomes, failures } = load;
  const first = failures[0]?.reply.error;
  equal(failures.length, 0, `${failures.length} of ${outcomes.length} failed, first: ${first}`);
  ok(outcomes.length > 0);
}

/** Writes, and waits until every proxy that it concerns has it. */
async function change({ policies }: Cluster, path: string, resource: JsonObject): Promise<void> {
  const { revision } = await policies.put(path, resource);
  const receipt = await policies.receipt(revision);
  ok(receipt.complete, `${path}: ${JSON.stringify(receipt)}`);
  deepEqual(receipt.nacks, []);
}

async function untilServed(zone: Zone): Promise<void> {
  await until("answer of backend", async () => {
    const { error } = await call(zone);
    return error === "" ? true : error;
  });
}

function endpointOf({ address, port }: Proxy): string {
  return `${address}:${port}`;
}
