import assert from "node:assert/strict";
import type { Draft } from "../../core/resource.ts";
import { openMemoryStore } from "../../store/memory.ts";
import type { Op } from "../../store/store.ts";
import { decide, onlyInMeshes, Overlay } from "./batch.ts";

const put = (resource: Draft): Op => ({ op: "put", resource });
const MESH: Draft = { type: "Mesh", mesh: "", name: "shop", labels: {}, spec: {} };
const ROUTE: Draft = { type: "TrafficRoute", mesh: "shop", name: "all", labels: {}, spec: {} };
const RULES = {
  admit: onlyInMeshes(["TrafficRoute"], (draft) => draft),
  types: ["Mesh", "TrafficRoute"],
};

Deno.test("decide() takes a mesh and what is in it as one write, in that order alone", () => {
  const overlay = () => new Overlay(openMemoryStore());
  assert.equal(decide(overlay(), [put(MESH), put(ROUTE)], RULES).ok, true);
  assert.equal(decide(overlay(), [put(ROUTE)], RULES).ok, false);
  assert.equal(decide(overlay(), [put(ROUTE), put(MESH)], RULES).ok, false);
  const mesh = overlay();
  mesh.apply(put(MESH));
  const gone: Op = { op: "delete", key: { type: "Mesh", mesh: "", name: "shop" } };
  assert.equal(decide(mesh, [gone, put(ROUTE)], RULES).ok, false);
});

Deno.test("decide() leaves nothing of a refused write", () => {
  const overlay = new Overlay(openMemoryStore());
  const other = { ...ROUTE, mesh: "nowhere" };
  assert.equal(decide(overlay, [put(MESH), put(ROUTE), put(other)], RULES).ok, false);
  assert.equal(overlay.size, 0);
});

Deno.test("decide() deletes a mesh as it was seen with all that is in it, or not at all", async () => {
  const store = openMemoryStore();
  await store.commit([put(MESH)], 0);
  const key = { type: "Mesh", mesh: "", name: "shop" };
  const asSeen: Op = { op: "delete", key, expected: 1 };
  const its: Op = { op: "delete", key: { type: "TrafficRoute", mesh: "shop", name: "all" } };
  const overlay = new Overlay(store);
  assert.equal(decide(overlay, [put(ROUTE)], RULES).ok, true);
  assert.deepEqual(decide(overlay, [asSeen], RULES), {
    ok: false,
    reason: "conflict",
    expected: 1,
    actual: -1,
  });
  assert.equal(decide(overlay.fork(), [asSeen, its], RULES).ok, true);
  assert.equal(decide(overlay, [{ op: "delete", key }], RULES).ok, true, "of a peer, as it says");
});
