import assert from "node:assert/strict";
import type { Receipt } from "../core/receipt.ts";
import type { JsonObject } from "../core/resource.ts";
import { testPlane } from "./plane_test.ts";

Deno.test("/ greets as Kuma, for kumactl's handshake, and says who it is", async () => {
  const { json } = await testPlane({ mode: "remote", zone: "east" }).call("GET", "/");
  assert.deepEqual(
    [json.product, json.tagline, json.mode, json.zone, json.clusterId],
    ["Kuma", "Kuma", "remote", "east", "cluster-1"],
  );
  assert.match(json.version, /^2\.13\./);
});

Deno.test("/config masks secrets wherever they are", async () => {
  const config = {
    store: { type: "kv", password: "p" },
    list: [{ clientSecret: "s", token: "" }],
    tokens: { keyId: "1" },
  };
  const { json } = await testPlane({ config }).call("GET", "/config");
  assert.deepEqual(json, {
    store: { type: "kv", password: "*****" },
    list: [{ clientSecret: "*****", token: "" }],
    tokens: { keyId: "1" },
  });
});

Deno.test("/_resources and /policies list the kinds that are on REST", async () => {
  const plane = testPlane();
  const { resources } = (await plane.call("GET", "/_resources")).json;
  const names = resources.map(({ name }: JsonObject) => name);
  assert.deepEqual(names, [...names].sort());
  assert.ok(!names.includes("Config"));
  assert.deepEqual(resources.find(({ name }: JsonObject) => name === "TrafficPermission"), {
    name: "TrafficPermission",
    scope: "Mesh",
    readOnly: false,
    path: "traffic-permissions",
    singularDisplayName: "Traffic Permission",
    pluralDisplayName: "Traffic Permissions",
    includeInFederation: true,
    shortName: "",
    policy: {
      isTargetRef: false,
      hasToTargetRef: false,
      hasFromTargetRef: false,
      isFromAsRules: false,
    },
  });
  const of = (name: string) => resources.find((one: JsonObject) => one["name"] === name);
  assert.deepEqual(of("MeshLoadBalancingStrategy"), {
    name: "MeshLoadBalancingStrategy",
    scope: "Mesh",
    readOnly: false,
    path: "meshloadbalancingstrategies",
    singularDisplayName: "Mesh Load Balancing Strategy",
    pluralDisplayName: "Mesh Load Balancing Strategies",
    includeInFederation: true,
    shortName: "mlbs",
    policy: {
      isTargetRef: true,
      hasToTargetRef: true,
      hasFromTargetRef: false,
      isFromAsRules: false,
    },
  });
  assert.deepEqual(
    ["MeshTLS", "MeshHTTPRoute"].map((name) => of(name).pluralDisplayName),
    ["Mesh TLSes", "Mesh HTTP Routes"],
  );
  assert.deepEqual(
    resources.filter((one: JsonObject) => one["includeInFederation"] === false)
      .map(({ name }: JsonObject) => name),
    [
      ...["Dataplane", "DataplaneInsight", "MeshInsight", "MeshService", "ServiceInsight"],
      ...["Workload", "Zone", "ZoneEgress", "ZoneEgressInsight", "ZoneIngress"],
      ...["ZoneIngressInsight", "ZoneInsight"],
    ],
  );
  const { policies } = (await plane.call("GET", "/policies")).json;
  assert.equal(policies.length, 28);
  assert.deepEqual(policies.find(({ name }: JsonObject) => name === "MeshTLS"), {
    name: "MeshTLS",
    readOnly: false,
    path: "meshtlses",
    singularDisplayName: "Mesh TLS",
    pluralDisplayName: "Mesh TLSes",
    isExperimental: false,
    isTargetRefBased: true,
    isInbound: true,
    isOutbound: false,
  });
});

