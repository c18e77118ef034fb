import assert from "node:assert/strict";
import { KINDS } from "../core/kinds.ts";
import type { Resource } from "../core/resource.ts";
import type { Op } from "../store/store.ts";
import { applyChanges, emptyImage, type Image } from "./image.ts";
import { encodeDownward } from "./offers.ts";
import {
  concerned,
  enterVerdicts,
  passingItems,
  passingTypes,
  type Quarantine,
  type Refused,
  renderQuarantine,
} from "./quarantine.ts";
import {
  attemptNow,
  type Intaken,
  onWritten,
  openReceiver,
  takeRefused,
  takeResponse,
  type Written,
  zoneRules,
} from "./receiver.ts";
import type { KdsItem, KdsResponse } from "./wire.ts";

const item = (name: string): KdsItem => ({ name, version: "1", bytes: new Uint8Array() });
const refused = (name: string, reason = "no", passing = true): [string, Refused] => [
  name,
  { item: item(name), reason, passing },
];

Deno.test("enterVerdicts() tells what is new, and what is out again", () => {
  const quarantine: Quarantine = new Map();
  const enter = (about: readonly string[], entries: [string, Refused][], whole?: string[]) =>
    enterVerdicts(quarantine, "Secret", {
      about,
      refused: new Map(entries),
      whole: whole ? new Set(whole) : null,
    });
  assert.deepEqual(enter(["a", "b"], [refused("a"), refused("b")]), {
    refused: ["a: no", "b: no"],
    out: [],
  });
  assert.deepEqual(enter(["a"], [refused("a")]), { refused: [], out: [] });
  assert.deepEqual(enter(["a", "c"], [refused("a", "still")]), { refused: ["a: still"], out: [] });
  assert.deepEqual(enter(["b"], []), { refused: [], out: ["b"] });
  assert.deepEqual(enter(["c"], [refused("c")], ["c"]), { refused: ["c: no"], out: [] });
  assert.deepEqual([...quarantine.get("Secret")!.keys()], ["c"], "a is not there any more");
  enter(["c"], []);
  assert.equal(quarantine.size, 0);
});

Deno.test("concerned() names types when the thing itself, or its mesh, changed", () => {
  const quarantine: Quarantine = new Map([
    ["Secret", new Map([refused("s.default")])],
    ["MeshTimeout", new Map([refused("t.other", "unreadable", false)])],
  ]);
  const key = (type: string, mesh: string, name: string) => ({ type, mesh, name });
  assert.deepEqual(passingTypes(quarantine), ["Secret"]);
  assert.deepEqual(concerned(quarantine, [key("Secret", "default", "s")]), ["Secret"]);
  assert.deepEqual(concerned(quarantine, [key("Mesh", "", "default")]), ["Secret"]);
  assert.deepEqual(concerned(quarantine, [key("Secret", "default", "other")]), []);
  assert.deepEqual(concerned(quarantine, [key("MeshTimeout", "other", "t")]), []);
});

Deno.test("quarantine: what is kept, tried and shown of a type has bounds", () => {
  const quarantine: Quarantine = new Map();
  const many = Array.from(
    { length: 2_000 },
    (_, i) => refused(`n-${i}.default`, "x".repeat(9_999)),
  );
  enterVerdicts(quarantine, "Secret", { about: [], refused: new Map(many), whole: null });
  assert.equal(quarantine.get("Secret")!.size, 1_000);
  assert.equal(passingItems(quarantine, "Secret").length, 64);
  assert.ok(JSON.stringify(renderQuarantine(quarantine)).length < 10_000);
});

// With a receiver

const secret = KINDS.find(({ name }) => name === "Secret")!;

function resource(name: string, labels: Resource["labels"] = {}): Resource {
  const times = { creationTime: "", modificationTime: "" };
  const spec = { data: btoa(name) };
  return { type: "Secret", mesh: "default", name, labels, spec, version: 1, ...times };
}

function sent(...names: readonly string[]): KdsItem[] {
  return names.map((name) => {
    const encoded = encodeDownward(resource(name), { descriptor: secret, hashNames: true });
    assert(encoded.ok);
    return encoded.item;
  });
}

