import assert from "node:assert/strict";
import type { JsonObject } from "../core/resource.ts";
import { type CallOptions, type TestPlane, testPlane } from "./plane_test.ts";
import type { ControlPlane } from "./ports.ts";

const MTLS = { enabledBackend: "ca-1", backends: [{ name: "ca-1", type: "builtin" }] };
const ZONE: Partial<ControlPlane> = { mode: "remote", federated: true, zone: "east" };

function mesh(name: string, spec: JsonObject = {}): CallOptions {
  return { body: { type: "Mesh", name, ...spec } };
}

function dataplane(name: string, more: JsonObject = {}, tags: JsonObject = {}): CallOptions {
  const inbound = [{ port: 80, servicePort: 8080, tags: { "kuma.io/service": "web", ...tags } }];
  return {
    body: {
      type: "Dataplane",
      mesh: "default",
      name,
      ...more,
      networking: { address: "127.0.0.1", inbound },
    },
  };
}

function permission(name: string): CallOptions {
  const match = { match: { "kuma.io/service": "*" } };
  const body = { type: "TrafficPermission", mesh: "default", name };
  return { body: { ...body, sources: [match], destinations: [match] } };
}

async function planeWithMesh(control: Partial<ControlPlane> = {}, spec: JsonObject = {}) {
  const plane = testPlane(control);
  await plane.put({ type: "Mesh", name: "default", spec });
  return plane;
}

async function violationsOf(
  plane: TestPlane,
  path: string,
  options: CallOptions,
): Promise<readonly string[]> {
  const { status, json } = await plane.call("PUT", path, options);
  assert.equal(status, 400, JSON.stringify(json));
  assert.deepEqual(
    json.causes.map(({ field, message }: JsonObject) => ({ field, reason: message })),
    json.invalid_parameters,
  );
  return json.invalid_parameters.map(({ field, reason }: JsonObject) => `${field}: ${reason}`);
}

Deno.test("PUT creates, tells when nothing changed, updates, and DELETE ends it", async () => {
  const plane = testPlane();
  const created = await plane.call("PUT", "/meshes/default", mesh("default"));
  assert.equal(created.status, 201);
  assert.deepEqual(created.json, { revision: 1 });
  assert.equal(created.headers["ursa-revision"], "1");

  const same = await plane.call("PUT", "/meshes/default", mesh("default"));
  assert.equal(same.status, 200);
  assert.deepEqual(same.json, { revision: 1, unchanged: true });

  const routing = { routing: { localityAwareLoadBalancing: true } };
  const updated = await plane.call("PUT", "/meshes/default", mesh("default", routing));
  assert.equal(updated.status, 200);
  assert.deepEqual(updated.json, { revision: 2 });

  const read = await plane.call("GET", "/meshes/default");
  assert.equal(read.headers["etag"], '"2"');
  assert.deepEqual(read.json, {
    type: "Mesh",
    name: "default",
    creationTime: "2026-11-22T12:00:00.000Z",
    modificationTime: "2026-11-22T12:00:00.000Z",
    kri: "kri_m____default_",
    ...routing,
  });

  const deleted = await plane.call("DELETE", "/meshes/default");
  assert.deepEqual([deleted.status, deleted.json], [200, { revision: 3 }]);
  assert.equal((await plane.call("DELETE", "/meshes/default")).status, 404);
  assert.equal((await plane.call("GET", "/meshes/default")).json.detail, "Not found");
});

Deno.test("PUT takes what GET gave, computed fields included", async () => {
  const plane = await planeWithMesh({ mode: "standalone", zone: "east" });
  await plane.call("PUT", "/meshes/default/dataplanes/web-1", dataplane("web-1"));
  const { json } = await plane.call("GET", "/meshes/default/dataplanes/web-1");
  const again = await plane.call("PUT", "/meshes/default/dataplanes/web-1", { body: json });
  assert.equal(again.json.unchanged, true);
});

