import assert from "node:assert/strict";
import { KINDS } from "../../core/kinds.ts";
import type { Draft, Resource } from "../../core/resource.ts";
import { encodeResource } from "../../kds/codec.ts";
import {
  type ClientCommand,
  type KdsResponse,
  ownMetadata,
  type ZoneReport,
} from "../../kds/wire.ts";
import type { WriteResult } from "../hub/messages.ts";
import type { Context, Effect } from "../runtime/actor.ts";
import type { UplinkMsg } from "./messages.ts";
import { uplink } from "./uplink.ts";

const args = {
  zone: "east",
  descriptors: KINDS,
  version: "0.1.0",
  instance: "east-1",
  config: "{}",
  link: null,
};

/** One uplink, its clock, and what it wants done. */
function start(stored: readonly Resource[] = []) {
  const at: Context = { nowMs: 0, self: "uplink", random: () => 1 };
  let [state, effects] = uplink.init(args, at);
  const link = {
    get effects() {
      return effects;
    },
    tell(msg: UplinkMsg) {
      [state, effects] = uplink.receive(state, msg, at);
      return effects;
    },
    commands: () =>
      effects.flatMap((effect) => effect.do === "command" ? [effect.command as ClientCommand] : []),
    timers: () => effects.flatMap((effect) => effect.do === "timer" ? [effect] : []),
    writes: () =>
      effects.flatMap((effect) =>
        effect.do === "send" && effect.msg.tag === "write"
          ? [
            effect.msg as unknown as {
              ops: readonly { resource: Draft }[];
              reply: { ref: string };
            },
          ]
          : []
      ),
    status: () => uplink.describe!(state),
  };
  link.tell({
    tag: "resources_changed",
    revision: 9,
    full: true,
    changes: stored.map((resource) => ({
      revision: resource.version,
      key: resource,
      resource,
      previous: null,
    })),
  });
  return link;
}

type Link = ReturnType<typeof start>;

function dialled(link: Link): string {
  const [what] = link.commands().filter(({ do: what }) => what === "connect");
  assert.ok(what, "it dials");
  return what.connection;
}

function response(mesh: string, systemVersion: string, nonce = "1"): KdsResponse {
  const draft = { type: "Mesh", mesh: "", name: mesh, labels: {}, spec: {} };
  const item = encodeResource(draft, KINDS.find(({ name }) => name === "Mesh")!);
  return {
    typeUrl: "Mesh",
    nonce,
    systemVersion,
    controlPlane: "global",
    resources: [item],
    removed: [],
  };
}

function committed(revision: number): WriteResult {
  const key = { type: "Mesh", mesh: "", name: "default" };
  return { ok: true, revision, changes: [{ revision, key, resource: null, previous: null }] };
}

const messages = (effects: readonly Effect[]) =>
  effects.flatMap((effect) => effect.do === "log" ? [effect.message] : []);

Deno.test("nothing is dialled before the store is read", () => {
  const at: Context = { nowMs: 0, self: "uplink", random: () => 1 };
  const [, effects] = uplink.init(args, at);
  assert.deepEqual(effects.map(({ do: what }) => what), ["send"]);
});

Deno.test("attempts are up to 4 s apart while nobody answers, and 15 s once somebody did", () => {
  const link = start();
  const gaps: number[] = [];
  for (let n = 0; n < 9; n++) {
    const connection = dialled(link);
    if (n > 6) link.tell({ tag: "connected", connection });
    link.tell({ tag: "disconnected", connection, reason: "refused" });
    gaps.push(link.timers().find(({ name }) => name === "connect")!.afterMs);
    link.tell({ tag: "connect_due" });
  }
  assert.deepEqual(gaps, [250, 500, 1000, 2000, 4000, 4000, 4000, 15000, 15000]);
});

