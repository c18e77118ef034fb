// kumactl's commands against Ursa, and where that tells more, against kuma-cp beside it.

import assert from "node:assert/strict";
import { stringify } from "yaml";
import { isObject } from "../../core/json.ts";
import type { Json, JsonObject } from "../../core/resource.ts";
import { ControlPlane } from "../../cli/demo/cluster.ts";
import { Rest } from "../../cli/demo/rest.ts";
import { until } from "../../cli/demo/until.ts";
import { everyKind } from "../../cli/kinds.ts";
import { TRAVEL } from "../../core/travel.ts";
import { documentsOf, EVERY_KIND } from "./every_kind.ts";
import { type Bench, interop } from "./interop.ts";
import { binary, KumaCp, type Kumactl, runToEnd } from "./kuma.ts";
import { pairsSideBySide, sideBySide, sideOf, type Sides, startUrsa } from "./side_by_side.ts";

const DOCUMENTS = documentsOf(EVERY_KIND);
const KINDS = everyKind();

interop(import.meta.url, {
  peer: "kumactl",
  feature: "config control-planes add, list, switch, remove, also over TLS; view; version",
}, async (bench) => {
  const { kumactl, api } = await sideOf(bench, await startUrsa(bench, "global"));
  const config = (...args: string[]) => kumactl.ok(["config", ...args]);
  await config("control-planes", "add", "--name", "other", "--address", api);
  assert.match(await config("control-planes", "list"), /\* +other/);
  await config("control-planes", "switch", "--name", "peer");
  assert.match(await config("control-planes", "list"), /\* +peer/);
  await config("control-planes", "remove", "--name", "other");
  assert.doesNotMatch(await config("control-planes", "list"), /other/);
  assert.match(await config("view"), /currentContext: peer/);
  assert.match(await kumactl.ok(["version", "-a"]), /"version": "2\.13\.10"/);

  const overTls = new ControlPlane(bench.cluster, {
    name: "tls",
    mode: "global",
    address: "127.0.0.1",
    flags: ["--api-tls-port", "0"],
  });
  await overTls.start();
  const secure = ["--name", "tls", "--address", overTls.url("apiTls")];
  const { stderr } = await kumactl.run(["config", "control-planes", "add", ...secure]);
  assert.match(stderr, /failed to verify certificate/);
  await config("control-planes", "add", ...secure, "--ca-cert-file", overTls.caFile);
  assert.match(await kumactl.ok(["get", "globalsecrets"]), /admin-user-token/);
});

interop(import.meta.url, {
  peer: "kumactl",
  feature: "apply, get as table, YAML and JSON, pages, and delete of every type",
}, async (bench) => {
  const sides = await bothWithEveryKind(bench);
  const { ursa: { kumactl } } = sides;
  for (const document of DOCUMENTS) await getAndCompare(document, sides);
  assert.match(
    await kumactl.ok(["get", "dataplanes", "-m", "shop", "--size", "1"]),
    /edge-1[^]*--offset=1/,
  );
  const second = ["get", "dataplanes", "-m", "shop", "--size", "1", "--offset", "1"];
  assert.match(await kumactl.ok(second), /web-1/);
  // What is in a mesh goes before it.
  for (const document of DOCUMENTS.toReversed()) {
    const [word = "", inMesh] = wordsOf(document);
    const name = String(document["name"]);
    assert.match(await kumactl.ok(["delete", word, name, ...inMesh]), /deleted/);
    assert.match((await kumactl.run(["get", word, name, ...inMesh])).stderr, /No resources found/);
  }
});

