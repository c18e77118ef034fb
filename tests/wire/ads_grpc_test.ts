// The dp-server and a real grpc-js client, both dialects.

import assert from "node:assert/strict";
import { status } from "@grpc/grpc-js";
import { TYPES } from "../../xds/snapshot.ts";
import { snapshotOf, TestClient, TestControlPlane, within } from "./ads_fixture.ts";

const NODE = { id: "default.web", metadata: { "dataplane.proxyType": "dataplane" } };
const SNAPSHOT = snapshotOf({
  cluster: [{ name: "a" }],
  endpoint: [{ cluster_name: "a" }],
  listener: [{ name: "in" }],
});

Deno.test("SotW: subscribe, ACK, change, NACK with its message", async () => {
  const plane = await TestControlPlane.start(SNAPSHOT);
  const web = new TestClient(plane.port, "sotw", { authorization: ["token"], gzip: true });
  web.send({ node: NODE, typeUrl: TYPES.cluster });
  const first = await web.next();
  assert.deepEqual(first["resources"], [{ "@type": TYPES.cluster, name: "a" }]);
  assert.deepEqual(first["controlPlane"], { identifier: "test-cp" });
  const { node, authorization, dialect, peer } = plane.firsts[0]!;
  assert.deepEqual({ node, authorization, dialect }, {
    node: NODE,
    authorization: "token",
    dialect: "sotw",
  });
  assert.match(peer, /^127\.0\.0\.1:\d+$/);

  web.send({
    typeUrl: TYPES.cluster,
    versionInfo: first["versionInfo"]!,
    responseNonce: first["nonce"]!,
  });
  await plane.until(() => plane.settled(), "the ACK");
  plane.set(snapshotOf({ cluster: [{ name: "a" }, { name: "b" }] }));
  const second = await web.next();
  const errorDetail = { code: 3, message: "b is bad" };
  web.send({ node: NODE, typeUrl: TYPES.cluster, responseNonce: second["nonce"]!, errorDetail });
  await plane.until(() => plane.events.length === 2, "the NACK");
  const nack = plane.events[1]!;
  assert.equal(nack.event === "nacked" && nack.message, "b is bad");
  await web.close();
  await plane.until(() => plane.streams.size === 0, "the end of the stream");
  await plane.server.close(1000);
});

Deno.test("delta: subscribe by name, versions, removal", async () => {
  const plane = await TestControlPlane.start(SNAPSHOT);
  const web = new TestClient(plane.port, "delta");
  web.send({ node: NODE, typeUrl: TYPES.listener });
  const first = await web.next();
  const [added] = first["resources"] as readonly Record<string, unknown>[];
  assert.equal(added!["name"], "in");
  assert.match(String(added!["version"]), /^[0-9a-f]{64}$/);
  web.send({ typeUrl: TYPES.listener, responseNonce: first["nonce"]! });
  await plane.until(() => plane.settled(), "the ACK");
  plane.set(snapshotOf({}));
  const second = await web.next();
  assert.deepEqual(second["removedResources"], ["in"]);
  web.send({ typeUrl: TYPES.listener, responseNonce: second["nonce"]! });
  web.send({ typeUrl: TYPES.endpoint, resourceNamesSubscribe: ["a"] });
  const third = await web.next();
  assert.equal((third["resources"] as readonly Record<string, unknown>[])[0]!["name"], "a");
  await web.close();
  await plane.server.close(1000);
});

for (
  const { name, requests, expected, message } of [
    {
      name: "without a node",
      requests: [{ typeUrl: TYPES.cluster }],
      expected: status.INVALID_ARGUMENT,
      message: /node.id: the first request must carry it/,
    },
    {
      name: "whose node changes",
      requests: [{ node: NODE, typeUrl: TYPES.cluster }, {
        node: { id: "default.other" },
        typeUrl: TYPES.cluster,
      }],
      expected: status.INVALID_ARGUMENT,
      message: /node.id: must stay "default.web"/,
    },
    {
      name: "that asks for too many names",
      requests: [{
        node: NODE,
        typeUrl: TYPES.endpoint,
        resourceNames: Array.from({ length: 50_001 }, (_, index) => `c${index}`),
      }],
      expected: status.INVALID_ARGUMENT,
      message: /resource names: at most 50000, is 50001/,
    },
  ]
) {
  Deno.test(`a stream ${name} is ended with the reason`, async () => {
    const plane = await TestControlPlane.start(SNAPSHOT);
    const web = new TestClient(plane.port, "sotw");
    for (const request of requests) web.send(request);
    const { code, details } = await within(20_000, "the status", web.status);
    assert.equal(code, expected);
    assert.match(details, message);
    assert.equal(plane.server.counters()["bad_request"], 1);
    web.abandon();
    await plane.server.close(1000);
  });
}

