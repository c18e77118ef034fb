import assert from "node:assert/strict";
import type { Receipt } from "../../core/receipt.ts";
import type { ResourceKey } from "../../core/resource.ts";
import type { ReceiptsMsg } from "./messages.ts";
import { receiptOf, receipts, RECEIPTS_KEPT, type ReceiptsState } from "./receipts.ts";

const WEB = "dataplanes/dataplane/default/web";
const API = "dataplanes/dataplane/default/api";
const KEY: ResourceKey = { type: "TrafficRoute", mesh: "default", name: "r" };

class World {
  nowMs = 0;
  state: ReceiptsState;
  readonly told: unknown[] = [];

  constructor() {
    [this.state] = receipts.init({ reportTo: null, zoneTypes: [] }, this.#at());
  }

  #at() {
    return { nowMs: this.nowMs, self: "receipts", random: () => 0 };
  }

  tell(...msgs: readonly ReceiptsMsg[]): this {
    for (const msg of msgs) {
      const [state, effects] = receipts.receive(this.state, msg, this.#at());
      this.state = state;
      for (const effect of effects) {
        if (effect.do === "reply") this.told.push((effect.value as Receipt | undefined)?.complete);
      }
    }
    return this;
  }

  committed(revision: number, ...audience: readonly string[]): this {
    return this.tell({ tag: "revision_committed", revision, keys: [KEY], audience });
  }

  announced(revision: number, ...proxies: readonly string[]): this {
    return this.tell({ tag: "change_announced", by: "meshes/default", revision, proxies });
  }

  progress(proxy: string, revision: number, state: "acked" | "offline" | "pending" | "unchanged") {
    return this.tell({ tag: "proxy_progress", proxy, revision, outcome: { state } });
  }

  nacked(proxy: string, revision: number): this {
    const outcome = { state: "nacked", typeUrl: "LDS", message: "no" } as const;
    return this.tell({ tag: "proxy_progress", proxy, revision, outcome });
  }

  receipt(revision = 1): Receipt {
    const receipt = receiptOf(this.state, revision);
    assert(receipt);
    return receipt;
  }
}

Deno.test("a receipt is complete when everybody it concerns has answered", () => {
  const world = new World().committed(1, "meshes/default");
  const seen = () => {
    const { complete, proxies: { affected, acked, nacked, pending, offline } } = world.receipt();
    return [complete, affected, acked, nacked, pending, offline];
  };
  assert.deepEqual(seen(), [false, 0, 0, 0, 0, 0]);
  world.announced(1, WEB, API, "dataplanes/dataplane/default/gone", "dataplanes/ingress//same");
  assert.deepEqual(seen(), [false, 4, 0, 0, 4, 0]);
  world.progress("dataplanes/ingress//same", 1, "unchanged");
  world.progress("dataplanes/dataplane/default/gone", 1, "offline");
  world.progress(WEB, 1, "pending");
  world.nowMs = 38;
  world.progress(WEB, 1, "acked").nacked(API, 1);
  assert.deepEqual(seen(), [true, 3, 1, 1, 0, 1]);
  const { lastAckMs, nacks } = world.receipt();
  assert.equal(lastAckMs, 38);
  assert.deepEqual(nacks, [{ proxy: "dataplane/default/api", typeUrl: "LDS", message: "no" }]);
});

Deno.test("what answers for a revision answers for every one before it, and for none after", () => {
  const world = new World();
  for (const revision of [1, 2, 3]) world.committed(revision, "meshes/default");
  world.announced(3, WEB).progress(WEB, 2, "acked");
  assert.deepEqual([1, 2, 3].map((revision) => world.receipt(revision).complete), [
    true,
    true,
    false,
  ]);
});

Deno.test("a proxy that answered for what the hub told it answers for its mesh, too", () => {
  const ingress = "dataplanes/ingress//gate";
  const world = new World().committed(1, "meshes/default", ingress);
  world.progress(ingress, 1, "unchanged").announced(1, ingress);
  assert.equal(world.receipt().complete, false);
  world.progress(ingress, 1, "acked");
  assert.deepEqual([world.receipt().complete, world.receipt().proxies.acked], [true, 1]);
});

Deno.test("a receipt does not wait for those who have ended", () => {
  const world = new World().committed(1, "meshes/default", "meshes/gone").announced(1, WEB, API);
  world.tell({ tag: "audience_left", at: "meshes/gone" }, { tag: "audience_left", at: WEB });
  assert.equal(world.receipt().complete, false);
  world.tell({ tag: "audience_left", at: "dataplanes/" });
  assert.deepEqual([world.receipt().complete, world.receipt().proxies.offline], [true, 2]);
});

Deno.test("who waits is answered when the receipt is complete, or at once when it is", () => {
  const world = new World().committed(1, "meshes/default").announced(1, WEB);
  const reply = { path: "", tag: "", ref: "1" };
  world.tell({ tag: "await_receipt", revision: 1, reply });
  assert.deepEqual(world.told, []);
  world.progress(WEB, 1, "acked");
  assert.deepEqual(world.told, [true]);
  world.tell({ tag: "await_receipt", revision: 1, reply });
  world.tell({ tag: "await_receipt", revision: 77, reply });
  assert.deepEqual(world.told, [true, true, undefined]);
});

Deno.test("receipts keeps the newest, and lets those go who wait for an older one", () => {
  const world = new World().committed(1, "meshes/default");
  const reply = { path: "", tag: "", ref: "1" };
  world.tell({ tag: "await_receipt", revision: 1, reply });
  for (let revision = 2; revision <= RECEIPTS_KEPT + 1; revision++) {
    world.committed(revision, "meshes/default");
  }
  assert.equal(receiptOf(world.state, 1), undefined);
  assert.deepEqual(world.told, [false]);
  assert.equal(world.state.entries.size, RECEIPTS_KEPT);
});
