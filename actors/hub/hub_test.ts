import assert from "node:assert/strict";
import { KindTable } from "../../core/kind_table.ts";
import { KINDS } from "../../core/kinds.ts";
import { type Draft, keyText, type ResourceKey } from "../../core/resource.ts";
import { Batch, StoreImage } from "../../store/image.ts";
import type { Op } from "../../store/store.ts";
import type { Actor, Message, Path, PortResult } from "../runtime/actor.ts";
import { Kernel } from "../runtime/kernel.ts";
import { many, one } from "../runtime/tree.ts";
import type { Overlay } from "./batch.ts";
import { hub, type HubArgs } from "./hub.ts";
import {
  type Change,
  HUB,
  type HubMsg,
  mergeChanges,
  type ResourcesChanged,
  type WriteResult,
} from "./messages.ts";

/** Writes down what it is told: `b full@3 Mesh//default`, `-` before what is gone. */
function listener(seen: string[]): Actor<null, Message, unknown> {
  return {
    mailbox: { capacity: 99, whenFull: "crash" },
    init: (_args, at) => (seen.push(`${at.self} starts`), [null, []]),
    receive(_state, msg, at) {
      const { tag, revision, full, changes } = msg as ResourcesChanged;
      const what = changes?.map(({ key, resource }) => `${resource ? "" : "-"}${keyText(key)}`);
      seen.push(
        what
          ? [`${at.self} ${full ? "full" : "news"}@${revision}`, ...what].join(" ")
          : `${at.self} ${tag}`,
      );
      return [null, []];
    },
  };
}

class World {
  readonly store = new StoreImage();
  readonly seen: string[] = [];
  readonly kernel: Kernel;
  readonly answers = new Map<string, WriteResult>();
  /** Commits that wait for the disk, oldest first. */
  readonly disk: (() => void)[] = [];
  failing = false;
  /** The next commit says that it failed, and is on the disk when it is asked again. */
  late = false;
  /** The store holds nothing of this name. */
  refusing = "";
  commits = 0;
  nowMs = 0;
  #serial = 0;
  #arrive: () => void = () => {};

  constructor(args: Partial<HubArgs> = {}, seed: readonly Draft[] = []) {
    this.#commit(seed.map((resource) => ({ op: "put", resource })));
    this.kernel = new Kernel({
      seed: 1,
      now: () => this.nowMs,
      log: () => {},
      count: () => {},
      wake: () => {},
      replied: (ref, value) => this.answers.set(ref, value as WriteResult),
      fatal: assert.fail,
      ports: {
        store: (command, _from, answer) => {
          const { ops } = command as { readonly ops: readonly Op[] };
          this.disk.push(() => {
            this.commits++;
            this.#arrive();
            this.#arrive = () => {};
            if (this.late) {
              this.late = false;
              this.#arrive = () => this.#commit(ops);
              answer({ ok: false, error: "no answer", retryable: true });
              return this.run();
            }
            const isRefused = ops.some((op) =>
              op.op === "put" && op.resource.name === this.refusing
            );
            const done: PortResult = isRefused
              ? { ok: false, error: "too long", retryable: false }
              : this.failing
              ? { ok: false, error: "disk full", retryable: true }
              : { ok: true, value: this.#commit(ops) };
            answer(done);
            this.run();
          });
        },
      },
      tree: [
        one("receipts", listener(this.seen), null),
        one(HUB, hub, {
          reader: this.store,
          types: ["Mesh", "Dataplane", "Config"],
          admit: (draft) => draft,
          derive: () => null,
          meshes: { zone: "east", policies: [], kinds: new KindTable(KINDS) },
          receipts: null,
          ...args,
        }),
        many("meshes", listener(this.seen)),
        one("a", listener(this.seen), null),
        one("b", listener(this.seen), null),
      ],
    });
    this.kernel.start();
    this.run();
    this.flush();
  }

  #commit(ops: readonly Op[]) {
    const judged = new Batch(this.store).judge(ops, this.nowMs);
    if (judged.ok) this.store.apply(judged);
    return judged;
  }