interop(import.meta.url, {
  peer: "kumactl",
  feature: "apply at a global and in its zone: what each takes and refuses, and how it reads there",
}, async (bench) => {
  const { ursa, kuma } = await pairsSideBySide(bench);
  const mayBeThere = ({ type }: JsonObject) => TRAVEL[KINDS.byName(String(type))!.kds].byGlobal;
  const taken = DOCUMENTS.filter(mayBeThere);
  for (const document of DOCUMENTS.filter((one) => !mayBeThere(one))) {
    const answers = await Promise.all(
      [ursa, kuma].map(({ global }) =>
        global.kumactl.run(["apply", "-f", "-"], stringify(document))
      ),
    );
    for (const { stderr } of answers) assert.match(stderr, /Method not allowed|Not found/);
  }
  for (const { global } of [ursa, kuma]) {
    await global.kumactl.apply(taken.map((document) => stringify(document)).join("---\n"));
  }
  for (const document of taken) {
    const kind = KINDS.byName(String(document["type"]))!;
    const path = kind.scope === "Mesh" ? `/meshes/shop/${kind.plural}` : `/${kind.plural}`;
    for (const place of ["global", "zone"] as const) {
      if (place === "zone" && !TRAVEL[kind.kds].down) continue;
      const [ours, theirs] = await Promise.all(
        [ursa[place], kuma[place]].map(({ api }) => found(api, path, String(document["name"]))),
      );
      assert.deepEqual(ours, theirs, `${kind.name} in ${place}`);
    }
  }
  const ofZone = DOCUMENTS.filter(({ type }) => TRAVEL[KINDS.byName(String(type))!.kds].up)
    .map((document): JsonObject => ({
      ...document,
      name: `${document["name"]}-of-z`,
      labels: { "kuma.io/origin": "zone" },
    }));
  for (const { zone } of [ursa, kuma]) {
    await zone.kumactl.apply(ofZone.map((document) => stringify(document)).join("---\n"));
  }
  for (const document of ofZone) {
    // Kuma removes a Workload that no Dataplane has.
    if (document["type"] === "Workload") continue;
    const kind = KINDS.byName(String(document["type"]))!;
    const path = kind.scope === "Mesh" ? `/meshes/shop/${kind.plural}` : `/${kind.plural}`;
    for (const place of ["zone", "global"] as const) {
      const [ours, theirs] = await Promise.all(
        [ursa[place], kuma[place]].map(({ api }) => found(api, path, String(document["name"]))),
      );
      assert.deepEqual(ours, theirs, `${kind.name} of the zone in ${place}`);
    }
  }
});

/** The one of this name, or whose copy it is; waits until it is there. */
async function found(api: string, path: string, name: string): Promise<JsonObject> {
  let resource: JsonObject | undefined;
  await until(`${name} in ${path}`, async () => {
    const list = await new Rest(api).find<{ items: JsonObject[] }>(`${path}?size=1000`);
    resource = list?.items.find((item) => {
      const labels = (item["labels"] ?? {}) as JsonObject;
      return item["name"] === name || labels["kuma.io/display-name"] === name;
    });
    return resource !== undefined || "not yet";
  });
  const { labels, ...rest } = written(resource!);
  // Ursa's zones say at which revision of theirs it was.
  const { "ursa.io/revision": _revision, ...shared } = (labels ?? {}) as JsonObject;
  return { ...rest, ...(labels !== undefined && { labels: shared }) };
}

interop(import.meta.url, {
  peer: "kumactl",
  feature: "apply from a file, stdin and a URL, with variables, as a dry run; its errors",
}, async (bench) => {
  const { kumactl } = await sideOf(bench, await startUrsa(bench, "zone"));
  const file = `${bench.dir}/permission.yaml`;
  await Deno.writeTextFile(file, allow("b"));
  await kumactl.ok(["apply", "-f", file]);
  await kumactl.apply(`${allow("c")}---\n${allow("d")}`);
  const served = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    () => new Response(allow("e")),
  );
  bench.keep({ stop: () => served.shutdown() });
  await kumactl.ok(["apply", "-f", `http://127.0.0.1:${served.addr.port}/e.yaml`]);
  const template = allow("{{ name }}");
  const dry = await kumactl.ok(["apply", "-f", "-", "-v", "name=f", "--dry-run"], template);
  assert.match(dry, /name: f/);
  await kumactl.ok(["apply", "-f", "-", "-v", "name=g"], template);
  assert.deepEqual(
    (await kumactl.ok(["get", "traffic-permissions"])).match(/(?<=^default +)\w/gm),
    ["b", "c", "d", "e", "g"],
  );
  const errors: readonly [string, RegExp][] = [
    [allow("x").replace("default", "nowhere"), /Failed to retrieve Mesh \(Not found\)/],
    [allow("X_"), /name/],
    [allow("x").replace("TrafficPermission", "Nonsense"), /Nonsense/],
  ];
  for (const [yaml, message] of errors) {
    const { code, stderr } = await kumactl.run(["apply", "-f", "-"], yaml);
    assert.equal(code, 1);
    assert.match(stderr, message);
  }
});