Deno.test("an outage is told once", () => {
  const link = start();
  link.tell({ tag: "disconnected", connection: dialled(link), reason: "refused" });
  assert.deepEqual(messages(link.effects), ["connection to global lost"]);
  link.tell({ tag: "connect_due" });
  link.tell({ tag: "disconnected", connection: dialled(link), reason: "refused" });
  assert.deepEqual(messages(link.effects), []);
});

Deno.test("an event of an earlier connection is ignored", () => {
  const link = start();
  const before = dialled(link);
  link.tell({ tag: "disconnected", connection: before, reason: "x" });
  link.tell({ tag: "connect_due" });
  assert.deepEqual(link.tell({ tag: "connected", connection: before }), []);
});

Deno.test("a response is acknowledged after it is durable, together with whose it was", () => {
  const link = start();
  const connection = dialled(link);
  link.tell({ tag: "connected", connection });
  link.tell({ tag: "response_received", connection, response: response("default", "c-1:5") });
  assert.deepEqual(link.commands(), []);
  const write = link.writes().at(-1)!;
  assert.deepEqual(write.ops.map(({ resource }) => resource.name), ["default", "ursa-global"]);
  assert.deepEqual(JSON.parse(write.ops[1]!.resource.spec["config"] as string), {
    accepted: { clusterId: "c-1", revision: 5, epoch: "" },
  });
  link.tell({ tag: "written", ref: write.reply.ref, value: committed(10) });
  const [ack] = link.commands();
  assert.ok(ack?.do === "send" && "request" in ack);
  assert.equal(ack.request.nonce, "1");
  assert.equal(ack.request.error, undefined);
});

Deno.test("a Kuma global's responses wait until its Config says which global it is", () => {
  const link = start();
  const connection = dialled(link);
  link.tell({ tag: "connected", connection });
  link.tell({ tag: "response_received", connection, response: response("default", "") });
  assert.deepEqual(link.effects, []);
  const config = {
    type: "Config",
    mesh: "",
    name: "kuma-cluster-id",
    labels: {},
    spec: { config: "kuma-1" },
  };
  const item = encodeResource(config, KINDS.find(({ name }) => name === "Config")!);
  link.tell({
    tag: "response_received",
    connection,
    response: { ...response("x", ""), typeUrl: "Config", resources: [item] },
  });
  const written = link.writes().flatMap(({ ops }) => ops.map(({ resource }) => resource.name));
  assert.ok(written.includes("default") && written.includes("kuma-cluster-id"));
  assert.equal(link.status()["clusterId"], "kuma-1");
});

Deno.test("a zone with meshes of its own gives none of them up to its first global", () => {
  const own: Resource = {
    type: "Mesh",
    mesh: "",
    name: "mine",
    labels: {},
    spec: {},
    version: 1,
    creationTime: "",
    modificationTime: "",
  };
  const link = start([own]);
  const connection = dialled(link);
  link.tell({ tag: "connected", connection });
  link.tell({ tag: "response_received", connection, response: response("default", "c-1:5") });
  const ops = link.writes().flatMap(({ ops }) => ops as readonly { op?: string }[]);
  assert.ok(ops.every(({ op }) => op !== "delete"));
  assert.match(String(link.status()["held"]), /1 resources of its own/);
});

Deno.test("a global whose revision went back stays held, even when it catches up", () => {
  const note: Resource = {
    type: "Config",
    mesh: "",
    name: "ursa-global",
    labels: {},
    spec: { config: '{"accepted":{"clusterId":"c-1","revision":50}}' },
    version: 1,
    creationTime: "",
    modificationTime: "",
  };
  const link = start([note]);
  const connection = dialled(link);
  link.tell({ tag: "connected", connection });
  link.tell({ tag: "response_received", connection, response: response("default", "c-1:5") });
  assert.match(String(link.status()["held"]), /at revision 5, but had been at 50/);
  link.tell({ tag: "response_received", connection, response: response("default", "c-1:60", "2") });
  assert.match(String(link.status()["held"]), /at revision 5, but had been at 50/);
});

