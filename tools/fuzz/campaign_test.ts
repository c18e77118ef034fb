import assert from "node:assert/strict";
import { Campaign, minimise } from "./campaign.ts";
import { type Fuzzer, utf8 } from "./fuzzer.ts";
import { FUZZERS } from "./fuzzers.ts";

const INPUTS = 200;

/** Refuses what has an `x` before a `y`; says how many letters there are. */
const TOY: Fuzzer = {
  about: "letters",
  corpus: [utf8("aaaa"), utf8("axbcd")],
  words: [utf8("y")],
  mutations: [],
  bytesMax: 16,
  check(input) {
    const text = new TextDecoder().decode(input);
    if (/x.*y/s.test(text)) throw new Error(`x stands before y in "${text}"`);
    return `${text.length} letters`;
  },
};

function firstFailure(seed: number): string {
  const campaign = new Campaign(TOY, seed);
  for (;;) {
    const failure = campaign.check(campaign.next());
    if (failure) return `${campaign.inputs} ${failure.input.toBase64()}`;
  }
}

Deno.test("a campaign finds the same input in the same place from the same seed", () => {
  assert.equal(firstFailure(7), firstFailure(7));
  assert.notEqual(firstFailure(7), firstFailure(8));
});

Deno.test("a campaign begins with the corpus, and keeps within the fuzzer's length", () => {
  const campaign = new Campaign(TOY, 1);
  assert.deepEqual([campaign.next(), campaign.next()], TOY.corpus);
  for (let count = 0; count < 1_000; count++) assert(campaign.next().length <= TOY.bytesMax);
});

Deno.test("minimise() leaves what it takes to fail in the same way", () => {
  const { input, error } = minimise(TOY, {
    input: utf8("abcx123yz"),
    error: `Error: x stands before y in "abc"`,
  });
  assert.equal(new TextDecoder().decode(input), "xy");
  assert.match(error, /^Error: x stands before y/);
});

for (const [name, load] of FUZZERS) {
  Deno.test(`fuzzer ${name}: its examples, and what is made of them, keep its properties`, async () => {
    const campaign = new Campaign(await load(), 1);
    const { length } = (await load()).corpus;
    while (campaign.inputs < length + INPUTS) {
      const failure = campaign.check(campaign.next());
      assert.equal(failure, null, `${failure?.error} ${failure?.input.toBase64()}`);
    }
    assert(campaign.outcomes.size > 5, "they do not go deep");
  });
}
