import assert from "node:assert/strict";
import { type Actor, command, type Context, type Message, send, timer } from "./actor.ts";
import { Kernel, type Port } from "./kernel.ts";
import { many, one, type Tree } from "./tree.ts";

/** An actor that writes down what it gets, and does what the message says. */
interface Note extends Message {
  readonly text?: string;
  readonly effects?: readonly ReturnType<typeof send>[];
}

function recorder(seen: string[]): Actor<number, Note, string> {
  return {
    mailbox: { capacity: 4, whenFull: "refuse" },
    init: (name, at) => (seen.push(`${at.self} init ${name}`), [0, []]),
    receive(state, msg, at) {
      if (msg.tag === "boom") throw new Error("boom");
      seen.push(`${at.self} ${msg.tag}${msg.text ? ` ${msg.text}` : ""}`);
      return [state + 1, msg.effects ?? []];
    },
    describe: (turns) => ({ turns }),
  };
}

interface World {
  readonly kernel: Kernel;
  readonly seen: string[];
  readonly fatal: string[];
  readonly logged: string[];
  nowMs: number;
  /** How far the clock was set back or forward. */
  setMs: number;
  run(): void;
}

function world(tree: (seen: string[]) => Tree, ports: Record<string, Port> = {}): World {
  const seen: string[] = [];
  const at: World = {
    seen,
    fatal: [],
    logged: [],
    nowMs: 0,
    setMs: 0,
    run() {
      for (let turns = 0; this.kernel.step(); turns++) assert(turns < 10_000, "it never rests");
    },
    kernel: new Kernel({
      seed: 1,
      tree: tree(seen),
      ports,
      now: () => at.nowMs + at.setMs,
      elapsed: () => at.nowMs,
      log: (_level, message) => at.logged.push(message),
      count: () => {},
      wake: () => {},
      replied: (ref, value) => seen.push(`replied ${ref} ${value}`),
      fatal: (reason) => at.fatal.push(reason.split("\n")[0]!),
    }),
  };
  at.kernel.start();
  return at;
}

Deno.test("step() delivers breadth-first: a send never runs the receiver inside the turn", () => {
  const at = world((seen) => [one("a", recorder(seen), ""), one("b", recorder(seen), "")]);
  at.kernel.send("a", {
    tag: "first",
    effects: [send("b", { tag: "from_a" }), send("a", { tag: "again" })],
  } as Note);
  at.kernel.send("a", { tag: "second" });
  at.run();
  assert.deepEqual(at.seen.slice(2), ["a first", "b from_a", "a second", "a again"]);
});

Deno.test("send() refuses what a full mailbox does not take", () => {
  const at = world((seen) => [one("a", recorder(seen), "")]);
  const taken = [1, 2, 3, 4, 5].map(() => at.kernel.send("a", { tag: "more" }));
  assert.deepEqual(taken, [true, true, true, true, false]);
});

Deno.test("a coalesced message keeps its place and the newest content", () => {
  const coalescing = (seen: string[]): Actor<number, Note, string> => ({
    ...recorder(seen),
    mailbox: {
      capacity: 9,
      whenFull: "crash",
      coalesce: (msg) => msg.tag === "state" ? "state" : null,
    },
  });
  const at = world((seen) => [one("a", coalescing(seen), "")]);
  at.kernel.send("a", { tag: "state", text: "old" } as Note);
  at.kernel.send("a", { tag: "other" });
  at.kernel.send("a", { tag: "state", text: "new" } as Note);
  at.run();
  assert.deepEqual(at.seen.slice(1), ["a state new", "a other"]);
});

Deno.test("a turn that throws has no effect, and everything after it in the tree begins anew", () => {
  const at = world((seen) => [
    one("a", recorder(seen), "1"),
    one("b", recorder(seen), "2"),
    many("group", recorder(seen)),
    one("c", recorder(seen), "3"),
  ]);
  at.kernel.send(
    "b",
    { tag: "go", effects: [{ do: "spawn", group: "group", id: "x", args: "4" }] } as never,
  );
  at.run();
  at.kernel.send("b", { tag: "boom" });
  at.run();
  assert.deepEqual(at.seen.slice(3), ["b go", "group/x init 4", "b init 2", "c init 3"]);
  assert.deepEqual(at.kernel.actors().map(({ path, restarts }) => `${path} ${restarts}`), [
    "a 0",
    "b 1",
    "c 1",
  ]);
});

Deno.test("a member of a group restarts alone, and rests after too many crashes", () => {
  const at = world((seen) => [
    one("a", recorder(seen), ""),
    many("group", recorder(seen), { intensity: { crashes: 1, withinMs: 1000 }, reportTo: "a" }),
  ]);
  at.kernel.send(
    "a",
    { tag: "go", effects: [{ do: "spawn", group: "group", id: "x", args: "" }] } as never,
  );
  at.run();
  at.kernel.send("group/x", { tag: "boom" });
  at.run();
  at.kernel.send("group/x", { tag: "boom" });
  at.run();
  assert.equal(at.kernel.send("group/x", { tag: "hello" }), false);
  assert.deepEqual(at.seen.slice(3), ["group/x init ", "a child_restarted", "a child_parked"]);
  assert.deepEqual(at.fatal, []);
});