Deno.test("PUT accepts snake_case names and warns of unknown fields", async () => {
  const plane = await planeWithMesh();
  const { json } = await plane.call("PUT", "/meshes/default/dataplanes/web-1", {
    body: {
      type: "Dataplane",
      mesh: "default",
      name: "web-1",
      networking: {
        address: "127.0.0.1",
        adress: "typo",
        inbound: [{ port: 80, service_port: 81, tags: { "kuma.io/service": "web" } }],
      },
    },
  });
  assert.deepEqual(json.warnings, [
    "networking.adress: no such field is known here: it is kept, and has no effect; " +
    "did you mean address?",
  ]);
  const read = await plane.call("GET", "/meshes/default/dataplanes/web-1");
  assert.equal(read.json.networking.inbound[0].servicePort, 81);
  assert.equal(read.json.networking.adress, "typo", "somebody else may know it");
});

Deno.test("PUT lists every violation at once: identity, name, labels and spec", async () => {
  const plane = await planeWithMesh();
  const violations = await violationsOf(plane, "/meshes/default/traffic-permissions/UPPER", {
    body: {
      type: "TrafficRoute",
      mesh: "other",
      name: "UPPER",
      labels: { "kuma.io/mesh": "other", "bad key": "x", ok: 1 },
      sources: [],
    },
  });
  const paths = violations.map((line) => line.split(":")[0]);
  assert.deepEqual(paths, [
    "type",
    "mesh",
    "name",
    'labels["kuma.io/mesh"]',
    'labels["bad key"]',
    'labels["ok"]',
    "sources",
    "destinations",
  ]);
});

Deno.test("PUT refuses names that are not RFC 1123 subdomains, and long mesh names", async () => {
  const plane = testPlane();
  for (const name of ["UPPER", "-a", "a-", "a..b", "a_b", "a b", "a".repeat(64)]) {
    const path = `/meshes/${encodeURIComponent(name)}`;
    const [violation] = await violationsOf(plane, path, mesh(name));
    assert.match(violation ?? "", /^name: must be/, name);
  }
});

Deno.test("PUT keeps fields without effect, and says so by their paths", async () => {
  const plane = testPlane();
  const meshFields: JsonObject = {
    logging: { backends: [{ name: "f", type: "file", conf: { path: "/dev/stdout" } }] },
    tracing: { backends: [{ name: "z", type: "zipkin", conf: { url: "http://z:1/" } }] },
    metrics: { enabledBackend: "p", backends: [{ name: "p", type: "prometheus" }] },
  };
  const put = await plane.call("PUT", "/meshes/default", mesh("default", meshFields));
  assert.equal(put.status, 201);
  assert.deepEqual(
    put.json.warnings.map((warning: string) => warning.split(" yet: ")[0]),
    Object.keys(meshFields).map((field) => `${field}: has no effect`),
  );
  const { json } = await plane.call("GET", "/meshes/default");
  for (const [field, value] of Object.entries(meshFields)) assert.deepEqual(json[field], value);
});

Deno.test("PUT refuses what would be dangerous to take without effect, by its path", async () => {
  const plane = await planeWithMesh();
  const tags = { "kuma.io/service": "web" };
  const networkings: JsonObject = {
    "networking.outbound[0]": {
      inbound: [{ port: 80, servicePort: 81, tags }],
      outbound: [{ port: 1000, backendRef: { kind: "MeshService", name: "x", port: 80 } }],
    },
  };
  for (const [path, networking] of Object.entries(networkings)) {
    const [violation] = await violationsOf(plane, "/meshes/default/dataplanes/web-1", {
      body: {
        type: "Dataplane",
        mesh: "default",
        name: "web-1",
        networking: { address: "127.0.0.1", ...networking as JsonObject },
      },
    });
    assert.ok(violation?.startsWith(path), `${violation}`);
  }
});

