import assert from "node:assert/strict";
import { everyKind } from "../../cli/kinds.ts";
import type { Json, JsonObject } from "../../core/resource.ts";
import { type TestPlane, testPlane } from "../plane_test.ts";
import { MESH, RESOURCES } from "./inspected_mesh_test.ts";
import recorded from "./rules.recorded.json" with { type: "json" };

/** What the real kuma-cp says of the same mesh is compared in tests/interop/inspect_test.ts. */
async function plane(): Promise<TestPlane> {
  const kinds = everyKind();
  const plane = testPlane({ zone: "z" }, { kinds });
  for (const resource of RESOURCES) {
    const { type, name } = resource as { type: string; name: string };
    const path = type === "Mesh"
      ? `/meshes/${name}`
      : `/meshes/${MESH}/${kinds.byName(type)?.plural}/${name}`;
    const { status, text } = await plane.call("PUT", path, {
      body: resource,
      headers: { "content-type": "application/json" },
    });
    assert.equal(status, 201, `${path}: ${text}`);
  }
  return plane;
}

const world = await plane();

async function get(path: string) {
  const { status, json } = await world.call("GET", `/meshes/${MESH}/${path}`);
  assert.equal(status, 200, `${path}: ${JSON.stringify(json)}`);
  return json;
}

/** `inbound 10.0.0.1:8080:18080 web` */
function partText({ type, name, service }: JsonObject): string {
  return [type, name, service].filter((word) => word !== undefined).join(" ");
}

/** `Timeout all; MeshTimeout all, web` */
function policiesText(matched: JsonObject): string {
  return Object.entries(matched).sort(([a], [b]) => a < b ? -1 : 1)
    .map(([type, policies]) => `${type} ${names(policies)}`).join("; ");
}

function names(list: Json | undefined): string {
  return (list as readonly JsonObject[]).map(({ name }) => name).join(", ");
}

const PARTS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "web-1": {
    "dataplane": "MeshHTTPRoute api-canary; MeshMetric all, web; " +
      "MeshTimeout all, admin, to-api, web, route; ProxyTemplate all; TrafficTrace web",
    "inbound 10.0.0.1:8080:18080 web": "FaultInjection any; TrafficPermission all",
    "inbound 10.0.0.1:8081:18081 admin": "TrafficPermission all",
    "outbound 127.0.0.1:10001 api": "RateLimit api; Timeout all; TrafficRoute web-to-api",
    "outbound 127.0.0.1:10002 db": "Timeout all; TrafficRoute all",
    "service api api": "HealthCheck to-api; Retry from-web; TrafficLog all",
    "service db db": "CircuitBreaker to-db; Retry from-web; TrafficLog all",
    "service pass_through pass_through": "TrafficLog all",
  },
  "api-1": {
    "dataplane": "MeshMetric all; MeshTimeout all, to-api; MeshTrafficPermission web; " +
      "ProxyTemplate all",
    "inbound 10.0.0.2:8080:18080 api": "FaultInjection api, any; RateLimit api; " +
      "TrafficPermission web-to-api",
    "outbound 127.0.0.1:10001 db": "Timeout all; TrafficRoute all",
    "service db db": "CircuitBreaker to-db; TrafficLog all",
    "service pass_through pass_through": "TrafficLog all",
  },
  "edge": {
    "dataplane": "MeshMetric all; MeshTimeout gateways, all; ProxyTemplate all",
    "outbound 127.0.0.1:10001 web": "Timeout all; TrafficRoute all",
    "service pass_through pass_through": "TrafficLog all",
    "service web web": "TrafficLog all",
  },
};

for (const [name, parts] of Object.entries(PARTS)) {
  Deno.test(`/dataplanes/${name}/policies has the policies of each part`, async () => {
    const { kind, items, total } = await get(`dataplanes/${name}/policies`);
    assert.deepEqual([kind, total], ["SidecarDataplane", items.length]);
    const found = items.map((item: JsonObject) => [
      partText(item),
      policiesText(item["matchedPolicies"] as JsonObject),
    ]);
    assert.deepEqual(found, Object.entries(parts));
  });
}

Deno.test("matched policies are told with their meta", async () => {
  const { items } = await get("dataplanes/web-1/policies");
  const [timeout] = items[0].matchedPolicies.MeshTimeout;
  assert.deepEqual(timeout, {
    type: "MeshTimeout",
    mesh: MESH,
    name: "all",
    creationTime: "2026-11-22T12:00:00.000Z",
    modificationTime: "2026-11-22T12:00:00.000Z",
    labels: timeout.labels,
    kri: "kri_mt_shop_z__all_",
  });
});

