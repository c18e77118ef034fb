// The same requests to kuma-cp and to Ursa: status, form, title, detail and fields of every answer.

import assert from "node:assert/strict";
import type { Json, JsonObject } from "../../core/resource.ts";
import { isObject } from "../../core/json.ts";
import { interop } from "./interop.ts";
import { pairsSideBySide, sideBySide } from "./side_by_side.ts";

interface Question {
  readonly method: string;
  readonly path: string;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Why Ursa answers otherwise, and its status. */
  readonly otherwise?: { readonly status: number; readonly why: string };
}

type More = Pick<Question, "headers" | "otherwise">;

const get = (path: string, more: More = {}): Question => ({ method: "GET", path, ...more });
const del = (path: string, more: More = {}): Question => ({ method: "DELETE", path, ...more });
const put = (path: string, body: JsonObject | string, more: More = {}): Question => ({
  method: "PUT",
  path,
  body: typeof body === "string" ? body : JSON.stringify(body),
  ...more,
  headers: { "content-type": "application/json", ...more.headers },
});
const otherwise = (status: number, why: string): More => ({ otherwise: { status, why } });

const mesh = (name: string, more: JsonObject = {}, also: More = {}) =>
  put(`/meshes/${name}`, { type: "Mesh", name, ...more }, also);
const inShop = (type: string, path: string) => (name: string, more: JsonObject, also: More = {}) =>
  put(`/meshes/shop/${path}/${name}`, { type, mesh: "shop", name, ...more }, also);
const dataplane = inShop("Dataplane", "dataplanes");
const permission = inShop("TrafficPermission", "traffic-permissions");
const timeout = inShop("MeshTimeout", "meshtimeouts");

const every = [{ match: { "kuma.io/service": "*" } }];
const ALL = { sources: every, destinations: every };
const WEB = {
  networking: {
    address: "127.0.0.1",
    inbound: [{ port: 80, tags: { "kuma.io/service": "web", "kuma.io/protocol": "http" } }],
  },
};
const SLOW = {
  spec: {
    targetRef: { kind: "Mesh" },
    to: [{ targetRef: { kind: "Mesh" }, default: { connectionTimeout: "10s" } }],
  },
};

const backend = (name: string, secret: string) => ({
  name,
  type: "provided",
  conf: { cert: { secret }, key: { secret } },
});

const ROUTES: readonly Question[] = [
  ...["/policies", "/_resources", "/who-am-i", "/versions", "/nothing", "/configs"].map((path) =>
    get(path)
  ),
  ...["/meshes/default/nothing", "/meshes/default/dataplanes/x/y/z", "/dataplanes/x"].map((path) =>
    get(path)
  ),
  ...["/meshes/", "/meshes/default/", "/meshes/default/dataplanes/"].map((path) => get(path)),
  ...["POST", "PATCH", "HEAD", "OPTIONS"].map((method) => ({ method, path: "/meshes/default" })),
  { method: "POST", path: "/nothing" },
  { method: "DELETE", path: "/meshes" },
  { method: "PUT", path: "/config" },
  get("/meshes", { headers: { accept: "text/plain" } }),
  get("/meshes", { headers: { accept: "application/xml" } }),
  get("/meshes", {
    headers: { accept: "text/html" },
    ...otherwise(200, "a browser may look"),
  }),
  get("/mesh-insights/nothing"),
  get("/zone-ingresses"),
  get("/zoneegressoverviews"),
  get("/zoneingresses/_overview"),
  get("/dataplanes+insights"),
];

const BODIES: readonly Question[] = [
  ...["", "{", "[]", '"x"', '{"type":"Mesh","name":"m1"} trailing'].map((body) =>
    put("/meshes/m1", body)
  ),
  put("/meshes/m1", "{}"),
  put("/meshes/m1", "type: Mesh\nname: m1\n", {
    headers: { "content-type": "text/plain" },
    ...otherwise(415, "the answer says what to send"),
  }),
  put("/meshes/m1", "type: Mesh\nname: m1\n", {
    headers: { "content-type": "application/yaml" },
    ...otherwise(201, "YAML is as good as JSON"),
  }),
  put("/meshes/m2", '{"type":"Mesh","name":"m2"}', {
    headers: { "content-type": "application/json; charset=utf-8" },
  }),
  put("/meshes/m3", { type: "Mesh", name: "m4" }),
  put("/meshes/m3", { type: "Dataplane", name: "m3" }),
  put("/meshes/m3", { type: "Nonsense", name: "m3" }),
  put("/meshes/m3", { name: "m3" }),
  put("/meshes/m3", { type: "Mesh" }),
  put("/meshes/m3", { type: 7, name: "m3" }, otherwise(400, "the answer names the field")),
  mesh("m3", { unknown: 1 }),
  mesh("m3"),
  mesh("m3", { labels: { team: "a" } }),
  get("/meshes/m3"),
  mesh("m3"),
  get("/meshes/m3"),
  mesh("m3", { labels: { "bad key": "x" } }),
  mesh("m3", { labels: { key: "bad value!" } }),
  mesh("m3", { labels: { "kuma.io/origin": "moon" } }),
  mesh("a".repeat(64)),
  mesh("m5"),
  mesh("m5", { mtls: { enabledBackend: "own", backends: [backend("own", "none")] } }),
  mesh("m5", { mtls: { enabledBackend: "ca", backends: [{ name: "ca", type: "builtin" }] } }),
  del("/meshes/m5/secrets/m5.ca-builtin-cert-ca"),
  mesh("m6", {
    mtls: { enabledBackend: "own", skipValidation: true, backends: [backend("own", "none")] },
  }),
  ...["Mesh_Upper", "-x", "1num", "m.dot", "a".repeat(254)].map((name) => mesh(name)),
  del("/meshes/m3"),
  del("/meshes/m3"),
  del("/zones/none"),
];