Deno.test("malformed bodies are refused with their position", async () => {
  const plane = testPlane();
  const yaml = { "content-type": "application/yaml" };
  const cases: readonly [CallOptions, RegExp][] = [
    [{ body: '{"type":"Mesh",\n "name": x}' }, /malformed JSON at line 2, column 10/],
    [{ body: '{"type":"Mesh"' }, /malformed JSON at line 1, column 15/],
    [{ body: "type: Mesh\nname: [a\nfoo: b", headers: yaml }, /malformed YAML at line 3, column 1/],
    [{ body: "" }, /the body is empty/],
    [{ body: "[]" }, /must be an object, is a list/],
    [{ body: "null" }, /must be an object, is null/],
    [{ body: `{"a":${"[".repeat(9_000)}${"]".repeat(9_000)}}` }, /nested deeper than 64/],
  ];
  for (const [options, message] of cases) {
    const { status, json } = await plane.call("PUT", "/meshes/default", options);
    assert.deepEqual([status, json.title], [400, "Bad Request"]);
    assert.match(json.detail, message);
  }
  const form = { "content-type": "application/x-www-form-urlencoded" };
  assert.equal((await plane.call("PUT", "/meshes/default", { headers: form })).status, 415);
});

Deno.test("a mesh that does not exist is 404 for its lists, items and writes", async () => {
  const plane = testPlane();
  for (const method of ["GET", "PUT", "DELETE"]) {
    const { status, json } = await plane.call(method, "/meshes/nope/dataplanes/web-1");
    assert.deepEqual([status, json.title], [404, "Failed to retrieve Mesh"], method);
  }
  assert.equal((await plane.call("GET", "/meshes/nope/dataplanes")).status, 404);
});

Deno.test("If-Match refuses a stale version and takes the current one", async () => {
  const plane = await planeWithMesh();
  const spec = { networking: { outbound: { passthrough: false } } };
  const put = (match: string) =>
    plane.call("PUT", "/meshes/default", {
      ...mesh("default", spec),
      headers: { "if-match": match },
    });
  const stale = await put('"7"');
  assert.deepEqual([stale.status, stale.headers["etag"]], [412, '"1"']);
  assert.equal((await put('"7", "1"')).status, 200);
  assert.equal((await put("*")).status, 200);
  const absent = await plane.call("PUT", "/meshes/new", {
    ...mesh("new"),
    headers: { "if-match": "*" },
  });
  assert.equal(absent.status, 412);
});

Deno.test("dry-run shows what would be, and writes nothing", async () => {
  const plane = testPlane();
  const put = (spec: JsonObject) =>
    plane.call("PUT", "/meshes/default?dry-run=true", mesh("default", spec));
  assert.equal((await put({})).json.result, "created");
  assert.equal(plane.ports.resources.revision, 0);
  await plane.put({ type: "Mesh", name: "default", spec: {} });
  assert.deepEqual((await put({})).json, { dryRun: true, result: "unchanged", diff: [] });
  const updated = await put({ mtls: MTLS });
  assert.equal(updated.json.result, "updated");
  assert.deepEqual(updated.json.diff, [{ op: "add", path: "/spec/mtls", value: MTLS }]);
  assert.equal(updated.json.warnings.length, 1);
  assert.equal(plane.ports.resources.revision, 1);
  assert.equal((await plane.call("DELETE", "/meshes/default?dry-run=true")).json.result, "deleted");
  assert.ok(plane.ports.resources.get({ type: "Mesh", mesh: "", name: "default" }));
});

Deno.test("PUT of a mesh warns: nothing allowed, or no way across zones", async () => {
  const plane = testPlane({ mode: "global" });
  const put = (spec: JsonObject) => plane.call("PUT", "/meshes/default", mesh("default", spec));
  assert.match((await put({ mtls: MTLS })).json.warnings[0], /^nothing is allowed: mesh "default"/);
  await plane.call("PUT", "/meshes/default/traffic-permissions/all", permission("all"));
  assert.equal((await put({ mtls: MTLS })).json.warnings, undefined);
  const gone = await plane.call("DELETE", "/meshes/default/traffic-permissions/all");
  assert.match(gone.json.warnings[0], /^nothing is allowed/);
  assert.equal((await put({})).json.warnings, undefined, "one zone needs no way across");
  for (const name of ["east", "west"]) await plane.put({ type: "Zone", name, spec: {} });
  assert.match((await put({})).json.warnings[0], /endpoints in other zones are not offered/);
});

