import assert from "node:assert/strict";
import fc from "fast-check";
import { everyKind } from "../../cli/kinds.ts";
import type { MeshView } from "../../core/mesh_view.ts";
import { keyText, type Resource } from "../../core/resource.ts";
import { foreignMessage } from "../../proto/foreign_message_test.ts";
import type { Change, HubMsg, Op } from "../hub/messages.ts";
import type { Context, Effect } from "../runtime/actor.ts";
import { mesh } from "./mesh.ts";
import type { MeshChanged, MeshMsg } from "./messages.ts";

const KINDS = everyKind();
const at: Context = { nowMs: 0, self: "meshes/default", random: () => 0 };

function resource(part: Partial<Resource> & Pick<Resource, "type" | "name">): Resource {
  return {
    mesh: "default",
    labels: {},
    spec: {},
    version: 1,
    creationTime: "",
    modificationTime: "",
    ...part,
  };
}

const MESH = resource({ type: "Mesh", mesh: "", name: "default" });

function workload(name: string, address: string, service = name): Resource {
  const tags = { "kuma.io/service": service };
  const networking = { address, inbound: [{ port: 80, tags }] };
  return resource({ type: "Dataplane", name, spec: { networking } });
}

function ingress(name: string, spec: object = {}, version = 1): Resource {
  const networking = { address: "10.0.0.9", port: 10001 };
  return resource({
    type: "ZoneIngress",
    mesh: "",
    name,
    version,
    spec: { zone: "east", networking, ...spec },
  });
}

/** The actor of mesh `default` in zone `east`, and what it says. */
class World {
  #state;
  #revision = 0;
  readonly writes: Op[][] = [];
  readonly timers: string[] = [];
  readonly logged: string[] = [];
  view: MeshView | null = null;
  #said: string[] = [];

  constructor() {
    const args = { mesh: "default", zone: "east", policies: ["TrafficRoute"], kinds: KINDS };
    const [state, effects] = mesh.init(args, at);
    this.#state = state;
    this.#take(effects);
  }

  tell(msg: MeshMsg): readonly string[] {
    const [state, effects] = mesh.receive(this.#state, msg, at);
    this.#state = state;
    this.#take(effects);
    return this.#said.splice(0);
  }

  change(...resources: readonly Resource[]): readonly string[] {
    const revision = ++this.#revision;
    const changes = resources.map((one): Change => ({
      revision,
      key: one,
      resource: one.version < 0 ? null : one,
      previous: null,
    }));
    return this.tell({ tag: "resources_changed", revision, full: revision === 1, changes });
  }

  reads(by: string, keys: readonly string[], revision = this.#revision): readonly string[] {
    return this.tell({ tag: "view_read", by, keys: new Set(keys), revision });
  }

  #take(effects: readonly Effect[]): void {
    for (const effect of effects) {
      if (effect.do === "timer") this.timers.push(effect.name);
      if (effect.do === "log") this.logged.push(`${effect.message}: ${effect.fields?.["reason"]}`);
      if (effect.do !== "send") continue;
      const msg = effect.msg as HubMsg | MeshChanged;
      if (msg.tag === "write") this.writes.push([...msg.ops]);
      if (msg.tag !== "mesh_changed") continue;
      this.view = msg.view;
      this.#said.push(`${effect.to} ${msg.view ? msg.view.revision : "gone"}`);
    }
  }

  /** The services of the newest ingress write, `mesh/service`. */
  offered(): readonly string[] {
    const op = this.writes.at(-1)?.[0];
    assert(op?.op === "put");
    const services = op.resource.spec["availableServices"] as { mesh: string; tags: object }[];
    return services.map(({ mesh, tags }) => `${mesh}/${Object.values(tags)[0]}`);
  }
}

function deleted(one: Resource): Resource {
  return { ...one, version: -1 };
}

