// Fuzzes what proxies send on their streams: discovery requests of both dialects, their nodes with the
// resource inside, and reports of health. Afterwards an honest client on the same stream gets all.

import assert from "node:assert/strict";
import { readRegistration } from "../actors/proxies/registration.ts";
import { everyKind } from "../cli/kinds.ts";
import type { DataplaneSpec } from "../core/dataplane.ts";
import { decode, encode, packAny } from "../proto/mod.ts";
import { documentsOf, EVERY_KIND } from "../tests/interop/every_kind.ts";
import { type Dice, type Fuzzer, shapeOf, utf8 } from "../tools/fuzz/fuzzer.ts";
import { assertJson, mutateJson } from "../tools/fuzz/json_mutations.ts";
import {
  type Message,
  readScript,
  scriptMutations,
  writeScript,
} from "../tools/fuzz/message_script.ts";
import * as example from "./example_mesh.ts";
import { generateDataplane, generateIngress } from "./generate.ts";
import { readHealthMessage } from "./health.ts";
import { parseNode } from "./node.ts";
import { type EncodedResource, type Snapshot, TYPES, type TypeUrl } from "./snapshot.ts";
import {
  type AdsRequest,
  type Dialect,
  isSettled,
  onRequest,
  onSnapshot,
  openStream,
  type Outgoing,
  rejectionsOf,
  type StepResult,
  type StreamState,
} from "./stream.ts";
import { buildMeshView } from "./topology.ts";
import { readRequest, writeResponse } from "./wire.ts";

const KINDS = everyKind();
const REQUESTS: Readonly<Record<Dialect, string>> = {
  sotw: "envoy.service.discovery.v3.DiscoveryRequest",
  delta: "envoy.service.discovery.v3.DeltaDiscoveryRequest",
};
const RESPONSES: Readonly<Record<Dialect, string>> = {
  sotw: "envoy.service.discovery.v3.DiscoveryResponse",
  delta: "envoy.service.discovery.v3.DeltaDiscoveryResponse",
};
const HEALTH = "envoy.service.health.v3.HealthCheckRequestOrEndpointHealthResponse";

/** A message's kind: another snapshot, a report of health, or a request; that with the newest nonce. */
const KIND = { snapshot: 7, health: 6, answering: 8 } as const;

// --- Snapshots ----------------------------------------------------------------------------------

const MESSAGES: Readonly<Record<keyof typeof TYPES, readonly [message: string, name: string]>> = {
  cluster: ["envoy.config.cluster.v3.Cluster", "name"],
  endpoint: ["envoy.config.endpoint.v3.ClusterLoadAssignment", "clusterName"],
  listener: ["envoy.config.listener.v3.Listener", "name"],
  route: ["envoy.config.route.v3.RouteConfiguration", "name"],
  secret: ["envoy.extensions.transport_sockets.tls.v3.Secret", "name"],
};
type Content = Readonly<Record<keyof typeof TYPES, readonly string[]>>;

/** Resources read `name@version`. */
function snapshotOf(content: Content): Snapshot {
  const resources = new Map<TypeUrl, Map<string, EncodedResource>>();
  for (const [kind, [message, field]] of Object.entries(MESSAGES)) {
    const url = TYPES[kind as keyof typeof TYPES];
    const made = content[kind as keyof typeof TYPES].map((text) => {
      const [name = "", version = ""] = text.split("@");
      return [name, {
        name,
        version,
        any: packAny(url, encode(message, { [field]: name })),
      }] as const;
    });
    resources.set(url, new Map(made));
  }
  return { resources };
}

const SNAPSHOTS = [
  { cluster: ["a@1"], endpoint: ["a@1"], listener: ["in@1"], route: ["r@1"], secret: ["ca@1"] },
  { cluster: ["a@1", "b@1"], endpoint: ["a@2"], listener: ["in@2"], route: ["r@1"], secret: [] },
  { cluster: ["b@2"], endpoint: ["b@1"], listener: [], route: [], secret: ["ca@2", "id@1"] },
  { cluster: [], endpoint: [], listener: [], route: [], secret: [] },
].map(snapshotOf);
/** Every version is new, so that nothing of it was ever rejected. */
const LAST = snapshotOf({
  cluster: ["a@8", "c@8"],
  endpoint: ["a@8", "c@8"],
  listener: ["in@8", "out@8"],
  route: ["r@8"],
  secret: ["ca@8"],
});
const KNOWN = new Set(
  [...SNAPSHOTS, LAST].flatMap(({ resources }) =>
    [...resources].flatMap(([url, all]) => [...all.values()].map((one) => textOf(url, one)))
  ),
);