Deno.test("PUT of a mesh warns of a private key that stands in it", async () => {
  const plane = testPlane({ mode: "standalone" });
  const backend = (key: JsonObject) => ({
    name: "own",
    type: "provided",
    conf: { cert: { inlineString: "cert" }, key },
  });
  const put = async (key: JsonObject) => {
    const spec = { mtls: { skipValidation: true, backends: [backend(key)] } };
    return (await plane.call("PUT", "/meshes/default", mesh("default", spec))).json.warnings ?? [];
  };
  const warned = /private key of CA backend "own" stands in mesh "default", which everybody may/;
  assert.match((await put({ inlineString: "key" })).join(), warned);
  assert.match((await put({ inline: "a2V5" })).join(), warned);
  assert.doesNotMatch((await put({ secret: "own-key" })).join(), warned);
});

Deno.test("global refuses a zone's kinds, a federated zone refuses global's", async () => {
  const cases: readonly [Partial<ControlPlane>, string, CallOptions, number][] = [
    [{ mode: "global" }, "/meshes/default/dataplanes/web-1", dataplane("web-1"), 405],
    [{ mode: "global" }, "/meshes/default/traffic-permissions/all", permission("all"), 201],
    [ZONE, "/meshes/default/traffic-permissions/all", permission("all"), 405],
    [ZONE, "/meshes/default", mesh("default"), 405],
    [ZONE, "/meshes/default/dataplanes/web-1", dataplane("web-1"), 201],
    [{ mode: "standalone" }, "/meshes/default/traffic-permissions/all", permission("all"), 201],
    [{ mode: "standalone" }, "/meshes/default/dataplanes/web-1", dataplane("web-1"), 201],
    [{ mode: "standalone" }, "/meshes/default/dataplane-insights/web-1", {}, 405],
  ];
  for (const [control, path, options, status] of cases) {
    const plane = await planeWithMesh(control);
    const answered = await plane.call("PUT", path, options);
    assert.equal(answered.status, status, `${control.mode} ${path}: ${answered.text}`);
    if (status === 405) assert.equal(answered.json.title, "Method not allowed");
  }
});

Deno.test("a federated zone refuses to change or delete copies of what is global's", async () => {
  const plane = await planeWithMesh(ZONE);
  const labels = { "kuma.io/origin": "global" };
  await plane.put({ type: "Secret", mesh: "default", name: "s", labels, spec: { data: "eA==" } });
  const body = { type: "Secret", mesh: "default", name: "s", data: "eQ==" };
  assert.equal((await plane.call("PUT", "/meshes/default/secrets/s", { body })).status, 405);
  assert.equal((await plane.call("DELETE", "/meshes/default/secrets/s")).status, 405);
});

Deno.test("a zone writes its name into proxies, and refuses another's", async () => {
  const plane = await planeWithMesh(ZONE);
  await plane.call("PUT", "/meshes/default/dataplanes/web-1", dataplane("web-1"));
  const { json } = await plane.call("GET", "/meshes/default/dataplanes/web-1");
  assert.equal(json.networking.inbound[0].tags["kuma.io/zone"], "east");
  assert.deepEqual(json.labels, {
    "kuma.io/env": "universal",
    "kuma.io/mesh": "default",
    "kuma.io/origin": "zone",
    "kuma.io/proxy-type": "sidecar",
    "kuma.io/zone": "east",
  });
  assert.equal(json.kri, "kri_dp_default_east__web-1_");
  assert.deepEqual(
    await violationsOf(
      plane,
      "/meshes/default/dataplanes/web-2",
      dataplane("web-2", { labels: { "kuma.io/zone": "west" } }, { "kuma.io/zone": "west" }),
    ),
    [
      'labels["kuma.io/zone"]: must be "east" here, is "west"',
      'networking.inbound[0].tags["kuma.io/zone"]: must be "east", the zone of this control ' +
      'plane, is "west"',
    ],
  );
});

