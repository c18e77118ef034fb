// What every store must do, as tests that each backend runs.

import assert from "node:assert/strict";
import type { Draft, JsonObject, ResourceKey } from "../core/resource.ts";
import type { Change, CommitResult, Op, Store } from "./store.ts";

/** One backend. `open` twice on one place gives the same store, if the backend is durable. */
export interface Backend {
  readonly name: string;
  readonly durable: boolean;
  open(place: string, options?: { readonly changesMax?: number }): Promise<Store>;
  /** A fresh place, gone when the test is over. */
  withPlace(test: (place: string) => Promise<void>): Promise<void>;
}

const NOON_MS = Date.UTC(2026, 0, 1, 12);

export function testStore(backend: Backend): void {
  const test = (name: string, body: (store: Store, place: string) => Promise<void>) =>
    Deno.test(`${backend.name} store: ${name}`, () =>
      backend.withPlace(async (place) => {
        const store = await backend.open(place);
        try {
          await body(store, place);
        } finally {
          await store.close();
        }
      }));
  testWrites(test);
  testReads(test);
  testConcurrency(test);
  if (backend.durable) testReopening(backend, test);

  Deno.test(`${backend.name} store: changesSince() says gone for what is no longer kept`, () =>
    backend.withPlace(async (place) => {
      const store = await backend.open(place, { changesMax: 8 });
      for (let i = 1; i <= 20; i++) await commit(store, [put("a", { i })]);
      assert.equal(store.changesSince(0), "gone");
      assert.deepEqual(revisions(store.changesSince(18)), [19, 20]);
      assert.deepEqual(store.changesSince(20), []);
      assert.equal(store.changesSince(21), "gone");
      await store.close();
    }));

  Deno.test(`${backend.name} store: large resources that change for ever are not all kept`, () =>
    backend.withPlace(async (place) => {
      const store = await backend.open(place);
      for (let i = 1; i <= 300; i++) await commit(store, [put("a", { i })]);
      assert.equal(store.changesSince(0), "gone");
      assert.equal(revisions(store.changesSince(200)).length, 100);
      const many = Array.from({ length: 400 }, (_, i) => put(`b-${i}`, {}));
      await commit(store, many);
      await commit(store, [put("a", { i: 301 })]);
      assert.equal(revisions(store.changesSince(300)).length, 401, "the last commits stay whole");
      await store.close();
    }));
}

type Tester = (name: string, body: (store: Store, place: string) => Promise<void>) => void;

