import assert from "node:assert/strict";
import type { JsonObject } from "../../core/resource.ts";
import type { Tags } from "../../core/tags.ts";
import { type TestPlane, testPlane } from "../plane_test.ts";
import { withInsights } from "./computed.ts";
import { meshInsight } from "./mesh_insight.ts";
import { serviceResource, servicesOf } from "./service_insight.ts";

interface Told {
  readonly online?: boolean;
  readonly backend?: string;
  readonly kumaDp?: string;
}

/** A mesh with a sidecar of every status, and both kinds of gateways. */
async function plane(): Promise<TestPlane> {
  const plane = testPlane();
  await plane.put({ type: "Mesh", name: "default", spec: {} });
  const put = async (name: string, networking: JsonObject, told?: Told) => {
    const spec = { networking: { address: "10.0.0.1", ...networking } };
    await plane.put({ type: "Dataplane", mesh: "default", name, spec });
    if (!told) return;
    await plane.put({
      type: "DataplaneInsight",
      mesh: "default",
      name,
      spec: insight(told),
    });
  };
  const web = { "kuma.io/service": "web", "kuma.io/zone": "east" };
  await put("web-1", { inbound: [inbound(web)] }, { online: true, backend: "ca-1" });
  await put("web-2", { inbound: [inbound({ ...web, "kuma.io/zone": "west" })] }, {
    backend: "ca-2",
  });
  const api = { "kuma.io/service": "api" };
  const both = [inbound(api), { ...inbound({ "kuma.io/service": "admin" }), state: "NotReady" }];
  await put("api-1", { inbound: both }, { online: true, kumaDp: "2.13.10" });
  const ignored = { ...inbound({ "kuma.io/service": "hidden" }), state: "Ignored" };
  await put("api-2", { inbound: [inbound(api), ignored] });
  await put("edge", { gateway: { tags: { "kuma.io/service": "edge" } } }, { online: true });
  const builtin = { type: "BUILTIN", tags: { "kuma.io/service": "door" } };
  await put("door", { gateway: builtin }, {});
  return plane;
}

function inbound(tags: Tags): JsonObject {
  return { port: 8080, tags };
}

function insight({ online = false, backend, kumaDp }: Told): JsonObject {
  return {
    subscriptions: [{
      connectTime: "2026-01-01T00:00:00Z",
      ...(!online && { disconnectTime: "2026-01-01T00:00:01Z" }),
      ...(kumaDp && { version: { kumaDp: { version: kumaDp }, envoy: { version: "1.40.0" } } }),
    }],
    ...(backend && { mTLS: { issuedBackend: backend, supportedBackends: ["ca-1", "ca-2"] } }),
  };
}

Deno.test("meshInsight() counts proxies by status, kind, version and backend", async () => {
  const { ports } = await plane();
  assert.deepEqual(meshInsight("default", ports), {
    dataplanes: { total: 6, online: 2, offline: 3, partiallyDegraded: 1 },
    dpVersions: {
      kumaDp: {
        "2.13.10": { total: 1, partiallyDegraded: 1 },
        unknown: { total: 5, online: 2, offline: 3 },
      },
      envoy: {
        "1.40.0": { total: 1, partiallyDegraded: 1 },
        unknown: { total: 5, online: 2, offline: 3 },
      },
    },
    mTLS: {
      issuedBackends: { "ca-1": { total: 1, online: 1 }, "ca-2": { total: 1, offline: 1 } },
      supportedBackends: {
        "ca-1": { total: 2, online: 1, offline: 1 },
        "ca-2": { total: 2, online: 1, offline: 1 },
      },
    },
    services: { total: 5, internal: 5 },
    dataplanesByType: {
      standard: { total: 4, online: 1, offline: 2, partiallyDegraded: 1 },
      gateway: { total: 2, online: 1, offline: 1 },
      gatewayBuiltin: { total: 1, offline: 1 },
      gatewayDelegated: { total: 1, online: 1 },
    },
    resources: { Dataplane: { total: 6 } },
  });
});

