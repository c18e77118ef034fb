import assert from "node:assert/strict";
import { KINDS } from "../../core/kinds.ts";
import type { Draft, JsonObject, Resource } from "../../core/resource.ts";
import { type KdsRequest, ownMetadata, type ServerCommand } from "../../kds/wire.ts";
import type { Context } from "../runtime/actor.ts";
import type { ZoneMsg } from "./messages.ts";
import { zone } from "./zone.ts";

const args = {
  zone: "east",
  insight: null,
  descriptors: KINDS,
  instance: "g-1",
  version: "0.1.0",
  receipts: "receipts",
  unreachableAfterMs: null as number | null,
};

const caller = {
  features: ["hash-suffix"],
  version: "0.1.0",
  peer: "127.0.0.1:1",
  authorization: [],
  run: null,
};

function start(part: Partial<typeof args> & { readonly insight?: null } = {}) {
  const at = { nowMs: 1_000, self: "zones/east", random: () => 0.5 } satisfies Context;
  let [state, effects] = zone.init({ ...args, ...part }, at);
  return {
    at: at as { nowMs: number },
    tell(msg: ZoneMsg) {
      [state, effects] = zone.receive(state, msg, at);
    },
    open: (stream: string, kind: "global_to_zone" | "zone_to_global") => {
      [state, effects] = zone.receive(
        state,
        { tag: "stream_opened", stream, kind, zone: "east", caller },
        at,
      );
    },
    commands: () =>
      effects.flatMap((effect) => effect.do === "command" ? [effect.command as ServerCommand] : []),
    sent: (tag: string) =>
      effects.flatMap((effect) =>
        effect.do === "send" && effect.msg.tag === tag ? [effect.msg as { tag: string }] : []
      ),
    timers: () => effects.flatMap((effect) => effect.do === "timer" ? [effect] : []),
    /** What was written of its insight. */
    insights: () =>
      effects.flatMap((effect) =>
        effect.do === "send" && effect.msg.tag === "write"
          ? (effect.msg as unknown as { readonly ops: readonly { readonly resource: Draft }[] }).ops
            .flatMap(({ resource }) => resource?.type === "ZoneInsight" ? [resource] : [])
          : []
      ),
    logged: () => effects.flatMap((effect) => effect.do === "log" ? [effect.message] : []),
    status: () => zone.describe!(state),
  };
}

function stored(part: Partial<Resource>): Resource {
  return {
    type: "Mesh",
    mesh: "",
    name: "default",
    labels: {},
    spec: {},
    version: 1,
    creationTime: "",
    modificationTime: "",
    ...part,
  };
}

const CLUSTER = stored({ type: "Config", name: "kuma-cluster-id", spec: { config: "c-1" } });
const EPOCH = stored({
  type: "Config",
  name: "ursa-epochs",
  spec: { config: '[{"id":"g-0","from":0},{"id":"g-1","from":5}]' },
});

function changed(revision: number, full: boolean, resources: readonly Resource[]): ZoneMsg {
  return {
    tag: "resources_changed",
    revision,
    full,
    changes: resources.map((resource) => ({
      revision: resource.version,
      key: resource,
      resource,
      previous: null,
    })),
  };
}

const ask = (typeUrl: string): KdsRequest => ({
  typeUrl,
  nonce: "",
  nodeId: "east",
  metadata: ownMetadata({ version: "0.1.0", instance: "east-1", config: "{}" }),
  subscribe: ["*"],
  initialVersions: {},
});

Deno.test("a zone's actor that begins has the streams of the one before it ended", () => {
  assert.deepEqual(start().commands(), [{ do: "end_all", to: "zones/east" }]);
});

Deno.test("nothing is sent before the store is read", () => {
  const east = start();
  east.open("s1", "global_to_zone");
  assert.deepEqual(east.commands(), [{ do: "admit", stream: "s1", to: "zones/east" }]);
  east.tell({ tag: "request_received", stream: "s1", request: ask("Mesh") });
  assert.deepEqual(east.commands(), []);
  east.tell(changed(7, true, [CLUSTER, EPOCH, stored({})]));
  const [response] = east.commands();
  assert.ok(response?.do === "send" && "response" in response);
  assert.equal(response.response.systemVersion, "c-1:7;g-0@0,g-1@5");
  assert.deepEqual(response.response.resources.map(({ name }) => name), ["default."]);
});