function ready(): World {
  const world = new World();
  world.change(MESH, workload("web", "10.0.0.1"), workload("api", "10.0.0.2"));
  for (const to of ["a", "b", "c"]) world.tell({ tag: "subscribe_view", to });
  world.reads("a", ["service/web"]);
  world.reads("b", ["service/api", "mesh"]);
  return world;
}

Deno.test("mesh gives a subscriber its view at once, or as soon as there is one", () => {
  const world = new World();
  assert.deepEqual(world.tell({ tag: "subscribe_view", to: "a" }), []);
  assert.deepEqual(world.change(MESH), ["a 1"]);
  assert.deepEqual(world.tell({ tag: "subscribe_view", to: "b" }), ["b 1"]);
});

Deno.test("mesh tells only those who read what changed, and those who have not said", () => {
  const cases: readonly (readonly [readonly Resource[], readonly string[]])[] = [
    [[workload("web", "10.0.0.99")], ["a 2", "c 2"]],
    [[workload("api", "10.0.0.99")], ["b 2", "c 2"]],
    [[deleted(workload("web", "10.0.0.1"))], ["a 2", "c 2"]],
    [[{ ...MESH, spec: { routing: { localityAwareLoadBalancing: true } } }], ["b 2", "c 2"]],
    [[resource({ type: "TrafficRoute", name: "r" })], ["c 2"]],
    [[resource({ type: "Mesh", mesh: "", name: "other" })], ["c 2"]],
  ];
  for (const [changes, told] of cases) {
    assert.deepEqual(ready().change(...changes), told, changes.map(keyText).join());
  }
});

Deno.test("mesh tells a reader that reports late of what changed since", () => {
  const world = ready();
  world.change(workload("web", "10.0.0.99"));
  assert.deepEqual(world.reads("c", ["service/web"], 1), ["c 2"]);
  assert.deepEqual(world.reads("c", ["service/web"], 2), []);
  assert.deepEqual(world.reads("c", ["service/api"], 1), []);
});

Deno.test("mesh forgets what somebody read before it subscribed again, or left", () => {
  const world = ready();
  world.tell({ tag: "subscribe_view", to: "a" });
  world.reads("a", ["service/api"]);
  assert.deepEqual(world.change(workload("web", "10.0.0.98")), ["c 2"]);
  world.tell({ tag: "unsubscribe_view", to: "c" });
  assert.deepEqual(world.change(workload("web", "10.0.0.97")), []);
});

Deno.test("mesh tells everybody that it is gone", () => {
  assert.deepEqual(ready().tell({ tag: "mesh_deleted" }), ["a gone", "b gone", "c gone"]);
});

Deno.test("mesh writes its services into the zone's ingresses, and no other mesh's out of them", () => {
  const world = ready();
  const foreign = { mesh: "zzz", instances: 1, tags: { "kuma.io/service": "theirs" } };
  world.change(ingress("gate", { availableServices: [foreign] }, 7));
  assert.deepEqual(world.offered(), ["default/api", "default/web", "zzz/theirs"]);
  assert.equal(world.writes[0]![0]!.expected, 7);
});

Deno.test("mesh leaves the ingresses of other zones alone", () => {
  const world = ready();
  world.change(ingress("west-gate", { zone: "west" }));
  assert.deepEqual(world.writes, []);
});

Deno.test("mesh writes one offer at a time, and the newest after it", () => {
  const world = ready();
  world.change(ingress("gate"));
  world.change(workload("new", "10.0.0.3"));
  assert.equal(world.writes.length, 1);
  const value = { ok: true, revision: 3, changes: [] };
  world.tell({ tag: "ingress_written", ref: "", value });
  assert.equal(world.writes.length, 2);
  assert.deepEqual(world.offered(), ["default/api", "default/new", "default/web"]);
});