Deno.test("meshInsight() of an empty mesh has its messages and no maps", async () => {
  const plane = testPlane();
  await plane.put({ type: "Mesh", name: "default", spec: {} });
  assert.deepEqual(meshInsight("default", plane.ports), {
    dataplanes: {},
    dpVersions: {},
    mTLS: {},
    services: {},
    dataplanesByType: { standard: {}, gateway: {}, gatewayBuiltin: {}, gatewayDelegated: {} },
  });
});

Deno.test("servicesOf() says of each service how many of its proxies are there", async () => {
  const plane_ = await plane();
  await plane_.put({
    type: "ExternalService",
    mesh: "default",
    name: "pay",
    spec: { networking: { address: "pay.example:443" }, tags: { "kuma.io/service": "pay" } },
  });
  assert.deepEqual(Object.fromEntries(servicesOf("default", plane_.ports.resources)), {
    // Degraded proxies are not counted as there: the inbound of the service may be the one down.
    admin: { status: "offline", dataplanes: { offline: 1 } },
    api: { status: "offline", dataplanes: { offline: 2 } },
    door: { status: "offline", dataplanes: { offline: 1 }, serviceType: "gateway_builtin" },
    edge: { status: "online", dataplanes: { online: 1 }, serviceType: "gateway_delegated" },
    pay: {
      status: "not_available",
      dataplanes: {},
      serviceType: "external",
      addressPort: "pay.example:443",
    },
    web: {
      status: "partially_degraded",
      dataplanes: { online: 1, offline: 1 },
      issuedBackends: { "ca-1": 1, "ca-2": 1 },
      zones: ["east", "west"],
    },
  });
});

Deno.test("servicesOf() in a zone takes what global computed over all zones", async () => {
  const { put, ports } = testPlane();
  const services = { web: { status: "online", dataplanes: { online: 3 }, zones: ["a", "b"] } };
  await put({
    type: "ServiceInsight",
    mesh: "default",
    name: "all-services-default",
    spec: { services },
  });
  assert.deepEqual([...servicesOf("default", ports.resources)], [["web", services.web]]);
});

Deno.test("serviceResource() adds sums and the address of what is inside the mesh", () => {
  const meta = {
    type: "ServiceInsight",
    mesh: "default",
    labels: {},
    version: 1,
    creationTime: "",
    modificationTime: "",
  };
  const specOf = (service: Parameters<typeof serviceResource>[1]) =>
    serviceResource("web", service, { meta, vipPort: 80 }).spec;
  assert.deepEqual(
    specOf({ status: "partially_degraded", dataplanes: { online: 1, offline: 2 } }),
    {
      status: "partially_degraded",
      dataplanes: { total: 3, online: 1, offline: 2 },
      addressPort: "web.mesh:80",
    },
  );
  assert.deepEqual(specOf(undefined), { dataplanes: {}, addressPort: "web.mesh:80" });
  assert.deepEqual(specOf({ serviceType: "external", addressPort: "pay.example:443" }), {
    serviceType: "external",
    dataplanes: {},
    addressPort: "pay.example:443",
  });
});

