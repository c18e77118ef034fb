// Fuzzes REST calls: whatever is asked, the answer is one that clients can read, and what is refused
// leaves the store as it was. What is accepted can be read, written again, sent to other control
// planes, and made into what proxies get.

import assert from "node:assert/strict";
import { meshViews } from "../cli/mesh_views.ts";
import { everyKind } from "../cli/kinds.ts";
import { asDataplane } from "../core/dataplane.ts";
import { isObject } from "../core/json.ts";
import type { Resource } from "../core/resource.ts";
import { decodeResource, encodeResource } from "../kds/codec.ts";
import { encodeDownward } from "../kds/offers.ts";
import { Batch, StoreImage } from "../store/image.ts";
import type { Op } from "../store/store.ts";
import { documentsOf, EVERY_KIND, everyDraft } from "../tests/interop/every_kind.ts";
import { concat, type Dice, type Fuzzer, shapeOf, utf8 } from "../tools/fuzz/fuzzer.ts";
import { assertJson, mutateJson } from "../tools/fuzz/json_mutations.ts";
import { IDENTITY, NODE } from "../xds/example_mesh.ts";
import { generateDataplane } from "../xds/generate.ts";
import { inspect } from "../xds/inspect/inspection.ts";
import type { ApiAnswer, ApiOutcome, IncomingRequest } from "./exchange.ts";
import { NOW_MS, testPlane } from "./plane_test.ts";
import type { ApiView, ControlPlane } from "./ports.ts";
import { handle, routeOf } from "./router.ts";

const KINDS = everyKind();
const MODES: readonly Partial<ControlPlane>[] = [
  { mode: "standalone" },
  { mode: "global" },
  { mode: "remote", federated: true, zone: "east" },
];

// --- The state that every input meets -----------------------------------------------------------

const DOCUMENTS = documentsOf(EVERY_KIND);

function base(): StoreImage {
  const image = new StoreImage();
  for (const resource of everyDraft(KINDS)) {
    const judged = new Batch(image).judge([{ op: "put", resource }], NOW_MS);
    assert(judged.ok);
    image.apply(judged);
  }
  return image;
}

const BASE = base();
const RESOURCES = KINDS.all().flatMap(({ name }) => BASE.list(name)).map(frozen);

/** So that a handler that changes what it was shown throws. */
function frozen<Value>(value: Value): Value {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    Object.values(value).forEach(frozen);
  }
  return value;
}

function copyOfBase(): StoreImage {
  const image = new StoreImage({ revision: BASE.revision });
  for (const resource of RESOURCES) image.load(resource);
  return image;
}

const PLANES = MODES.map((control) => testPlane(control, { kinds: KINDS }).ports);

function viewOver(store: StoreImage, mode: number): ApiView {
  const plane = PLANES[mode]!;
  const { zone, vipPort } = plane.control;
  return {
    ...plane,
    resources: store,
    inspection: inspect({
      kinds: KINDS,
      viewOf: meshViews({ store, kinds: KINDS, zone }),
      list: (type, mesh) => store.list(type, mesh),
      vipPort,
      adminListener: false,
    }),
  };
}

const VIEWS = MODES.map((_, mode) => viewOver(BASE, mode));

// --- Inputs -------------------------------------------------------------------------------------

/** `MODE METHOD URL`, headers in a line each, an empty line, the body. */
interface Call {
  readonly mode: number;
  readonly method: string;
  readonly url: string;
  readonly headers: readonly string[];
  readonly body: Uint8Array;
}

function parse(input: Uint8Array): Call | null {
  const end = indexOfBlank(input);
  const [first = "", ...headers] = new TextDecoder().decode(input.subarray(0, end)).split("\n");
  const [, mode, method, url] = /^([0-2]) ([A-Z]{3,7}) (\/\S*)$/.exec(first) ?? [];
  if (method === undefined || url === undefined) return null;
  return { mode: Number(mode), method, url, headers, body: input.subarray(end + 2) };
}

