import assert from "node:assert/strict";
import { Client, credentials, Metadata, status } from "@grpc/grpc-js";
import { Buffer } from "node:buffer";
import { connect } from "node:net";
import { until } from "../../cli/demo/until.ts";
import { decodeAdminRequest, encodeAdminAnswer } from "../../kds/admin.ts";
import { encodeResponse } from "../../kds/envelope.ts";
import { serveKds } from "../../kds/io/server.ts";
import { createKdsClient, parseGlobalUrl } from "../../kds/io/client.ts";
import type { ClientEvent, ServerEvent } from "../../kds/wire.ts";

const SYNC = "/kuma.mesh.v1alpha1.KDSSyncService/GlobalToZoneSync";
const HEALTH = "/kuma.mesh.v1alpha1.GlobalKDSService/HealthCheck";
const asIs = (bytes: Buffer) => bytes;

/** A server without actors: what it hears is kept, and admitted at once. */
async function listen() {
  const heard: ServerEvent[] = [];
  const watchers = new Set<() => void>();
  const server = await serveKds({
    hostname: "127.0.0.1",
    port: 0,
    tls: null,
    deliver(_path, event) {
      heard.push(event);
      if (event.tag === "stream_opened") {
        server.command({ do: "admit", stream: event.stream, to: "zones/east" });
      }
      if (event.tag === "health_checked") {
        const refusal = { code: "unauthenticated", message: "west is not known here" } as const;
        const isWest = event.zone === "west";
        server.command({ do: "answer_health", check: event.check, ...(isWest && { refusal }) });
      }
      for (const look of [...watchers]) look();
      return true;
    },
  });
  const { port } = server.address;
  const hearing = (tag: ServerEvent["tag"]) =>
    new Promise<ServerEvent>((resolve) => {
      const look = () => {
        const found = heard.find((event) => event.tag === tag);
        if (!found) return;
        watchers.delete(look);
        resolve(found);
      };
      watchers.add(look);
      look();
    });
  return { server, port, heard, hearing };
}

function metadata(entries: Readonly<Record<string, string>>): Metadata {
  const made = new Metadata();
  for (const [key, value] of Object.entries(entries)) made.set(key, value);
  return made;
}

/** The status with which a stream ends. */
function ending(client: Client, options: { readonly send?: Uint8Array; readonly zone?: string }) {
  const call = client.makeBidiStreamRequest(
    SYNC,
    asIs,
    asIs,
    metadata(options.zone ? { "client-id": options.zone } : {}),
  );
  call.on("error", () => {});
  call.on("data", () => {});
  if (options.send) call.write(Buffer.from(options.send));
  return new Promise<number>((resolve) => call.on("status", ({ code }) => resolve(code)));
}

Deno.test("a caller without a zone, and one that talks nonsense, are refused with a reason", async () => {
  const { server, port, hearing } = await listen();
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  assert.equal(await ending(client, {}), status.INVALID_ARGUMENT);
  const garbage = new Uint8Array([255, 255, 255]);
  assert.equal(await ending(client, { zone: "east", send: garbage }), status.INVALID_ARGUMENT);
  await hearing("stream_closed");
  const counters = server.counters();
  assert.equal(counters["calls_without_zone"], 1);
  assert.equal(counters["malformed_messages"], 1);
  assert.equal(counters["streams_open"], 0);
  client.close();
  await server.close(500);
});

Deno.test("who begins anew has its streams ended, and nobody else's", async () => {
  const { server, port, heard, hearing } = await listen();
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  const ended = ending(client, { zone: "east" });
  await hearing("stream_opened");
  server.command({ do: "end_all", to: "zones/west" });
  assert.ok(!heard.some(({ tag }) => tag === "stream_closed"));
  server.command({ do: "end_all", to: "zones/east" });
  assert.equal(await ended, status.UNAVAILABLE);
  await hearing("stream_closed");
  client.close();
  await server.close(1_000);
});

