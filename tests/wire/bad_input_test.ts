// Everything that may reach a control plane and should not: an error that says what is wrong, a
// counter, and no other effect. One standalone control plane, with real Envoys where they matter.

import { Client, credentials, Metadata, type StatusObject } from "@grpc/grpc-js";
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect as connectPlain } from "node:net";
import { connect as connectTls } from "node:tls";
import type { Zone } from "../../cli/demo/cluster.ts";
import { allowAll, meshWithMtls } from "../../cli/demo/resources.ts";
import type { Rest } from "../../cli/demo/rest.ts";
import { until } from "../../cli/demo/until.ts";
import type { JsonObject } from "../../core/resource.ts";
import { controlPlane } from "../../dataplane/io/control_plane.ts";
import { createCa, issueLeaf, openAuthority } from "../../identity/io/authority.ts";
import { encode } from "../../proto/mod.ts";
import { caOf, clientOf, visit } from "../e2e/certificates.ts";
import { withCluster } from "../e2e/one_cluster.ts";

const CONTENTS = [
  "/meshes",
  "/dataplanes",
  "/traffic-permissions",
  "/traffic-routes",
  "/zoneingresses",
  "/secrets",
];

/** All that operators can have changed, with versions. */
async function everything(rest: Rest): Promise<string> {
  const lists = await Promise.all(CONTENTS.map((path) => rest.find(path)));
  return JSON.stringify(lists);
}

/** Sum of the series of a metric whose labels match. */
async function metric(rest: Rest, name: string, labels = /./): Promise<number> {
  const text = await (await fetch(`${rest.address}/metrics`)).text();
  return text.split("\n")
    .filter((line) => line.startsWith(name) && labels.test(line.slice(name.length)))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
}

/** Counted, and nothing else: `what` is done, its counter rises and the store stays as it is. */
async function onlyCounted(
  rest: Rest,
  counter: readonly [name: string, labels?: RegExp],
  what: () => Promise<void>,
): Promise<void> {
  const [before, counted] = [await everything(rest), await metric(rest, ...counter)];
  await what();
  await until(
    `counter ${counter[0]}`,
    async () => await metric(rest, ...counter) > counted || "is where it was",
  );
  equal(await everything(rest), before);
}

function dataplane(name: string, address: string, port = 8080): JsonObject {
  const inbound = [{ port, servicePort: port + 1, tags: { "kuma.io/service": name } }];
  return { type: "Dataplane", mesh: "default", name, networking: { address, inbound } };
}

interface BadRequest {
  readonly name: string;
  readonly path?: string;
  readonly body: JsonObject | string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly status: number;
  readonly says: RegExp;
}

const PERMISSION = allowAll("default");
const AT = "/meshes/default/traffic-permissions/everyone";

const BAD_REQUESTS: readonly BadRequest[] = [
  {
    name: "malformed YAML",
    body: "type: [TrafficPermission",
    status: 400,
    says: /YAML|JSON|parse/i,
  },
  { name: "malformed JSON", body: '{"type": ', status: 400, says: /YAML|JSON|parse/i },
  { name: "no object at all", body: '"text"', status: 400, says: /object/ },
  {
    name: "another type than the path's",
    body: { ...PERMISSION, type: "Nonsense" },
    status: 400,
    says: /type/,
  },
  {
    name: "an unknown type",
    path: "/meshes/default/nonsenses/everyone",
    body: { ...PERMISSION, type: "Nonsense" },
    status: 404,
    says: /Not Found/,
  },
  {
    name: "another mesh than the path's",
    body: { ...PERMISSION, mesh: "other" },
    status: 400,
    says: /mesh/,
  },
  {
    name: "a mesh that does not exist",
    path: "/meshes/nowhere/traffic-permissions/everyone",
    body: { ...PERMISSION, mesh: "nowhere" },
    status: 404,
    says: /mesh of name nowhere is not found/,
  },
  {
    name: "a stale version",
    body: PERMISSION,
    headers: { "if-match": '"9999"' },
    status: 412,
    says: /If-Match is .*9999.*read the resource again/,
  },
  ...["Upper", "under_score", "-dash", "dot.", "a".repeat(300)].map((name): BadRequest => ({
    name: `the name ${name.slice(0, 12)}`,
    path: `/meshes/default/traffic-permissions/${name}`,
    body: { ...PERMISSION, name },
    status: 400,
    says: /name/,
  })),
  {
    name: "a body over the limit",
    body: `# ${"x".repeat(5_000_000)}`,
    status: 413,
    says: /large|limit|bytes/i,
  },
];