function indexOfBlank(input: Uint8Array): number {
  for (let at = 0; at + 1 < input.length; at++) {
    if (input[at] === 10 && input[at + 1] === 10) return at;
  }
  return input.length;
}

function write({ mode, method, url, headers, body }: Call): Uint8Array {
  return concat(utf8([`${mode} ${method} ${url}`, ...headers].join("\n") + "\n\n"), body);
}

/** As api/io/server.ts reads it; null for what its listener or it refuses. */
function requestOf({ method, url, headers, body }: Call): IncomingRequest | null {
  try {
    const parsed = new URL(url, "http://localhost:5681");
    return {
      method,
      path: parsed.pathname.split("/").filter((part) => part !== "").map(decodeURIComponent),
      query: parsed.searchParams,
      headers: new Headers([["host", "localhost:5681"], ...headers.map(pairOf)]),
      body,
      url: parsed.href,
      peer: "127.0.0.1",
      atMs: NOW_MS,
    };
  } catch {
    return null;
  }
}

function pairOf(header: string): [string, string] {
  const colon = header.indexOf(":");
  return [header.slice(0, colon), header.slice(colon + 1)];
}

// --- Properties ---------------------------------------------------------------------------------

function check(input: Uint8Array): string {
  const call = parse(input);
  const request = call && requestOf(call);
  if (!call || !request) return "no request";
  const view = VIEWS[call.mode]!;
  const outcome = handle(request, view);
  const route = routeOf(request.path, view);
  if (outcome.do === "write") {
    return `${call.method} ${route} ${checkWrite(outcome, call, request)}`;
  }
  const answers = answersOf(outcome);
  for (const answer of answers) checkAnswer(answer, input.length);
  if (outcome.do === "answer") assert(outcome.answer.status < 500, outcome.answer.body);
  const [answer] = answers;
  // Unknown paths are all the same, and not worth to be mutated further.
  if (route === "unknown") return `unknown ${answer!.status}`;
  return `${call.method} ${route} ${outcome.do} ${answer!.status} ${reasonIn(answer!)}`;
}

/** All that an outcome may come to. */
function answersOf(outcome: Exclude<ApiOutcome, { readonly do: "write" }>): readonly ApiAnswer[] {
  switch (outcome.do) {
    case "answer":
      return [outcome.answer];
    case "await_receipt":
      return [outcome.then(undefined)];
    case "ask_envoy":
      return [
        outcome.then({ ok: true, body: utf8('{"a":1}') }),
        outcome.then({ ok: false, reason: "unreachable", detail: "gone" }),
      ];
    case "issue_token":
      assertJson(outcome.order);
      return [
        outcome.then({ ok: true, token: "a.b.c" }),
        outcome.then({ ok: false, reason: "no_key", message: "none" }),
      ];
    case "accept_global":
      return [outcome.then({ accepted: false, message: "there is none" })];
  }
}

type WriteOutcome = Extract<ApiOutcome, { readonly do: "write" }>;

function checkWrite(outcome: WriteOutcome, call: Call, request: IncomingRequest): string {
  const { ops, then } = outcome;
  assert(call.method === "PUT" || call.method === "DELETE", "this method writes nothing");
  const violations = [{ path: "a", message: "b" }];
  for (
    const refused of [
      then({ ok: false, reason: "conflict", expected: 1, actual: 2 }),
      then({ ok: false, reason: "invalid", violations }),
      then({ ok: false, reason: "unavailable", error: "away" }),
    ]
  ) {
    assert(refused.status >= 400, "a refused write is answered as done");
    checkAnswer(refused, 0);
  }
  const store = copyOfBase();
  const judged = new Batch(store).judge(ops as readonly Op[], NOW_MS);
  assert(judged.ok, "it was judged against another state");
  store.apply(judged);
  const answer = then({ ok: true, revision: judged.revision });
  checkAnswer(answer, 0);
  assert(answer.status === 200 || answer.status === 201, `${answer.status}`);
  const view = viewOver(store, call.mode);
  for (const { key, resource } of judged.changes) {
    assert(KINDS.byName(key.type), `there is no kind ${key.type}`);
    if (resource) checkStored(resource);
  }
  checkReading(call, request, view);
  checkGenerated(store, judged.changes.map(({ key }) => key.type));
  const warnings = answer.body.includes('"warnings"') ? " with warnings" : "";
  return `${answer.status} ${judged.changes.length} changes${warnings}`;
}