Deno.test("a parked member begins anew when it is asked for after a while, not before", () => {
  const at = world((seen) => [
    one("a", recorder(seen), ""),
    many("group", recorder(seen), { intensity: { crashes: 0, withinMs: 1000 } }),
  ]);
  const spawn = () => {
    const effects = [{ do: "spawn", group: "group", id: "x", args: "" }];
    at.kernel.send("a", { tag: "spawn", effects } as never);
    at.run();
  };
  spawn();
  at.kernel.send("group/x", { tag: "boom" });
  at.run();
  at.nowMs = 999;
  spawn();
  assert.equal(at.kernel.send("group/x", { tag: "hello" }), false);
  at.nowMs = 1000;
  spawn();
  assert.equal(at.kernel.send("group/x", { tag: "hello" }), true);
});

Deno.test("a port that throws fails its command and nothing else", () => {
  const at = world((seen) => [one("a", recorder(seen), "")], {
    broken: () => {
      throw new Error("no such stream");
    },
  });
  const effects = [
    command("broken", {}, { then: "told" }),
    command("broken", {}),
    send("a", { tag: "after" }),
  ];
  at.kernel.send("a", { tag: "ask", effects } as never);
  at.run();
  assert.deepEqual(at.seen, ["a init ", "a ask", "a told", "a after"]);
  assert.deepEqual(at.logged, ["port failed", "port failed"]);
});

Deno.test("a permanent member that keeps crashing is fatal", () => {
  const at = world((seen) => [one("a", recorder(seen), "", { crashes: 1, withinMs: 1000 })]);
  at.kernel.send("a", { tag: "boom" });
  at.run();
  at.kernel.send("a", { tag: "boom" });
  at.run();
  assert.deepEqual(at.fatal, ["a crashed 2 times: Error: boom"]);
});

Deno.test("a timer fires when due, the newest of a name alone, and none of a former incarnation", () => {
  const at = world((seen) => [one("a", recorder(seen), "")]);
  const set = (afterMs: number, text: string) =>
    at.kernel.send(
      "a",
      { tag: "set", effects: [timer("t", afterMs, { tag: "due", text } as Note)] } as never,
    );
  set(100, "replaced");
  set(200, "kept");
  at.run();
  at.nowMs = 150;
  at.run();
  at.nowMs = 200;
  at.run();
  assert.deepEqual(at.seen.slice(1), ["a set", "a set", "a due kept"]);
  set(10, "dies");
  at.run();
  at.kernel.send("a", { tag: "boom" });
  at.run();
  at.nowMs = 1000;
  at.run();
  assert.equal(at.seen.at(-1), "a init ");
  assert.equal(at.kernel.nextTimerAtMs, undefined);
});

Deno.test("a delay is as long as it is, whatever happens to the clock", () => {
  const at = world((seen) => [one("a", recorder(seen), "")]);
  for (const setMs of [-600_000, 600_000]) {
    const from = at.nowMs;
    const set: Note = { tag: "set", effects: [timer("t", 100, { tag: "t_due" }) as never] };
    at.kernel.send("a", set);
    at.run();
    at.setMs = setMs;
    at.seen.splice(0);
    assert.equal(at.kernel.nextTimerAtMs, from + 100);
    at.nowMs = from + 99;
    at.run();
    assert.deepEqual(at.seen, []);
    at.nowMs = from + 100;
    at.run();
    assert.deepEqual(at.seen, ["a t_due"]);
  }
});

Deno.test("an edge's answer reaches the incarnation that asked, and no later one", () => {
  const answers: (() => void)[] = [];
  const port: Port = (_command, _from, answer) =>
    answers.push(() => answer({ ok: true, value: 1 }));
  const at = world((seen) => [one("a", recorder(seen), "")], { disk: port });
  const ask = () =>
    at.kernel.send(
      "a",
      { tag: "ask", effects: [command("disk", {}, { then: "answered" })] } as never,
    );
  ask();
  at.run();
  answers.shift()!();
  at.run();
  assert.equal(at.seen.at(-1), "a answered");
  ask();
  at.run();
  at.kernel.send("a", { tag: "boom" });
  at.run();
  answers.shift()!();
  at.run();
  assert.equal(at.seen.at(-1), "a init ");
});

Deno.test("randomness is the same for the same seed, path and incarnation", () => {
  const draws = (): readonly number[] => {
    const drawn: number[] = [];
    const actor: Actor<null, Message, null> = {
      mailbox: { capacity: 1, whenFull: "crash" },
      init: (_args, at: Context) => (drawn.push(at.random(), at.random()), [null, []]),
      receive: (state) => [state, []],
    };
    world(() => [one("a", actor, null), one("b", actor, null)]);
    return drawn;
  };
  assert.deepEqual(draws(), draws());
  assert.equal(new Set(draws()).size, 4);
});