Deno.test("origin, zone and display name never change", async () => {
  const plane = await planeWithMesh();
  const labels = { "kuma.io/display-name": "web", "kuma.io/origin": "zone" };
  await plane.call("PUT", "/meshes/default/dataplanes/web-1", dataplane("web-1", { labels }));
  for (const next of [{}, { "kuma.io/display-name": "other" }]) {
    const path = "/meshes/default/dataplanes/web-1";
    const { status, json } = await plane.call("PUT", path, dataplane("web-1", { labels: next }));
    assert.deepEqual([status, json.title], [400, "Could not update a resource"]);
    assert.match(json.causes[0].message, /cannot be (changed|removed)/);
  }
});

Deno.test("a mesh goes with what is in it, but not while dataplanes are attached", async () => {
  const plane = await planeWithMesh();
  await plane.call("PUT", "/meshes/default/dataplanes/web-1", dataplane("web-1"));
  const spec = { subscriptions: [] };
  await plane.put({ type: "DataplaneInsight", mesh: "default", name: "web-1", spec });
  await plane.call("PUT", "/meshes/default/traffic-permissions/all", permission("all"));
  const refused = await plane.call("DELETE", "/meshes/default");
  assert.equal(refused.json.causes[0].field, "mesh");
  await plane.call("DELETE", "/meshes/default/dataplanes/web-1");
  assert.deepEqual(plane.ports.resources.list("DataplaneInsight"), [], "its insight went with it");
  assert.equal((await plane.call("DELETE", "/meshes/default")).status, 200);
  assert.deepEqual(plane.ports.resources.list("TrafficPermission"), []);
});

Deno.test("a zone is not deleted while it is connected, and takes its resources along", async () => {
  const plane = testPlane({ mode: "global" });
  await plane.put({ type: "Zone", name: "east", spec: {} });
  const labels = { "kuma.io/origin": "zone", "kuma.io/zone": "east" };
  await plane.put({ type: "ZoneIngress", name: "ing", labels, spec: { networking: { port: 1 } } });
  const insight = (subscription: JsonObject) =>
    plane.put({ type: "ZoneInsight", name: "east", spec: { subscriptions: [subscription] } });
  await insight({ connectTime: "2026-11-22T12:00:00Z" });
  assert.match(
    (await plane.call("DELETE", "/zones/east")).json.causes[0].message,
    /still connected/,
  );
  await insight({ connectTime: "2026-11-22T12:00:00Z", disconnectTime: "2026-11-22T12:01:00Z" });
  assert.equal((await plane.call("DELETE", "/zones/east")).status, 200);
  assert.deepEqual(plane.ports.resources.list("ZoneIngress"), []);
});

Deno.test("the CA's secrets stay while the mesh uses them", async () => {
  const plane = await planeWithMesh({}, { mtls: MTLS });
  const name = "default.ca-builtin-key-ca-1";
  await plane.put({ type: "Secret", mesh: "default", name, spec: { data: "eA==" } });
  const { status, json } = await plane.call("DELETE", `/meshes/default/secrets/${name}`);
  assert.equal(status, 400);
  assert.match(json.causes[0].message, /in use by mTLS backend "ca-1"/);
});