async function refusesRequest(zone: Zone, bad: BadRequest): Promise<void> {
  await onlyCounted(
    zone.rest,
    ["ursa_api_requests_total", new RegExp(`"${bad.status}"`)],
    async () => {
      const response = await fetch(zone.rest.address + (bad.path ?? AT), {
        method: "PUT",
        headers: { "content-type": "application/yaml", ...bad.headers },
        body: typeof bad.body === "string" ? bad.body : JSON.stringify(bad.body),
      });
      const text = await response.text();
      equal(response.status, bad.status, text);
      match(text, bad.says);
    },
  );
}

/** One ADS stream with its first request; resolves with how the control plane ended it. */
class Proxy {
  readonly #client: Client;
  readonly #call;
  readonly ended: Promise<StatusObject>;
  /** The first response. */
  readonly served: Promise<void>;

  constructor(zone: Zone, ca: string, node: JsonObject) {
    const { host } = new URL(zone.controlPlane.url("dp"));
    this.#client = new Client(host, credentials.createSsl(Buffer.from(ca)), {
      "grpc.use_local_subchannel_pool": 1,
      "grpc.ssl_target_name_override": "localhost",
      "grpc.default_authority": "localhost",
    });
    this.#call = this.#client.makeBidiStreamRequest(
      "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources",
      (bytes: Uint8Array) => Buffer.from(bytes),
      (bytes) => bytes,
      new Metadata(),
    );
    this.#call.on("error", () => {});
    this.ended = new Promise((resolve) => this.#call.on("status", resolve));
    this.served = new Promise((resolve) => this.#call.once("data", () => resolve()));
    const type_url = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
    this.#call.write(
      encode("envoy.service.discovery.v3.DeltaDiscoveryRequest", { node, type_url }),
    );
  }

  close(): void {
    this.#call.cancel();
    this.#client.close();
  }
}

function node(resource: JsonObject, instance: string): JsonObject {
  return {
    id: `${resource["mesh"]}.${resource["name"]}`,
    metadata: {
      "dataplane.resource": JSON.stringify(resource),
      dynamicMetadata: { "ursa.instance": instance },
    },
  };
}

const REFUSED = ["ursa_xds_streams_refused_total"] as const;

async function refusesRegistrations(zone: Zone, ca: string): Promise<void> {
  const address = zone.block.address(200);
  const cases: readonly (readonly [JsonObject, number, RegExp])[] = [
    [dataplane("Upper_case", address), 3, /node id "default\.Upper_case" is not/],
    [{ ...dataplane("lost", address), mesh: "nowhere" }, 9, /mesh "nowhere" is not here/],
    [dataplane("no-port", address, 0), 3, /port/],
    [{ ...dataplane("bare", address), networking: { address } }, 3, /an inbound or a gateway/],
  ];
  for (const [resource, code, says] of cases) {
    await onlyCounted(zone.rest, REFUSED, async () => {
      const proxy = new Proxy(zone, ca, node(resource, "run-1"));
      const status = await proxy.ended;
      proxy.close();
      equal(status.code, code, status.details);
      match(status.details, says);
    });
  }
}

