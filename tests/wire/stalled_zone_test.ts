// A zone that stops reading its socket, as a process that stands still: its connection does not stay
// with everything that was sent to it (SZ-4).

import assert from "node:assert/strict";
import { Client, credentials, Metadata } from "@grpc/grpc-js";
import { Buffer } from "node:buffer";
import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import { serveKds } from "../../kds/io/server.ts";
import type { ServerEvent } from "../../kds/wire.ts";

const SYNC = "/kuma.mesh.v1alpha1.KDSSyncService/GlobalToZoneSync";
/** More than sockets and windows hold together. */
const MESSAGES = 24;
const STALL_MS = 400;

/** Passes everything, until the server has said so much; then nothing that it says is read. */
async function deafBehind(port: number, bytes: number) {
  const gone = Promise.withResolvers<void>();
  const proxy = createServer((near) => {
    const far = connect(port, "127.0.0.1");
    let heard = 0;
    near.pipe(far);
    far.on("data", (chunk: Uint8Array) => {
      near.write(chunk);
      heard += chunk.length;
      if (heard > bytes) far.pause();
    });
    near.on("error", () => {});
    far.on("error", () => {});
    far.on("close", () => near.destroy());
    gone.promise.then(() => far.resume());
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  return {
    port: (proxy.address() as AddressInfo).port,
    close: () => {
      gone.resolve();
      proxy.close();
    },
  };
}

Deno.test("a zone that reads nothing of what it is sent is closed, and gone for its actor", async () => {
  const closed = Promise.withResolvers<void>();
  const server = await serveKds({
    hostname: "127.0.0.1",
    port: 0,
    tls: null,
    stallMsMax: STALL_MS,
    deliver(path: string, event: ServerEvent) {
      if (event.tag === "stream_closed" && path === "zones/east") closed.resolve();
      if (event.tag !== "stream_opened") return true;
      const { stream } = event;
      server.command({ do: "admit", stream, to: "zones/east" });
      for (let n = 0; n < MESSAGES; n++) {
        const item = { name: "big.", version: "1", bytes: new Uint8Array(1_000_000) };
        server.command({
          do: "send",
          stream,
          response: {
            typeUrl: "Mesh",
            nonce: String(n),
            systemVersion: "",
            controlPlane: "global",
            resources: [item],
            removed: [],
          },
        });
      }
      return true;
    },
  });
  const proxy = await deafBehind(server.address.port, 100_000);
  const client = new Client(`127.0.0.1:${proxy.port}`, credentials.createInsecure());
  const metadata = new Metadata();
  metadata.set("client-id", "east");
  const asIs = (bytes: Buffer) => bytes;
  const call = client.makeBidiStreamRequest(SYNC, asIs, asIs, metadata);
  call.on("data", () => {});
  call.on("error", () => {});
  await closed.promise;
  assert((server.counters()["stalled"] ?? 0) > 0);
  assert.equal(server.counters()["streams_open"], 0);
  proxy.close();
  client.close();
  await server.close(500);
});
