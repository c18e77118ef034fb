import assert from "node:assert/strict";
import fc from "fast-check";
import { decode } from "../proto/mod.ts";
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

const { cluster, endpoint, listener, route, secret } = TYPES;

// --- A tiny language ----------------------------------------------------------------------------

type Content = Partial<Record<keyof typeof TYPES, Readonly<Record<string, string>>>>;

function snapshot(content: Content): Snapshot {
  const resources = new Map<TypeUrl, Map<string, EncodedResource>>();
  for (const [kind, versions] of Object.entries(content)) {
    resources.set(TYPES[kind as keyof typeof TYPES], resourcesOf(versions));
  }
  return { resources };
}

/** Equal content is the same Map, as generators may have it: the machine goes by identity. */
function resourcesOf(versions: Readonly<Record<string, string>>): Map<string, EncodedResource> {
  const text = JSON.stringify(versions);
  const known = interned.get(text);
  if (known) return known;
  const entries = Object.entries(versions).map(([name, version]) =>
    [name, { name, version, any: new Uint8Array() }] as const
  );
  const made = new Map(entries);
  interned.set(text, made);
  return made;
}
const interned = new Map<string, Map<string, EncodedResource>>();

/** One stream with a hand-driven client; what it answers reads `CDS a@1 -b`. */
class Script {
  #state: StreamState;
  #snapshot: Snapshot | null = null;
  readonly #dialect: Dialect;
  readonly #nonces = new Map<string, string>();
  readonly names = new Map<TypeUrl, readonly string[]>();
  readonly events: StepResult["events"][number][] = [];

  constructor(dialect: Dialect) {
    this.#dialect = dialect;
    this.#state = openStream(dialect);
  }

