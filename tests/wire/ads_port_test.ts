// Who reaches what on the dp-server's port: ALPN, and peers that speak something else.

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { request as httpsRequest } from "node:https";
import { connect as connectTcp } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { FrameGuard } from "../../h2/guard.ts";
import { CERTIFICATE, snapshotOf, TestControlPlane, within } from "./ads_fixture.ts";

const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

async function withPlane(test: (plane: TestControlPlane) => Promise<void>): Promise<void> {
  const plane = await TestControlPlane.start(snapshotOf({}));
  try {
    await test(plane);
  } finally {
    await plane.server.close(1000);
  }
}

async function tls(port: number, protocols: string[]): Promise<TLSSocket> {
  const socket = connectTls({
    port,
    host: "127.0.0.1",
    servername: "localhost",
    ca: CERTIFICATE.cert,
    ALPNProtocols: protocols,
  });
  socket.on("error", () => {});
  await within(20_000, "the handshake", once(socket, "secureConnect"));
  return socket;
}

async function untilClosed(socket: NodeJS.ReadableStream): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  socket.on("data", (chunk: Uint8Array) => chunks.push(chunk));
  socket.on("error", () => {});
  await within(
    20_000,
    "the server to close",
    new Promise((resolve) => socket.on("close", resolve)),
  );
  return Buffer.concat(chunks);
}

for (
  const { offered, chosen } of [
    { offered: ["h2", "http/1.1"], chosen: "http/1.1" },
    { offered: ["http/1.1"], chosen: "http/1.1" },
    { offered: ["h2"], chosen: "h2" },
  ]
) {
  Deno.test(`a client that offers ${offered.join(" and ")} gets ${chosen}`, () =>
    withPlane(async (plane) => {
      const socket = await tls(plane.port, offered);
      assert.equal(socket.alpnProtocol, chosen);
      socket.destroy();
    }));
}

function post(port: number, body: string): Promise<{ status: number; body: string }> {
  return within(
    20_000,
    "the answer",
    new Promise((resolve, reject) => {
      const outgoing = httpsRequest({
        port,
        host: "127.0.0.1",
        servername: "localhost",
        path: "/bootstrap",
        method: "POST",
        ca: CERTIFICATE.cert,
        agent: false,
      }, (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (chunk) => text += chunk);
        response.on("end", () => resolve({ status: response.statusCode ?? 0, body: text }));
      });
      outgoing.on("error", reject);
      outgoing.end(body);
    }),
  );
}

Deno.test("HTTP reaches the handler, with its body", () =>
  withPlane(async (plane) => {
    assert.deepEqual(await post(plane.port, "{}"), { status: 200, body: "POST /bootstrap {}" });
    assert.equal(plane.server.counters()["http_connections"], 1);
  }));

Deno.test("a body over the limit is refused", () =>
  withPlane(async (plane) => {
    assert.equal((await post(plane.port, "x".repeat(1024 * 1024 + 1))).status, 413);
  }));

for (
  const { name, bytes } of [
    { name: "plain HTTP", bytes: "GET / HTTP/1.1\r\n\r\n" },
    { name: "garbage", bytes: "\0\x01\x02\xff" },
  ]
) {
  Deno.test(`${name} instead of TLS is closed and counted`, () =>
    withPlane(async (plane) => {
      const socket = connectTcp(plane.port, "127.0.0.1");
      socket.end(bytes);
      await untilClosed(socket);
      await plane.until(() => plane.errors.length > 0, "the complaint");
      assert.equal(plane.server.counters()["tls_error"], 1);
    }));
}

Deno.test("HTTP/2 in name only is told so and closed", () =>
  withPlane(async (plane) => {
    const socket = await tls(plane.port, ["h2"]);
    socket.write("GET / HTTP/1.1\r\n\r\n");
    const answer = await untilClosed(socket);
    assert.match(Buffer.from(answer).toString("latin1"), /bad_preface/);
    assert.equal(plane.server.counters()["guard_bad_preface"], 1);
  }));

for (
  const { breach, type, length, count } of [
    { breach: "reset_rate", type: 3, length: 4, count: 1000 },
    { breach: "ping_rate", type: 6, length: 8, count: 1000 },
    { breach: "settings_rate", type: 4, length: 0, count: 1000 },
    { breach: "frame_size", type: 0, length: 20_000, count: 1 },
  ]
) {
  Deno.test(`${breach}: that connection is closed, others live on`, () =>
    withPlane(async (plane) => {
      const socket = await tls(plane.port, ["h2"]);
      const frame = Buffer.alloc(9 + length);
      frame.writeUIntBE(length, 0, 3);
      frame.writeUInt8(type, 3);
      if (type === 3 || type === 0) frame.writeUInt32BE(1, 5);
      const settings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
      const flood = Array.from({ length: count }, () => frame);
      // A stream to reset: RST_STREAM of an idle one ends the connection in nghttp2 already.
      const headers = Buffer.from([0, 0, 1, 1, 4, 0, 0, 0, 1, 0x83]);
      socket.write(Buffer.concat([Buffer.from(PREFACE), settings, headers, ...flood]));
      await untilClosed(socket);
      assert.equal(plane.server.counters()[`guard_${breach}`], 1);
      assert.equal((await post(plane.port, "")).status, 200);
    }));
}

Deno.test("HTTP/2 that is not gRPC gets an HTTP answer", () =>
  withPlane(async (plane) => {
    const session = connectHttp2(`https://localhost:${plane.port}`, { ca: CERTIFICATE.cert });
    session.on("error", () => {});
    const stream = session.request({ ":path": "/", ":method": "POST" });
    stream.end("{}");
    const [headers] = await within(20_000, "the answer", once(stream, "response"));
    assert.equal(headers[":status"], 415);
    session.destroy();
  }));

Deno.test("a client that leaves with GOAWAY is let go", () =>
  withPlane(async (plane) => {
    const socket = await tls(plane.port, ["h2"]);
    const settings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
    const goaway = Buffer.from([0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    socket.write(Buffer.concat([Buffer.from(PREFACE), settings, goaway]));
    const answer = await untilClosed(socket);
    assert.equal(new FrameGuard("client").received(answer, 0).breach, null);
  }));

Deno.test("a connection on which no request comes, or not all of it, is closed", async () => {
  const plane = await TestControlPlane.start(snapshotOf({}), { idleMsMax: 50 });
  try {
    const head = "POST /bootstrap HTTP/1.1\r\nHost: localhost\r\n";
    for (const begin of ["", head, `${head}Content-Length: 100\r\n\r\nabc`]) {
      const socket = await tls(plane.port, ["http/1.1"]);
      if (begin !== "") socket.write(begin);
      await untilClosed(socket);
    }
  } finally {
    await plane.server.close(1000);
  }
});
