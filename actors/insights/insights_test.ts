import assert from "node:assert/strict";
import type { ProxyKey } from "../../core/proxy.ts";
import type { JsonObject, Resource } from "../../core/resource.ts";
import type { ProxySeen } from "../../xds/proxy_insight.ts";
import type { HubMsg, Op, WriteResult } from "../hub/messages.ts";
import type { Effect } from "../runtime/actor.ts";
import { insights } from "./insights.ts";
import type { InsightsMsg } from "./messages.ts";

const WEB: ProxyKey = { type: "dataplane", mesh: "default", name: "web" };
const GATE: ProxyKey = { type: "ingress", mesh: "", name: "gate" };
const TAKEN: WriteResult = { ok: true, revision: 1, changes: [] };
const NOTHING: ProxySeen = {
  subscriptions: [],
  controlPlane: "",
  metadata: {},
  remarks: { rejected: null, alarm: null, waiting: null },
  lease: {},
  mtls: null,
};
const START_MS = Date.parse("2026-01-01T00:00:00Z");

class World {
  nowMs = START_MS;
  readonly stored: Resource[] = [];
  readonly writes: (readonly Op[])[] = [];
  #state;
  readonly #due = new Map<string, { readonly atMs: number; readonly msg: InsightsMsg }>();

  constructor() {
    const reader = {
      get: ({ type, mesh, name }: { type: string; mesh: string; name: string }) =>
        this.stored.find((one) => one.type === type && one.mesh === mesh && one.name === name),
      list: (type: string) => this.stored.filter((one) => one.type === type),
    };
    [this.#state] = insights.init({ reader }, this.#at());
  }

  #at() {
    return { nowMs: this.nowMs, self: "insights", random: () => 0 };
  }

  tell(msg: InsightsMsg): void {
    const [state, effects] = insights.receive(this.#state, msg, this.#at());
    this.#state = state;
    for (const effect of effects) this.#take(effect);
  }

  #take(effect: Effect): void {
    if (effect.do === "timer") {
      const msg = effect.msg as InsightsMsg;
      this.#due.set(effect.name, { atMs: this.nowMs + effect.afterMs, msg });
    }
    if (effect.do === "send") {
      const msg = effect.msg as HubMsg;
      if (msg.tag === "write") this.writes.push(msg.ops);
    }
  }

  pass(ms: number): void {
    this.nowMs += ms;
    for (const [name, { atMs, msg }] of this.#due) {
      if (atMs > this.nowMs) continue;
      this.#due.delete(name);
      this.tell(msg);
    }
  }

  answer(value: WriteResult): void {
    this.tell({ tag: "insights_written", ref: "", value });
  }

  seen(proxy: ProxyKey, metadata: JsonObject | null, urgent = false): void {
    this.tell({ tag: "proxy_seen", proxy, seen: metadata && { ...NOTHING, metadata }, urgent });
  }

  store(type: string, { mesh, name }: ProxyKey, spec: JsonObject): void {
    const meta = { labels: {}, version: 1, creationTime: "", modificationTime: "" };
    this.stored.push({ type, mesh, name, spec, ...meta });
  }

  written(): readonly string[] {
    return this.writes.splice(0).map((ops) =>
      ops.map((op) =>
        op.op === "put"
          ? `${op.resource.type}/${op.resource.name} ${
            JSON.stringify(op.resource.spec["metadata"])
          }`
          : `-${op.key.type}/${op.key.name}`
      ).join(", ")
    );
  }
}

Deno.test("insights writes counters once in ten seconds, the newest of each proxy in one write", () => {
  const world = new World();
  world.seen(WEB, { n: 1 });
  world.seen(GATE, { n: 2 });
  world.seen(WEB, { n: 3 });
  world.pass(9_999);
  assert.deepEqual(world.written(), []);
  world.pass(1);
  assert.deepEqual(world.written(), [
    'DataplaneInsight/web {"n":3}, ZoneIngressInsight/gate {"n":2}',
  ]);
  world.pass(60_000);
  assert.deepEqual(world.written(), []);
});

Deno.test("insights writes what is urgent soon, together, and counters not along with it", () => {
  const world = new World();
  world.seen(WEB, { n: 1 });
  world.pass(100);
  world.seen(GATE, { n: 2 }, true);
  world.pass(20);
  world.seen({ ...WEB, name: "api" }, { n: 3 }, true);
  world.pass(30);
  assert.deepEqual(world.written(), [
    'ZoneIngressInsight/gate {"n":2}, DataplaneInsight/api {"n":3}',
  ]);
  world.answer(TAKEN);
  world.pass(9_850);
  assert.deepEqual(world.written(), ['DataplaneInsight/web {"n":1}']);
});

Deno.test("insights writes what is urgent soon also when counters come after it", () => {
  const world = new World();
  world.seen(WEB, { n: 1 }, true);
  world.seen(WEB, { n: 2 });
  world.pass(50);
  assert.deepEqual(world.written(), ['DataplaneInsight/web {"n":2}']);
  world.answer(TAKEN);
  world.pass(10_000);
  assert.deepEqual(world.written(), []);
});

Deno.test("insights deletes what is gone", () => {
  const world = new World();
  world.seen(WEB, { n: 1 });
  world.seen(WEB, null);
  world.pass(10_000);
  assert.deepEqual(world.written(), ["-DataplaneInsight/web"]);
});

Deno.test("insights writes again what the store did not take, unless there is newer", () => {
  const world = new World();
  world.seen(WEB, { n: 1 }, true);
  world.seen(GATE, { n: 1 }, true);
  world.pass(50);
  world.writes.length = 0;
  world.seen(GATE, { n: 2 });
  world.answer({ ok: false, reason: "unavailable", error: "disk full" });
  world.pass(10_000);
  assert.deepEqual(world.written(), [
    'ZoneIngressInsight/gate {"n":2}, DataplaneInsight/web {"n":1}',
  ]);
});

Deno.test("insights has one write under way, so that none is forgotten when it fails", () => {
  const world = new World();
  world.seen(WEB, { n: 1 }, true);
  world.pass(50);
  world.written();
  world.seen(GATE, { n: 1 }, true);
  world.pass(50);
  assert.deepEqual(world.written(), []);
  const refused = { ok: false, reason: "unavailable", error: "disk full" };
  world.tell({ tag: "insights_written", ref: "", value: refused });
  world.pass(10_000);
  assert.deepEqual(world.written(), [
    'ZoneIngressInsight/gate {"n":1}, DataplaneInsight/web {"n":1}',
  ]);
  world.seen(WEB, { n: 2 }, true);
  world.pass(50);
  world.tell({ tag: "insights_written", ref: "", value: { ok: true, result: {} } });
  assert.deepEqual(world.written(), ['DataplaneInsight/web {"n":2}']);
});

Deno.test("insights ends the streams that a control plane left open when it was killed", () => {
  const world = new World();
  const open = { id: "2", connectTime: "2025-12-31T00:00:00Z" };
  const over = { ...open, id: "1", disconnectTime: "2025-12-31T12:00:00Z" };
  world.store("DataplaneInsight", WEB, { subscriptions: [over, open] });
  world.store("ZoneIngressInsight", GATE, { subscriptions: [over] });
  world.tell({ tag: "proxy_silent" });
  world.pass(50);
  const [op, ...more] = world.writes[0]!;
  assert.equal(more.length, 0);
  assert(op?.op === "put");
  assert.deepEqual(op.resource.spec["subscriptions"], [
    over,
    { disconnectTime: "2026-01-01T00:00:00.000Z", ...open },
  ]);
});
