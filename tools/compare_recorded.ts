// Whether our configuration means what a recorded one means: builds the same two zones, generates
// each proxy, compares resource by resource, and fails on what docs/compatibility.md does not list.
//
// deno run --allow-read --allow-env=LOG_TOKENS,LOG_STREAM tools/compare_recorded.ts FOLDER
// FOLDER holds `dataplanes/*.yaml` and, for each state, one dump of Envoy's configuration per proxy.

import { parse } from "yaml";
import type { AdminTls } from "../core/envoy_admin.ts";
import type { DataplaneSpec } from "../core/dataplane.ts";
import type { IdentityMaterial } from "../core/proxy.ts";
import type { Json, JsonObject, Resource } from "../core/resource.ts";
import type { ZoneIngressSpec } from "../core/zone.ts";
import { decode } from "../proto/mod.ts";
import * as example from "../xds/example_mesh.ts";
import { generateDataplane, generateIngress } from "../xds/generate.ts";
import { parseNode } from "../xds/node.ts";
import { type Snapshot, TYPES, type TypeUrl } from "../xds/snapshot.ts";
import { availableServices, buildMeshView, type MeshInput } from "../xds/topology.ts";
import { allows, readAllowed, type Rule } from "./compatibility.ts";
import { compare, type Difference } from "./resource_difference.ts";

const TABLE = new URL("../docs/compatibility.md", import.meta.url);
const ZONES = ["east", "west"] as const;

/** As the recorded control planes gave them out. */
const VIPS = new Map([
  ["redis", "240.0.0.0"],
  ["backend", "240.0.0.1"],
  ["tpclient", "240.0.0.2"],
  ["frontend", "240.0.0.3"],
]);

const BACKEND = "backend";
const version = (name: string) => ({ "kuma.io/service": BACKEND, version: name });
const inZone = (name: string) => ({ "kuma.io/service": BACKEND, "kuma.io/zone": name });

const STATES: Readonly<Record<string, { readonly mtls: boolean; readonly conf?: JsonObject }>> = {
  "mtls": { mtls: true },
  "mtls-split-by-zone": {
    mtls: true,
    conf: {
      split: [
        { weight: 80, destination: inZone("east") },
        { weight: 20, destination: inZone("west") },
      ],
    },
  },
  "mtls-http-routes": {
    mtls: true,
    conf: {
      http: [{
        match: {
          path: { prefix: "/v2" },
          method: { exact: "GET" },
          headers: { "x-canary": { exact: "yes" } },
        },
        modify: {
          path: { rewritePrefix: "/" },
          requestHeaders: {
            add: [{ name: "x-seen", value: "1" }],
            remove: [{ name: "x-drop" }],
          },
          host: { value: "canary.mesh" },
        },
        destination: version("v2"),
      }, {
        match: { path: { regex: "/a.*" } },
        split: [
          { weight: 1, destination: version("v1") },
          { weight: 3, destination: version("v2") },
        ],
      }],
      loadBalancer: { leastRequest: { choiceCount: 3 } },
      destination: { "kuma.io/service": "*" },
    },
  },
  "no-mtls": { mtls: false },
};

interface Inputs {
  readonly dataplanes: readonly Resource<DataplaneSpec>[];
  readonly ingresses: readonly Resource<ZoneIngressSpec>[];
}