const INSPECTED = DOCUMENTS.filter(({ type }) => {
  const kind = KINDS.byName(String(type));
  return kind?.policy !== undefined && !kind.policy.uninspectable &&
    kind.name !== "MeshGatewayRoute";
});

interop(import.meta.url, {
  peer: "kumactl",
  feature: "inspect dataplanes, policies, meshes, services, zones, ingresses, egresses, gateways",
}, async (bench) => {
  const { ursa, kuma } = await bothWithEveryKind(bench);
  const shop = ["-m", "shop"];
  const commands = [
    ...["", "--gateway", "--tag=kuma.io/service=web", "-o=yaml", "-o=json"].map((flag) =>
      ["dataplanes", ...shop, flag].filter((word) => word !== "")
    ),
    ["dataplane", "web-1", ...shop],
    ["dataplane", "web-1", ...shop, "--type", "policies"],
    ["dataplane", "nobody", ...shop],
    ["dataplane", "web-1", ...shop, "--type", "config"],
    ["services", ...shop],
    ["meshgateway", "edge", ...shop],
    ["meshes"],
    ["zoneingresses"],
    ["zoneegresses"],
    ...INSPECTED.map((document) => [wordsOf(document)[0] ?? "", String(document["name"]), ...shop]),
  ];
  for (const command of commands) {
    const answers = await Promise.all(
      [ursa, kuma].map(({ kumactl }) => said(kumactl, ["inspect", ...command])),
    );
    assert.equal(answers[0], answers[1], command.join(" "));
  }
  // kuma-cp has a Zone of its own name, and an insight into nobody's Envoy.
  assert.match(await ursa.kumactl.ok(["inspect", "zones"]), /north +Offline/);
  for (const type of ["config-dump", "stats", "clusters"]) {
    const { stderr } = await ursa.kumactl.run([
      "inspect",
      "zoneingress",
      "ingress-1",
      "--type",
      type,
    ]);
    assert.match(stderr, /Could not execute admin operation/);
  }
});

const PROFILES = ["all", "federation", "federation-with-policies", "no-dataplanes"] as const;

interop(import.meta.url, {
  peer: "kumactl",
  feature: "export in every profile and format; exports of Ursa and kuma-cp, applied to the other",
}, async (bench) => {
  const { ursa, kuma } = await bothWithEveryKind(bench);
  for (const profile of PROFILES) {
    for (const format of ["universal", "kubernetes"]) {
      const command = ["export", "--profile", profile, "--format", format];
      const [ours, theirs] = await Promise.all(
        [ursa, kuma].map(async ({ kumactl }) => exported(await kumactl.ok(command))),
      );
      assert.deepEqual(ours, theirs, command.join(" "));
    }
  }
  const command = ["export", "--profile", "federation-with-policies"];
  for (const [from, to] of [[kuma, "ursa"], [ursa, "ursa"], [ursa, "kuma"]] as const) {
    const yaml = await from.kumactl.ok(command);
    const empty = await (to === "ursa" ? startEmptyUrsa(bench) : startEmptyKuma(bench));
    await empty.apply(yaml);
    const again = await empty.ok(command);
    assert.deepEqual(exported(again), exported(yaml));
    assert.deepEqual(secretsOf(again), secretsOf(yaml));
  }
});