/** It is JSON, and another control plane reads what this one sends. */
function checkStored(resource: Resource): void {
  assertJson(resource);
  const descriptor = KINDS.byName(resource.type)!;
  const encoded = encodeDownward(resource, { descriptor, hashNames: true });
  // Says why, and stays here alone: half a surrogate pair, for one.
  if (!encoded.ok) {
    assert(
      /no well-formed Unicode|cannot be read|is no |illegal/.test(encoded.reason),
      encoded.reason,
    );
    return;
  }
  const decoded = decodeResource(encoded.item, descriptor);
  assert(decoded.ok, "no peer can read it");
  // A message has no room for unknown JSON, so it is compared as it was sent.
  const { version } = encodeResource(decoded.draft, descriptor);
  assert.equal(version, encoded.item.version, "a peer would send it on as something else");
}

/** GET shows it, PUT of what GET shows changes nothing, what was deleted is gone. */
function checkReading(call: Call, request: IncomingRequest, view: ApiView): void {
  const headers = new Headers({ host: "localhost:5681" });
  const read = answerOf({ ...request, method: "GET", query: new URLSearchParams(), headers }, view);
  if (call.method === "DELETE") {
    assert.equal(read.status, 404, read.body);
    return;
  }
  assert.equal(read.status, 200, read.body);
  const again = answerOf({ ...request, headers, body: utf8(read.body) }, view);
  assert.equal(JSON.parse(again.body).unchanged, true, `${again.body} after ${read.body}`);
}

function answerOf(request: IncomingRequest, view: ApiView): ApiAnswer {
  const outcome = handle(request, view);
  assert(outcome.do === "answer", `it is a ${outcome.do}`);
  return outcome.answer;
}

/** What proxies get can be made from it: no accepted resource stops its mesh. */
function checkGenerated(store: StoreImage, types: readonly string[]): void {
  const kinds = types.map((type) => KINDS.byName(type)!);
  const concerns = ["Mesh", "Dataplane", "ZoneIngress", "MeshGateway"];
  if (!kinds.some(({ name, policy }) => policy || concerns.includes(name))) return;
  for (const mesh of store.list("Mesh")) {
    const view = meshViews({ store, kinds: KINDS, zone: "east" })(mesh.name);
    for (const dataplane of store.list("Dataplane", mesh.name).map(asDataplane)) {
      if (!view.dataplanes.has(dataplane.name)) continue;
      const identity = view.mtls ? IDENTITY : null;
      const { snapshot } = generateDataplane(view, dataplane.name, { node: NODE, identity });
      for (const resources of snapshot.resources.values()) {
        for (const { any } of resources.values()) assert(any.length > 0);
      }
    }
  }
}

const PLAIN: ReadonlySet<number> = new Set([404, 405, 406, 415]);

function checkAnswer({ status, headers, body }: ApiAnswer, inputBytes: number): void {
  assert(Number.isInteger(status) && status >= 200 && status < 600, `status ${status}`);
  for (const value of Object.values(headers)) new Headers([["a", value]]);
  const isJson = headers["content-type"] === "application/json";
  const value = isJson ? JSON.parse(body) : null;
  if (status < 400) return;
  assert(body.length < 20_000 + 8 * inputBytes, `${body.length} bytes for ${inputBytes}`);
  if (!isJson) {
    assert(PLAIN.has(status), `${status} in plain text: ${body}`);
    return;
  }
  assert.equal(value.status, status);
  assert.equal(typeof value.title, "string");
  assert.equal(typeof value.detail, "string");
  for (const { field, reason } of value.invalid_parameters ?? []) {
    assert(typeof field === "string" && typeof reason === "string" && reason !== "", body);
  }
}

