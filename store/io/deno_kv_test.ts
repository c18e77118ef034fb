import assert from "node:assert/strict";
import { join } from "node:path";
import { type Backend, testStore } from "../contract.ts";
import type { Op } from "../store.ts";
import { type KvPort, openKv, openKvStore } from "./deno_kv.ts";

const backend: Backend = {
  name: "Deno KV",
  durable: true,
  open: openKvStore,
  async withPlace(test) {
    const folder = await Deno.makeTempDir({ prefix: "ursa-store-" });
    try {
      await test(join(folder, "store.kv"));
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
};

testStore(backend);

type Fault = "before" | "after" | null;

/** A disk whose next atomic write fails, before or after it has taken effect. */
function faulty(kv: Deno.Kv): { port: KvPort; failNext(faults: readonly Fault[]): void } {
  let faults: Fault[] = [];
  const atomic = (): Deno.AtomicOperation => {
    const real = kv.atomic();
    const commit = real.commit.bind(real);
    real.commit = async () => {
      const fault = faults.shift() ?? null;
      if (fault === "before") throw new Error("disk full");
      const result = await commit();
      if (fault === "after") throw new Error("lost the answer");
      return result;
    };
    return real;
  };
  const port: KvPort = {
    get: kv.get.bind(kv),
    list: kv.list.bind(kv),
    close: kv.close.bind(kv),
    atomic,
  };
  return { port, failNext: (next) => faults = [...next] };
}

async function withFaultyStore(
  test: (at: {
    store: Awaited<ReturnType<typeof openKv>>;
    failNext(faults: readonly Fault[]): void;
    place: string;
  }) => Promise<void>,
): Promise<void> {
  await backend.withPlace(async (place) => {
    const { port, failNext } = faulty(await Deno.openKv(place));
    const store = await openKv(port);
    await test({ store, failNext, place });
    await store.close();
  });
}

const put = (name: string, text = ""): Op => ({
  op: "put",
  resource: { type: "Mesh", mesh: "", name, labels: {}, spec: { text } },
});
const manyOps = Array.from({ length: 2_500 }, (_, i) => put(`n${i}`));

Deno.test("Deno KV store: a failed write applies nothing, and the next one works", async () => {
  await withFaultyStore(async ({ store, failNext }) => {
    failNext(["before"]);
    await assert.rejects(store.commit([put("a")], 0), {
      name: "UnavailableError",
      message: "Cannot write to the store: disk full",
    });
    assert.equal(store.revision, 0);
    assert.deepEqual(store.list("Mesh"), []);
    const result = await store.commit([put("b")], 0);
    assert.ok(result.ok && result.revision === 1);
  });
});

Deno.test("Deno KV store: a write that reached the disk is acknowledged, whatever was said", async () => {
  await withFaultyStore(async ({ store, failNext }) => {
    failNext(["after"]);
    const result = await store.commit([put("a")], 0);
    assert.ok(result.ok && result.revision === 1);
    assert.equal(store.list("Mesh").length, 1);
  });
});

Deno.test("Deno KV store: a large commit that fails before its head is flipped leaves nothing", async () => {
  await withFaultyStore(async ({ store, failNext, place }) => {
    failNext([null, "before"]);
    await assert.rejects(store.commit(manyOps, 0), { name: "UnavailableError" });
    assert.equal(store.revision, 0);
    assert.ok((await store.commit([put("b")], 0)).ok);
    await store.close();
    const again = await openKvStore(place);
    assert.deepEqual(again.list("Mesh").map((it) => it.name), ["b"]);
    await again.close();
  });
});

Deno.test("Deno KV store: a large commit that is durable is finished by the next write or open", async () => {
  for (const next of ["write", "open"]) {
    await withFaultyStore(async ({ store, failNext, place }) => {
      // One journal part, the head, then the first copy into place fails.
      failNext([null, null, "before"]);
      const result = await store.commit(manyOps, 0);
      assert.ok(result.ok && result.revision === 1);
      assert.equal(store.list("Mesh").length, 2_500);
      if (next === "write") assert.ok((await store.commit([put("more")], 0)).ok);
      await store.close();
      const again = await openKvStore(place);
      assert.equal(again.list("Mesh").length, next === "write" ? 2_501 : 2_500);
      assert.equal(again.revision, next === "write" ? 2 : 1);
      await again.close();
      const left = await Deno.openKv(place);
      const journals = await Array.fromAsync(left.list({ prefix: ["j"] }));
      assert.deepEqual(journals, []);
      left.close();
    });
  }
});

Deno.test("Deno KV store: another writer of the same file is noticed", async () => {
  await backend.withPlace(async (place) => {
    const mine = await openKvStore(place);
    const other = await openKvStore(place);
    await other.commit([put("a")], 0);
    for (let attempt = 0; attempt < 2; attempt++) {
      await assert.rejects(mine.commit([put("b")], 0), {
        message: "Another process wrote to the store",
      });
    }
    assert.equal(mine.revision, 0);
    await mine.close();
    await other.close();
  });
});

Deno.test("Deno KV store: concurrent commits share one write", async () => {
  await backend.withPlace(async (place) => {
    const kv = await Deno.openKv(place);
    let writes = 0;
    const port: KvPort = {
      get: kv.get.bind(kv),
      list: kv.list.bind(kv),
      close: kv.close.bind(kv),
      atomic: () => (writes++, kv.atomic()),
    };
    const store = await openKv(port);
    await Promise.all(Array.from({ length: 300 }, (_, i) => store.commit([put(`n${i}`)], 0)));
    assert.equal(store.revision, 300);
    assert.equal(writes, 1);
    await store.close();
  });
});

Deno.test("Deno KV store: a damaged record is an error at open that names it", async () => {
  await backend.withPlace(async (place) => {
    const store = await openKvStore(place);
    await store.commit([put("a", "x".repeat(100_000))], 0);
    await store.close();
    const kv = await Deno.openKv(place);
    await kv.delete(["r", "Mesh", "", "a", 1]);
    kv.close();
    await assert.rejects(openKvStore(place), { message: "The store is damaged at Mesh//a" });
  });
});

Deno.test("Deno KV store: a damaged record is left out when somebody is told, until it is written", async () => {
  await backend.withPlace(async (place) => {
    const store = await openKvStore(place);
    await store.commit([put("a", "x".repeat(200_000)), put("b", "small")], 0);
    await store.close();
    const kv = await Deno.openKv(place);
    await kv.delete(["r", "Mesh", "", "a", 0]);
    await kv.set(["r", "Mesh", "", "c", 0], new TextEncoder().encode("[]"));
    kv.close();
    const damaged: string[] = [];
    const again = await openKvStore(place, { onDamaged: ({ name }) => damaged.push(name) });
    assert.deepEqual(damaged, ["a", "c"]);
    assert.deepEqual(again.list("Mesh").map(({ name }) => name), ["b"]);
    await again.commit([put("a", "short"), put("c", "short")], 0);
    await again.close();
    const whole = await openKvStore(place);
    assert.deepEqual(whole.list("Mesh").map(({ name }) => name), ["a", "b", "c"]);
    await whole.close();
  });
});

Deno.test("openKvStore() lets nobody else read the keys, in files of an earlier Ursa either", async () => {
  await backend.withPlace(async (place) => {
    const modes = () =>
      ["", "-wal", "-shm"].map((suffix) => Deno.statSync(place + suffix).mode! & 0o777);
    const first = await openKvStore(place);
    await first.commit([], 0);
    assert.deepEqual(modes(), [0o600, 0o600, 0o600]);
    await first.close();
    await Deno.chmod(place, 0o644);
    const second = await openKvStore(place);
    assert.deepEqual(modes(), [0o600, 0o600, 0o600]);
    await second.close();
  });
});