function testWrites(test: Tester): void {
  test("is empty at first", async (store) => {
    assert.deepEqual(await commit(store, []), { ok: true, revision: 0, changes: [] });
    assert.equal(store.revision, 0);
    assert.equal(store.get(key("a")), undefined);
    assert.deepEqual(store.list("Dataplane"), []);
    assert.deepEqual(store.changesSince(0), []);
  });

  test("a put can be read, with version and times", async (store) => {
    const result = await commit(store, [put("a", { x: 1 }, { team: "web" })]);
    assert.equal(result.revision, 1);
    assert.deepEqual(store.get(key("a")), {
      type: "Dataplane",
      mesh: "default",
      name: "a",
      labels: { team: "web" },
      spec: { x: 1 },
      version: 1,
      creationTime: "2026-01-01T12:00:00.000Z",
      modificationTime: "2026-01-01T12:00:00.000Z",
    });
  });

  test("a status is kept, and is gone with a put that has none", async (store) => {
    await commit(store, [{ op: "put", resource: { ...draft("a"), status: { vips: ["::1"] } } }]);
    assert.deepEqual(store.get(key("a"))!.status, { vips: ["::1"] });
    await commit(store, [{ op: "put", resource: draft("a") }]);
    assert.equal(store.get(key("a"))!.status, undefined);
  });

  test("a later put keeps the creation time", async (store) => {
    await commit(store, [put("a", { x: 1 })]);
    await store.commit([put("a", { x: 2 })], NOON_MS + 5_000);
    const found = store.get(key("a"))!;
    assert.equal(found.creationTime, "2026-01-01T12:00:00.000Z");
    assert.equal(found.modificationTime, "2026-01-01T12:00:05.000Z");
    assert.equal(found.version, 2);
  });

  test("a commit is one revision for all its ops", async (store) => {
    const { changes } = await commit(store, [put("a"), put("b"), put("c")]);
    assert.deepEqual(revisions(changes), [1, 1, 1]);
    assert.equal(store.revision, 1);
  });

  test("a conflict names the key and both versions, and nothing is applied", async (store) => {
    await commit(store, [put("a", { x: 1 })]);
    const result = await store.commit([put("b"), { ...put("a", { x: 2 }), expected: 7 }], NOON_MS);
    assert.deepEqual(result, { ok: false, conflict: key("a"), expected: 7, actual: 1 });
    assert.equal(store.get(key("b")), undefined);
    assert.deepEqual(store.get(key("a"))?.spec, { x: 1 });
    assert.equal(store.revision, 1);
  });

  test("expected 0 means absent", async (store) => {
    assert.ok((await store.commit([{ ...put("a"), expected: 0 }], NOON_MS)).ok);
    const again = await store.commit([{ ...put("a"), expected: 0 }], NOON_MS);
    assert.deepEqual(again, { ok: false, conflict: key("a"), expected: 0, actual: 1 });
  });

  test("a delete takes it away, with the version that is expected", async (store) => {
    await commit(store, [put("a")]);
    const stale = await store.commit([{ op: "delete", key: key("a"), expected: 9 }], NOON_MS);
    assert.equal(stale.ok, false);
    const { changes } = await commit(store, [{ op: "delete", key: key("a"), expected: 1 }]);
    assert.equal(changes[0]?.resource, null);
    assert.equal(changes[0]?.previous?.version, 1);
    assert.equal(store.get(key("a")), undefined);
    assert.deepEqual(store.list("Dataplane"), []);
  });

  test("a commit that changes nothing costs no revision", async (store) => {
    await commit(store, [put("a")]);
    assert.deepEqual(await commit(store, []), { ok: true, revision: 1, changes: [] });
    const absent = await commit(store, [{ op: "delete", key: key("nobody") }]);
    assert.deepEqual(absent, { ok: true, revision: 1, changes: [] });
  });

  test("the last op on a key wins within a commit", async (store) => {
    const { changes } = await commit(store, [put("a", { x: 1 }), put("a", { x: 2 })]);
    assert.deepEqual(changes.map((it) => it.resource?.spec), [{ x: 2 }]);
    assert.deepEqual(store.get(key("a"))?.spec, { x: 2 });
  });

  test("close() refuses later writes", async (store) => {
    await store.close();
    await assert.rejects(store.commit([put("a")], NOON_MS), { name: "UnavailableError" });
  });
}

function testReads(test: Tester): void {
  test("list() is sorted by mesh and name, and can be one mesh's", async (store) => {
    await commit(store, [
      put("b"),
      { op: "put", resource: { ...draft("z"), mesh: "another" } },
      put("a"),
      { op: "put", resource: { ...draft("a"), type: "ZoneIngress", mesh: "" } },
    ]);
    assert.deepEqual(names(store.list("Dataplane")), ["another/z", "default/a", "default/b"]);
    assert.deepEqual(names(store.list("Dataplane", "default")), ["default/a", "default/b"]);
    assert.deepEqual(names(store.list("ZoneIngress", "")), ["/a"]);
    await commit(store, [put("aa"), { op: "delete", key: key("b") }]);
    assert.deepEqual(names(store.list("Dataplane", "default")), ["default/a", "default/aa"]);
  });

  test("changesSince() tells what came after, with the state before", async (store) => {
    await commit(store, [put("a", { x: 1 })]);
    await commit(store, [put("a", { x: 2 }), put("b")]);
    await commit(store, [{ op: "delete", key: key("a") }]);
    const changes = store.changesSince(1);
    assert.ok(changes !== "gone");
    assert.deepEqual(
      changes.map((it) => [it.revision, it.key.name, it.previous?.version, it.resource?.version]),
      [[2, "a", 1, 2], [2, "b", undefined, 2], [3, "a", 2, undefined]],
    );
  });

  test("holds values from 64 KiB to 3 MiB, growing and shrinking", async (store, place) => {
    for (const size of [10, 65_536, 3 << 20, 200_000, 0, 1 << 20]) {
      await commit(store, [put("big", { text: "ß".repeat(size / 2) })]);
      assert.equal((store.get(key("big"))?.spec.text as string).length, size / 2, place);
    }
  });

  test("keeps odd names apart", async (store) => {
    const odd = ["a", "a/b", "a\u0000b", "ä", "a b", "💠"];
    await commit(store, odd.map((name) => put(name, { name })));
    for (const name of odd) assert.deepEqual(store.get(key(name))?.spec, { name });
    assert.equal(store.list("Dataplane").length, odd.length);
  });
}

