// A peer that vanishes without a word: the dp-server's pings find it while its lease runs.

import assert from "node:assert/strict";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { TYPES } from "../../xds/snapshot.ts";
import { snapshotOf, TestClient, TestControlPlane } from "./ads_fixture.ts";

const NODE = { id: "default.web", metadata: { "dataplane.proxyType": "dataplane" } };
const LEASE_MS = 2_500;

/** A middle box: once `cut`, nothing passes any more, and nobody is told. */
class Relay {
  readonly #server: Server;
  readonly #sockets: Socket[] = [];
  #said: () => void = () => {};

  constructor(port: number) {
    this.#server = createServer((near) => {
      const far = connect(port, "127.0.0.1");
      near.pipe(far);
      far.pipe(near);
      far.on("data", () => this.#said());
      for (const socket of [near, far]) socket.on("error", () => {});
      this.#sockets.push(near, far);
    });
  }

  async listen(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return (this.#server.address() as AddressInfo).port;
  }

  /** Resolves when the server has said something so many times more. */
  words(count: number): Promise<void> {
    return new Promise((resolve) => {
      let heard = 0;
      this.#said = () => ++heard === count && resolve();
    });
  }

  cut(): void {
    for (const socket of this.#sockets) socket.unpipe().pause();
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** A stream that has its first response, over a relay. */
async function withRelayedStream(
  use: (at: { readonly plane: TestControlPlane; readonly relay: Relay }) => Promise<void>,
): Promise<void> {
  const plane = await TestControlPlane.start(snapshotOf({ cluster: [{ name: "a" }] }), {
    leaseMs: LEASE_MS,
  });
  const relay = new Relay(plane.port);
  const web = new TestClient(await relay.listen(), "sotw");
  web.send({ node: NODE, typeUrl: TYPES.cluster });
  await web.next();
  await use({ plane, relay });
  await relay.close();
  await web.close();
  await plane.server.close(1_000);
}

Deno.test("a stream whose peer vanished ends within the lease, with how long it was silent", async () => {
  await withRelayedStream(async ({ plane, relay }) => {
    // Pings, which are answered: nothing else passes.
    await relay.words(3);
    assert.equal(plane.streams.size, 1);
    relay.cut();
    const cutMs = performance.now();
    await plane.until(() => plane.streams.size === 0, "the end of the stream");
    const foundMs = performance.now() - cutMs;
    const [silentMs] = plane.silences;
    console.log(`found after ${Math.round(foundMs)} ms, silent for ${Math.round(silentMs!)} ms`);
    // A ping was on its way or about to be: what is silent was so since then, not since the last word.
    assert(silentMs! > LEASE_MS / 2 && silentMs! < 2 * LEASE_MS, `silent for ${silentMs} ms`);
  });
});

Deno.test("a server that stood still for longer than a lease reads before it judges", async () => {
  await withRelayedStream(async ({ plane, relay }) => {
    const untilMs = performance.now() + 2 * LEASE_MS;
    while (performance.now() < untilMs);
    await relay.words(2);
    assert.equal(plane.streams.size, 1);
    assert.deepEqual(plane.silences, []);
  });
});