Deno.test("mesh offers again after a conflict, whether the newer ingress came before or after", () => {
  const conflict = { ok: false, reason: "conflict", expected: 1, actual: 2 };
  const newer = ingress("gate", {}, 2);
  const before = ready();
  before.change(ingress("gate"));
  before.change(newer);
  before.tell({ tag: "ingress_written", ref: "", value: conflict });
  assert.deepEqual(before.writes.map(([op]) => op!.expected), [1, 2]);
  const after = ready();
  after.change(ingress("gate"));
  after.tell({ tag: "ingress_written", ref: "", value: conflict });
  assert.equal(after.writes.length, 1);
  after.change(newer);
  assert.deepEqual(after.writes.map(([op]) => op!.expected), [1, 2]);
});

Deno.test("mesh offers again some time after the store failed", () => {
  const world = ready();
  world.change(ingress("gate"));
  const value = { ok: false, reason: "unavailable", error: "disk full" };
  world.tell({ tag: "ingress_written", ref: "", value });
  assert.deepEqual(world.timers, ["offer"]);
  world.tell({ tag: "offer_due" });
  assert.equal(world.writes.length, 2);
});

Deno.test("what a peer accepted and this zone cannot use stays out of the view, and is named", () => {
  const world = ready();
  const foreign = (spec: object) => ingress("other", { zone: "west", ...spec });
  const services = [{ tags: { "kuma.io/service": "far" }, mesh: "default", instances: 1 }];
  const networking = { port: 1, advertisedAddress: "10.0.0.8", advertisedPort: 2 };
  const backends = [{ name: "ca", type: "builtin" }];
  const strict = { ...MESH, spec: { mtls: { enabledBackend: "ca", backends } } };
  world.change(strict, foreign({ networking, availableServices: services }));
  assert.ok(world.view?.services.has("far"));
  assert.deepEqual(world.logged, []);

  world.change(foreign({ networking: undefined, availableServices: [{}] }));
  assert.ok(!world.view?.services.has("far"));
  world.change(
    resource({ type: "TrafficRoute", name: "half", spec: { conf: {} } }),
    resource({ type: "TrafficRoute", name: "none" }),
  );
  assert.deepEqual(world.view?.policies.get("TrafficRoute"), undefined);
  assert.equal(world.logged.length, 3);
  assert.match(
    world.logged[0]!,
    /^a resource of a peer has no effect here: .*networking: must be set/,
  );
});

Deno.test("whatever a peer's Mesh asks for, mutual TLS stays on", () => {
  const world = ready();
  const mtls = (spec: object) => ({ ...MESH, spec: { mtls: spec } }) as unknown as Resource;
  const permissive = { name: "ca", type: "builtin", mode: "PERMISSIVE" };
  world.change(mtls({ enabledBackend: "ca", backends: [permissive] }));
  assert.deepEqual(world.view?.mtls, { backend: "ca", trusted: ["ca"] });
  assert.match(world.logged[0]!, /mutual TLS, where it is on, stays strict: .*mode: must not be/);
  world.change(mtls({ enabledBackend: "gone", backends: [{ name: "hsm", type: "vault" }, {}] }));
  assert.equal(world.view?.mtls?.backend, "gone");
});

Deno.test("whatever a peer's resources say, the view is made, and nothing in it is without mutual TLS", () => {
  const foreign = (type: string) => foreignMessage(`kuma.mesh.v1alpha1.${type}`);
  const state = fc.record({
    mesh: foreign("Mesh"),
    route: foreign("TrafficRoute"),
    permission: foreign("TrafficPermission"),
    ingress: foreign("ZoneIngress"),
  });
  fc.assert(fc.property(state, ({ mesh, route, permission, ingress }) => {
    const world = ready();
    world.change(
      { ...MESH, spec: mesh },
      resource({ type: "TrafficRoute", name: "r", spec: route }),
      resource({ type: "TrafficPermission", name: "p", spec: permission }),
      resource({ type: "ZoneIngress", mesh: "", name: "i", spec: { ...ingress, zone: "west" } }),
    );
    world.tell({ tag: "subscribe_view", to: "late" });
    const wanted = (mesh as { mtls?: { enabledBackend?: string } }).mtls?.enabledBackend;
    assert.equal(world.view?.mtls?.backend, wanted || undefined);
  }));
});