function response(
  nonce: string,
  resources: readonly KdsItem[],
  removed: string[] = [],
): KdsResponse {
  return { typeUrl: "Secret", nonce, systemVersion: "c:1", controlPlane: "", resources, removed };
}

class Zone {
  readonly image: Image = emptyImage([secret]);
  readonly receiver = openReceiver("s", { rules: zoneRules([secret]), nodeId: "east" });
  readonly stored: string[] = [];
  refusing = "";
  #revision = 1;

  commit(ops: readonly Op[]): Written {
    const names = ops.map((op) => op.op === "put" ? op.resource.name : op.key.name);
    if (names.includes(this.refusing)) {
      const violations = [{ path: "", message: "the store refuses it" }];
      return { ok: false, reason: "invalid", violations };
    }
    const revision = ++this.#revision;
    this.stored.push(...names);
    return {
      ok: true,
      changes: ops.map((op) => ({
        revision,
        key: op.op === "put" ? op.resource : op.key,
        resource: op.op === "put" ? { ...resource(""), ...op.resource, version: revision } : null,
        previous: null,
      })),
    };
  }

  /** All that follows, and the last word on it. */
  run(first: Intaken): Intaken {
    let last = first;
    for (const { ref, ops } of first.writes) {
      const next = onWritten(this.receiver, ref, { result: this.commit(ops), image: this.image });
      last = next.writes.length > 0 ? this.run(next) : next;
    }
    return last;
  }

  take(one: KdsResponse): Intaken {
    return this.run(takeResponse(this.receiver, one, { image: this.image, hold: null }));
  }

  attempt(): readonly Intaken[] {
    return takeRefused(this.receiver, this.image).map((one) => this.run(one));
  }
}

Deno.test("receiver: one that is refused is in quarantine, alone, and taken when it can be", () => {
  const zone = new Zone();
  zone.refusing = "bad";
  const { answer, rejected, attemptAfterMs } = zone.take(response("1", sent("a", "bad", "c")));
  assert.deepEqual(zone.stored, ["a", "c"]);
  assert.equal(answer?.error, "bad.default: the store refuses it");
  assert.deepEqual(rejected, ["bad.default: the store refuses it"]);
  assert.equal(attemptAfterMs, 1_000);

  assert.equal(attemptNow(zone.receiver), 2_000, "later and later");
  const [still] = zone.attempt();
  assert.deepEqual(
    [still?.rejected, still?.answer],
    [[], null],
    "no news, and no answer to anybody",
  );
  assert.equal(attemptNow(zone.receiver), 4_000);

  zone.refusing = "";
  const [done] = zone.attempt();
  assert.deepEqual(done?.out, ["bad.default"]);
  assert.deepEqual(zone.stored, ["a", "c", "bad"]);
  assert.equal(attemptNow(zone.receiver), null);
});

Deno.test("receiver: what is somebody else's is taken when it has gone", () => {
  const zone = new Zone();
  const own = resource("s", { "kuma.io/origin": "zone" });
  applyChanges(zone.image, [{ revision: 1, key: own, resource: own, previous: null }]);
  zone.take(response("1", sent("s")));
  assert.deepEqual(zone.stored, []);
  applyChanges(zone.image, [{ revision: 9, key: own, resource: null, previous: own }]);
  assert.deepEqual(concerned(zone.receiver.quarantine, [own]), ["Secret"]);
  zone.attempt();
  assert.deepEqual(zone.stored, ["s"]);
});

Deno.test("receiver: a removal that comes during an attempt is not overtaken by it", () => {
  const zone = new Zone();
  zone.refusing = "bad";
  zone.take(response("1", sent("bad")));
  zone.refusing = "";
  const [attempt] = takeRefused(zone.receiver, zone.image);
  const early = takeResponse(zone.receiver, response("2", [], ["bad.default"]), {
    image: zone.image,
    hold: null,
  });
  assert.deepEqual([early.writes, early.answer], [[], null], "it waits");
  const { answer } = zone.run(attempt!);
  assert.equal(answer?.nonce, "2");
  assert.deepEqual(zone.image.get("Secret")?.size, 0);
  assert.equal(zone.receiver.quarantine.size, 0);
});