Deno.test("nothing is sent before this run of global is written down", () => {
  const east = start();
  east.open("s1", "global_to_zone");
  east.tell({ tag: "request_received", stream: "s1", request: ask("Mesh") });
  const before = stored({ ...EPOCH, spec: { config: '[{"id":"g-0","from":0}]' } });
  east.tell(changed(7, true, [CLUSTER, before, stored({})]));
  assert.deepEqual(east.commands(), []);
  east.tell(changed(8, false, [{ ...EPOCH, version: 2 }]));
  const [response] = east.commands();
  assert.ok(response?.do === "send" && "response" in response);
  assert.equal(response.response.systemVersion, "c-1:8;g-0@0,g-1@5");
  const ack = { ...ask("Mesh"), nonce: response.response.nonce, metadata: undefined };
  east.tell({ tag: "request_received", stream: "s1", request: ack as unknown as KdsRequest });
  east.tell(changed(9, false, [stored({ name: "other" })]));
  const [later] = east.commands();
  assert.ok(later?.do === "send" && "response" in later);
  assert.equal(later.response.systemVersion, "c-1:9;g-1@5", "its past has been told");
});

Deno.test("a zone of which nothing is heard is left out, until it is back", () => {
  const east = start({ unreachableAfterMs: 60_000 });
  east.open("s1", "global_to_zone");
  east.open("s2", "zone_to_global");
  east.at.nowMs += 20_000;
  east.tell({ tag: "stream_closed", stream: "s1", reason: "" });
  east.tell({ tag: "stream_closed", stream: "s2", reason: "" });
  const [timer] = east.timers().filter(({ name }) => name === "unreachable");
  assert.equal(timer!.afterMs, 40_000, "a minute after it was heard last");
  east.at.nowMs += 40_000;
  east.tell({ tag: "unreachable_due" });
  const ursa = () => east.insights().at(-1)?.spec["ursa"] as JsonObject;
  assert.equal(ursa()["leftOutSince"], new Date(61_000).toISOString());
  east.open("s3", "global_to_zone");
  assert.equal(ursa()["leftOutSince"], undefined);
  east.tell({ tag: "unreachable_due" });
  assert.deepEqual(east.insights(), [], "it is there");
});

Deno.test("what a zone that is left out sends across leaves this one, and comes back", () => {
  const east = start({ unreachableAfterMs: 60_000 });
  east.open("s1", "global_to_zone");
  east.tell({ tag: "request_received", stream: "s1", request: ask("ZoneIngress") });
  const ingress = stored({
    type: "ZoneIngress",
    name: "gate-1",
    labels: { "kuma.io/origin": "zone", "kuma.io/zone": "west" },
    spec: { zone: "west" },
  });
  east.tell(changed(7, true, [CLUSTER, EPOCH, ingress]));
  const heard = () =>
    east.commands().flatMap((command) =>
      command.do === "send" && "response" in command ? [command.response] : []
    );
  const [first] = heard();
  assert.equal(first!.resources.length, 1);
  const ack = (nonce: string) =>
    east.tell({
      tag: "request_received",
      stream: "s1",
      request: { ...ask("ZoneIngress"), nonce, subscribe: [] },
    });
  const west = (ursa: JsonObject, version: number) =>
    changed(version, false, [
      stored({ type: "ZoneInsight", name: "west", spec: { ursa }, version }),
    ]);
  ack(first!.nonce);
  east.tell(west({ leftOutSince: "2026-01-01T00:00:00Z" }, 8));
  const [gone] = heard();
  assert.equal(gone!.removed.length, 1);
  ack(gone!.nonce);
  east.tell(west({ leftOutSince: "2026-01-01T00:00:00Z", revision: 1 }, 9));
  assert.deepEqual(heard(), [], "nothing changed about that");
  east.tell(west({}, 10));
  assert.equal(heard()[0]!.resources.length, 1);
});

Deno.test("receipts hear up to which revision the zone has answered, and what it refused", () => {
  const east = start();
  east.open("s1", "global_to_zone");
  east.tell(changed(7, true, [CLUSTER, EPOCH]));
  east.tell({ tag: "request_received", stream: "s1", request: ask("Mesh") });
  assert.deepEqual(east.sent("zone_progress"), []);
  east.tell({ tag: "request_received", stream: "s1", request: { ...ask("Mesh"), nonce: "1" } });
  assert.deepEqual(east.sent("zone_progress"), [
    { tag: "zone_progress", zone: "east", revision: 7, reportsThrough: 7 },
  ] as never);
  east.tell(changed(8, false, [stored({ version: 8 })]));
  assert.deepEqual(east.sent("zone_progress"), []);
  const nack = { ...ask("Mesh"), nonce: "2", error: "no" };
  east.tell({ tag: "request_received", stream: "s1", request: nack });
  assert.deepEqual(east.sent("zone_progress"), [
    {
      tag: "zone_progress",
      zone: "east",
      revision: 8,
      reportsThrough: 8,
      rejected: { Mesh: "no" },
    },
  ] as never);
  east.tell(changed(9, false, [stored({ type: "Dataplane", version: 9 })]));
  assert.deepEqual(east.sent("zone_progress"), [
    {
      tag: "zone_progress",
      zone: "east",
      revision: 9,
      reportsThrough: 8,
      rejected: { Mesh: "no" },
    },
  ] as never, "what does not concern it needs no report");
  assert.deepEqual(east.status()["rejected"], { Mesh: "no" });
});