/** The first that is wrong, without what the input brought into it. */
function reasonIn({ status, headers, body }: ApiAnswer): string {
  if (status < 400 || headers["content-type"] !== "application/json") return "";
  const { title, detail, invalid_parameters: wrong } = JSON.parse(body);
  const first = wrong?.[0];
  return first ? shapeOf(`${first.field}: ${first.reason}`) : shapeOf(`${title}: ${detail}`);
}

// --- Valid calls, and mutations that know HTTP --------------------------------------------------

const JSON_HEADER = "content-type: application/json";

function put(document: (typeof DOCUMENTS)[number], mode: number): Call {
  const kind = KINDS.byName(document["type"] as string)!;
  const mesh = kind.scope === "Mesh" ? `/meshes/${document["mesh"]}` : "";
  const url = `${mesh}/${kind.plural}/${document["name"]}`;
  return { mode, method: "PUT", url, headers: [JSON_HEADER], body: utf8(JSON.stringify(document)) };
}

const PUTS = DOCUMENTS.flatMap((
  document,
) => [put(document, 0), put(document, 1), put(document, 2)]);
/** New ones: nothing of that name is there. */
const NEW = PUTS.map((call) => ({
  ...call,
  url: `${call.url}-2`,
  body: utf8(renamed(new TextDecoder().decode(call.body), call.url.split("/").at(-1)!)),
}));

function renamed(body: string, name: string): string {
  return JSON.stringify({ ...JSON.parse(body), name: `${name}-2` });
}

const READS = [
  ...["/", "/config", "/policies", "/_resources", "/who-am-i", "/global-insight", "/metrics"],
  ...["/meshes", "/meshes/shop", "/meshes/shop/dataplanes?size=1&offset=1", "/dataplanes?tag=a:b"],
  ...["/meshes/shop/dataplanes/web-1/_rules", "/meshes/shop/dataplanes/web-1/_layout"],
  ...["/meshes/shop/dataplanes/web-1/_config?shadow=true&include=diff", "/zones/_overview"],
  ...["/meshes/shop/dataplanes/web-1/policies", "/meshes/shop/dataplanes/web-1/xds"],
  ...["/meshes/shop/meshtimeouts/slow?format=k8s", "/_kri/kri_mt_shop___slow_"],
  ...["/meshes/shop/meshservices/api/_resources/dataplanes", "/joining", "/debug/actors"],
  ...["/meshes/shop/dataplanes/_overview?filter[labels.team]=front", "/meshes/shop/_overview"],
  ...["/meshes/shop/meshtimeouts/slow/_resources/dataplanes?size=2", "/receipts/3?wait=1s"],
  ...["/meshes/shop/meshgateways/edge/_rules", "/meshes/shop/meshservices/api/_hostnames"],
];
const TOKEN = { mesh: "shop", name: "web-1", tags: { "kuma.io/service": ["web"] }, validFor: "1h" };

const CALLS: readonly Call[] = [
  ...PUTS,
  ...NEW,
  ...READS.map((url) => ({ mode: 0, method: "GET", url, headers: [], body: utf8("") })),
  ...PUTS.map((call) => ({ ...call, method: "DELETE", headers: [], body: utf8("") })),
  ...["dataplane", "zone", "user"].map((kind, mode) => ({
    mode,
    method: "POST",
    url: `/tokens/${kind}`,
    headers: [JSON_HEADER],
    body: utf8(JSON.stringify({ ...TOKEN, zone: "east", scope: ["ingress"], groups: ["a"] })),
  })),
  {
    ...NEW[0]!,
    headers: ["content-type: application/yaml", 'if-match: "1"'],
    body: utf8("type: Mesh\nname: shop-2\n"),
  },
];

/** Values that stand somewhere in a valid body. */
const VALUES: readonly unknown[] = [
  ...new Map(DOCUMENTS.flatMap(valuesIn).map((value) => [JSON.stringify(value), value])).values(),
];