async function refusesSecondOwner(zone: Zone, ca: string): Promise<void> {
  const resource = dataplane("twice", zone.block.address(201));
  const first = new Proxy(zone, ca, node(resource, "run-1"));
  await first.served;
  const second = new Proxy(zone, ca, node(resource, "run-2"));
  match((await first.ended).details, /a newer stream of this proxy took over/);
  await second.served;
  // It is served before its registration is stored.
  await until("the registration of run-2", async () => {
    const stored = JSON.stringify(await zone.rest.find("/meshes/default/dataplanes/twice"));
    return stored.includes('"run-2"') || stored;
  });
  await onlyCounted(zone.rest, REFUSED, async () => {
    const back = new Proxy(zone, ca, node(resource, "run-1"));
    match(
      (await back.ended).details,
      /run-1 was superseded by run-2.*stop one of them or rename it/,
    );
    back.close();
  });
  first.close();
  // At once, so that what comes next finds a zone at rest.
  const who = { type: "dataplane", mesh: "default", name: "twice", instance: "run-2" };
  const server = controlPlane(new URL(zone.controlPlane.url("dp")), ca);
  equal((await server.post("/ursa/deregister", who)).status, 200);
  await second.ended;
  second.close();
}

/** A test network's address, which no machine has: RFC 5737. */
const NOT_MINE = "192.0.2.1";

/** Runs a real Envoy for a dataplane that cannot be served, and reads what its insight says. */
async function showsUnbindable(
  zone: Zone,
  run: (name: string, mode: "dp", args: readonly string[]) => { stop(): Promise<void> },
  { dir, envoy }: { readonly dir: string; readonly envoy: string },
): Promise<void> {
  const file = `${dir}/unbindable.json`;
  await Deno.writeTextFile(file, JSON.stringify(dataplane("unbindable", NOT_MINE)));
  const child = run("unbindable", "dp", [
    "run",
    ...["--cp-address", zone.controlPlane.url("dp")],
    ...["--ca-cert-file", zone.controlPlane.caFile, "--dataplane-file", file],
    ...["--work-dir", `${dir}/dp`, "--binary-path", envoy, "--drain-time", "500ms"],
  ]);
  try {
    const nacks = await metric(zone.rest, "ursa_xds_nacks_total");
    await until("rejection in the insight", async () => {
      const overview = await zone.rest.find<JsonObject>(
        "/meshes/default/dataplanes/unbindable/_overview",
      );
      const text = JSON.stringify(overview?.["dataplaneInsight"] ?? {});
      const rejected = /"rejected":\{[^}]*cannot bind[^}]*192\.0\.2\.1[^}]*\}/.test(text);
      return rejected || `it says ${text.slice(0, 2_000)}`;
    });
    const counted = await metric(zone.rest, "ursa_xds_nacks_total");
    ok(counted > 0 && counted <= nacks + 1, "once, and not again and again");
  } finally {
    await child.stop();
  }
}

async function refusesCertificates(zone: Zone): Promise<void> {
  const { proxy } = zone.workloads.get("web")!;
  const failures = async () => {
    const text = await (await fetch(`${proxy.admin}/stats?filter=ssl.fail_verify`)).text();
    return [...text.matchAll(/: (\d+)/g)].reduce((sum, [, count]) => sum + Number(count), 0);
  };
  const ca = await caOf(zone.rest, "default", "ca-1");
  const mine = clientOf(ca, "default", "web");
  await until(
    "certificate of web",
    async () => (await visit(proxy, mine)).status.includes("200") || "no answer",
  );
  const day = 86_400_000;
  const uris = ["spiffe://default/web", "kuma://kuma.io/service/web"];
  const longAgo = { nowMs: Date.now() - 2 * day, lifetimeMs: day };
  const stranger = createCa("default", { nowMs: Date.now(), lifetimeMs: day });
  const bad = {
    expired: issueLeaf(openAuthority(ca), uris, longAgo),
    foreign: clientOf(stranger, "default", "web"),
  };
  for (const [name, identity] of Object.entries(bad)) {
    const [before, counted] = [await everything(zone.rest), await failures()];
    equal((await visit(proxy, identity)).status, "", name);
    ok(await failures() > counted, name);
    ok((await visit(proxy, mine)).status.includes("200"), `after the ${name} one`);
    equal(await everything(zone.rest), before);
  }
}