Deno.test("a global that was restored is held though it wrote on, and the right one is known again", () => {
  const accepted = { clusterId: "c-1", revision: 50, epoch: "g-b" };
  const note: Resource = {
    type: "Config",
    mesh: "",
    name: "ursa-global",
    labels: {},
    spec: { config: JSON.stringify({ accepted }) },
    version: 1,
    creationTime: "",
    modificationTime: "",
  };
  const link = start([note]);
  const meet = (systemVersion: string) => {
    const connection = dialled(link);
    link.tell({ tag: "connected", connection });
    link.tell({
      tag: "response_received",
      connection,
      response: response("default", systemVersion),
    });
    const held = link.status()["held"];
    link.tell({ tag: "disconnected", connection, reason: "restarted" });
    link.tell({ tag: "connect_due" });
    return held;
  };
  assert.match(String(meet("c-1:120;g-a@0,g-c@30")), /restored from a backup/);
  assert.match(String(meet("c-1:140;g-c@30")), /restored from a backup/);
  assert.equal(meet("c-1:141;g-a@0,g-b@40,g-d@50"), null);
});

Deno.test("a global whose revision went back stays held in later sessions, and after a restart", () => {
  const note = (config: string): Resource => ({
    type: "Config",
    mesh: "",
    name: "ursa-global",
    labels: {},
    spec: { config },
    version: 1,
    creationTime: "",
    modificationTime: "",
  });
  const link = start([note('{"accepted":{"clusterId":"c-1","revision":50}}')]);
  const meet = (one: Link, systemVersion: string) => {
    const connection = dialled(one);
    one.tell({ tag: "connected", connection });
    one.tell({
      tag: "response_received",
      connection,
      response: response("default", systemVersion),
    });
    return connection;
  };
  const first = meet(link, "c-1:5");
  const [written] = link.writes().flatMap(({ ops }) => ops).filter(({ resource }) =>
    resource.name === "ursa-global"
  );
  link.tell({ tag: "disconnected", connection: first, reason: "restarted" });
  link.tell({ tag: "connect_due" });
  const second = meet(link, "c-1:60");
  assert.match(String(link.status()["held"]), /at revision 5, but had been at 50/);
  // Not even after a stranger was seen in between.
  link.tell({ tag: "disconnected", connection: second, reason: "restarted" });
  link.tell({ tag: "connect_due" });
  const third = meet(link, "c-2:7");
  assert.match(String(link.status()["held"]), /belongs to global c-1, not to c-2/);
  link.tell({ tag: "disconnected", connection: third, reason: "restarted" });
  link.tell({ tag: "connect_due" });
  meet(link, "c-1:70");
  assert.match(String(link.status()["held"]), /at revision 5, but had been at 50/);

  const restarted = start([note(String(written!.resource.spec["config"]))]);
  meet(restarted, "c-1:80");
  assert.match(String(restarted.status()["held"]), /at revision 5, but had been at 50/);
  restarted.tell({ tag: "accept_global", reply: { path: "", tag: "", ref: "1" } });
  meet(restarted, "c-1:81");
  assert.equal(restarted.status()["held"], null);
});