async function startEmptyUrsa(bench: Bench): Promise<Kumactl> {
  return (await sideOf(bench, await startUrsa(bench, "global", "none"))).kumactl;
}

async function startEmptyKuma(bench: Bench): Promise<Kumactl> {
  const env = { KUMA_DEFAULTS_SKIP_HOSTNAME_GENERATORS: "true" };
  const kuma = new KumaCp({ ...bench, name: "empty", mode: "global", env });
  return (await bench.keep(kuma).start()).kumactl();
}

interop(import.meta.url, {
  peer: "kumactl",
  feature: "generate dataplane-token, zone-token, user-token, signing-key, public-key",
}, async (bench) => {
  const { kumactl, api } = await sideOf(bench, await startUrsa(bench, "zone"));
  const token = async (...args: string[]) =>
    claimsOf(await kumactl.ok(["generate", ...args, "--valid-for", "1h"]));
  const ofWeb = await token("dataplane-token", "--name", "web-1", "--tag", "kuma.io/service=web");
  assert.deepEqual([ofWeb["Name"], ofWeb["Mesh"]], ["web-1", "default"]);
  assert.deepEqual(ofWeb["Tags"], { "kuma.io/service": ["web"] });
  assert.deepEqual((await token("zone-token", "--zone", "z"))["Scope"], ["ingress", "egress"]);
  const ofJo = await token("user-token", "--name", "jo", "--group", "team");
  assert.deepEqual([ofJo["Name"], ofJo["Groups"]], ["jo", ["team"]]);
  const refused = await kumactl.run([
    ...["generate", "dataplane-token", "--mesh", "nowhere", "--name", "x", "--valid-for", "1h"],
  ]);
  assert.match(refused.stderr, /Signing Key not found/);

  const key = `${bench.dir}/key.pem`;
  await Deno.writeTextFile(key, await kumactl.ok(["generate", "signing-key", "--format", "pem"]));
  const publicKey = ["generate", "public-key", "--signing-key-path", key];
  assert.match(await kumactl.ok(publicKey), /BEGIN RSA PUBLIC KEY/);
  const offline = await token(
    ...["user-token", "--name", "offline", "--kid", "7", "--signing-key-path", key],
  );
  assert.equal(offline["Name"], "offline");

  // With an administrator's token, from a kumactl that is configured with it.
  const asAdmin = `${bench.dir}/admin.yaml`;
  const admin = await kumactl.ok([
    ...["generate", "user-token", "--name", "mesh-system:admin"],
    ...["--group", "mesh-system:admin", "--valid-for", "1h"],
  ]);
  const run = (...args: string[]) =>
    runToEnd(binary("kumactl"), ["--config-file", asAdmin, ...args]);
  const added = await run(
    ...["config", "control-planes", "add", "--name", "admin", "--address", api],
    ...["--auth-type", "tokens", "--auth-conf", `token=${admin}`],
  );
  assert.equal(added.code, 0, added.stderr);
  assert.match((await run("get", "secrets")).stdout, /dataplane-token-signing-key-default-1/);
});

async function bothWithEveryKind(bench: Bench): Promise<Sides> {
  const sides = await sideBySide(bench, "zone");
  await Promise.all([sides.ursa, sides.kuma].map(({ kumactl }) => kumactl.apply(EVERY_KIND)));
  return sides;
}

/** kumactl's word for the kind, and how to say the mesh. */
function wordsOf({ type, mesh }: JsonObject): readonly [string, readonly string[]] {
  const [word = ""] = KINDS.byName(String(type))?.args ?? [];
  return [word, mesh === undefined ? [] : ["-m", String(mesh)]];
}