Deno.test("secrets are for the administrator: this machine, not a proxy nor a foreign page", async () => {
  const plane = await planeWithMesh();
  const cases: readonly [CallOptions, number][] = [
    [{}, 200],
    [{ headers: { origin: "http://localhost:5681" } }, 200],
    [{ headers: { host: "127.128.3.4:5681" }, peer: "127.0.0.1" }, 200],
    [{ headers: { host: "[::1]:5681" }, peer: "::1" }, 200],
    [{ peer: "10.0.0.9" }, 403],
    [{ headers: { host: "rebound.example:5681" } }, 403],
    [{ headers: { "x-forwarded-for": "10.0.0.9" } }, 403],
    [{ headers: { "x-forwarded-proto": "https" } }, 403],
    [{ headers: { "x-forwarded-host": "cp.example" } }, 403],
    [{ headers: { via: "1.1 cache" } }, 403],
    [{ headers: { origin: "http://evil.example" } }, 403],
    [{ headers: { "sec-fetch-site": "cross-site" } }, 403],
  ];
  for (const [options, status] of cases) {
    const { status: was } = await plane.call("GET", "/meshes/default/secrets", options);
    assert.equal(was, status, JSON.stringify(options));
  }
});

Deno.test("internal kinds are not on REST, overviews only where something is reported", async () => {
  const plane = await planeWithMesh();
  for (
    const path of [
      "/configs",
      "/meshes/_overview",
      "/meshes/default/traffic-permissions/_overview",
      "/dataplanes/web-1",
      "/meshes/default/zones",
      "/meshes/default/dataplanes/a/b/c",
    ]
  ) {
    const { status, text } = await plane.call("GET", path);
    // `_overview` cannot be a name, so it is looked up in vain.
    assert.equal(status, 404, `${path}: ${text}`);
  }
});

Deno.test("a kind without a message keeps its spec under `spec`, and its status is nobody's to write", async () => {
  const plane = await planeWithMesh();
  const path = "/meshes/default/meshservices/api";
  const spec = { state: "Available", ports: [{ port: 80, appProtocol: "http" }] };
  const body = { type: "MeshService", mesh: "default", name: "api", spec, status: { vips: [] } };
  const created = await plane.call("PUT", path, { body });
  assert.equal(created.status, 201);
  assert.match(created.json.warnings[0], /^MeshService has no effect yet/);
  const read = (await plane.call("GET", path)).json;
  assert.deepEqual(read.spec, spec);
  assert.equal(read.status, undefined);
  assert.equal(read.kri, "kri_msvc_default___api_");

  const status = { vips: [{ ip: "241.0.0.1" }] };
  await plane.put({ ...body, labels: { "kuma.io/mesh": "default" }, status });
  assert.deepEqual((await plane.call("GET", path)).json.status, status);
  const changed = { ...body, spec: { ports: [] }, extra: 1 };
  const updated = await plane.call("PUT", path, { body: changed });
  assert.equal(updated.status, 200);
  assert.match(updated.json.warnings[0], /^extra: /);
  assert.deepEqual((await plane.call("GET", path)).json.status, status);

  const refused = { body: { ...body, spec: [] } };
  assert.deepEqual(await violationsOf(plane, path, refused), [
    "spec: must be an object, is a list",
  ]);
});

Deno.test("a new mesh begins with the policies that were asked for, a changed one gets none", async () => {
  const plane = testPlane({ newMesh: { kuma: true, routing: false } });
  const body = { type: "Mesh", name: "shop", skipCreatingInitialPolicies: ["MeshRetry"] };
  const names = () =>
    ["MeshTimeout", "MeshRetry", "MeshCircuitBreaker"].flatMap((type) =>
      plane.ports.resources.list(type, "shop").map(({ name }) => name)
    );
  const { json } = await plane.call("PUT", "/meshes/shop?dry-run", { body });
  assert.equal(json.also.length, 3);
  assert.match(json.warnings.join(), /MeshCircuitBreaker has no effect yet.*MeshTimeout/);
  assert.deepEqual(names(), []);
  assert.equal((await plane.call("PUT", "/meshes/shop", { body })).status, 201);
  const expected = [
    "mesh-gateways-timeout-all-shop",
    "mesh-timeout-all-shop",
    "mesh-circuit-breaker-all-shop",
  ];
  assert.deepEqual(names(), expected);
  const changed = { ...body, skipCreatingInitialPolicies: [] };
  assert.equal((await plane.call("PUT", "/meshes/shop", { body: changed })).status, 200);
  assert.deepEqual(names(), expected);
});