const ATTACHED: Readonly<Record<string, readonly string[]>> = {
  "traffic-permissions/all": [
    "db-1: inbound 10.0.0.3:5432:15432 db",
    "web-1: inbound 10.0.0.1:8080:18080 web, inbound 10.0.0.1:8081:18081 admin",
  ],
  "traffic-routes/web-to-api": ["web-1: outbound 127.0.0.1:10001 api"],
  "rate-limits/api": [
    "api-1: inbound 10.0.0.2:8080:18080 api",
    "web-1: outbound 127.0.0.1:10001 api",
  ],
  "retries/from-web": ["web-1: service api api, service db db"],
  "traffic-traces/web": ["web-1: dataplane"],
  "meshtimeouts/to-api": ["api-1: dataplane", "web-1: dataplane"],
  "meshtimeouts/shadow": [],
  "meshtimeouts/nobody": [],
};

for (const [path, expected] of Object.entries(ATTACHED)) {
  Deno.test(`/${path}/dataplanes has the proxies where it won`, async () => {
    const { items, total } = await get(`${path}/dataplanes`);
    assert.equal(total, items.length);
    const found = items.map(({ dataplane, attachments }: Record<string, JsonObject[]>) =>
      `${(dataplane as unknown as JsonObject)["name"]}: ${attachments?.map(partText).join(", ")}`
    );
    assert.deepEqual(found, expected);
  });
}

const SELECTED: Readonly<Record<string, string>> = {
  "traffic-permissions/web-to-api": "api-1, web-1",
  "traffic-traces/web": "web-1",
  "meshtimeouts/all": "api-1, db-1, edge, web-1",
  "meshtimeouts/shadow": "api-1, db-1, edge, web-1",
  "meshtimeouts/gateways": "edge",
  "meshtimeouts/admin": "web-1",
  "meshtimeouts/route": "web-1",
};

for (const [path, expected] of Object.entries(SELECTED)) {
  Deno.test(`/${path}/_resources/dataplanes has every proxy that it is for`, async () => {
    for (const alias of ["_resources", "-resources"]) {
      assert.equal(names((await get(`${path}/${alias}/dataplanes`)).items), expected);
    }
  });
}

Deno.test("/_resources/dataplanes is paged, and chooses by name", async () => {
  const first = await get("meshtimeouts/all/_resources/dataplanes?size=3");
  assert.deepEqual([first.total, names(first.items)], [4, "api-1, db-1, edge"]);
  const { json: second } = await world.call("GET", first.next);
  assert.deepEqual([names(second.items), "next" in second], ["web-1", false]);
  const { items: [edge] } = await get("meshtimeouts/all/_resources/dataplanes?name=dg");
  assert.deepEqual(edge, { type: "Dataplane", mesh: MESH, name: "edge", labels: edge.labels });
});

for (const [path, expected] of Object.entries(recorded)) {
  Deno.test(`/${path} is what a running Ursa answered, and kuma-cp as well`, async () => {
    assert.deepEqual(await get(path), expected);
  });
}

Deno.test("_rules warns of a route that is not there, and of more sets of tags than can be told", async () => {
  const policy = (type: string, name: string, spec: JsonObject) =>
    world.put({ type, mesh: MESH, name, spec });
  const route = { kind: "MeshHTTPRoute", name: "nowhere" };
  const to = [{ targetRef: { kind: "Mesh" }, default: { http: { requestTimeout: "1s" } } }];
  await policy("MeshTimeout", "lost", { targetRef: route, to });
  const from = Array.from({ length: 16 }, (_, index) => ({
    targetRef: { kind: "MeshSubset", tags: { [`tag-${index}`]: "x" } },
    default: { http: [] },
  }));
  const targetRef = { kind: "MeshService", name: "db" };
  await policy("MeshFaultInjection", "many", { targetRef, from });
  await policy("MeshFaultInjection", "few", { targetRef, rules: [{ default: { http: [] } }] });
  const { rules } = await get("dataplanes/db-1/_rules");
  const warningsOf = (type: string) =>
    rules.find((one: JsonObject) => one["type"] === type).warnings;
  assert.deepEqual(warningsOf("MeshTimeout"), [
    'unable to resolve TargetRef on policy: mesh:shop name:lost error:"there is no MeshHTTPRoute \\"nowhere\\""',
  ]);
  assert.deepEqual(warningsOf("MeshFaultInjection"), [
    "MeshFaultInjection has more than 4096 combinations of tags: they are not shown",
  ]);
});