Deno.test("insights are resources that are computed: listed, found, filtered and paged", async () => {
  const { put, call } = await plane();
  await put({ type: "Mesh", name: "shop", spec: {} });
  const get = async (path: string) => (await call("GET", path)).json;
  const names = ({ items }: { items: JsonObject[] }) => items.map(({ name }) => name).join(" ");
  assert.equal(names(await get("/mesh-insights")), "default shop");
  const { dataplanes, ...meta } = await get("/mesh-insights/default");
  assert.deepEqual([dataplanes.total, meta.type, "mesh" in meta], [6, "MeshInsight", false]);
  assert.equal((await call("GET", "/mesh-insights/nobody")).status, 404);

  const services = "/meshes/default/service-insights";
  assert.equal(names(await get(services)), "admin api door edge web");
  assert.equal(names(await get("/service-insights?name=d")), "admin door edge");
  assert.equal(
    names(await get(`${services}?type=Internal, gateway_builtin`)),
    "admin api door web",
  );
  assert.equal((await call("GET", `${services}?type=nonsense`)).status, 400);
  const first = await get(`${services}?size=2`);
  assert.deepEqual([first.total, names(first)], [5, "admin api"]);
  assert.equal(names(await get(first.next)), "door edge");
  assert.equal((await get(`${services}/web`)).status, "partially_degraded");
  assert.deepEqual(
    [(await get(`${services}/nobody`)).addressPort, (await get(`${services}/nobody`)).status],
    ["nobody.mesh:80", undefined],
  );
  assert.equal((await call("GET", "/meshes/nobody/service-insights")).status, 404);
});

Deno.test("nobody writes an insight", async () => {
  const { call } = await plane();
  for (const path of ["/mesh-insights/default", "/meshes/default/service-insights/web"]) {
    for (const method of ["PUT", "DELETE"]) {
      const body = { type: "MeshInsight", name: "default" };
      assert.equal((await call(method, path, { body })).status, 405);
    }
  }
});

Deno.test("insights are computed once for a state of the store", async () => {
  const { put, ports } = await plane();
  const key = { type: "MeshInsight", mesh: "", name: "default" };
  const insight = () => withInsights(ports).get(key);
  const before = insight();
  assert.equal(insight(), before);
  await put({ type: "Dataplane", mesh: "default", name: "new", spec: { networking: {} } });
  assert.notEqual(insight(), before);
});

Deno.test("/global-insight sums all meshes, zones and ingresses", async () => {
  const { put, call } = await plane();
  await put({ type: "Mesh", name: "shop", spec: {} });
  await put({ type: "TrafficPermission", mesh: "shop", name: "all", spec: {} });
  await put({ type: "ZoneInsight", name: "east", spec: insight({ online: true }) });
  await put({ type: "ZoneInsight", name: "west", spec: insight({}) });
  await put({ type: "ZoneIngressInsight", name: "in", spec: insight({ online: true }) });
  const { json } = await call("GET", "/global-insight");
  assert.deepEqual(json, {
    createdAt: "2026-11-22T12:00:00.000Z",
    meshes: { total: 2 },
    dataplanes: {
      standard: { online: 1, offline: 2, partiallyDegraded: 1, total: 4 },
      gatewayBuiltin: { online: 0, offline: 1, partiallyDegraded: 0, total: 1 },
      gatewayDelegated: { online: 1, offline: 0, partiallyDegraded: 0, total: 1 },
    },
    policies: { total: 1 },
    resources: { Dataplane: { total: 6 }, TrafficPermission: { total: 1 } },
    services: {
      internal: { online: 0, offline: 2, partiallyDegraded: 1, total: 3 },
      external: { total: 0 },
      gatewayBuiltin: { online: 0, offline: 1, partiallyDegraded: 0, total: 1 },
      gatewayDelegated: { online: 1, offline: 0, partiallyDegraded: 0, total: 1 },
    },
    zones: {
      controlPlanes: { online: 1, total: 2 },
      zoneEgresses: { online: 0, total: 0 },
      zoneIngresses: { online: 1, total: 1 },
    },
  });
});

Deno.test("/global-insights counts what is of no mesh", async () => {
  const { call } = await plane();
  const { json } = await call("GET", "/global-insights");
  assert.equal(json.type, "GlobalInsights");
  const { Mesh, Zone, GlobalSecret } = json.resources;
  assert.deepEqual([Mesh, Zone, GlobalSecret], [{ total: 1 }, { total: 0 }, { total: 0 }]);
  assert.deepEqual(
    Object.keys(json.resources).filter((name) => /Insight|Config|Dataplane/.test(name)),
    [],
  );
});