  get settled(): boolean {
    return isSettled(this.#state);
  }

  get rejections() {
    return rejectionsOf(this.#state);
  }

  set(content: Content): string[] {
    this.#snapshot = snapshot(content);
    return this.#take(onSnapshot(this.#state, this.#snapshot));
  }

  ask(typeUrl: TypeUrl, request: Partial<AdsRequest> = {}): string[] {
    if (request.names) this.names.set(typeUrl, request.names);
    const names = this.names.get(typeUrl);
    const sotw = this.#dialect === "sotw" && names ? { names } : {};
    const whole = { dialect: this.#dialect, typeUrl, nonce: "", ...sotw, ...request };
    return this.#take(onRequest(this.#state, whole, this.#snapshot));
  }

  ack(typeUrl: TypeUrl, request: Partial<AdsRequest> = {}): string[] {
    return this.ask(typeUrl, { nonce: this.#nonces.get(typeUrl) ?? "", ...request });
  }

  nack(typeUrl: TypeUrl, error: string): string[] {
    return this.ack(typeUrl, { error });
  }

  #take({ state, out, events }: StepResult): string[] {
    this.#state = state;
    this.events.push(...events);
    for (const { typeUrl, nonce } of out) this.#nonces.set(typeUrl, nonce);
    return out.map(text);
  }
}

function text({ typeUrl, resources, removed }: Outgoing): string {
  const short = {
    [cluster]: "CDS",
    [endpoint]: "EDS",
    [listener]: "LDS",
    [route]: "RDS",
    [secret]: "SDS",
  }[typeUrl];
  const changes = [
    ...resources.map(({ name, version }) => `${name}@${version}`),
    ...removed.map((name) => `-${name}`),
  ];
  return [short, ...changes].join(" ");
}

// --- Scripts ------------------------------------------------------------------------------------

Deno.test("SotW: a proxy's first configuration, in Envoy's order of asking", () => {
  const web = new Script("sotw");
  assert.deepEqual(web.ask(cluster), []);
  const content = {
    cluster: { a: "1" },
    endpoint: { a: "1" },
    listener: { in: "1" },
    route: { r: "1" },
    secret: { ca: "1" },
  };
  assert.deepEqual(web.set(content), ["CDS a@1"]);
  assert.deepEqual(web.ask(endpoint, { names: ["a"] }), ["EDS a@1"]);
  assert.deepEqual(web.ask(secret, { names: ["ca"] }), ["SDS ca@1"]);
  assert.deepEqual(web.ack(endpoint), []);
  assert.deepEqual(web.ack(secret), []);
  assert.deepEqual(web.ack(cluster), []);
  assert.deepEqual(web.ask(listener), ["LDS in@1"]);
  assert.deepEqual(web.ask(route, { names: ["r"] }), ["RDS r@1"]);
  assert.deepEqual(web.ack(listener), []);
  assert.equal(web.settled, false);
  assert.deepEqual(web.ack(route), []);
  assert.equal(web.settled, true);
  assert.deepEqual(web.set({ ...content }), []);
  assert.equal(web.settled, true);
});

for (const dialect of ["sotw", "delta"] as const) {
  const asks = (names: string[]) => dialect === "sotw" ? { names } : { subscribe: names };

  Deno.test(`${dialect}: one response in flight per type, then only the newest`, () => {
    const web = new Script(dialect);
    assert.deepEqual(web.set({ listener: { in: "1" } }), []);
    assert.deepEqual(web.ask(listener), ["LDS in@1"]);
    assert.deepEqual(web.set({ listener: { in: "2" } }), []);
    assert.deepEqual(web.set({ listener: { in: "3" } }), []);
    assert.deepEqual(web.ack(listener), ["LDS in@3"]);
    assert.equal(web.settled, false);
    assert.deepEqual(web.ack(listener), []);
    assert.equal(web.settled, true);
  });

  Deno.test(`${dialect}: an ACK of an older response changes nothing`, () => {
    const web = new Script(dialect);
    web.set({ listener: { in: "1" } });
    web.ask(listener);
    web.ack(listener);
    web.set({ listener: { in: "2" } });
    assert.deepEqual(web.ask(listener, { nonce: "1" }), []);
    assert.equal(web.settled, false);
    web.ask(listener, { nonce: "2" });
    assert.equal(web.settled, true);
  });

  Deno.test(`${dialect}: a NACK is told once, never loops, and ends with the next snapshot`, () => {
    const web = new Script(dialect);
    web.set({ listener: { in: "1" } });
    web.ask(listener);
    web.ack(listener);
    assert.deepEqual(web.set({ listener: { in: "bad" } }), ["LDS in@bad"]);
    assert.deepEqual(web.nack(listener, "no such filter"), []);
    assert.deepEqual(web.rejections, [{ typeUrl: listener, message: "no such filter" }]);
    assert.equal(web.settled, true);
    assert.deepEqual(web.set({ listener: { in: "bad" } }), []);
    assert.deepEqual(web.set({ listener: { in: "1" } }), ["LDS in@1"]);
    assert.deepEqual(web.ack(listener), []);
    assert.deepEqual(web.rejections, []);
    const nacked = web.events.filter(({ event }) => event === "nacked");
    assert.deepEqual(nacked.map((event) => event.event === "nacked" && event.names), [["in"]]);
  });

  Deno.test(`${dialect}: listeners wait for new clusters, clusters outlive old listeners`, () => {
    const web = new Script(dialect);
    web.set({ cluster: { a: "1" }, endpoint: { a: "1" }, listener: { in: "a" } });
    web.ask(cluster);
    web.ask(endpoint, asks(["a"]));
    web.ack(cluster);
    web.ack(endpoint);
    web.ask(listener);
    web.ack(listener);
    const both = web.set({ cluster: { b: "1" }, endpoint: { b: "1" }, listener: { in: "b" } });
    assert.deepEqual(both, dialect === "sotw" ? ["CDS b@1 a@1"] : ["CDS b@1"]);
    assert.deepEqual(
      web.ask(endpoint, dialect === "sotw" ? { names: ["a", "b"], nonce: "2" } : asks(["b"])),
      ["EDS b@1"],
    );
    assert.deepEqual(web.ack(endpoint), []);
    assert.deepEqual(web.ack(cluster), ["LDS in@b"]);
    assert.deepEqual(web.ack(listener), dialect === "sotw" ? ["CDS b@1"] : ["CDS -a"]);
    assert.equal(web.settled, false);
    assert.deepEqual(web.ack(cluster), []);
    assert.equal(web.settled, true);
  });

  Deno.test(`${dialect}: a rejected listener keeps the clusters of the one before`, () => {
    const web = new Script(dialect);
    web.set({ cluster: { a: "1" }, listener: { in: "a" } });
    web.ask(cluster);
    web.ack(cluster);
    web.ask(listener);
    web.ack(listener);
    web.set({ cluster: { b: "1" }, listener: { in: "bad" } });
    assert.deepEqual(web.ack(cluster), ["LDS in@bad"]);
    assert.deepEqual(web.nack(listener, "bad"), []);
    assert.equal(web.settled, true);
    const mended = web.set({ cluster: { b: "1" }, listener: { in: "b" } });
    assert.deepEqual(mended, ["LDS in@b"]);
    assert.deepEqual(web.ack(listener), dialect === "sotw" ? ["CDS b@1"] : ["CDS -a"]);
  });

  Deno.test(`${dialect}: a changed cluster gets its endpoints again`, () => {
    const web = new Script(dialect);
    web.set({ cluster: { a: "1", b: "1" }, endpoint: { a: "1", b: "1" } });
    web.ask(cluster);
    web.ask(endpoint, asks(["a", "b"]));
    web.ack(cluster);
    web.ack(endpoint);
    const out = web.set({ cluster: { a: "2", b: "1" }, endpoint: { a: "1", b: "1" } });
    assert.deepEqual(out, [dialect === "sotw" ? "CDS a@2 b@1" : "CDS a@2", "EDS a@1"]);
  });

  Deno.test(`${dialect}: endpoints of a warming cluster do not wait for newer clusters`, () => {
    const web = new Script(dialect);
    web.set({ cluster: { a: "1" }, endpoint: { a: "1" } });
    web.ask(cluster);
    web.set({ cluster: { a: "1", b: "1" }, endpoint: { a: "1", b: "1" } });
    assert.deepEqual(web.ask(endpoint, asks(["a"])), ["EDS a@1"]);
  });

  Deno.test(`${dialect}: unknown endpoints are answered empty, routes and secrets when they exist`, () => {
    const web = new Script(dialect);
    web.set({});
    assert.deepEqual(web.ask(endpoint, asks(["a"])), ["EDS a@empty"]);
    web.ack(endpoint);
    assert.deepEqual(web.ask(route, asks(["r"])), []);
    assert.deepEqual(web.ask(secret, asks(["s"])), []);
    assert.equal(web.settled, true);
    const known = { endpoint: { a: "1" }, route: { r: "1" }, secret: { s: "1" } };
    assert.deepEqual(web.set(known), ["EDS a@1", "RDS r@1", "SDS s@1"]);
  });

  Deno.test(`${dialect}: types that nobody serves stay unanswered`, () => {
    const state = openStream(dialect);
    const request = { dialect, typeUrl: "type.googleapis.com/x.Y", nonce: "" };
    assert.deepEqual(onRequest(state, request, snapshot({})).out, []);
  });

  Deno.test(`${dialect}: clusters by name, and everything by "*"`, () => {
    const web = new Script(dialect);
    web.set({ cluster: { a: "1", b: "1" } });
    assert.deepEqual(web.ask(cluster, asks(["b"])), ["CDS b@1"]);
    assert.deepEqual(web.ack(cluster), []);
    const all = web.ask(cluster, { nonce: "1", ...asks(["*", "b"]) });
    assert.deepEqual(all, dialect === "sotw" ? ["CDS a@1 b@1"] : ["CDS a@1 b@1"]);
  });
}

Deno.test("SotW: what a client dropped and wants again while a response crosses is sent again", () => {
  const script = new Script("sotw");
  script.set({ secret: { ca: "1", cert: "1" } });
  assert.deepEqual(script.ask(secret, { names: ["ca", "cert"] }), ["SDS ca@1 cert@1"]);
  script.ack(secret);
  assert.deepEqual(script.set({ secret: { ca: "1", cert: "2" } }), ["SDS cert@2"]);
  const before = { nonce: "1" };
  assert.deepEqual(script.ask(secret, { ...before, names: [] }), []);
  assert.deepEqual(script.ask(secret, { ...before, names: ["ca", "cert"] }), []);
  assert.deepEqual(script.ack(secret), ["SDS ca@1 cert@2"]);
  assert.deepEqual(script.ack(secret), []);
  assert(script.settled);
});

Deno.test("the answer for unknown endpoints is a ClusterLoadAssignment of that name", () => {
  const request = { dialect: "sotw", typeUrl: endpoint, nonce: "", names: ["a"] } as const;
  const { out } = onRequest(openStream("sotw"), request, snapshot({}));
  const any = decode("google.protobuf.Any", out[0]!.resources[0]!.any);
  assert.deepEqual(any, { "@type": endpoint, clusterName: "a" });
});

Deno.test("delta: the first wildcard request is answered even when there is nothing", () => {
  const web = new Script("delta");
  web.set({});
  assert.deepEqual(web.ask(cluster), ["CDS"]);
  assert.deepEqual(web.ask(listener), ["LDS"]);
});

Deno.test("delta: what the client brings from an earlier stream is not sent again", () => {
  const web = new Script("delta");
  web.set({ cluster: { a: "1", b: "2" }, endpoint: { a: "1" }, listener: { in: "2" } });
  const initialVersions = { a: "1", b: "1", old: "1" };
  assert.deepEqual(web.ask(cluster, { initialVersions }), ["CDS b@2"]);
  assert.deepEqual(web.ask(endpoint, { subscribe: ["a"], initialVersions: { a: "1" } }), []);
  assert.deepEqual(web.ask(listener, { initialVersions: { in: "1" } }), ["LDS in@2"]);
  assert.deepEqual(web.ack(cluster), []);
  assert.deepEqual(web.ack(listener), ["CDS -old"]);
});

Deno.test("delta: a removed listener is named, an unsubscribed endpoint is not sent", () => {
  const web = new Script("delta");
  web.set({ listener: { in: "1", out: "1" }, endpoint: { a: "1", b: "1" } });
  web.ask(listener);
  web.ack(listener);
  web.ask(endpoint, { subscribe: ["a", "b"] });
  web.ack(endpoint, { unsubscribe: ["b"] });
  const out = web.set({ listener: { in: "1" }, endpoint: { a: "2", b: "2" } });
  assert.deepEqual(out, ["EDS a@2", "LDS -out"]);
});

Deno.test("delta: subscribing again brings the resource again", () => {
  const web = new Script("delta");
  web.set({ endpoint: { a: "1" } });
  web.ask(endpoint, { subscribe: ["a"] });
  web.ack(endpoint);
  assert.deepEqual(web.ask(endpoint, { subscribe: ["a"] }), ["EDS a@1"]);
});

Deno.test("delta: a NACK holds back what was rejected together, not the rest", () => {
  const web = new Script("delta");
  web.set({ listener: { a: "1", b: "bad" } });
  web.ask(listener);
  assert.deepEqual(web.nack(listener, "b is bad"), []);
  assert.deepEqual(web.set({ listener: { a: "1", b: "bad", c: "1" } }), ["LDS c@1"]);
  web.ack(listener);
  const mended = { listener: { a: "1", b: "2", c: "1" } };
  assert.deepEqual(web.set(mended), ["LDS a@1 b@2"]);
});

// --- Property: whatever the interleaving, the client ends up with the newest snapshot -------------

/** A client as Envoy is one: it applies what it can, asks for what its clusters and listeners name. */
class ModelClient {
  readonly held = new Map<TypeUrl, Map<string, string>>();
  readonly #asked = new Map<TypeUrl, Set<string>>();
  readonly #nonces = new Map<TypeUrl, string>();
  readonly #dialect: Dialect;
  readonly #send: (request: AdsRequest) => void;

  constructor(dialect: Dialect, send: (request: AdsRequest) => void) {
    this.#dialect = dialect;
    this.#send = send;
    for (const typeUrl of Object.values(TYPES)) this.held.set(typeUrl, new Map());
  }

  /** A new stream: nonces are void, and delta tells what is held. */
  connect(): void {
    this.#nonces.clear();
    const asked = new Map(this.#asked);
    this.#asked.clear();
    for (const typeUrl of [cluster, listener]) {
      this.#request(typeUrl, { initialVersions: Object.fromEntries(this.held.get(typeUrl)!) });
    }
    for (const [typeUrl, names] of asked) if (names.size > 0) this.subscribe(typeUrl, [...names]);
  }

  subscribe(typeUrl: TypeUrl, names: readonly string[]): void {
    const before = this.#asked.get(typeUrl);
    const after = new Set(names);
    this.#asked.set(typeUrl, after);
    const held = this.held.get(typeUrl)!;
    const added = names.filter((name) => !before?.has(name));
    const dropped = [...before ?? []].filter((name) => !after.has(name));
    for (const name of dropped) held.delete(name);
    if (before && added.length === 0 && dropped.length === 0) return;
    if (!before && names.length === 0) return void this.#asked.delete(typeUrl);
    const brought = names.filter((name) => held.has(name));
    this.#request(typeUrl, {
      subscribe: added,
      unsubscribe: dropped,
      ...(!before && {
        initialVersions: Object.fromEntries(brought.map((name) => [name, held.get(name)!])),
      }),
    });
  }

  receive({ typeUrl, nonce, resources, removed }: Outgoing): void {
    const held = this.held.get(typeUrl)!;
    const isWhole = this.#dialect === "sotw" && (typeUrl === cluster || typeUrl === listener);
    const kept = new Set(resources.map(({ name }) => name));
    const bad = resources.some(({ version }) => version.startsWith("bad"));
    for (const { name, version } of resources) {
      if (version.startsWith("bad")) continue;
      if (typeUrl === listener) this.#checkUses(name, version);
      if (this.#asked.get(typeUrl)?.has(name) ?? true) held.set(name, version);
    }
    for (const name of isWhole ? [...held.keys()].filter((name) => !kept.has(name)) : removed) {
      held.delete(name);
    }
    if (typeUrl === cluster) {
      for (const [name, version] of this.held.get(listener)!) this.#checkUses(name, version);
    }
    this.#nonces.set(typeUrl, nonce);
    // As Envoy: what follows from a response is asked for before the response is ACKed.
    if (typeUrl === cluster) this.subscribe(endpoint, [...held.keys()]);
    if (typeUrl === listener) this.subscribe(route, [...held.keys()]);
    this.#request(typeUrl, { nonce, ...(bad && { error: "bad" }) });
  }

  /** Make before break: a listener's clusters are there as long as the listener is. */
  #checkUses(name: string, version: string): void {
    for (const used of usesOf(version)) {
      const there = this.held.get(cluster)!.has(used) || this.brokenClusters.has(used);
      assert(there, `listener ${name} uses cluster ${used}, which the client does not hold`);
    }
  }
  /** Clusters that were rejected at least once: a listener may come without them. */
  readonly brokenClusters = new Set<string>();

  #request(typeUrl: TypeUrl, request: Partial<AdsRequest>): void {
    const { subscribe, unsubscribe, initialVersions, ...rest } = request;
    const names = this.#asked.get(typeUrl);
    this.#send({
      dialect: this.#dialect,
      typeUrl,
      nonce: this.#dialect === "sotw" ? this.#nonces.get(typeUrl) ?? "" : "",
      ...rest,
      ...(this.#dialect === "sotw"
        ? { names: [...names ?? []] }
        : { subscribe: subscribe ?? [], unsubscribe: unsubscribe ?? [] }),
      ...(this.#dialect === "delta" && initialVersions && { initialVersions }),
    });
  }
}

function usesOf(version: string): string[] {
  return version.split(":")[1]?.split(",").filter((name) => name !== "") ?? [];
}

const PLAIN = { noNullPrototype: true };
const CLUSTERS = ["c0", "c1", "c2", "c3"];
const LISTENERS = ["l0", "l1", "l2"];

function someVersion(withBad: boolean) {
  return withBad ? fc.constantFrom("1", "2", "3", "bad") : fc.constantFrom("1", "2", "3");
}

function someContent({ withBad }: { withBad: boolean }): fc.Arbitrary<Content> {
  const version = someVersion(withBad);
  return fc.record({
    cluster: fc.dictionary(fc.constantFrom(...CLUSTERS), version, PLAIN),
    endpoint: fc.dictionary(fc.constantFrom(...CLUSTERS), version, PLAIN),
    listener: fc.dictionary(
      fc.constantFrom(...LISTENERS),
      fc.tuple(version, fc.subarray(CLUSTERS)).map(([own, uses]) => `${own}:${uses}`),
      PLAIN,
    ),
    route: fc.dictionary(fc.constantFrom(...LISTENERS), version, PLAIN),
    secret: fc.dictionary(fc.constantFrom("s0", "s1"), version, PLAIN),
  }).map((content) => ({
    ...content,
    // A snapshot is consistent: its listeners use its clusters, its endpoints belong to them.
    endpoint: only(content.endpoint, (name) => name in content.cluster),
    route: only(content.route, (name) => name in content.listener),
    listener: Object.fromEntries(
      Object.entries(content.listener).map(([name, version]) => [
        name,
        `${version.split(":")[0]}:${usesOf(version).filter((used) => used in content.cluster)}`,
      ]),
    ),
  }));
}

function only(versions: Record<string, string>, keep: (name: string) => boolean) {
  return Object.fromEntries(Object.entries(versions).filter(([name]) => keep(name)));
}

type Action =
  | { readonly do: "snapshot"; readonly content: Content }
  | { readonly do: "deliver" | "receive" | "reconnect" }
  | { readonly do: "secrets"; readonly names: readonly string[] };

const someAction: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 3,
    arbitrary: someContent({ withBad: true }).map((content) => snapshotAction(content)),
  },
  { weight: 6, arbitrary: fc.constant({ do: "deliver" as const }) },
  { weight: 6, arbitrary: fc.constant({ do: "receive" as const }) },
  {
    weight: 1,
    arbitrary: fc.subarray(["s0", "s1"]).map((names) => ({ do: "secrets" as const, names })),
  },
  { weight: 1, arbitrary: fc.constant({ do: "reconnect" as const }) },
);