Deno.test("_config is what the proxy would be told, without keys; shadows change nothing yet", async () => {
  const path = "dataplanes/web-1/_config";
  const missing = await world.call("GET", `/meshes/${MESH}/${path}`);
  assert.deepEqual([missing.status, missing.json.title], [
    404,
    "Failed to fetch dataplane insight",
  ]);
  const metadata = { "dataplane.admin.port": "9901" };
  await world.put({ type: "DataplaneInsight", mesh: MESH, name: "web-1", spec: { metadata } });
  const { xds, ...others } = await get(path);
  assert.deepEqual(others, {});
  const cluster = xds["type.googleapis.com/envoy.config.cluster.v3.Cluster"]["localhost:18080"];
  assert.equal(cluster.connectTimeout, "5s");
  const listeners = xds["type.googleapis.com/envoy.config.listener.v3.Listener"];
  assert.ok("inbound:10.0.0.1:8080" in listeners && "outbound:127.0.0.1:10001" in listeners);
  assert.deepEqual((await get(`${path}?shadow=true&include=diff`)).diff, []);
});

Deno.test("_config of a mesh with mutual TLS has placeholders for keys", async () => {
  const { put, call } = testPlane({}, { kinds: everyKind() });
  const backends = [{ name: "ca-1", type: "builtin" }];
  await put({ type: "Mesh", name: "m", spec: { mtls: { enabledBackend: "ca-1", backends } } });
  const inbound = [{ port: 8080, tags: { "kuma.io/service": "web" } }];
  const spec = { networking: { address: "10.0.0.1", inbound } };
  await put({ type: "Dataplane", mesh: "m", name: "web", spec });
  await put({ type: "DataplaneInsight", mesh: "m", name: "web", spec: {} });
  const { json } = await call("GET", "/meshes/m/dataplanes/web/_config");
  const secrets = json.xds[
    "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
  ] as Record<string, JsonObject>;
  const key = Object.values(secrets).flatMap((secret) => {
    const { privateKey } = (secret["tlsCertificate"] ?? {}) as Record<string, JsonObject>;
    return privateKey ? [atob(String(privateKey["inlineBytes"]))] : [];
  });
  assert.deepEqual(key, ["KEY"]);
});

Deno.test("_config is not global's to give", async () => {
  const { status, json } = await testPlane({ mode: "global" })
    .call("GET", "/meshes/m/dataplanes/web/_config");
  assert.deepEqual([status, json.detail], [405, "Not allowed on global CP"]);
});

Deno.test("/meshservices/…/_dataplanes has the proxies behind a MeshService", async () => {
  const put = (name: string, selector: JsonObject) =>
    world.put({ type: "MeshService", mesh: MESH, name, spec: { selector } });
  await put("web", { dataplaneTags: { "kuma.io/service": "web", version: "v1" } });
  await put("one", { dataplaneRef: { name: "api-1" } });
  await put("none", {});
  for (const path of ["_dataplanes", "_resources/dataplanes"]) {
    assert.equal(names((await get(`meshservices/web/${path}`)).items), "web-1");
    assert.equal(names((await get(`meshservices/one/${path}`)).items), "api-1");
    assert.equal(names((await get(`meshservices/none/${path}`)).items), "");
  }
});

Deno.test("builtin gateways: their MeshGateway, its routes, and what concerns all of it", async () => {
  const gateway = { type: "BUILTIN", tags: { "kuma.io/service": "door" } };
  const spec = { networking: { address: "10.0.0.5", gateway } };
  await world.put({ type: "Dataplane", mesh: MESH, name: "door", spec });
  const door = { dataplane: { mesh: MESH, name: "door" } };
  const at = async (path: string) => (await get(`${path}/dataplanes`)).items;
  assert.deepEqual(await at("meshgateways/door"), [door]);
  assert.deepEqual(await at("meshgateways/window"), []);
  assert.deepEqual(await at("meshgatewayroutes/to-web"), [door]);
  const { policies, ...entry } = await get("dataplanes/door/policies");
  assert.deepEqual(entry, {
    kind: "MeshGatewayDataplane",
    gateway: { mesh: MESH, name: "door" },
    listeners: [{ port: 8080, protocol: "HTTP", hosts: [] }],
  });
  assert.equal(policies.TrafficLog.name, "all");
  const [, , logged] = await at("traffic-logs/all");
  assert.deepEqual(logged, {
    kind: "MeshGatewayDataplane",
    ...door,
    gateway: { mesh: MESH, name: "door" },
  });
});