Deno.test("labels are as Kuma's: given ones stay, the rest follows from what is written where", async () => {
  const zone = { mode: "remote", federated: false, zone: "east" } as const;
  const inbound = [{ port: 80, tags: { "kuma.io/service": "web" } }];
  const web = { networking: { address: "127.0.0.1", inbound } };
  const labelsOf = async (labels: Record<string, string>) => {
    const plane = testPlane(zone);
    await plane.put({ type: "Mesh", name: "default", spec: {} });
    const body = { type: "Dataplane", mesh: "default", name: "web", labels, ...web };
    const path = "/meshes/default/dataplanes/web";
    const { status, json } = await plane.call("PUT", path, { body });
    if (status !== 201) return json.invalid_parameters.map(({ field }: JsonObject) => field);
    return (await plane.call("GET", path)).json.labels;
  };
  const own = { "kuma.io/mesh": "default", "kuma.io/proxy-type": "sidecar" };
  const ofEast = { "kuma.io/env": "universal", "kuma.io/origin": "zone", "kuma.io/zone": "east" };
  assert.deepEqual(await labelsOf({ team: "a" }), { ...own, ...ofEast, team: "a" });
  assert.deepEqual(await labelsOf({ "kuma.io/origin": "global" }), {
    ...own,
    "kuma.io/origin": "global",
  });
  assert.deepEqual(await labelsOf({ "kuma.io/workload": "web-1" }), {
    ...own,
    ...ofEast,
    "kuma.io/workload": "web-1",
  });
  const refused = { "kuma.io/zone": "west", "kuma.io/origin": "moon", "kuma.io/workload": "1_x" };
  for (const [name, value] of Object.entries(refused)) {
    assert.deepEqual(await labelsOf({ [name]: value }), [`labels["${name}"]`]);
  }
});

Deno.test("a zone under a global takes modern policies that say they are the zone's own", async () => {
  const plane = testPlane({ mode: "remote", federated: true, zone: "east" });
  await plane.put({ type: "Mesh", name: "default", spec: {} });
  const path = "/meshes/default/meshtimeouts/slow";
  const spec = { rules: [{ default: { idleTimeout: "1h" } }] };
  const body = { type: "MeshTimeout", mesh: "default", name: "slow", spec };
  const refused = await plane.call("PUT", path, { body });
  assert.equal(refused.status, 400);
  assert.equal(refused.json.invalid_parameters[0].field, 'labels["kuma.io/origin"]');
  const labels = { "kuma.io/origin": "zone" };
  assert.equal((await plane.call("PUT", path, { body: { ...body, labels } })).status, 201);
});

Deno.test("a mesh's own CA is there before it, unless the mesh says that it comes after", async () => {
  const plane = testPlane();
  const put = (mtls: JsonObject) =>
    plane.call("PUT", "/meshes/shop", { body: { type: "Mesh", name: "shop", mtls } });
  const conf = { cert: { secret: "ca" }, key: { inlineString: "PEM" } };
  const backends = [{ name: "own", type: "provided", conf }];
  const before = await put({ backends });
  assert.deepEqual([before.status, before.json.title], [400, "Failed to create a resource"]);
  assert.deepEqual(before.json.invalid_parameters.map(({ field }: JsonObject) => field), [
    "mtls.backends[0].conf.cert",
  ]);
  assert.equal((await put({ backends, skipValidation: true })).status, 201);
  assert.equal((await put({ backends })).json.title, "Failed to update a resource");
  await plane.put({ type: "Secret", mesh: "shop", name: "ca", spec: { data: "eA==" } });
  assert.equal((await put({ backends })).status, 200);
});