async function main(folder: string): Promise<number> {
  const rules = readAllowed(await Deno.readTextFile(TABLE));
  const inputs = await readInputs(`${folder}/dataplanes`);
  const used = new Set<Rule>();
  let bad = 0;
  for (const state of Object.keys(STATES)) {
    for (const proxy of [...inputs.dataplanes, ...inputs.ingresses]) {
      const dump = JSON.parse(await Deno.readTextFile(`${folder}/${state}/${proxy.name}.json`));
      const node = await nodeOf(folder, proxy.name);
      const ours = resourcesOf(generate(state, proxy, { inputs, node }));
      const found = compareProxy(recordedResources(dump), ours);
      const open = found.filter((difference) => {
        const rule = allows(rules, {
          ...difference,
          state,
          unrouted: isUnrouted(state, difference),
        });
        if (rule) used.add(rule);
        return !rule;
      });
      for (const { resource, path, kind, theirs, ours } of open) {
        const shown = kind === "differs" ? `${text(theirs)} → ${text(ours)}` : text(theirs ?? ours);
        console.error(`${state}/${proxy.name} ${resource} ${path || "."} ${kind}: ${shown}`);
      }
      bad += open.length;
    }
  }
  for (const rule of rules.filter((rule) => !used.has(rule))) {
    console.error(`docs/compatibility.md lists what is not there: ${rule.resource} ${rule.path}`);
    bad++;
  }
  console.log(bad === 0 ? "Every difference is listed." : `${bad} differences.`);
  return bad === 0 ? 0 : 1;
}

function text(value: Json | undefined): string {
  return JSON.stringify(value)?.slice(0, 200) ?? "";
}

/** Services besides the one that the recorded route selects. */
function isUnrouted(state: string, { resource, path }: Difference): boolean {
  if (!STATES[state]!.conf) return false;
  const others = [...VIPS.keys()].filter((name) => name !== BACKEND);
  return others.some((name) => {
    if (["cluster", "endpoint"].some((type) => resource === `${type}/${name}`)) return true;
    if (["cluster", "endpoint"].some((type) => resource === `${type}/default:${name}`)) return true;
    if (resource.startsWith("listener/inbound:")) return path.includes(`[${name}{mesh=default}]`);
    const ports = [`127.0.0.1:${name === "redis" ? 20079 : 0}`, `${VIPS.get(name)}:80`];
    return ports.some((port) => resource === `listener/outbound:${port}`);
  });
}

// ---- the two zones

async function readInputs(folder: string): Promise<Inputs> {
  const dataplanes: Resource<DataplaneSpec>[] = [];
  const ingresses: Resource<ZoneIngressSpec>[] = [];
  for await (const { name: file } of Deno.readDir(folder)) {
    const { type, name, networking } = parse(await Deno.readTextFile(`${folder}/${file}`));
    if (type === "ZoneIngress") {
      ingresses.push(example.resource("ZoneIngress", name, { zone: zoneOf(name), networking }));
    } else dataplanes.push(example.dataplane(name, withZone(networking, zoneOf(name))));
  }
  return { dataplanes, ingresses };
}

function zoneOf(name: string): string {
  return name.slice(name.lastIndexOf("-") + 1);
}

function withZone(networking: DataplaneSpec["networking"], zone: string) {
  const tagged = <T extends { readonly tags: Readonly<Record<string, string>> }>(part: T) => ({
    ...part,
    tags: { ...part.tags, "kuma.io/zone": zone },
  });
  return {
    ...networking,
    ...(networking.inbound && { inbound: networking.inbound.map(tagged) }),
    ...(networking.gateway && { gateway: tagged(networking.gateway) }),
  };
}

/** Zone by zone: first what each offers, then each with what the other offers. */
function viewsOf(state: string, { dataplanes, ingresses }: Inputs) {
  const { mtls, conf } = STATES[state]!;
  const any = example.ANY_SERVICE;
  const base = (zone: string): MeshInput =>
    example.input({
      mesh: example.mesh(mtls ? example.MTLS : {}),
      dataplanes: dataplanes.filter(({ name }) => zoneOf(name) === zone),
      policies: [
        example.permission("allow-cv26fbfb64259f67", any, any),
        ...(conf ? [example.route("backend", BACKEND, conf)] : []),
      ],
      vips: VIPS,
      zone,
    });
  const offering = ingresses.map((ingress) => ({
    ...ingress,
    spec: {
      ...ingress.spec,
      availableServices: availableServices(buildMeshView(base(zoneOf(ingress.name)))),
    },
  }));
  return new Map(
    ZONES.map((zone) => [zone, buildMeshView({ ...base(zone), zoneIngresses: offering })]),
  );
}

const IDENTITY: IdentityMaterial = example.IDENTITY;
const ADMIN: AdminTls = { certificateChain: "", privateKey: "", trustedCa: "" };

