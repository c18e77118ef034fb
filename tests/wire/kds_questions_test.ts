// Questions about Envoys by the thousand, while edits go to the zone that is asked (RS-11): each has
// streams of its own, and neither ends the other's. Figures are printed, since they are a machine's.

import assert from "node:assert/strict";
import { createKdsClient } from "../../kds/io/client.ts";
import { serveKds } from "../../kds/io/server.ts";
import { type ClientEvent, MESSAGE_BYTES_MAX, type ServerEvent } from "../../kds/wire.ts";

const QUESTIONS = Number(Deno.env.get("URSA_QUESTIONS") ?? 300);
const EDITS = 200;
const AT_ONCE = 64;
const DUMP = new Uint8Array(20_000);
const PROXY = { type: "Dataplane", mesh: "default", name: "web-1" };
const BIG = "too-large";

/** A global and a zone without actors, over real sockets; an edit is answered as soon as it is there. */
async function pair() {
  const dir = await Deno.makeTempDir({ prefix: "ursa-kds-" });
  const streams = new Map<string, string>();
  const closed: string[] = [];
  const waiting = new Map<string, () => void>();
  const ready = Promise.withResolvers<void>();
  const server = await serveKds({
    hostname: "127.0.0.1",
    port: 0,
    tls: null,
    deliver(_path: string, event: ServerEvent) {
      if (event.tag === "stream_opened") {
        streams.set(event.kind, event.stream);
        server.command({ do: "admit", stream: event.stream, to: "zones/east" });
        if (streams.size === 5) ready.resolve();
      } else if (event.tag === "request_received") waiting.get(event.request.nonce)?.();
      else if (event.tag === "stream_closed") closed.push(event.stream);
      return true;
    },
  });
  const client = createKdsClient({
    url: `grpc://127.0.0.1:${server.address.port}`,
    ca: null,
    socketPath: `${dir}/z.sock`,
    version: "0.1.0",
    admin: ({ name }) =>
      Promise.resolve({ ok: true, body: name === BIG ? new Uint8Array(MESSAGE_BYTES_MAX) : DUMP }),
    deliver(event: ClientEvent) {
      if (event.tag !== "response_received") return;
      const { typeUrl, nonce } = event.response;
      const answer = { typeUrl, nonce, nodeId: "east", subscribe: [], initialVersions: {} };
      client.command({ do: "send", connection: "c", request: answer });
    },
  });
  client.command({ do: "connect", connection: "c", zone: "east" });
  await ready.promise;
  let edits = 0;
  return {
    server,
    closed,
    /** Milliseconds until the zone has answered. */
    async edit(): Promise<number> {
      const nonce = String(++edits);
      const atMs = performance.now();
      const answered = new Promise<void>((resolve) => waiting.set(nonce, resolve));
      const bytes = new Uint8Array(1_000);
      const resources = [{ name: "p.default", version: nonce, bytes }];
      const about = { typeUrl: "MeshTimeout", systemVersion: "", controlPlane: "global" };
      server.command({
        do: "send",
        stream: streams.get("global_to_zone")!,
        response: { ...about, nonce, resources, removed: [] },
      });
      await answered;
      return performance.now() - atMs;
    },
    ask: (name: string) =>
      server.ask("east", {
        id: crypto.randomUUID(),
        proxy: { ...PROXY, name },
        question: { kind: "xds", includeEds: true },
      }),
    async close() {
      await client.close();
      await server.close(500);
      await Deno.remove(dir, { recursive: true });
    },
  };
}

async function editsOf(edit: () => Promise<number>): Promise<string> {
  const tookMs: number[] = [];
  for (let n = 0; n < EDITS; n++) tookMs.push(await edit());
  tookMs.sort((a, b) => a - b);
  const of = (share: number) => tookMs[Math.floor(share * (EDITS - 1))]!.toFixed(1);
  return `median ${of(0.5)} ms, p99 ${of(0.99)} ms`;
}

Deno.test("questions about Envoys by the hundred end no stream, and edits go on", async () => {
  const peers = await pair();
  const alone = await editsOf(peers.edit);
  let [asked, bytes] = [0, 0];
  const asking = Promise.all(Array.from({ length: AT_ONCE }, async () => {
    while (asked < QUESTIONS) {
      asked++;
      const answer = await peers.ask("web-1");
      assert(answer.ok);
      bytes += answer.body.length;
    }
  }));
  const beside = await editsOf(peers.edit);
  await asking;
  assert.equal(bytes, asked * DUMP.length);
  console.log(`edits alone: ${alone}; beside ${asked} questions: ${beside}`);
  const refused = await peers.ask(BIG);
  assert(!refused.ok);
  assert.match(refused.detail, /\d+ bytes/);
  await peers.edit();
  assert.deepEqual(peers.closed, []);
  await peers.close();
});