function textOf(url: string, { name, version }: EncodedResource): string {
  return `${url} ${name}@${version}`;
}

// --- One stream ---------------------------------------------------------------------------------

class Stream {
  state: StreamState;
  snapshot: Snapshot | null = null;
  readonly #dialect: Dialect;
  readonly #inFlight = new Map<string, string>();
  readonly nonces = new Map<string, string>();
  readonly #seen = new Set<string>();
  /** Names that the client may have asked for: the state may not hold more than these. */
  #told = 0;

  constructor(dialect: Dialect) {
    this.#dialect = dialect;
    this.state = openStream(dialect);
  }

  publish(snapshot: Snapshot): readonly Outgoing[] {
    this.snapshot = snapshot;
    return this.#take(onSnapshot(this.state, snapshot));
  }

  ask(request: AdsRequest): readonly Outgoing[] {
    const { typeUrl, nonce, names = [], subscribe = [], initialVersions = {} } = request;
    if (this.#inFlight.get(typeUrl) === nonce) this.#inFlight.delete(typeUrl);
    this.#told += names.length + subscribe.length + Object.keys(initialVersions).length;
    return this.#take(onRequest(this.state, request, this.snapshot));
  }

  #take({ state, out }: StepResult): readonly Outgoing[] {
    this.state = state;
    for (const response of out) {
      const { typeUrl, nonce, resources, removed } = response;
      assert(!this.#inFlight.has(typeUrl), `two in flight of ${typeUrl}`);
      assert(!this.#seen.has(nonce), `nonce ${nonce} again`);
      this.#seen.add(nonce);
      this.#inFlight.set(typeUrl, nonce);
      this.nonces.set(typeUrl, nonce);
      for (const resource of resources) {
        const empty = typeUrl === TYPES.endpoint && resource.version === "empty";
        assert(empty || KNOWN.has(textOf(typeUrl, resource)), `${resource.name} is nowhere`);
      }
      assert(this.#dialect === "delta" || removed.length === 0, "removals in SotW");
      assert.equal(new Set(resources.map(({ name }) => name)).size, resources.length, "twice");
    }
    let kept = 0;
    for (const { names, held, owed } of state.types.values()) {
      kept += names.size + held.size + owed.size;
    }
    assert(state.types.size <= 5 && kept <= 3 * this.#told + 30, `${kept} names are kept`);
    isSettled(state);
    rejectionsOf(state);
    return out;
  }
}

function check(input: Uint8Array): string {
  const { setting, messages } = readScript(input);
  const dialect: Dialect = setting & 1 ? "delta" : "sotw";
  const stream = new Stream(dialect);
  if (setting & 2) stream.publish(SNAPSHOTS[0]!);
  const words = messages.map((message) => play(stream, dialect, message));
  finish(stream, dialect);
  return `${dialect} ${[...new Set(words)].sort().join(", ")}`;
}

function play(stream: Stream, dialect: Dialect, { kind, bytes }: Message): string {
  if ((kind & 7) === KIND.snapshot) {
    return `sends ${outline(stream.publish(SNAPSHOTS[(bytes[0] ?? 0) % SNAPSHOTS.length]!))}`;
  }
  if ((kind & 7) === KIND.health) return checkHealth(bytes);
  const received = decoded(() => readRequest(dialect, bytes));
  if (!received) return "undecodable";
  const { request, node } = received;
  assertJson(request);
  const word = node ? ` ${checkNode(node)}` : "";
  const answering = (kind & KIND.answering) !== 0;
  const nonce = answering ? stream.nonces.get(request.typeUrl) ?? "" : request.nonce;
  const out = stream.ask({ ...request, nonce });
  for (const response of out) checkBytes(dialect, response);
  return outline(out) + word;
}

function outline(out: readonly Outgoing[]): string {
  return out.map(({ typeUrl, resources, removed }) =>
    `${typeUrl.split(".").at(-1)} ${Math.min(resources.length, 2)}-${Math.min(removed.length, 2)}`
  ).join("+") || "nothing";
}

/** What Envoy reads of a response is what was meant. */
function checkBytes(dialect: Dialect, response: Outgoing): void {
  const read = decode(RESPONSES[dialect], writeResponse(dialect, response, "cp-1"));
  assert.equal(read["nonce"], response.nonce);
  assert.equal(read["typeUrl"], response.typeUrl);
  const list = (read["resources"] ?? []) as readonly unknown[];
  assert.equal(list.length, response.resources.length);
}

/** An honest client asks for everything on the stream that is there, and ACKs what it gets. */
function finish(stream: Stream, dialect: Dialect): void {
  const has = new Set<string>();
  const waiting = [...stream.publish(LAST)];
  const ack = (typeUrl: string, more: Partial<AdsRequest> = {}) => {
    const names = namesIn(typeUrl);
    const asked = dialect === "sotw" ? { names } : {};
    const nonce = stream.nonces.get(typeUrl) ?? "";
    waiting.push(...stream.ask({ dialect, typeUrl, nonce, ...asked, ...more }));
  };
  for (const typeUrl of Object.values(TYPES)) {
    ack(typeUrl, dialect === "delta" ? { subscribe: ["*", ...namesIn(typeUrl)] } : {});
  }
  for (let steps = 0; waiting.length > 0; steps++) {
    assert(steps < 60, "it goes on and on");
    const { typeUrl, resources } = waiting.shift()!;
    for (const resource of resources) has.add(textOf(typeUrl, resource));
    ack(typeUrl);
  }
  for (const [typeUrl, resources] of LAST.resources) {
    for (const resource of resources.values()) {
      assert(has.has(textOf(typeUrl, resource)), `it has no ${textOf(typeUrl, resource)}`);
    }
  }
  assert(isSettled(stream.state), "all is ACKed");
}

function namesIn(typeUrl: string): readonly string[] {
  return [...LAST.resources.get(typeUrl as TypeUrl)!.keys()];
}

// --- Nodes and health ---------------------------------------------------------------------------

/** What a proxy registers with is refused, or makes a configuration. */
function checkNode(node: Parameters<typeof readRegistration>[0]): string {
  const registration = readRegistration(node, { kinds: KINDS, zone: "east" });
  if (!registration.ok) {
    assert(registration.reason.length < 20_000, "a reason without end");
    return `refused: ${shapeOf(registration.reason).slice(0, 80)}`;
  }
  const { key, metadata, resource } = registration;
  const parsed = parseNode(metadata);
  assertJson(parsed);
  if (!resource) return `${key.type} alone`;
  assertJson(resource);
  assert.equal(resource.name, key.name);
  assert.equal(resource.mesh, key.mesh);
  const { name, spec } = resource;
  if (key.type === "ingress") {
    generateIngress(example.resource("ZoneIngress", name, spec) as never, new Map(), {
      node: parsed,
    });
    return "an ingress";
  }
  const { networking } = spec as unknown as DataplaneSpec;
  const dataplanes = [example.dataplane(name, networking)];
  const vips = new Map([["web", "240.0.0.1"]]);
  const view = buildMeshView(example.input({ mesh: example.mesh({}), dataplanes, vips }));
  if (!view.dataplanes.has(name)) return "a dataplane without effect";
  const { snapshot } = generateDataplane(view, name, { node: parsed, identity: null });
  return `a dataplane with ${
    Math.min(9, snapshot.resources.get(TYPES.listener)?.size ?? 0)
  } listeners`;
}

function checkHealth(bytes: Uint8Array): string {
  const message = decoded(() => readHealthMessage(bytes));
  if (!message) return "no health";
  assertJson(message);
  if (message.says === "node") return `health of ${checkNode(message.node)}`;
  const { envoy, workloads } = message.report;
  return `${envoy ? "healthy" : "ill"} with ${Math.min(3, Object.keys(workloads).length)}`;
}

/** Null for what is no such message: a TypeError says so. */
function decoded<Value>(read: () => Value): Value | null {
  try {
    return read();
  } catch (error) {
    if (error instanceof TypeError) return null;
    throw error;
  }
}

// --- Valid streams, and mutations that know nodes -----------------------------------------------

const DATAPLANES = documentsOf(EVERY_KIND).filter(({ type }) =>
  type === "Dataplane" || type === "ZoneIngress"
);
const NODES = DATAPLANES.map((document) => ({
  id: `${document["mesh"] ?? ""}.${document["name"]}`,
  metadata: {
    "dataplane.resource": JSON.stringify(document),
    "dataplane.proxyType": document["type"] === "Dataplane" ? "dataplane" : "ingress",
    "dataplane.admin.port": "9901",
    "dataplane.dns.port": "15053",
    features: ["feature-bind-outbounds", "feature-embedded-dns"],
    workdir: "/tmp/web",
    transparentProxy: { redirect: { inbound: { port: 15006 }, outbound: { port: 15001 } } },
  },
}));

const { cluster, endpoint, listener, route, secret } = TYPES;
const node = NODES[0]!;
const sotw = (json: object) => message(encode(REQUESTS.sotw, json));
const delta = (json: object) => message(encode(REQUESTS.delta, json));
const acked = (bytes: Message): Message => ({ ...bytes, kind: KIND.answering });
const snapshot = (index: number): Message => ({ kind: KIND.snapshot, bytes: Uint8Array.of(index) });
const NACK = { errorDetail: { code: 13, message: "no such field" } };

function message(bytes: Uint8Array, kind = 0): Message {
  return { kind, bytes };
}

const REPORT = {
  endpointHealthResponse: {
    clusterEndpointsHealth: [
      { clusterName: "localhost:8080", localityEndpointsHealth: [{ endpointsHealth: [{}] }] },
      {
        clusterName: "kuma:envoy:admin",
        localityEndpointsHealth: [{ endpointsHealth: [{ healthStatus: "UNHEALTHY" }] }],
      },
    ],
  },
};

const STREAMS: readonly (readonly [number, readonly Message[]])[] = [
  [2, [
    sotw({ node, typeUrl: cluster }),
    sotw({ typeUrl: endpoint, resourceNames: ["a"] }),
    acked(sotw({ typeUrl: endpoint, resourceNames: ["a"] })),
    acked(sotw({ typeUrl: cluster })),
    sotw({ typeUrl: listener }),
    acked(sotw({ typeUrl: listener, ...NACK })),
    snapshot(1),
    acked(sotw({ typeUrl: cluster })),
    sotw({ typeUrl: route, resourceNames: ["r"] }),
    sotw({ typeUrl: secret, resourceNames: ["ca", "id"] }),
  ]],
  [3, [
    delta({ node, typeUrl: cluster, initialResourceVersions: { a: "1", gone: "1" } }),
    delta({ typeUrl: endpoint, resourceNamesSubscribe: ["a", "b"] }),
    acked(delta({ typeUrl: cluster })),
    delta({ typeUrl: listener, resourceNamesSubscribe: ["*"] }),
    snapshot(2),
    acked(delta({ typeUrl: cluster, ...NACK })),
    acked(delta({ typeUrl: endpoint, resourceNamesUnsubscribe: ["a"] })),
    acked(delta({ typeUrl: listener })),
    snapshot(3),
  ]],
  ...NODES.map((one, at): [number, Message[]] => [at % 2, [
    (at % 2 ? delta : sotw)({ node: one, typeUrl: cluster }),
  ]]),
  [0, [message(encode(HEALTH, { healthCheckRequest: { node } }), KIND.health)]],
  [0, [message(encode(HEALTH, REPORT), KIND.health)]],
];

/** The resource in the node's metadata, or another part of the node. */
function changeNode(input: Uint8Array, dice: Dice): Uint8Array {
  const script = readScript(input);
  const dialect: Dialect = script.setting & 1 ? "delta" : "sotw";
  const messages = script.messages.map((one) => {
    if ((one.kind & 7) >= KIND.health) return one;
    try {
      const request = decode(REQUESTS[dialect], one.bytes);
      const bytes = encode(REQUESTS[dialect], {
        ...request,
        node: changedNode(request["node"], dice),
      });
      return { ...one, bytes };
    } catch {
      return one;
    }
  });
  return writeScript({ ...script, messages });
}

// deno-lint-ignore no-explicit-any -- whatever the mutations made of it
function changedNode(json: any, dice: Dice): unknown {
  const metadata = json?.metadata ?? NODES[0]!.metadata;
  if (dice.oneIn(3)) return { ...json, metadata: mutateJson(metadata, dice) };
  try {
    const resource = mutateJson(JSON.parse(metadata["dataplane.resource"]), dice, PARTS);
    return { ...json, metadata: { ...metadata, "dataplane.resource": JSON.stringify(resource) } };
  } catch {
    return dice.pick(NODES);
  }
}

const PARTS: readonly unknown[] = [
  ...DATAPLANES,
  ...["127.0.0.1", "::1", "web", "http", "0.0.0.0", "east", "shop", 15_001, { state: "NotReady" }],
  { redirectPortInbound: 15_006, redirectPortOutbound: 15_001, reachableServices: ["web"] },
  { tcp: {}, interval: "1s", timeout: "1s", unhealthyThreshold: 1, healthyThreshold: 1 },
];

const WORDS = [
  ...Object.values(TYPES),
  ...["*", "a", "b", "in", "r", "ca", "", "1", "2", "3", "shop.web-1", ".ingress-1", "__proto__"],
  ...[
    "dataplane",
    "ingress",
    "egress",
    "{}",
    "[",
    "UNHEALTHY",
    "kuma:envoy:admin",
    "x".repeat(300),
  ],
].map(utf8);

export const fuzzer: Fuzzer = {
  about: "messages of proxies: discovery in both dialects, registration, health",
  corpus: STREAMS.map(([setting, messages]) => writeScript({ setting, messages })),
  words: WORDS,
  mutations: [...scriptMutations(WORDS), changeNode, changeNode, changeNode],
  bytesMax: 4_096,
  check,
};