Deno.test("of a global that was accepted though it is behind, its own revisions are reported", () => {
  const link = start();
  const meet = (systemVersion: string) => {
    const connection = dialled(link);
    link.tell({ tag: "connected", connection });
    const metadata = ownMetadata(args);
    const asks = { nonce: "", nodeId: "east", metadata, subscribe: ["*"], initialVersions: {} };
    link.tell({ tag: "request_received", connection, request: { typeUrl: "Dataplane", ...asks } });
    link.tell({ tag: "health_answered", connection, intervalMs: 10_000 });
    link.commands();
    const arrived = response("default", systemVersion);
    link.tell({ tag: "response_received", connection, response: arrived });
    return connection;
  };
  const before = meet("c-1:50");
  link.tell({ tag: "disconnected", connection: before, reason: "replaced" });
  link.tell({ tag: "connect_due" });
  meet("c-1:5");
  link.tell({ tag: "accept_global", reply: { path: "", tag: "", ref: "1" } });
  meet("c-1:6");
  const { reply } = link.writes().at(-1)!;
  link.tell({ tag: "written", ref: reply.ref, value: committed(10) });
  const proxies = { affected: 1, acked: 1, nacked: 0, pending: 0, offline: 0 };
  link.tell({ tag: "report_progress", revision: 10, proxies, lastAckMs: 8 });
  link.tell({ tag: "report_due" });
  const check = link.commands().find(({ do: what }) => what === "check_health");
  assert.ok(check?.do === "check_health");
  assert.deepEqual(check.reports, [{ revision: 6, after: 0, proxies, lastAckMs: 8 }]);
});

Deno.test("progress is told to a global that asked for it, under its own revision", () => {
  const link = start();
  const connection = dialled(link);
  link.tell({ tag: "connected", connection });
  link.tell({
    tag: "request_received",
    connection,
    request: {
      typeUrl: "Dataplane",
      nonce: "",
      nodeId: "east",
      metadata: ownMetadata(args),
      subscribe: ["*"],
      initialVersions: {},
    },
  });
  link.tell({ tag: "health_answered", connection, intervalMs: 10_000 });
  link.tell({ tag: "response_received", connection, response: response("default", "c-1:5") });
  const { reply } = link.writes().at(-1)!;
  link.tell({ tag: "written", ref: reply.ref, value: committed(10) });
  const proxies = { affected: 2, acked: 2, nacked: 0, pending: 0, offline: 0 };
  link.tell({ tag: "report_progress", revision: 10, proxies, lastAckMs: 8 });
  link.tell({ tag: "report_progress", revision: 11, proxies, lastAckMs: 8 });
  link.tell({ tag: "report_due" });
  const [check] = link.commands();
  assert.ok(check?.do === "check_health");
  const expected: ZoneReport[] = [{ revision: 5, after: 0, proxies, lastAckMs: 8 }];
  assert.deepEqual(check.reports, expected);
});

Deno.test("what was written as the link went down is reported over the next one", () => {
  const link = start();
  const wanting = (connection: string) => {
    link.tell({ tag: "connected", connection });
    const request = {
      typeUrl: "Dataplane",
      nonce: "",
      nodeId: "east",
      metadata: ownMetadata(args),
      subscribe: ["*"],
      initialVersions: {},
    };
    link.tell({ tag: "request_received", connection, request });
    link.tell({ tag: "health_answered", connection, intervalMs: 10_000 });
  };
  const reported = () => {
    link.tell({ tag: "report_due" });
    return link.commands().flatMap((what) => what.do === "check_health" ? what.reports : []);
  };
  const first = dialled(link);
  wanting(first);
  link.tell({ tag: "response_received", connection: first, response: response("a", "c-1:5") });
  const { reply } = link.writes().at(-1)!;
  link.tell({ tag: "disconnected", connection: first, reason: "reset" });
  link.tell({ tag: "written", ref: reply.ref, value: committed(10) });
  link.tell({ tag: "connect_due" });
  const second = dialled(link);
  wanting(second);
  assert.deepEqual(reported(), [], "its receipt is not complete");
  const proxies = { affected: 2, acked: 1, nacked: 1, pending: 0, offline: 0 };
  const expected: ZoneReport[] = [{ revision: 5, after: 0, proxies, lastAckMs: 8 }];
  link.tell({ tag: "report_progress", revision: 10, proxies, lastAckMs: 8 });
  assert.deepEqual(reported(), expected);
  link.tell({ tag: "health_answered", connection: second, intervalMs: 0, error: "deadline" });
  assert.deepEqual(reported(), expected, "global may not have it");
  link.tell({ tag: "health_answered", connection: second, intervalMs: 0 });
  assert.deepEqual(reported(), []);
});
