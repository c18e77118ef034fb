import assert from "node:assert/strict";
import type { Draft } from "../../core/resource.ts";
import { openMemoryStore } from "../../store/memory.ts";
import type { Op } from "../../store/store.ts";
import { decide, onlyInMeshes, Overlay } from "./batch.ts";

const put = (resource: Draft): Op => ({ op: "put", resource });
const MESH: Draft = { type: "Mesh", mesh: "", name: "shop", labels: {}, spec: {} };
const ROUTE: Draft = { type: "TrafficRoute", mesh: "shop", name: "all", labels: {}, spec: {} };
const admit = onlyInMeshes(["TrafficRoute"], (draft) => draft);

Deno.test("decide() takes a mesh and what is in it as one write, in that order alone", () => {
  const overlay = () => new Overlay(openMemoryStore());
  assert.equal(decide(overlay(), [put(MESH), put(ROUTE)], admit).ok, true);
  assert.equal(decide(overlay(), [put(ROUTE)], admit).ok, false);
  assert.equal(decide(overlay(), [put(ROUTE), put(MESH)], admit).ok, false);
  const mesh = overlay();
  mesh.apply(put(MESH));
  const gone: Op = { op: "delete", key: { type: "Mesh", mesh: "", name: "shop" } };
  assert.equal(decide(mesh, [gone, put(ROUTE)], admit).ok, false);
});

Deno.test("decide() leaves nothing of a refused write", () => {
  const overlay = new Overlay(openMemoryStore());
  const other = { ...ROUTE, mesh: "nowhere" };
  assert.equal(decide(overlay, [put(MESH), put(ROUTE), put(other)], admit).ok, false);
  assert.equal(overlay.size, 0);
});
