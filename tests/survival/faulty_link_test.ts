import assert from "node:assert/strict";
import { until } from "../../cli/demo/until.ts";
import { BOTH, FaultyLink } from "./faulty_link.ts";

interface Ends {
  readonly link: FaultyLink;
  dial(): Promise<End>;
  /** The other ends, in the order in which they came. */
  readonly served: readonly End[];
}

/** One end of a connection, and what has come to it. */
class End {
  text = "";
  /** How it ended; empty while it is open. */
  ended = "";
  readonly #conn: Deno.TcpConn;

  constructor(conn: Deno.TcpConn) {
    this.#conn = conn;
    void this.#read();
  }

  async send(text: string): Promise<void> {
    await this.#conn.write(new TextEncoder().encode(text));
  }

  close(): void {
    try {
      this.#conn.close();
    } catch {
      // Closed by its other side.
    }
  }

  async #read(): Promise<void> {
    try {
      for await (const chunk of this.#conn.readable) this.text += new TextDecoder().decode(chunk);
      this.ended = "closed";
    } catch (error) {
      this.ended = (error as Error).name;
    }
  }
}

async function withLink(run: (ends: Ends) => Promise<void>): Promise<void> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const served: End[] = [];
  const dialled: End[] = [];
  const accepting = (async () => {
    for await (const conn of listener) served.push(new End(conn));
  })();
  const link = await FaultyLink.start(() => `tcp://127.0.0.1:${listener.addr.port}`);
  const [hostname = "", port] = link.address.split(":");
  try {
    await run({
      link,
      served,
      async dial() {
        const end = new End(await Deno.connect({ hostname, port: Number(port) }));
        dialled.push(end);
        return end;
      },
    });
  } finally {
    await link.stop();
    for (const end of [...dialled, ...served]) end.close();
    listener.close();
    await accepting;
  }
}

const got = (end: () => End | undefined, text: string) =>
  until(text, () => end()?.text === text || `it has ${JSON.stringify(end()?.text)}`);

Deno.test("FaultyLink: what is held in one direction arrives in order when that is healed", async () => {
  await withLink(async ({ link, dial, served }) => {
    const near = await dial();
    await near.send("a");
    await got(() => served[0], "a");
    link.hold(["up"]);
    await near.send("b");
    await near.send("c");
    await served[0]!.send("1");
    await got(() => near, "1");
    assert.equal(served[0]!.text, "a");
    link.heal();
    await got(() => served[0], "abc");
    assert.deepEqual([link.bytes("up"), link.bytes("down")], [3, 1]);
  });
});

Deno.test("FaultyLink: a connection that comes while packets vanish is answered after that", async () => {
  await withLink(async ({ link, dial, served }) => {
    link.hold(BOTH);
    const near = await dial();
    await near.send("a");
    assert.equal(served.length, 0);
    link.heal();
    await got(() => served[0], "a");
  });
});

Deno.test("FaultyLink: a cut resets both sides, and who comes after it", async () => {
  await withLink(async ({ link, dial, served }) => {
    const near = await dial();
    await near.send("a");
    await got(() => served[0], "a");
    link.cut();
    await until("two resets", () => {
      const ended = [near.ended, served[0]!.ended];
      return ended.every((how) => how === "ConnectionReset") || ended.join();
    });
    // Before it knows that it is connected, or after.
    const how = await dial().then(
      (next) => until("end", () => next.ended !== "" || "open").then(() => next.ended),
      (error) => error.name,
    );
    assert.equal(how, "ConnectionReset");
  });
});

Deno.test("FaultyLink: a server that is left half open hears nothing, and new connections pass", async () => {
  await withLink(async ({ link, dial, served }) => {
    const near = await dial();
    await near.send("a");
    await got(() => served[0], "a");
    assert.equal(link.halfOpen(), 1);
    await until("reset", () => near.ended === "ConnectionReset" || "open");
    const next = await dial();
    await next.send("b");
    await got(() => served[1], "b");
    await served[0]!.send("x".repeat(100_000));
    assert.deepEqual([served[0]!.ended, next.text], ["", ""]);
    assert.equal(link.connections, 2);
  });
});

Deno.test("FaultyLink: delay and rate", async () => {
  await withLink(async ({ link, dial, served }) => {
    const near = await dial();
    await near.send("a");
    await got(() => served[0], "a");
    link.slow({ delayMs: 300 }, ["up"]);
    let sentAtMs = performance.now();
    await near.send("b");
    await got(() => served[0], "ab");
    assert.ok(performance.now() - sentAtMs >= 290);
    link.slow({ bytesPerSecond: 100_000 }, ["up"]);
    sentAtMs = performance.now();
    await near.send("c".repeat(50_000));
    await until("50 000 bytes", () => served[0]!.text.length === 50_002 || "less");
    await near.send("d");
    await until("the next", () => served[0]!.text.length === 50_003 || "less");
    assert.ok(performance.now() - sentAtMs >= 490);
  });
});