const RESOURCES: readonly Question[] = [
  mesh("shop"),
  permission("all", ALL),
  permission("all", ALL),
  get("/meshes/shop/traffic-permissions/all"),
  permission("none", {}),
  permission("none", { sources: [], destinations: every }),
  permission("all", { ...ALL, labels: { "kuma.io/mesh": "other" } }),
  permission("all", { ...ALL, labels: { "kuma.io/zone": "moon" } }),
  permission("all", { ...ALL, labels: { "kuma.io/display-name": "each" } }),
  permission("all", ALL),
  put("/meshes/none/traffic-permissions/x", { type: "TrafficPermission" }),
  del("/meshes/none/traffic-permissions/x"),
  get("/meshes/none/traffic-permissions"),
  timeout("slow", SLOW),
  get("/meshes/shop/meshtimeouts/slow"),
  timeout("slow", { ...SLOW, labels: { "kuma.io/origin": "global" } }),
  dataplane("web", WEB),
  get("/meshes/shop/dataplanes/web"),
  get("/meshes/shop/dataplanes/web/_overview"),
  get("/meshes/shop/dataplanes+insights"),
  dataplane("web", { networking: {} }),
  dataplane("web", {}),
  dataplane("front", { ...WEB, labels: { "kuma.io/workload": "front" } }),
  get("/meshes/shop/dataplanes/front"),
  dataplane("globals", { ...WEB, labels: { "kuma.io/origin": "global" } }),
  get("/meshes/shop/dataplanes/globals"),
  dataplane("globals", WEB),
  put("/meshes/shop/dataplane-insights/web", {}, {
    ...otherwise(405, "the detail says that nobody writes insights"),
  }),
  get("/meshes/shop/dataplane-insights/web"),
  ...["", "?format=k8s", "?format=kubernetes&namespace=n", "?format=universal"].flatMap((query) => [
    get(`/meshes/shop/dataplanes/web${query}`),
    get(`/meshes/shop/meshtimeouts/slow${query}`),
    get(`/meshes/shop/traffic-permissions/all${query}`),
    get(`/meshes/shop${query}`),
    get(`/meshes/none${query}`),
  ]),
  get("/_kri/kri_dp_shop_z__web_"),
  get("/_kri/kri_dp_shop_z__web_http"),
  get("/_kri/kri_dp_shop_z__none_"),
  get("/_kri/nonsense"),
  get("/_kri/kri_zz____x_"),
];

const LISTS: readonly Question[] = [
  ...["size=1", "size=1&offset=1", "size=1000", "size=1001", "size=x", "offset=1000", "offset="]
    .map((query) => get(`/meshes/shop/dataplanes?${query}`)),
  get("/meshes/shop/dataplanes?size=-1", otherwise(400, "a page has no negative size")),
  get("/meshes/shop/dataplanes?name=fro"),
  get("/meshes/shop/dataplanes?size=1&name=o&filter[labels.kuma.io/env]=universal"),
  get("/meshes/shop/dataplanes?filter[labels.kuma.io/workload]=front"),
  ...["filter[name]=a", "filter[labels.a]x=a", "filter[]=a", "filter[a.b]=a&filter[c]=1"].map(
    (query) => get(`/meshes/shop/dataplanes?${query}`),
  ),
  ...["tag=kuma.io/service:we", "tag=service:web", "tag=kuma.io/service:*", "tag=x", "gateway=x"]
    .map((query) => get(`/meshes/shop/dataplanes?${query}`)),
  ...["gateway=true", "gateway=false", "gateway=builtin", "gateway=delegated"]
    .map((query) => get(`/meshes/shop/dataplanes/_overview?${query}`)),
  get("/meshes/none/dataplanes?size=x"),
  get("/dataplanes?filter[tag]=x"),
  del("/meshes/shop"),
  ...["web", "front", "globals", "web"].map((name) => del(`/meshes/shop/dataplanes/${name}`)),
  del("/meshes/shop"),
];

