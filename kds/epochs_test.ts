import assert from "node:assert/strict";
import type { Resource } from "../core/resource.ts";
import {
  beginEpoch,
  type Epoch,
  epochsText,
  parseEpochs,
  readEpochs,
  remembers,
} from "./epochs.ts";

const A: Epoch = { id: "global-a", from: 0 };
const B: Epoch = { id: "global-b", from: 40 };
const C: Epoch = { id: "global-c", from: 30 };
const LATE: Epoch = { id: "global-z", from: 500 };

const CASES = [
  { says: "goes on in its run", epochs: [A, B], now: 95, seen: [B, 90], is: true },
  { says: "went back in its run", epochs: [A, B], now: 80, seen: [B, 90], is: false },
  { says: "has been restarted", epochs: [A, B, LATE], now: 501, seen: [B, 90], is: true },
  { says: "has been restarted twice", epochs: [A, B, LATE], now: 501, seen: [A, 40], is: true },
  { says: "was restored, and is behind", epochs: [A, C], now: 50, seen: [B, 90], is: false },
  { says: "was restored, and wrote past us", epochs: [A, C], now: 120, seen: [B, 90], is: false },
  { says: "was restored to our run", epochs: [A, C], now: 120, seen: [A, 35], is: false },
  { says: "was restored to what we know", epochs: [A, C], now: 120, seen: [A, 30], is: true },
  { says: "has had too many runs since", epochs: [LATE], now: 501, seen: [B, 90], is: true },
  { says: "has other runs since", epochs: [LATE], now: 600, seen: [B, 510], is: false },
] as const;

for (const { says, epochs, now, seen: [{ id: epoch }, revision], is } of CASES) {
  Deno.test(`remembers() is ${is} of a global that ${says}`, () => {
    assert.equal(remembers(epochs, now, { epoch, revision }), is);
  });
}

Deno.test("remembers() goes by the number where a run is not told", () => {
  assert(remembers([], 90, { epoch: "global-a", revision: 90 }));
  assert(!remembers([], 89, { epoch: "global-a", revision: 90 }));
  assert(remembers([LATE], 600, { epoch: "", revision: 590 }));
  assert(!remembers([LATE], 580, { epoch: "", revision: 590 }));
});

Deno.test("beginEpoch() keeps the last sixteen, as readEpochs() reads them", () => {
  let known: readonly Epoch[] = [];
  for (let n = 0; n < 20; n++) {
    known = readEpochs(beginEpoch(known, { id: `g-${n}`, from: n }) as Resource);
  }
  assert.equal(known.length, 16);
  assert.deepEqual(known.at(-1), { id: "g-19", from: 19 });
});

Deno.test("readEpochs() takes a note that it cannot read for none", () => {
  for (const config of ["{", "[1]", '{"id":"a"}', '[{"id":"a"}]']) {
    assert.deepEqual(readEpochs({ spec: { config } } as unknown as Resource), [], config);
  }
});

Deno.test("parseEpochs() reads what epochsText() writes, and leaves out the rest", () => {
  assert.equal(epochsText([A, B]), "global-a@0,global-b@40");
  assert.deepEqual(parseEpochs(epochsText([A, B])), [A, B]);
  assert.deepEqual(parseEpochs("a,@1,b@x,c@7"), [{ id: "c", from: 7 }]);
});