Deno.test("delta: names count while they are subscribed to, and once", async () => {
  const plane = await TestControlPlane.start(SNAPSHOT);
  const web = new TestClient(plane.port, "delta");
  const names = (from: number) => Array.from({ length: 50_000 }, (_, index) => `c${from + index}`);
  const subscribe = (...resourceNamesSubscribe: readonly string[]) =>
    web.send({ node: NODE, typeUrl: TYPES.secret, resourceNamesSubscribe });
  const unsubscribe = (...resourceNamesUnsubscribe: readonly string[]) =>
    web.send({ node: NODE, typeUrl: TYPES.secret, resourceNamesUnsubscribe });
  subscribe(...names(0));
  subscribe(...names(0));
  unsubscribe(...names(0));
  subscribe(...names(50_000));
  // Of what was never subscribed to, nothing can be given back.
  unsubscribe(...names(0));
  subscribe("one more");
  const { code, details } = await within(20_000, "the status", web.status);
  assert.equal(code, status.INVALID_ARGUMENT);
  assert.match(details, /resource names: at most 50000, is 50001/);
  await plane.until(() => plane.streams.size === 0, "the end of the stream");
  web.abandon();
  await plane.server.close(1000);
});

Deno.test("bytes that are no request, and two credentials, are refused", async () => {
  const plane = await TestControlPlane.start(SNAPSHOT);
  const garbled = new TestClient(plane.port, "sotw");
  garbled.sendBytes(Uint8Array.of(0x0a, 0x7f, 1));
  assert.equal((await within(20_000, "the status", garbled.status)).code, status.INVALID_ARGUMENT);
  const twofold = new TestClient(plane.port, "sotw", { authorization: ["a", "b"] });
  twofold.send({ node: NODE, typeUrl: TYPES.cluster });
  assert.match((await within(20_000, "the status", twofold.status)).details, /authorization/);
  garbled.abandon();
  twofold.abandon();
  await plane.server.close(1000);
});

Deno.test("a stream whose requests find no room is ended", async () => {
  const plane = await TestControlPlane.start(SNAPSHOT);
  const web = new TestClient(plane.port, "sotw");
  web.send({ node: NODE, typeUrl: TYPES.cluster });
  await web.next();
  plane.full = true;
  web.send({ typeUrl: TYPES.listener });
  assert.equal((await within(20_000, "the status", web.status)).code, status.RESOURCE_EXHAUSTED);
  await plane.until(() => plane.streams.size === 0, "the end of the stream");
  web.abandon();
  await plane.server.close(1000);
});

Deno.test("close() tells every stream that the control plane is unavailable", async () => {
  const plane = await TestControlPlane.start(SNAPSHOT);
  const web = new TestClient(plane.port, "delta");
  web.send({ node: NODE, typeUrl: TYPES.cluster });
  await web.next();
  const closed = plane.server.close(5000);
  assert.equal((await within(20_000, "the status", web.status)).code, status.UNAVAILABLE);
  await within(20_000, "the server to close", closed);
  assert.equal(plane.streams.size, 0);
  web.abandon();
});

Deno.test("a client that goes away without a word closes its stream", async () => {
  const plane = await TestControlPlane.start(SNAPSHOT);
  const web = new TestClient(plane.port, "sotw");
  web.send({ node: NODE, typeUrl: TYPES.cluster });
  await web.next();
  web.abandon();
  await plane.until(() => plane.streams.size === 0, "the end of the stream");
  await plane.server.close(1000);
});