Deno.test("the newer stream takes over; many takeovers raise an alarm", () => {
  const east = start();
  east.open("s1", "zone_to_global");
  for (const n of [2, 3, 4, 5]) {
    east.open(`s${n}`, "zone_to_global");
    const [closed] = east.commands();
    assert.ok(closed?.do === "close" && closed.stream === `s${n - 1}` && closed.code === "aborted");
  }
  assert.ok(east.logged().includes("two control planes seem to use one zone name"));
  east.tell({ tag: "stream_closed", stream: "s1", reason: "late" });
  assert.deepEqual(east.logged(), [], "an old stream may close late");
});

Deno.test("a subscription that an earlier life left open is closed at the start", () => {
  const at: Context = { nowMs: 5_000, self: "zones/east", random: () => 0 };
  const insight = { subscriptions: [{ id: "1", connectTime: "1970-01-01T00:00:01.000Z" }] };
  const [, effects] = zone.init({ ...args, insight }, at);
  const writes = effects.flatMap((effect) =>
    effect.do === "send" && effect.msg.tag === "write"
      ? [effect.msg as unknown as { ops: readonly { resource: Draft }[] }]
      : []
  );
  assert.deepEqual(writes[0]?.ops[0]?.resource.spec["subscriptions"], [{
    id: "1",
    connectTime: "1970-01-01T00:00:01.000Z",
    status: {},
    disconnectTime: "1970-01-01T00:00:05.000Z",
  }]);
});

Deno.test("a message on a stream of an earlier life ends that stream", () => {
  const east = start();
  east.tell({ tag: "request_received", stream: "old", request: ask("Mesh") });
  const [closed] = east.commands();
  assert.ok(closed?.do === "close" && closed.stream === "old");
});

Deno.test("receipts hear of each session, and of its end", () => {
  const presences = () =>
    east.sent("zone_presence").map((msg) => (msg as unknown as { presence: string }).presence);
  const east = start();
  assert.deepEqual(presences(), ["offline"]);
  east.open("s1", "global_to_zone");
  assert.deepEqual(presences(), ["online"]);
  east.open("s2", "zone_to_global");
  assert.deepEqual(presences(), []);
  east.open("s3", "global_to_zone");
  assert.deepEqual(presences(), ["online"], "what the old session owed is forgotten");
  east.tell({ tag: "stream_closed", stream: "s1", reason: "" });
  assert.deepEqual(presences(), [], "it was superseded");
  east.tell({ tag: "stream_closed", stream: "s3", reason: "" });
  assert.deepEqual(presences(), ["offline"]);
  east.tell({ tag: "zone_deleted" });
  assert.deepEqual(presences(), ["deleted"]);
});

Deno.test("no report is promised of a revision that was not sent", () => {
  const east = start();
  east.open("s1", "global_to_zone");
  east.tell(changed(7, true, [CLUSTER, EPOCH]));
  east.tell({ tag: "request_received", stream: "s1", request: ask("Mesh") });
  east.tell(changed(8, false, [stored({ type: "Dataplane", version: 8 })]));
  east.tell({ tag: "request_received", stream: "s1", request: { ...ask("Mesh"), nonce: "1" } });
  assert.deepEqual(east.sent("zone_progress"), [
    { tag: "zone_progress", zone: "east", revision: 8, reportsThrough: 7 },
  ] as never);
});

Deno.test("a zone's report reaches the receipts as it is", () => {
  const east = start();
  const proxies = { affected: 3, acked: 1, nacked: 1, pending: 0, offline: 1 };
  const reports = [{ revision: 9, after: 6, proxies, lastAckMs: 4 }];
  east.tell({ tag: "health_checked", check: "c1", zone: "east", caller, reports, digests: null });
  assert.deepEqual(east.sent("zone_report"), [{
    tag: "zone_report",
    zone: "east",
    after: 6,
    revision: 9,
    proxies: { affected: 3, acked: 1, nacked: 1, offline: 1, lastAckMs: 4 },
  }] as never);
});

Deno.test("a zone that is older than hashed names gets them plain, and nothing that it cannot read", () => {
  const east = start();
  east.open("s1", "global_to_zone");
  const policy = (name: string, spec: JsonObject) =>
    stored({ type: "MeshTimeout", mesh: "default", name, spec });
  east.tell(changed(7, true, [
    CLUSTER,
    EPOCH,
    policy("whole", { targetRef: { kind: "Mesh" } }),
    policy("bare", { to: [] }),
  ]));
  const old = { ...ask("MeshTimeout"), metadata: { features: ["zone-token"] } };
  east.tell({ tag: "request_received", stream: "s1", request: old });
  const [response] = east.commands();
  assert.ok(response?.do === "send" && "response" in response);
  assert.deepEqual(response.response.resources.map(({ name }) => name), ["whole.default"]);
});