interop(import.meta.url, {
  peer: "kuma-cp",
  feature: "REST answers the same: routes, bodies, labels, formats, pages, filters, errors",
}, async (bench) => {
  const { ursa, kuma } = await sideBySide(bench, "zone");
  await compare([...ROUTES, ...BODIES, ...RESOURCES, ...LISTS], ursa.api, kuma.api);
});

const own = { labels: { "kuma.io/origin": "zone" } };
const inDefault = (type: string, path: string, name: string, more: JsonObject) =>
  put(`/meshes/default/${path}/${name}`, { type, mesh: "default", name, ...more });

const IN_ZONE: readonly Question[] = [
  ...["/policies", "/_resources", "/meshes", "/meshes/default", "/zones/none"].map((path) =>
    get(path)
  ),
  mesh("default"),
  mesh("shop"),
  del("/meshes/default"),
  inDefault("TrafficPermission", "traffic-permissions", "all", ALL),
  del("/meshes/default/traffic-permissions/all"),
  put("/meshes/none/traffic-permissions/all", { type: "TrafficPermission" }),
  inDefault("MeshTimeout", "meshtimeouts", "slow", SLOW),
  inDefault("MeshTimeout", "meshtimeouts", "slow", { ...SLOW, ...own }),
  get("/meshes/default/meshtimeouts/slow"),
  inDefault("MeshTimeout", "meshtimeouts", "slow", {
    ...SLOW,
    labels: { "kuma.io/origin": "global" },
  }),
  inDefault("MeshTimeout", "meshtimeouts", "other", {
    ...SLOW,
    labels: { "kuma.io/origin": "zone", "kuma.io/zone": "moon" },
  }),
  del("/meshes/default/meshtimeouts/slow"),
  inDefault("Dataplane", "dataplanes", "web", WEB),
  get("/meshes/default/dataplanes/web"),
  inDefault("Dataplane", "dataplanes", "a".repeat(251), WEB),
  inDefault("MeshMultiZoneService", "meshmultizoneservices", "api", {
    ...own,
    spec: { selector: { meshService: { matchLabels: { a: "b" } } }, ports: [{ port: 80 }] },
  }),
  inDefault("Secret", "secrets", "own", { data: "eA==" }),
  get("/meshes/default/secrets/own"),
  get("/_kri/kri_dp_default_z__web_"),
];

interop(import.meta.url, {
  peer: "kuma-cp",
  feature: "REST answers the same in a zone under a global: what may be written there, and how",
}, async (bench) => {
  const { ursa, kuma } = await pairsSideBySide(bench);
  await compare(IN_ZONE, ursa.zone.api, kuma.zone.api);
});

async function compare(questions: readonly Question[], ursa: string, kuma: string): Promise<void> {
  const found = [];
  for (const question of questions) {
    const [ours, theirs] = await Promise.all([ask(ursa, question), ask(kuma, question)]);
    const what = `${question.method} ${question.path} ${question.body?.slice(0, 200) ?? ""}`;
    if (question.otherwise) {
      assert.equal(ours.status, question.otherwise.status, what);
      assert.notDeepEqual(ours, theirs, `${what} no longer differs`);
    } else if (!sameAnswer(ours, theirs)) found.push({ what, ours, theirs });
  }
  assert.deepEqual(found, []);
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: Json;
}

async function ask(api: string, { method, path, body, headers }: Question): Promise<Answer> {
  const response = await fetch(api + path, {
    method,
    ...(headers && { headers }),
    ...(body !== undefined && { body: new TextEncoder().encode(body) }),
  });
  const text = (await response.text()).replaceAll(api, "");
  const type = response.headers.get("content-type")?.replace(/;.*/, "") ?? "";
  const json = type === "application/json" ? JSON.parse(text) as Json : text;
  return { status: response.status, type, body: compared(json, response.status) };
}

function sameAnswer(a: Answer, b: Answer): boolean {
  try {
    assert.deepEqual(a, b);
    return true;
  } catch {
    return false;
  }
}

/**
 * Without what is each one's own: times, the words of refusals and warnings, what only Ursa tells,
 * such as which mesh is missing.
 */
function compared(value: Json, status: number): Json {
  const known = withoutOwn(value);
  if (!isObject(known)) return known;
  const { invalid_parameters: wrong, detail, ...rest } = known;
  return {
    ...rest,
    ...(rest["title"] !== "Bad Request" && detail !== undefined && { detail }),
    ...(status === 400 && Array.isArray(wrong) && { fields: fieldsOf(wrong) }),
  };
}

function fieldsOf(wrong: readonly Json[]): Json {
  return [...new Set(wrong.map((one) => isObject(one) ? String(one["field"]) : ""))].sort();
}

const OWN = new Set([
  ...["creationTime", "modificationTime", "creationTimestamp"],
  ...["revision", "unchanged", "warnings", "details", "causes"],
]);

function withoutOwn(value: Json): Json {
  if (Array.isArray(value)) return value.map(withoutOwn);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).filter(([key]) => !OWN.has(key)).map(([key, inner]) => [
      key,
      withoutOwn(inner),
    ]),
  );
}
