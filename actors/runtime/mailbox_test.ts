import assert from "node:assert/strict";
import v8 from "node:v8";
import vm from "node:vm";
import fc from "fast-check";
import type { Message } from "./actor.ts";
import { Mailbox } from "./mailbox.ts";

interface Numbered extends Message {
  readonly tag: "numbered";
  readonly number: number;
}
const numbered = (number: number): Numbered => ({ tag: "numbered", number });
const open = () => new Mailbox<Numbered>({ capacity: 10_000, whenFull: "crash" });

Deno.test("shift() gives messages in the order in which they came, however they alternate", () => {
  fc.assert(fc.property(fc.array(fc.integer({ min: -40, max: 60 })), (runs) => {
    const mailbox = open();
    const plain: number[] = [];
    let next = 0;
    for (const run of runs) {
      for (let count = 0; count < run; count++) {
        plain.push(next);
        mailbox.push(numbered(next++), "test");
      }
      for (let count = 0; count < -run; count++) {
        assert.equal(mailbox.shift()?.msg.number, plain.shift());
      }
      assert.equal(mailbox.depth, plain.length);
    }
  }));
});

Deno.test("a message that was taken is kept by nobody", async () => {
  v8.setFlagsFromString("--expose-gc");
  const collect = vm.runInNewContext("gc") as () => void;
  const mailbox = open();
  const taken = Array.from({ length: 10 }, (_, number) => {
    const message = numbered(number);
    mailbox.push(message, "test");
    return new WeakRef(message);
  });
  mailbox.push(numbered(10), "test");
  for (const _ of taken) mailbox.shift();
  // References are held until the turn is over.
  await new Promise((done) => setTimeout(done, 0));
  collect();
  assert.deepEqual(taken.map((ref) => ref.deref()), taken.map(() => undefined));
  assert.equal(mailbox.shift()?.msg.number, 10);
});