Deno.test("a stream that nobody takes is ended, so that the zone tries again", async () => {
  const server = await serveKds({
    hostname: "127.0.0.1",
    port: 0,
    tls: null,
    deliver: () => true,
    admitMsMax: 50,
  });
  const client = new Client(`127.0.0.1:${server.address.port}`, credentials.createInsecure());
  assert.equal(await ending(client, { zone: "east" }), status.UNAVAILABLE);
  assert.equal(server.counters()["streams_not_admitted"], 1);
  client.close();
  await server.close(500);
});

Deno.test("compressed requests are understood", async () => {
  const { server, port, hearing } = await listen();
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), {
    "grpc.default_compression_algorithm": 2,
  });
  const call = client.makeBidiStreamRequest(SYNC, asIs, asIs, metadata({ "client-id": "east" }));
  call.on("error", () => {});
  // An ACK of nonce 1 for Mesh by zone-1, as Kuma writes it.
  call.write(Buffer.from("0a080a067a6f6e652d3112044d657368320131", "hex"));
  const event = await hearing("request_received");
  assert.ok(event.tag === "request_received");
  assert.deepEqual(event.request, {
    typeUrl: "Mesh",
    nonce: "1",
    nodeId: "zone-1",
    subscribe: [],
    initialVersions: {},
  });
  call.cancel();
  await hearing("stream_closed");
  client.close();
  await server.close(500);
});

Deno.test("more than Kuma sends at once by default is taken, compressed or not", async () => {
  const { server, port, heard } = await listen();
  const lengths = () =>
    heard.flatMap((event) =>
      event.tag === "response_received" ? [event.response.resources[0]?.bytes.length] : []
    );
  const response = encodeResponse({
    typeUrl: "Dataplane",
    nonce: "1",
    systemVersion: "",
    controlPlane: "east",
    resources: [{ name: "a.m", version: "1", bytes: new Uint8Array(12 * 1024 * 1024) }],
    removed: [],
  });
  const path = "/kuma.mesh.v1alpha1.KDSSyncService/ZoneToGlobalSync";
  for (const algorithm of [0, 2]) {
    const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), {
      "grpc.default_compression_algorithm": algorithm,
    });
    const zone = `zone-${algorithm}`;
    const call = client.makeBidiStreamRequest(path, asIs, asIs, metadata({ "client-id": zone }));
    call.on("error", () => {});
    call.write(Buffer.from(response));
    const before = lengths().length;
    await until("all of it", () => lengths().length > before || "not yet");
    call.cancel();
    client.close();
  }
  assert.deepEqual(lengths(), [12 * 1024 * 1024, 12 * 1024 * 1024]);
  await server.close(500);
});

Deno.test("a health check carries progress, and answers with an interval", async () => {
  const { server, port, hearing } = await listen();
  const dir = await Deno.makeTempDir({ prefix: "ursa-kds-" });
  const events: ClientEvent[] = [];
  const answered = Promise.withResolvers<ClientEvent>();
  const client = createKdsClient({
    url: `grpc://127.0.0.1:${port}`,
    ca: null,
    socketPath: `${dir}/z.sock`,
    version: "0.1.0",
    token: () => Promise.resolve("a.b.c"),
    admin: () => Promise.reject(new Error("nobody asks")),
    deliver(event) {
      events.push(event);
      if (event.tag === "health_answered") answered.resolve(event);
    },
  });
  const proxies = { affected: 3, acked: 2, nacked: 0, pending: 1, offline: 0 };
  const reports = [{ after: 6, revision: 7, proxies, lastAckMs: 12 }];
  const digests = { down: { Mesh: { nonce: "1", digest: "abc" } }, up: {} };
  client.command({ do: "check_health", connection: "c", zone: "east", reports, digests });
  assert.deepEqual(await answered.promise, {
    tag: "health_answered",
    connection: "c",
    intervalMs: 10_000,
  });
  const heard = await hearing("health_checked");
  assert.ok(heard.tag === "health_checked");
  assert.deepEqual([heard.zone, heard.reports, heard.digests], ["east", reports, digests]);
  assert.deepEqual(heard.caller.authorization, ["Bearer a.b.c"]);
  await client.close();
  await server.close(500);
  await Deno.remove(dir, { recursive: true });
});

