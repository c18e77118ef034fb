import assert from "node:assert/strict";
import type { Resource } from "../../core/resource.ts";
import type { Op } from "../../store/store.ts";
import type { Context } from "../runtime/actor.ts";
import { global } from "./global.ts";
import type { GlobalMsg } from "./messages.ts";

function start() {
  const at = { nowMs: 0, self: "global", random: () => 0.5 } satisfies Context;
  let [state, effects] = global.init({
    descriptors: [],
    newClusterId: "c-1",
    instance: "global-b",
    version: "",
    receipts: null,
    unreachableAfterMs: null,
    auth: "none",
    exempt: [],
  }, at);
  const tell = (msg: GlobalMsg) => {
    [state, effects] = global.receive(state, msg, at);
  };
  return {
    tell,
    changed(revision: number, full: boolean, resources: readonly Resource[]) {
      tell({
        tag: "resources_changed",
        revision,
        full,
        changes: resources.map((resource) => ({
          revision,
          key: resource,
          resource,
          previous: null,
        })),
      });
    },
    /** What is to be written under a name. */
    writes: (name: string) =>
      effects.flatMap((effect) =>
        effect.do === "send" && effect.msg.tag === "write"
          ? (effect.msg as unknown as { readonly ops: readonly Op[] }).ops
          : []
      ).flatMap((op) => op.op === "put" && op.resource.name === name ? [op.resource] : []),
    timers: () => effects.flatMap((effect) => effect.do === "timer" ? [effect.msg.tag] : []),
  };
}

function config(name: string, value: unknown): Resource {
  const spec = { config: typeof value === "string" ? value : JSON.stringify(value) };
  const times = { creationTime: "", modificationTime: "" };
  return { type: "Config", mesh: "", name, labels: {}, spec, version: 1, ...times };
}

const CLUSTER = config("kuma-cluster-id", "c-1");
const BEFORE = [{ id: "global-a", from: 0 }];

Deno.test("global writes down once that it began, and where", () => {
  const at = start();
  at.changed(40, true, [CLUSTER, config("ursa-epochs", BEFORE)]);
  const [note] = at.writes("ursa-epochs");
  const both = [...BEFORE, { id: "global-b", from: 40 }];
  assert.deepEqual(JSON.parse(String(note!.spec["config"])), both);
  at.changed(42, false, [config("ursa-epochs", both)]);
  assert.deepEqual(at.writes("ursa-epochs"), []);
});

Deno.test("global writes down again that it began when that failed, or somebody deleted it", () => {
  const at = start();
  at.changed(40, true, [CLUSTER]);
  at.tell({
    tag: "epoch_written",
    ref: "",
    value: { ok: false, reason: "unavailable", message: "disk full" } as never,
  });
  assert.deepEqual(at.timers(), ["epoch_due"]);
  at.tell({ tag: "epoch_due" });
  assert.equal(at.writes("ursa-epochs").length, 1);
  at.changed(50, false, [config("ursa-epochs", "")]);
  const [note] = at.writes("ursa-epochs");
  assert.deepEqual(JSON.parse(String(note!.spec["config"])), [{ id: "global-b", from: 40 }]);
});