  run(): void {
    for (let turns = 0; this.kernel.step(); turns++) assert(turns < 1_000, "it never rests");
  }

  /** The disk takes all that it was given. */
  flush(): void {
    for (let commit = this.disk.shift(); commit; commit = this.disk.shift()) commit();
  }

  tell(msg: HubMsg): void {
    this.kernel.send(HUB, msg);
    this.run();
  }

  subscribe(to: Path, types: readonly string[] | "all", mesh?: string): void {
    this.tell({ tag: "subscribe", to, types, ...(mesh !== undefined && { mesh }) });
  }

  /** The name under which the answer will be. */
  write(...ops: readonly Op[]): string {
    const ref = String(++this.#serial);
    this.tell({ tag: "write", by: "test", ops, reply: { path: "", tag: "", ref } });
    return ref;
  }

  looked(): readonly string[] {
    return this.seen.splice(0);
  }
}

function draft(name: string, spec = {}, type = "Dataplane", mesh = "default"): Draft {
  return { type, mesh, name, labels: {}, spec };
}

const MESH = draft("default", {}, "Mesh", "");

function put(resource: Draft, expected?: number): Op {
  return { op: "put", resource, ...(expected !== undefined && { expected }) };
}

function key(name: string, type = "Dataplane", mesh = "default"): ResourceKey {
  return { type, mesh, name };
}

Deno.test("hub makes one commit of all writes that arrive while another is under way", () => {
  const at = new World();
  const first = at.write(put(draft("a")));
  const later = ["b", "c", "d"].map((name) => at.write(put(draft(name))));
  assert.equal(at.disk.length, 1);
  assert.equal(at.answers.size, 0);
  at.disk.shift()!();
  assert.equal(at.disk.length, 1);
  at.flush();
  const revisions = [first, ...later].map((ref) => {
    const answer = at.answers.get(ref)!;
    assert(answer.ok);
    return answer.revision;
  });
  assert.deepEqual(revisions, [1, 2, 2, 2]);
});

Deno.test("hub answers a write only after it is durable, with its own changes alone", () => {
  const at = new World();
  at.write(put(draft("before")));
  const ref = at.write(put(draft("a")));
  at.write(put(draft("b")));
  assert.equal(at.answers.has(ref), false);
  at.flush();
  const answer = at.answers.get(ref)!;
  assert(answer.ok);
  assert.deepEqual(answer.changes.map(({ key }) => key.name), ["a"]);
});

Deno.test("hub compares the expected version with what is on disk, 0 meaning absent", () => {
  const at = new World({}, [draft("a", { old: true })]);
  const cases: readonly (readonly [Op, WriteResult["ok"]])[] = [
    [put(draft("a", { n: 1 }), 7), false],
    [put(draft("a", { n: 1 }), 0), false],
    [put(draft("new"), 0), true],
    [{ op: "delete", key: key("a"), expected: 9 }, false],
    [put(draft("a", { n: 2 }), 1), true],
  ];
  for (const [op, ok] of cases) {
    const ref = at.write(op);
    at.flush();
    const answer = at.answers.get(ref)!;
    assert.equal(answer.ok, ok, JSON.stringify(op));
    if (!answer.ok) {
      assert(answer.reason === "conflict");
      assert.equal(answer.actual, 1);
    }
  }
});

Deno.test("hub: what the store refuses is refused alone, however many share its commit", () => {
  const at = new World();
  at.refusing = "poison";
  at.write(put(draft("first")));
  const good = Array.from({ length: 100 }, (_, i) => at.write(put(draft(`good-${i}`))));
  const bad = at.write(put(draft("poison")));
  const more = Array.from({ length: 100 }, (_, i) => at.write(put(draft(`more-${i}`))));
  at.flush();
  const answer = at.answers.get(bad)!;
  assert(!answer.ok && answer.reason === "invalid");
  assert.deepEqual(answer.violations, [{ path: "", message: "the store refuses it: too long" }]);
  for (const ref of [...good, ...more]) assert.equal(at.answers.get(ref)?.ok, true);
  assert.ok(at.commits < 40, `${at.commits} commits`);
});

Deno.test("hub: a write that makes no sense to the rules, and one that nothing can follow from", () => {
  const at = new World({
    admit: ({ spec, ...draft }) => ({ ...draft, spec: { n: (spec.n as string).length } }),
    derive: () => {
      throw new Error("nonsense is stored");
    },
  });
  const bad = at.write(put(draft("bad")));
  const good = at.write(put(draft("good", { n: "text" })));
  at.flush();
  const answer = at.answers.get(bad)!;
  assert(!answer.ok && answer.reason === "invalid");
  assert.match(answer.violations[0]!.message, /^makes no sense: TypeError/);
  assert.equal(at.answers.get(good)?.ok, true);
});

Deno.test("hub lets the second of two writers in one batch know that it came second", () => {
  const at = new World();
  at.write(put(draft("busy")));
  const [one, two] = [at.write(put(draft("a"), 0)), at.write(put(draft("a", { other: 1 }), 0))];
  at.flush();
  assert.equal(at.answers.get(one)!.ok, true);
  assert.equal(at.answers.get(two)!.ok, false);
});

Deno.test("hub refuses a write as a whole, and says why", () => {
  const admit = (one: Draft) =>
    one.name === "bad" ? [{ path: "name", message: "must be good" }] : one;
  const at = new World({ admit });
  const ref = at.write(put(draft("good")), put(draft("bad")));
  at.flush();
  assert.deepEqual(at.answers.get(ref), {
    ok: false,
    reason: "invalid",
    violations: [{ path: "name", message: "must be good" }],
  });
  assert.equal(at.store.get(key("good")), undefined);
});

Deno.test("hub adds what derives from a batch to the same commit", () => {
  const derive = (overlay: Overlay) => {
    const names = overlay.list("Dataplane").map(({ name }) => name).sort();
    const op = put(draft("count", { config: names.join() }, "Config", ""));
    return { ops: names.length > 0 ? [op] : [], nextAtMs: null, problems: [] };
  };
  const at = new World({ derive });
  at.subscribe("a", "all");
  at.write(put(draft("web")));
  assert.equal(at.disk.length, 1);
  at.flush();
  assert.equal(at.store.get(key("count", "Config", ""))!.spec["config"], "web");
  assert.equal(at.looked().at(-1), "a news@1 Dataplane/default/web Config//count");
});

Deno.test("hub derives again when something falls due by time alone", () => {
  const dues: boolean[] = [];
  const derive: HubArgs["derive"] = (_overlay, { due, nowMs }) => {
    dues.push(due);
    return { ops: [], nextAtMs: nowMs < 50 ? 50 : null, problems: [] };
  };
  const at = new World({ derive });
  at.nowMs = 50;
  at.run();
  assert.deepEqual(dues, [true, true]);
  assert.equal(at.kernel.nextTimerAtMs, undefined);
});

Deno.test("hub answers a failed commit as unavailable, applies nothing of it, and goes on", () => {
  const at = new World();
  at.subscribe("a", "all");
  at.looked();
  at.failing = true;
  const lost = at.write(put(draft("a")));
  const next = at.write(put(draft("b")));
  at.disk.shift()!();
  at.failing = false;
  at.flush();
  assert.deepEqual(at.answers.get(lost), { ok: false, reason: "unavailable", error: "disk full" });
  assert.equal(at.answers.get(next)!.ok, true);
  assert.equal(at.store.get(key("a")), undefined);
  assert.deepEqual(at.looked(), ["a news@1 Dataplane/default/b"]);
});

Deno.test("hub decides nothing before it knows what a commit that failed has left on the disk", () => {
  const at = new World();
  at.late = true;
  const lost = at.write(put(draft("a")));
  at.disk.shift()!();
  assert.equal(at.answers.get(lost)!.ok, false);
  const first = at.write(put(draft("a"), 0));
  at.flush();
  const answer = at.answers.get(first)!;
  assert(!answer.ok && answer.reason === "conflict");
  assert.equal(at.store.get(key("a"))?.version, 1);
});

Deno.test("hub lets nobody wait for a disk that cannot tell what it holds", () => {
  const at = new World();
  at.failing = true;
  at.write(put(draft("a")));
  const waits = at.write(put(draft("b")));
  at.flush();
  assert.equal(at.answers.get(waits)!.ok, false);
  at.failing = false;
  const later = at.write(put(draft("c")));
  at.flush();
  assert.equal(at.answers.get(later)!.ok, true);
});

Deno.test("hub does not acknowledge what changes nothing before what it rests on is durable", () => {
  const at = new World();
  at.write(put(draft("busy")));
  at.write(put(draft("a")));
  const same = at.write(put(draft("a")));
  at.disk.shift()!();
  assert.equal(at.answers.has(same), false);
  at.failing = true;
  at.flush();
  assert.equal(at.answers.get(same)!.ok, false);
});

Deno.test("hub makes no commit of a write that changes nothing", () => {
  const at = new World({}, [draft("a", { x: 1 })]);
  const ref = at.write(put(draft("a", { x: 1 })), { op: "delete", key: key("not-there") });
  assert.equal(at.disk.length, 0);
  assert.deepEqual(at.answers.get(ref), { ok: true, revision: 1, changes: [] });
});

Deno.test("hub gives a subscriber everything first, then what changed of its types and mesh", () => {
  const at = new World({}, [MESH, draft("web"), draft("api", {}, "Dataplane", "other")]);
  at.looked();
  at.subscribe("a", ["Mesh", "Dataplane"], "default");
  at.subscribe("b", ["Config"]);
  assert.deepEqual(at.looked(), ["a full@1 Mesh//default Dataplane/default/web", "b full@1"]);
  at.write(put(draft("api", { n: 1 }, "Dataplane", "other")));
  at.flush();
  at.write({ op: "delete", key: key("web") }, put(draft("c", {}, "Config", "")));
  at.flush();
  assert.deepEqual(at.looked(), ["a news@3 -Dataplane/default/web", "b news@3 Config//c"]);
  at.tell({ tag: "unsubscribe", to: "a" });
  at.write(put(draft("again")));
  at.flush();
  assert.deepEqual(at.looked(), []);
});

Deno.test("hub starts an actor for each mesh, and tells it when its mesh is deleted", () => {
  const at = new World({}, [MESH]);
  assert.deepEqual(at.looked(), [
    "receipts starts",
    "meshes/default starts",
    "a starts",
    "b starts",
  ]);
  at.write(put(draft("other", {}, "Mesh", "")));
  at.flush();
  at.write({ op: "delete", key: key("default", "Mesh", "") });
  at.flush();
  assert.deepEqual(at.looked(), ["meshes/other starts", "meshes/default mesh_deleted"]);
});

Deno.test("a hub that begins anew tells of the commit that was under way", () => {
  const at = new World();
  at.write(put(draft("a")));
  at.kernel.send(HUB, { tag: "nonsense" });
  at.run();
  at.subscribe("a", "all");
  assert.deepEqual(at.looked().slice(-1), ["a full@0"]);
  at.flush();
  assert.deepEqual(at.looked(), ["a news@1 Dataplane/default/a"]);
});

Deno.test("mergeChanges() keeps the newest state of a key and the oldest before it", () => {
  const change = (name: string, revision: number, before: string | null): Change => ({
    revision,
    key: key(name),
    resource: { ...draft(name), version: revision, creationTime: "", modificationTime: "" },
    previous: before === null
      ? null
      : { ...draft(before), version: 0, creationTime: "", modificationTime: "" },
  });
  const set = (revision: number, full: boolean, ...changes: Change[]): ResourcesChanged => ({
    tag: "resources_changed",
    revision,
    full,
    changes,
  });
  const merged = mergeChanges(
    set(1, true, change("a", 1, null), change("b", 1, null)),
    set(2, false, change("a", 2, "a"), change("c", 2, null)),
  );
  assert.deepEqual([merged.revision, merged.full], [2, true]);
  assert.deepEqual(
    merged.changes.map(({ key, revision, previous }) => [key.name, revision, previous]),
    [
      ["a", 2, null],
      ["b", 1, null],
      ["c", 2, null],
    ],
  );
  assert.equal(mergeChanges(merged, set(3, true)).changes.length, 0);
});