function valuesIn(value: unknown): readonly unknown[] {
  if (typeof value !== "object" || value === null) return [value];
  return [value, ...Object.values(value).flatMap(valuesIn)];
}

function changing(change: (call: Call, dice: Dice) => Partial<Call>) {
  return (input: Uint8Array, dice: Dice): Uint8Array => {
    const call = parse(input);
    return call ? write({ ...call, ...change(call, dice) }) : input;
  };
}

const changeBody = changing(({ url, body }, dice) => {
  try {
    const value = JSON.parse(new TextDecoder().decode(body));
    const changed = mutateJson(value, dice, VALUES);
    // With another identity nothing else of it is looked at.
    const kept = dice.oneIn(16) || !isObject(changed)
      ? changed
      : { ...changed, ...identityIn(url) };
    return { body: utf8(JSON.stringify(kept)) };
  } catch {
    return { body: utf8(JSON.stringify(dice.pick(DOCUMENTS))) };
  }
});

function identityIn(url: string) {
  const parts = url.split("?")[0]!.split("/");
  const type = KINDS.byPlural(parts.at(-2)!)?.name;
  const mesh = parts.length > 4 ? { mesh: parts[2] } : {};
  return { type, ...mesh, name: parts.at(-1) };
}

const SEGMENTS = [
  ...[
    "shop",
    "meshes",
    "dataplanes",
    "_overview",
    "-",
    "_config",
    "%00",
    "%2e%2e",
    "a%2fb",
    "zones",
  ],
  ...[
    "secrets",
    "web-1",
    "nobody",
    "_resources",
    "%F0%9F%98%80",
    "policies",
    "meshtimeouts",
    "slow",
  ],
  ...["x".repeat(300), "__proto__", "constructor", "mesh-insights", "kri_mt_shop_east__slow_"],
];
const changePath = changing(({ url }, dice) => {
  const [path = "", query] = url.split("?");
  const parts = path.split("/");
  const at = 1 + dice.below(parts.length);
  parts.splice(at, dice.below(2), dice.pick(SEGMENTS));
  return { url: parts.join("/") + (query === undefined ? "" : `?${query}`) };
});

const QUERIES = [
  ...["size=0", "size=-1", "size=1e9", "offset=x", "offset=5", "format=k8s", "format=nothing"],
  ...[
    "dry-run",
    "dry-run=false",
    "dry-run=true",
    "filter[labels.team]=front",
    "name=web",
    "tag=a:b",
  ],
  ...["wait=1s", "wait=-1s", "shadow=true", "include=diff,nothing", "gateway=true", "namespace=x"],
];
const changeQuery = changing(({ url }, dice) => ({
  url: `${url}${url.includes("?") ? "&" : "?"}${dice.pick(QUERIES)}`,
}));

const HEADERS = [
  ...["content-type: application/yaml", "content-type: text/plain", "accept: text/csv"],
  ...['if-match: "1"', "if-match: *", "if-match: none", "authorization: Bearer x", "accept: */*"],
  ...["x-forwarded-for: 1.1.1.1", "origin: http://evil.example", "authorization: Bearer of-jane"],
];
const changeHeader = changing(({ headers }, dice) => ({
  headers: dice.oneIn(3) ? headers.slice(1) : [...headers, dice.pick(HEADERS)],
}));

const changeMethod = changing((_call, dice) => ({
  mode: dice.below(3),
  method: dice.pick(["GET", "PUT", "DELETE", "POST", "HEAD", "PUT"]),
}));

export const fuzzer: Fuzzer = {
  about: "calls of the REST API, of all kinds of resources",
  corpus: CALLS.map(write),
  words: [...SEGMENTS, ...QUERIES, ...HEADERS].map(utf8),
  mutations: [
    ...Array.from({ length: 12 }, () => changeBody),
    changePath,
    changeQuery,
    changeHeader,
    changeMethod,
  ],
  bytesMax: 4_096,
  check,
};