function generate(
  state: string,
  proxy: Resource<unknown>,
  { inputs, node }: { readonly inputs: Inputs; readonly node: JsonObject },
): Snapshot {
  const view = viewsOf(state, inputs).get(zoneOf(proxy.name) as typeof ZONES[number])!;
  const parsed = parseNode(node);
  if (proxy.type === "ZoneIngress") {
    const ingress = proxy as Resource<ZoneIngressSpec>;
    const views = new Map([[view.mesh, view]]);
    return generateIngress(ingress, views, { node: parsed, admin: ADMIN }).snapshot;
  }
  const identity = view.mtls ? IDENTITY : null;
  return generateDataplane(view, proxy.name, { node: parsed, identity, admin: ADMIN }).snapshot;
}

/** Only one state was recorded with its bootstrap; the others had the same. */
async function nodeOf(folder: string, proxy: string): Promise<JsonObject> {
  const { bootstrap } = JSON.parse(await Deno.readTextFile(`${folder}/mtls/${proxy}.json`));
  return bootstrap.node.metadata;
}

// ---- both sides in one form

type Resources = ReadonlyMap<string, Json>;

function resourcesOf({ resources }: Snapshot): Resources {
  const found = new Map<string, Json>();
  for (const [word, typeUrl] of Object.entries(TYPES) as [string, TypeUrl][]) {
    for (const { name, any } of resources.get(typeUrl)?.values() ?? []) {
      const { "@type": _, ...json } = decode("google.protobuf.Any", any, { snake: true });
      found.set(`${word}/${name}`, word === "secret" ? true : withoutKeys(json as JsonObject));
    }
  }
  return found;
}

interface Dump {
  readonly clusters: readonly JsonObject[];
  readonly endpoints: readonly JsonObject[];
  readonly listeners: readonly JsonObject[];
  readonly routes: readonly JsonObject[];
  readonly secrets: readonly string[];
}

function recordedResources(dump: Dump): Resources {
  const found = new Map<string, Json>();
  const add = (word: string, key: string, list: readonly JsonObject[]) => {
    for (const { "@type": _, ...json } of list) {
      found.set(`${word}/${json[key]}`, withoutKeys(json as JsonObject));
    }
  };
  const discovered = new Set(
    dump.clusters.filter(({ type }) => type === "EDS").map(({ name }) => name),
  );
  add("cluster", "name", dump.clusters);
  add("listener", "name", dump.listeners);
  add("route", "name", dump.routes);
  const endpoints = dump.endpoints.filter((one) => discovered.has(one["cluster_name"] as string));
  add("endpoint", "cluster_name", endpoints.map(withoutEnvoysOwn));
  for (const name of dump.secrets) found.set(`secret/${name}`, true);
  return found;
}

/** Key material is never equal, and of a private key nothing is recorded. */
function withoutKeys(json: JsonObject): JsonObject {
  return JSON.parse(
    JSON.stringify(json),
    (key, value) => key === "inline_bytes" ? "<PEM>" : value,
  );
}

/** Envoy's dump of endpoints says more than it was told. */
function withoutEnvoysOwn(json: JsonObject): JsonObject {
  return JSON.parse(JSON.stringify(json), (key, value) => {
    if (["health_check_config", "health_status", "policy"].includes(key)) return undefined;
    if (key === "load_balancing_weight" && value === 0) return undefined;
    return value;
  });
}

function compareProxy(theirs: Resources, ours: Resources): readonly Difference[] {
  return [...new Set([...theirs.keys(), ...ours.keys()])].sort()
    .flatMap((resource) => compare(resource, theirs.get(resource), ours.get(resource)));
}

if (import.meta.main) {
  const [folder] = Deno.args;
  if (!folder) {
    console.error(
      "Usage: deno run --allow-read --allow-env=LOG_TOKENS,LOG_STREAM tools/compare_recorded.ts FOLDER",
    );
    Deno.exit(2);
  }
  Deno.exit(await main(folder));
}
