import assert from "node:assert/strict";
import type { Receipt } from "../../core/receipt.ts";
import type { Context, Effect } from "../runtime/actor.ts";
import type { ReceiptsMsg, ZoneProxies } from "./messages.ts";
import { receiptOf, receipts, type ReceiptsArgs } from "./receipts.ts";

const POLICY = { type: "TrafficPermission", mesh: "default", name: "all" };
const NOBODY: ZoneProxies = { affected: 0, acked: 0, nacked: 0, offline: 0, lastAckMs: null };
const HUNDRED: ZoneProxies = { affected: 100, acked: 99, nacked: 1, offline: 0, lastAckMs: 12 };

function start(part: Partial<ReceiptsArgs> = {}) {
  const at: Context = { nowMs: 0, self: "receipts", random: () => 0 };
  const args = { reportTo: null, zoneTypes: ["TrafficPermission"], ...part };
  const [state] = receipts.init(args, at);
  return {
    tell: (msg: ReceiptsMsg): readonly Effect[] => receipts.receive(state, msg, at)[1],
    commit(revision: number, audience: readonly string[], key = POLICY) {
      return this.tell({ tag: "revision_committed", revision, keys: [key], audience });
    },
    of: (revision: number): Receipt => receiptOf(state, revision)!,
    zone: (revision: number) => receiptOf(state, revision)!.zones?.[0],
    summary: () => receipts.describe!(state),
  };
}

type Plane = ReturnType<typeof start>;

const EAST = ["zones/east"];

function deliver(plane: Plane, revision: number, reportsThrough = revision): void {
  plane.tell({ tag: "zone_progress", zone: "east", revision, reportsThrough });
}

function report(
  plane: Plane,
  [after, revision]: readonly [number, number],
  proxies: ZoneProxies,
): readonly Effect[] {
  return plane.tell({ tag: "zone_report", zone: "east", after, revision, proxies });
}

Deno.test("the report of a later change is not taken for that of an earlier one", () => {
  const plane = start();
  plane.commit(10, EAST);
  plane.commit(11, EAST);
  deliver(plane, 11);
  report(plane, [10, 11], NOBODY);
  assert.equal(plane.of(11).complete, true);
  assert.equal(plane.of(10).complete, false);
  assert.equal(plane.zone(10)?.awaited, true);
  const to = { path: "edge", tag: "answer", ref: "1" };
  assert.deepEqual(plane.tell({ tag: "await_receipt", revision: 10, reply: to }), []);
  assert.equal(report(plane, [9, 10], HUNDRED).length, 1, "who waits is answered");
  assert.equal(plane.of(10).complete, true);
  assert.deepEqual(plane.zone(10)?.proxies, {
    affected: 100,
    acked: 99,
    nacked: 1,
    pending: 0,
    offline: 0,
  });
});

Deno.test("a report speaks for all changes that travelled together, and a newer one replaces it", () => {
  const plane = start();
  for (const revision of [8, 9, 10]) plane.commit(revision, EAST);
  deliver(plane, 10);
  report(plane, [8, 10], NOBODY);
  assert.deepEqual([8, 9, 10].map((revision) => plane.of(revision).complete), [false, true, true]);
  report(plane, [8, 10], HUNDRED);
  assert.equal(plane.zone(9)?.proxies?.nacked, 1, "more of it arrived");
  report(plane, [8, 10], NOBODY);
  report(plane, [0, 11], NOBODY);
  assert.equal(plane.zone(9)?.proxies?.nacked, 1, "one that restarted knows less");
});

Deno.test("no report is waited for of what does not concern the zone", () => {
  const plane = start();
  plane.commit(7, EAST);
  plane.commit(8, EAST);
  deliver(plane, 8, 7);
  assert.equal(plane.of(8).complete, true);
  deliver(plane, 9, 9);
  assert.equal(plane.of(8).complete, true);
  assert.equal(plane.of(7).complete, false);
});