Deno.test("/who-am-i tells the administrator from everybody else", async () => {
  const plane = testPlane();
  assert.equal((await plane.call("GET", "/who-am-i")).json.name, "mesh-system:admin");
  const far = await plane.call("GET", "/who-am-i", { peer: "10.0.0.9" });
  assert.equal(far.json.name, "mesh-system:anonymous");
  assert.equal((await plane.call("GET", "/debug/actors", { peer: "10.0.0.9" })).status, 403);
});

Deno.test("/receipts tells what became of a revision", async () => {
  const plane = testPlane();
  const receipt: Receipt = {
    revision: 42,
    atMs: 0,
    mesh: "default",
    complete: true,
    proxies: { affected: 1, acked: 1, nacked: 0, pending: 0, offline: 0 },
    lastAckMs: 12,
    nacks: [],
    perProxy: [{ proxy: "dataplane/default/web-1", state: "acked", ms: 12 }],
  };
  plane.receipts.set(42, receipt);
  assert.deepEqual((await plane.call("GET", "/receipts/42")).json, { ...receipt });
  assert.equal((await plane.call("GET", "/receipts/43")).status, 404);
  assert.equal((await plane.call("GET", "/receipts/x")).status, 400);
  assert.equal((await plane.call("GET", "/receipts/42?wait=x")).status, 400);
});

Deno.test("accept-global is a federated zone's", async () => {
  const path = "/uplink/accept-global";
  const zone = testPlane({ mode: "remote", federated: true, zone: "east" });
  assert.equal((await zone.call("POST", path)).json.accepted, true);
  assert.equal((await zone.call("POST", path, { peer: "10.0.0.9" })).status, 403);
  assert.equal((await zone.call("GET", path)).status, 405);
  assert.equal((await testPlane({ mode: "global" }).call("POST", path)).status, 405);
});

Deno.test("links are between the zones of a global", async () => {
  const zone = testPlane({ mode: "remote", federated: true, zone: "east" });
  assert.equal((await zone.call("GET", "/zone-links")).json.peers[0].zone, "west");
  const global = await testPlane({ mode: "global" }).call("GET", "/zone-links");
  assert.equal(global.status, 404);
  assert.match(global.text, /this control plane is a global/);
});

Deno.test("plain endpoints, unknown paths, wrong methods and types", async () => {
  const plane = testPlane();
  const cases: readonly [string, string, number, RegExp][] = [
    ["GET", "/healthy", 200, /healthy/],
    ["GET", "/ready", 200, /ready/],
    ["GET", "/metrics", 200, /ursa_up 1/],
    ["GET", "/nope", 404, /^404: Page Not Found$/],
    ["GET", "/meshes/default/nope", 404, /^404: Page Not Found$/],
    ["POST", "/meshes", 405, /^405/],
    ["PATCH", "/meshes/default", 405, /^405/],
    ["PUT", "/", 405, /^405/],
  ];
  for (const [method, path, status, text] of cases) {
    const answered = await plane.call(method, path);
    assert.equal(answered.status, status, path);
    assert.match(answered.text, text);
  }
  const headers = { accept: "application/xml" };
  assert.equal((await plane.call("GET", "/meshes", { headers })).status, 406);
});

Deno.test("/_resources and /policies tell what may be written here", async () => {
  const writable = async (control: Parameters<typeof testPlane>[0], path: string) => {
    const { json } = await testPlane(control).call("GET", path);
    const all: JsonObject[] = json.resources ?? json.policies;
    return all.filter(({ readOnly }) => !readOnly).map(({ name }) => name);
  };
  const inZone = { mode: "remote", federated: true, zone: "east" } as const;
  assert((await writable({ mode: "global" }, "/_resources")).includes("Dataplane"));
  assert((await writable({ mode: "global" }, "/policies")).includes("TrafficLog"));
  assert.deepEqual(await writable(inZone, "/_resources"), []);
  const policies = await writable(inZone, "/policies");
  assert(policies.includes("MeshTimeout") && !policies.includes("TrafficLog"));
});