/** Sends bytes and resolves with what came back before the other side closed. */
function answerTo(
  url: string,
  bytes: string | Uint8Array,
  tls: { readonly alpn: readonly string[] } | null,
): Promise<string> {
  const { hostname: host, port } = new URL(url.replace(/^\w+:/, "http:"));
  return new Promise((resolve) => {
    let text = "";
    const at = { host, port: Number(port) };
    const socket = tls
      ? connectTls(
        { ...at, rejectUnauthorized: false, ALPNProtocols: [...tls.alpn] },
        () => socket.write(bytes),
      )
      : connectPlain(at, () => socket.write(bytes));
    socket.setTimeout(20_000, () => socket.destroy());
    socket.on("data", (part: Uint8Array) => text += Buffer.from(part).toString("latin1"));
    socket.on("error", () => {});
    socket.on("close", () => resolve(text));
  });
}

const GARBAGE = new Uint8Array(512).map((_, i) => (i * 89 + 7) % 256);

async function closesStrangers(
  rest: Rest,
  url: string,
  counter: readonly [name: string, labels?: RegExp],
): Promise<void> {
  await onlyCounted(rest, counter, async () => {
    const http = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    await answerTo(url, http, null);
    await answerTo(url, GARBAGE, null);
    await answerTo(url, GARBAGE, { alpn: ["h2"] });
  });
}

async function shrugsOffDatagrams(zone: Zone): Promise<void> {
  const { hostname, port } = new URL(zone.controlPlane.url("dns").replace(/^\w+:/, "http:"));
  const socket = createSocket("udp4");
  try {
    await onlyCounted(zone.rest, ["ursa_dns_total", /dropped|formerr/i], async () => {
      for (const length of [0, 1, 11, 12, 40, 512]) {
        socket.send(GARBAGE.slice(0, length), Number(port), hostname);
      }
      await once(socket, "listening");
    });
  } finally {
    socket.close();
  }
}

Deno.test("bad input gets a clear error, a counter, and has no other effect", async (t) => {
  await withCluster("delta", async (cluster) => {
    const zone = await cluster.startZone("alone");
    await zone.rest.put("/meshes/default", meshWithMtls("default"));
    await zone.rest.put(AT, PERMISSION);
    const ca = await Deno.readTextFile(zone.controlPlane.caFile);
    for (const bad of BAD_REQUESTS) {
      await t.step(`REST: ${bad.name}`, () => refusesRequest(zone, bad));
    }
    await t.step("a registration that is not valid", () => refusesRegistrations(zone, ca));
    await t.step("two proxies with one name", () => refusesSecondOwner(zone, ca));
    await t.step(
      "no gRPC on the port of proxies",
      () => closesStrangers(zone.rest, zone.controlPlane.url("dp"), ["ursa_dp_peer_errors_total"]),
    );
    await t.step("garbage on the DNS port", () => shrugsOffDatagrams(zone));
    await t.step(
      "an address that Envoy cannot bind",
      () => showsUnbindable(zone, cluster.run.bind(cluster), cluster.options),
    );
    await zone.startWorkload({ service: "web" });
    await t.step("expired and foreign certificates", () => refusesCertificates(zone));
    await t.step("and all of it left no trace in the log of crashes", async () => {
      equal(await metric(zone.rest, "ursa_actor_crashes_total"), 0);
      deepEqual((await Deno.readTextFile(zone.controlPlane.logFile)).match(/actor crashed/g), null);
    });
    // What tokens refuse is tested beside them; here everybody is let in.
  }, "none");
});

Deno.test("a peer that does not speak gRPC on the port of zones is closed and counted", async () => {
  await withCluster("delta", async (cluster) => {
    const global = await cluster.startGlobal();
    const counter = ["ursa_kds_server_total", /error|breach/] as const;
    await closesStrangers(global.rest, global.url("kds"), counter);
  });
});