Deno.test("a report before the delivery does not stand for it", () => {
  const plane = start();
  plane.commit(5, EAST);
  report(plane, [4, 5], HUNDRED);
  assert.equal(plane.of(5).complete, false);
  deliver(plane, 5);
  assert.equal(plane.of(5).complete, true);
});

Deno.test("a zone that goes offline is not waited for; when it is back, its delivery is", () => {
  const plane = start();
  const presence = (presence: "online" | "offline" | "deleted") =>
    plane.tell({ tag: "zone_presence", zone: "east", presence });
  presence("online");
  plane.commit(5, EAST);
  deliver(plane, 5);
  plane.commit(6, EAST);
  presence("offline");
  plane.commit(7, []);
  for (const revision of [5, 6, 7]) {
    assert.equal(plane.of(revision).complete, true);
    assert.equal(plane.zone(revision)?.offline, true);
  }
  presence("online");
  assert.equal(plane.of(5).complete, true, "what it owed, it may have forgotten");
  assert.equal(plane.of(6).complete, false);
  deliver(plane, 7);
  for (const revision of [6, 7]) {
    assert.deepEqual(plane.zone(revision), { zone: "east", delivered: true, ms: 0 });
  }
  report(plane, [5, 7], HUNDRED);
  assert.equal(plane.zone(6)?.proxies?.acked, 99, "late, but shown");
  presence("offline");
  assert.equal(plane.zone(7)?.offline, undefined, "it has answered");
  presence("deleted");
  plane.commit(8, []);
  assert.equal(plane.zone(8), undefined);
});

Deno.test("a change that concerns nobody has a receipt, and is reported to global", () => {
  const plane = start({ reportTo: "uplink", zoneTypes: [] });
  const secret = { type: "Secret", mesh: "default", name: "key" };
  const proxies = { affected: 0, acked: 0, nacked: 0, pending: 0, offline: 0 };
  const progress = (revision: number) => [{
    do: "send",
    to: "uplink",
    msg: { tag: "report_progress", revision, proxies, lastAckMs: null },
  }];
  assert.deepEqual(plane.commit(3, [], secret), progress(3) as never);
  assert.equal(plane.of(3).complete, true);
  const insight = { type: "DataplaneInsight", mesh: "default", name: "web" };
  assert.deepEqual(plane.commit(4, [], insight), progress(4) as never);
  assert.equal(plane.of(4), undefined, "nobody asks for it");
});

Deno.test("a change is complete, and reported, when everybody whom it concerns has answered", () => {
  const plane = start({ reportTo: "uplink", zoneTypes: [] });
  assert.deepEqual(plane.commit(3, ["meshes/default"]), []);
  const [a, b] = ["dataplanes/a", "dataplanes/b"] as const;
  const by = "meshes/default";
  plane.tell({ tag: "change_announced", by, revision: 3, proxies: [a, b] });
  const outcome = { state: "nacked", typeUrl: "L", message: "no" } as const;
  plane.tell({ tag: "proxy_progress", proxy: a, revision: 3, outcome });
  assert.deepEqual(plane.summary(), { kept: 1, incomplete: 1 });
  assert.equal(plane.tell({ tag: "audience_left", at: b }).length, 1);
  assert.deepEqual(plane.of(3).proxies, {
    affected: 2,
    acked: 0,
    nacked: 1,
    pending: 0,
    offline: 1,
  });
});

Deno.test("what a zone rejected is not delivered to it, until it has taken it after all", () => {
  const plane = start();
  plane.commit(10, EAST);
  plane.commit(11, EAST, { ...POLICY, type: "Mesh" });
  const answered = { tag: "zone_progress", zone: "east", reportsThrough: 0 } as const;
  plane.tell({ ...answered, revision: 11, rejected: { TrafficPermission: "no such mesh" } });
  assert.deepEqual(plane.zone(10), {
    zone: "east",
    delivered: false,
    ms: 0,
    rejected: "TrafficPermission: no such mesh",
  });
  assert.equal(plane.of(10).complete, true, "it has answered");
  plane.tell({ ...answered, revision: 12 });
  assert.deepEqual(plane.zone(10), { zone: "east", delivered: true, ms: 0 });
});
