import assert from "node:assert/strict";
import { claim, recall, remember, unowned } from "./fencing.ts";

/** What becomes of streams that come in turn, each half a second after the one before. */
function play(instances: readonly string[], live = true): readonly string[] {
  let owner = unowned;
  return instances.map((instance, n) => {
    const claimed = claim(owner, { instance, live: live && n > 0, nowMs: n * 500 });
    if (!claimed.ok) return "refused";
    owner = claimed.ownership;
    return claimed.alarmed ? "alarm" : "taken";
  });
}

Deno.test("claim(): the newest run has the name, and none that it replaced comes back", () => {
  assert.deepEqual(play(["a", "a", "a"]), ["taken", "taken", "taken"]);
  assert.deepEqual(play(["a", "b", "a", "b"]), ["taken", "taken", "refused", "taken"]);
  assert.deepEqual(play(["a", "b", "c", "b", "a"]).slice(3), ["refused", "refused"]);
  assert.deepEqual(play(["a", "b", "a"], false), ["taken", "taken", "refused"]);
});

Deno.test("claim(): without ids, three takeovers in 10 s raise one alarm", () => {
  assert.deepEqual(play(["", "", "", "", ""]), ["taken", "taken", "taken", "alarm", "taken"]);
  assert.deepEqual(play(["", "", "", "", ""], false), Array(5).fill("taken"));
});

Deno.test("claim(): a run with an id and one without do not alternate", () => {
  assert.deepEqual(play(["a", "", "a", "", "a"]), [
    "taken",
    "taken",
    "refused",
    "taken",
    "refused",
  ]);
});

Deno.test("recall() knows from the labels of a registration who was replaced before a restart", () => {
  const runs = Array.from({ length: 9 }, () => crypto.randomUUID());
  let owner = unowned;
  for (const instance of [...runs, "not hexadecimal"]) {
    const claimed = claim(owner, { instance, live: true, nowMs: 0 });
    if (claimed.ok) owner = claimed.ownership;
  }
  const labels = remember({ other: "kept" }, owner);
  const { other, ["ursa.io/superseded"]: written = "" } = labels;
  assert.equal(other, "kept");
  assert.ok(written.length <= 63, written);
  const after = recall(unowned, labels);
  assert.equal(claim(after, { instance: runs[7]!, live: false, nowMs: 0 }).ok, false);
  assert.equal(claim(after, { instance: crypto.randomUUID(), live: false, nowMs: 0 }).ok, true);
  assert.deepEqual(remember({}, after), { "ursa.io/superseded": written });
  assert.deepEqual(recall(unowned, {}), unowned);
});