async function getAndCompare(document: JsonObject, { ursa, kuma }: Sides): Promise<void> {
  const { type, name } = document;
  // Kuma removes a Workload that no Dataplane has.
  if (type === "Workload") return;
  const [word, inMesh] = wordsOf(document);
  const get = async (kumactl: Kumactl, output: string) =>
    await kumactl.ok(["get", word, String(name), ...inMesh, "-o", output]);
  const [ours, theirs] = await Promise.all(
    [ursa, kuma].map(async ({ kumactl }) => written(JSON.parse(await get(kumactl, "json")))),
  );
  assert.deepEqual(ours, theirs, `${type}`);
  const [yaml] = documentsOf(await get(ursa.kumactl, "yaml"));
  assert.deepEqual(written(yaml ?? {}), ours);
  const tables = await Promise.all(
    [ursa, kuma].map(async ({ kumactl }) => withoutAges(await get(kumactl, "table"))),
  );
  assert.equal(tables[0], tables[1], `${type}`);
  const [, plural = ""] = KINDS.byName(String(type))?.args ?? [];
  const { items } = JSON.parse(await ursa.kumactl.ok(["get", plural, ...inMesh, "-o", "json"]));
  assert(items.some((item: JsonObject) => item["name"] === name), `${type} is not in its list`);
}

/**
 * What a user wrote, and what follows from it in both. An ingress has its zone with Ursa, and what it
 * offers follows a while later with kuma-cp, whose Zones in a zone have labels.
 */
function written(resource: JsonObject): JsonObject {
  const rest = without(withoutTimes(resource) as JsonObject, "status", ...OF_INGRESS);
  const { spec, labels } = rest;
  return {
    ...(rest["type"] === "Zone" ? without(rest, "labels") : rest),
    ...(isObject(spec) && { spec: without(spec, ...OF_INGRESS) }),
    ...(isObject(labels) && rest["type"] !== "Zone" && { labels }),
  };
}

const OF_INGRESS = ["zone", "availableServices"] as const;

/** By kind and name; without what each control plane makes for itself. */
function exported(yaml: string): Readonly<Record<string, Json>> {
  const entries = documentsOf(yaml).map((document): [string, Json] => {
    const metadata = (document["metadata"] ?? document) as JsonObject;
    const kind = document["kind"] ?? document["type"];
    const { labels = {}, ...rest } = written(document);
    const key = `${kind}/${document["mesh"] ?? ""}/${metadata["name"]}`;
    // kuma-cp leaves it out where it made the resource itself.
    return [key, { ...rest, labels: without(labels as JsonObject, "kuma.io/mesh") }];
  });
  return Object.fromEntries(
    entries.filter(([key]) => !OWN_EXPORTS.test(key)).sort(([a], [b]) => a < b ? -1 : 1),
  );
}

function without(object: JsonObject, ...keys: readonly string[]): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([key]) => !keys.includes(key)));
}

/** Keys and certificates, and what is counted or computed. */
const OWN_EXPORTS = /^(Secret|GlobalSecret|Zone|Workload|[A-Za-z]*Insight)\//;

function secretsOf(yaml: string): readonly Json[] {
  return documentsOf(yaml).filter(({ type }) => String(type).endsWith("Secret"))
    .map(({ type, name, data }) => [type ?? "", name ?? "", data ?? ""]);
}

async function said(kumactl: Kumactl, args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await kumactl.run(args);
  return `${code}\n${withoutAges(stdout)}${stderr}`;
}

function withoutAges(text: string): string {
  return text.replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "TIME").replace(
    / +(\d+[smh]|never)(?=\s)/g,
    " AGE",
  )
    .replace(/^ +zone: z\n/gm, "");
}

function withoutTimes(value: Json): Json {
  if (Array.isArray(value)) return value.map(withoutTimes);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => !/^(creation|modification)(Time|Timestamp)$/.test(key))
      .map(([key, inner]) => [key, withoutTimes(inner)]),
  );
}

function allow(name: string): string {
  const every = [{ match: { "kuma.io/service": "*" } }];
  return stringify({
    type: "TrafficPermission",
    mesh: "default",
    name,
    sources: every,
    destinations: every,
  });
}

function claimsOf(token: string): JsonObject {
  const [, claims = ""] = token.split(".");
  return JSON.parse(atob(claims.replaceAll("-", "+").replaceAll("_", "/")));
}