function snapshotAction(content: Content): Action {
  return { do: "snapshot", content };
}

/** Client and stream with a queue each way, driven one message at a time. */
class World {
  readonly client: ModelClient;
  #state: StreamState;
  #snapshot: Snapshot | null = null;
  #requests: AdsRequest[] = [];
  #responses: Outgoing[] = [];
  readonly #inFlight = new Map<TypeUrl, string>();
  readonly #dialect: Dialect;

  constructor(dialect: Dialect) {
    this.#dialect = dialect;
    this.#state = openStream(dialect);
    this.client = new ModelClient(dialect, (request) => this.#requests.push(request));
    this.client.connect();
  }

  act(action: Action): void {
    switch (action.do) {
      case "snapshot":
        for (const [name, version] of Object.entries(action.content.cluster ?? {})) {
          if (version === "bad") this.client.brokenClusters.add(name);
        }
        this.#snapshot = snapshot(action.content);
        return this.#take(onSnapshot(this.#state, this.#snapshot));
      case "deliver":
        return this.#deliver();
      case "receive": {
        const response = this.#responses.shift();
        if (response) this.client.receive(response);
        return;
      }
      case "secrets":
        return this.client.subscribe(secret, action.names);
      case "reconnect":
        this.#requests = [];
        this.#responses = [];
        this.#inFlight.clear();
        // State of the world cannot say what it holds, so nothing keeps it from losing a cluster.
        if (this.#dialect === "sotw") {
          for (const name of CLUSTERS) this.client.brokenClusters.add(name);
        }
        this.#state = openStream(this.#dialect);
        return this.client.connect();
    }
  }

  drain(): void {
    for (let step = 0; this.#requests.length + this.#responses.length > 0; step++) {
      assert(step < 1000, "the stream loops");
      this.act({ do: "deliver" });
      this.act({ do: "receive" });
    }
    assert.equal(isSettled(this.#state), true);
    assert.equal(this.#inFlight.size, 0);
  }

  #deliver(): void {
    const request = this.#requests.shift();
    if (!request) return;
    const typeUrl = request.typeUrl as TypeUrl;
    if (this.#inFlight.get(typeUrl) === request.nonce) this.#inFlight.delete(typeUrl);
    this.#take(onRequest(this.#state, request, this.#snapshot));
  }

  #take({ state, out }: StepResult): void {
    this.#state = state;
    for (const response of out) {
      assert(!this.#inFlight.has(response.typeUrl), `two in flight: ${response.typeUrl}`);
      this.#inFlight.set(response.typeUrl, response.nonce);
      this.#responses.push(response);
    }
  }
}

for (const dialect of ["sotw", "delta"] as const) {
  Deno.test(`${dialect}: any interleaving ends with exactly the newest snapshot at the client`, () => {
    fc.assert(
      fc.property(
        fc.array(someAction, { maxLength: 60 }),
        fc.boolean(),
        someContent({ withBad: false }),
        (actions, settleFirst, last) => {
          const world = new World(dialect);
          for (const action of actions) world.act(action);
          if (settleFirst && actions.some((action) => action.do === "snapshot")) world.drain();
          world.act({ do: "snapshot", content: last });
          world.drain();
          const { held } = world.client;
          const { cluster: clusters = {}, endpoint: endpoints = {}, route: routes = {} } = last;
          assert.deepEqual(plain(held.get(cluster)!), clusters);
          assert.deepEqual(plain(held.get(listener)!), last.listener);
          const sets = Object.keys(clusters).map((name) => [name, endpoints[name] ?? "empty"]);
          assert.deepEqual(plain(held.get(endpoint)!), Object.fromEntries(sets));
          // Routes and secrets that are gone stay with the client until nothing refers to them.
          for (const [name, version] of Object.entries(routes)) {
            assert.equal(held.get(route)!.get(name), version);
          }
          for (const name of held.get(secret)!.keys()) {
            const version = last.secret?.[name];
            if (version) assert.equal(held.get(secret)!.get(name), version);
          }
        },
      ),
      { numRuns: 500 },
    );
  });
}

function plain(versions: ReadonlyMap<string, string>): Record<string, string> {
  return Object.fromEntries(versions);
}

for (const dialect of ["sotw", "delta"] as const) {
  Deno.test(`a cluster that is on its way out when it comes back is sent again first (${dialect})`, () => {
    const at = new Script(dialect);
    const without = { cluster: { b: "1" }, listener: { l: "1" } };
    const back = { cluster: { a: "1", b: "1" }, listener: { l: "2" } };
    at.set(back);
    at.ask(cluster);
    at.ask(listener);
    at.ack(cluster);
    at.ack(listener);
    // Its listener no longer uses it, so it goes.
    assert.deepEqual(at.set(without), ["LDS l@1"]);
    assert.deepEqual(at.ack(listener), [dialect === "sotw" ? "CDS b@1" : "CDS -a"]);
    assert.deepEqual(at.set(back), []);
    assert.deepEqual(at.ack(cluster), [dialect === "sotw" ? "CDS a@1 b@1" : "CDS a@1"]);
    assert.deepEqual(at.ack(cluster), ["LDS l@2"]);
  });
}