const MISSING: readonly (readonly [path: string, status: number, title: string | null])[] = [
  ["/meshes/shop/dataplanes/nope/policies", 404, "Could not get MatchedPolicies"],
  ["/meshes/nope/dataplanes/web-1/policies", 404, "Could not build MeshContext"],
  ["/meshes/shop/dataplanes/nope/rules", 404, "Could not get MatchedPolicies"],
  ["/meshes/shop/dataplanes/nope/_rules", 404, "Could not retrieve Dataplane"],
  ["/meshes/nope/dataplanes/web-1/_rules", 404, "Failed to retrieve Mesh"],
  ["/meshes/shop/meshgateways/nope/_rules", 404, "Could not retrieve MeshGateway"],
  ["/meshes/shop/dataplanes/web-1/_config?shadow=x", 400, "Bad Request"],
  ["/meshes/shop/dataplanes/web-1/_config?include=diff,x", 400, "Bad Request"],
  ["/meshes/nope/dataplanes/web-1/_config", 404, "Failed to retrieve Mesh"],
  ["/meshes/nope/meshtimeouts/all/dataplanes", 404, "Could not list Dataplanes"],
  ["/meshes/shop/meshtimeouts/nope/_resources/dataplanes", 404, "Could not retrieve policy"],
  ["/meshes/nope/meshtimeouts/all/_resources/dataplanes", 404, "Failed to retrieve Mesh"],
  ["/meshes/shop/meshtimeouts/all/_resources/dataplanes?size=x", 400, "Could not retrieve policy"],
  ["/meshes/shop/meshgateways/nope/dataplanes", 404, "Could not find MeshGateway"],
  ["/meshes/nope/meshgateways/door/dataplanes", 404, "Could not build mesh context"],
  ["/meshes/shop/meshgatewayroutes/nope/dataplanes", 404, "Could not find MeshGatewayRoute"],
  ["/meshes/shop/virtual-outbounds/x/dataplanes", 404, null],
  ["/meshes/shop/external-services/pay/_resources/dataplanes", 404, null],
];

for (const [path, status, title] of MISSING) {
  Deno.test(`${path} is refused as Kuma does`, async () => {
    const { json, ...answer } = await world.call("GET", path);
    assert.deepEqual([answer.status, json?.title ?? null], [status, title]);
  });
}

Deno.test("what peers send as it should not be is as if it were not there", async () => {
  const { put, call } = testPlane({ mode: "global" }, { kinds: everyKind() });
  await put({ type: "Mesh", name: "m", spec: { meshServices: { mode: "Exclusive" } } });
  const inbound = [{ port: 8080, tags: { "kuma.io/service": "web" } }];
  const networking = { address: "10.0.0.1", inbound };
  await put({ type: "Dataplane", mesh: "m", name: "web", spec: { networking } });
  await put({ type: "Dataplane", mesh: "m", name: "empty", spec: {} });
  const odd: readonly Json[] = [null, 1, "text", [], [null], [1], {}, [{ targetRef: 1 }], [{
    targetRef: { kind: 7, tags: null, labels: "x", proxyTypes: 3 },
    default: [],
    rules: 1,
    hostnames: {},
  }]];
  const types = ["MeshTimeout", "MeshHTTPRoute", "MeshTCPRoute", "MeshMetric"];
  for (const [index, value] of odd.entries()) {
    const targetRef = (Array.isArray(value) ? value[0] ?? null : value) as Json;
    const spec = { targetRef, to: value, from: value, rules: value, default: value };
    for (const type of types) await put({ type, mesh: "m", name: `odd-${index}`, spec });
    const service = { ports: value, selector: value };
    await put({ type: "MeshService", mesh: "m", name: `odd-${index}`, spec: service });
  }
  const paths = [
    ...["/mesh-insights", "/service-insights", "/global-insight"],
    ...["web", "empty"].flatMap((name) =>
      ["policies", "rules", "_rules", "_policies", "_layout"].map((what) =>
        `/meshes/m/dataplanes/${name}/${what}`
      )
    ),
    ...["dataplanes", "_resources/dataplanes"].map((what) =>
      `/meshes/m/meshtimeouts/odd-8/${what}`
    ),
    "/meshes/m/meshservices/odd-1/_dataplanes",
    "/meshes/m/dataplanes/web/_outbounds/kri_msvc_m___odd-1_x/_routes",
  ];
  for (const path of paths) {
    const { status, text } = await call("GET", path);
    assert.equal(status, 200, `${path}: ${text}`);
  }
});