Deno.test("a health check without a zone is refused, and that of one that may not ask", async () => {
  const { server, port } = await listen();
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  const codeFor = (entries: Readonly<Record<string, string>>) =>
    new Promise((resolve) =>
      client.makeUnaryRequest(
        HEALTH,
        asIs,
        asIs,
        Buffer.alloc(0),
        metadata(entries),
        (error) => resolve(error?.code),
      )
    );
  assert.equal(await codeFor({}), status.INVALID_ARGUMENT);
  assert.equal(await codeFor({ "client-id": "west" }), status.UNAUTHENTICATED);
  client.close();
  await server.close(500);
});

Deno.test("a peer that does not speak HTTP/2 is closed and counted", async () => {
  const { server, port } = await listen();
  const socket = connect(port, "127.0.0.1");
  socket.write("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
  socket.resume();
  await new Promise<void>((resolve) => socket.on("close", () => resolve()));
  assert.equal(server.counters()["breach_bad_preface"], 1);
  await server.close(500);
});

Deno.test("parseGlobalUrl() takes grpc and grpcs with a port, and nothing else", () => {
  assert.deepEqual(parseGlobalUrl("grpcs://global.example:5685"), {
    host: "global.example",
    port: 5685,
    secure: true,
  });
  assert.deepEqual(parseGlobalUrl("grpc://[::1]:1"), { host: "::1", port: 1, secure: false });
  for (const url of ["https://x:1", "grpcs://x", "grpcs://x:0", "grpcs://x:70000", "x:1", ""]) {
    assert.throws(() => parseGlobalUrl(url), /must be grpcs:\/\/HOST:PORT/, url);
  }
});

/** A zone that speaks gRPC itself: it says whatever a test wants on its stream of questions. */
function askedOn(port: number, zone: string) {
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  const path = "/kuma.mesh.v1alpha1.GlobalKDSService/StreamXDSConfigs";
  const call = client.makeBidiStreamRequest(path, asIs, asIs, metadata({ "client-id": zone }));
  call.on("error", () => {});
  const asked = new Promise<string>((resolve) =>
    call.on("data", (bytes: Buffer) => resolve(decodeAdminRequest("xds", bytes).id))
  );
  return {
    asked,
    answer(id: string, text: string) {
      const body = new TextEncoder().encode(text);
      const said = encodeAdminAnswer("xds", { id, answer: { ok: true, body } }, 10_000);
      call.write(Buffer.from(said));
    },
    end() {
      call.cancel();
      client.close();
    },
  };
}

const question = (id: string) => ({
  id,
  proxy: { type: "Dataplane", mesh: "default", name: "web-1" },
  question: { kind: "xds", includeEds: true },
} as const);

Deno.test("a question about an Envoy goes to its zone; only that zone can answer it", async () => {
  const { server, port, hearing, heard } = await listen();
  const opened = (zone: string) =>
    hearing("stream_opened").then(() =>
      assert.ok(heard.some((event) => event.tag === "stream_opened" && event.zone === zone))
    );
  const east = askedOn(port, "east");
  await opened("east");
  const nobody = await server.ask("west", question("q-0"));
  assert.deepEqual([nobody.ok, !nobody.ok && nobody.reason], [false, "unreachable"]);

  const answer = server.ask("east", question("q-1"));
  assert.equal(await east.asked, "q-1");
  const west = askedOn(port, "west");
  west.answer("q-1", "forged");
  west.answer("q-9", "nobody asked");
  await until(
    "answer 2 that nobody waits for",
    () => server.counters()["admin_answers_unasked"] === 2 || "none",
  );
  east.answer("q-1", "the truth");
  east.answer("q-1", "twice");
  const said = await answer;
  assert.equal(said.ok && new TextDecoder().decode(said.body), "the truth");
  await until(
    "answer 3 that nobody waits for",
    () => server.counters()["admin_answers_unasked"] === 3 || "none",
  );
  assert.equal(server.counters()["streams_open"], 2, "a late answer ends no stream");

  const unanswered = server.ask("east", question("q-2"));
  east.end();
  const ended = await unanswered;
  assert.match(ended.ok ? "" : ended.detail, /connection of the zone ended/);
  west.end();
  await server.close(500);
});
