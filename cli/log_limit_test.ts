import assert from "node:assert/strict";
import { logLimit } from "./log_limit.ts";

Deno.test("logLimit() lets the same line pass once a minute, and says how often it came", () => {
  let now = 0;
  const limit = logLimit(() => now);
  const refused = (peer: string) => limit("warn", "refused", { peer, reason: "no" });
  assert.deepEqual(refused("10.0.0.1:4000"), { peer: "10.0.0.1:4000", reason: "no" });
  for (let port = 4001; port < 4100; port++) assert.equal(refused(`10.0.0.1:${port}`), null);
  assert.notEqual(refused("10.0.0.2:4000"), null);
  assert.notEqual(limit("warn", "refused", { peer: "10.0.0.1:4000", reason: "another" }), null);
  assert.notEqual(limit("error", "something else", {}), null);
  now = 60_000;
  assert.deepEqual(refused("10.0.0.1:5000"), {
    peer: "10.0.0.1:5000",
    reason: "no",
    repeated: 99,
  });
  assert.deepEqual(refused("10.0.0.2:5000"), { peer: "10.0.0.2:5000", reason: "no" });
});

Deno.test("logLimit() says of each line how often it came, once", () => {
  let now = 0;
  const limit = logLimit(() => now);
  const both = () => ["east", "west"].map((zone) => limit("warn", "refused", { zone }));
  for (let n = 0; n < 10; n++) both();
  now = 60_000;
  assert.deepEqual(both(), [{ zone: "east", repeated: 9 }, { zone: "west", repeated: 9 }]);
  now = 120_000;
  assert.deepEqual(both(), [{ zone: "east" }, { zone: "west" }]);
});

Deno.test("logLimit() lets so many lines of one message pass, whatever they say", () => {
  let now = 0;
  const limit = logLimit(() => now);
  const passed = Array.from({ length: 1_000 }, (_, n) => limit("warn", "failed", { n }))
    .filter((fields) => fields !== null);
  assert.equal(passed.length, 30);
  now = 61_000;
  assert.deepEqual(limit("warn", "failed", { n: 0 }), { n: 0, dropped: 970 });
  now = 1_000;
  assert.deepEqual(limit("warn", "failed", { n: 0 }), { n: 0 }, "a clock that was set back");
});

Deno.test("logLimit() leaves alone what is no trouble", () => {
  const limit = logLimit(() => 0);
  for (let n = 0; n < 100; n++) assert.notEqual(limit("info", "stream opened", {}), null);
});