function testConcurrency(test: Tester): void {
  test("concurrent commits get a revision each, in the order of their calls", async (store) => {
    const all = Array.from({ length: 200 }, (_, i) => commit(store, [put(`n${i}`)]));
    const results = await Promise.all(all);
    assert.deepEqual(results.map((it) => it.revision), results.map((_, i) => i + 1));
    assert.equal(store.list("Dataplane").length, 200);
  });

  test("of concurrent writers that expect the same version, one wins", async (store) => {
    await commit(store, [put("a")]);
    const all = Array.from(
      { length: 20 },
      (_, i) => store.commit([{ ...put("a", { i }), expected: 1 }], NOON_MS),
    );
    const results = await Promise.all(all);
    assert.equal(results.filter((it) => it.ok).length, 1);
    assert.deepEqual(store.get(key("a"))?.spec, { i: 0 });
  });

  test("a commit of 3 000 resources is atomic", async (store) => {
    const { changes } = await commit(
      store,
      Array.from({ length: 3_000 }, (_, i) => put(`n${i}`)),
    );
    assert.equal(changes.length, 3_000);
    assert.equal(store.revision, 1);
  });
}

function testReopening(backend: Backend, test: Tester): void {
  test("has everything after reopening, byte by byte", async (store, place) => {
    await commit(store, [put("a", { x: [1, null, "ü", { y: true }] }), put("b")]);
    await commit(store, [put("big", { text: "ß".repeat(1 << 20) })]);
    await commit(store, Array.from({ length: 2_000 }, (_, i) => put(`n${i}`, { i })));
    await commit(store, [{ op: "delete", key: key("b") }]);
    await commit(store, [put("big", { text: "small now" })]);
    const before = store.list("Dataplane");
    await store.close();
    const again = await backend.open(place);
    assert.equal(again.revision, 5);
    assert.deepEqual(again.list("Dataplane"), before);
    assert.deepEqual(again.changesSince(5), []);
    assert.equal(again.changesSince(4), "gone");
    const next = await commit(again, [put("c")]);
    assert.equal(next.revision, 6);
    await again.close();
  });
}

async function commit(
  store: Store,
  ops: readonly Op[],
): Promise<Extract<CommitResult, { ok: true }>> {
  const result = await store.commit(ops, NOON_MS);
  assert.ok(result.ok, JSON.stringify(result));
  return result;
}

function draft(name: string, spec: JsonObject = {}): Draft {
  return { ...key(name), labels: {}, spec };
}

function put(name: string, spec: JsonObject = {}, labels: Record<string, string> = {}) {
  return { op: "put", resource: { ...draft(name, spec), labels } } as const;
}

function key(name: string): ResourceKey {
  return { type: "Dataplane", mesh: "default", name };
}

function names(list: readonly ResourceKey[]): string[] {
  return list.map((it) => `${it.mesh}/${it.name}`);
}

function revisions(changes: readonly Change[] | "gone"): number[] | "gone" {
  return changes === "gone" ? changes : changes.map((it) => it.revision);
}
