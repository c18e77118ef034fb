import assert from "node:assert/strict";
import type { Receipt } from "../../core/receipt.ts";
import { testPlane } from "../plane_test.ts";
import type { ApiPorts } from "../ports.ts";
import { type ApiServer, BODY_BYTES_MAX, serveApi } from "./server.ts";

const MESH = JSON.stringify({ type: "Mesh", name: "default" });
const JSON_TYPE = { "content-type": "application/json" };

async function served(
  ports: ApiPorts,
  use: (base: string, server: ApiServer) => Promise<void>,
): Promise<void> {
  const server = serveApi({ hostname: "127.0.0.1", port: 0 }, ports);
  try {
    await use(`http://127.0.0.1:${server.port}`, server);
  } finally {
    await server.close();
  }
}

async function fetchText(url: string, init?: RequestInit): Promise<[number, string]> {
  const response = await fetch(url, init);
  return [response.status, await response.text()];
}

function receipt(complete: boolean): Receipt {
  return {
    revision: 1,
    atMs: 0,
    mesh: "default",
    complete,
    proxies: { affected: 1, acked: complete ? 1 : 0, nacked: 0, pending: 1, offline: 0 },
    lastAckMs: null,
    nacks: [],
    perProxy: [],
  };
}

Deno.test("serveApi() stores what is PUT, and counts requests by route", async () => {
  const plane = testPlane();
  await served(plane.ports, async (base) => {
    const put = await fetch(`${base}/meshes/default`, {
      method: "PUT",
      body: MESH,
      headers: JSON_TYPE,
    });
    assert.equal(put.status, 201);
    assert.equal(put.headers.get("ursa-revision"), "1");
    assert.deepEqual(await put.json(), { revision: 1 });
    const [status, body] = await fetchText(`${base}/meshes?size=1`);
    assert.equal(status, 200);
    assert.equal(JSON.parse(body).items[0].name, "default");
    await fetchText(`${base}/a-name-that-a-client-made-up`);
  });
  assert.deepEqual(plane.counted, [
    "ursa_api_requests_total PUT meshes 201",
    "ursa_api_requests_total GET meshes 200",
    "ursa_api_requests_total GET unknown 404",
  ]);
});

Deno.test("a body over the limit is 413, announced or not, and has no effect", async () => {
  const plane = testPlane();
  await served(plane.ports, async (base) => {
    const big = "x".repeat(BODY_BYTES_MAX + 1);
    const [status] = await fetchText(`${base}/meshes/default`, { method: "PUT", body: big });
    assert.equal(status, 413);
    const streamed = new Blob([big]).stream();
    const [chunked] = await fetchText(`${base}/meshes/default`, { method: "PUT", body: streamed });
    assert.equal(chunked, 413);
    const [after] = await fetchText(`${base}/meshes`);
    assert.equal(after, 200);
  });
  assert.equal(plane.ports.resources.revision, 0);
});

Deno.test("malformed paths, texts and protocols are refused, and the next request is served", async () => {
  const plane = testPlane();
  await served(plane.ports, async (base, server) => {
    assert.equal((await fetchText(`${base}/meshes/%ff`))[0], 400);
    const init = { method: "PUT", body: new Uint8Array([0x22, 0xff, 0x22]), headers: JSON_TYPE };
    assert.match((await fetchText(`${base}/meshes/default`, init))[1], /not UTF-8/);
    const socket = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
    await socket.write(
      new Uint8Array([0x16, 0x03, 0x01, 0x00, 0xff, 0x0a, 0x0d, 0x0a, 0x0d, 0x0a]),
    );
    await new Response(socket.readable).text();
    assert.equal((await fetchText(`${base}/healthy`))[0], 200);
  });
});

Deno.test("a write that met another is judged again; one that always does is 409", async () => {
  const plane = testPlane();
  let conflicts = 2;
  const ports: ApiPorts = {
    ...plane.ports,
    write: (ops) =>
      conflicts-- > 0
        ? Promise.resolve({ ok: false, reason: "conflict", expected: 0, actual: 9 })
        : plane.ports.write(ops),
  };
  const init = { method: "PUT", body: MESH, headers: JSON_TYPE };
  await served(ports, async (base) => {
    assert.equal((await fetchText(`${base}/meshes/default`, init))[0], 201);
    conflicts = 1_000;
    const other = { ...init, body: MESH.replace("default", "other") };
    assert.equal((await fetchText(`${base}/meshes/other`, other))[0], 409);
  });
});

Deno.test("a store that fails is 503, a handler that throws 500 without its reason", async () => {
  const plane = testPlane();
  const init = { method: "PUT", body: MESH, headers: JSON_TYPE };
  const failing: ApiPorts = {
    ...plane.ports,
    write: () => Promise.resolve({ ok: false, reason: "unavailable", error: "disk full" }),
    metrics: () => {
      throw new Error("a detail of the inside");
    },
  };
  const errors: unknown[] = [];
  await served({ ...failing, report: (error) => errors.push(error) }, async (base) => {
    assert.match((await fetchText(`${base}/meshes/default`, init)).join(" "), /^503 .*disk full/s);
    const [status, body] = await fetchText(`${base}/metrics`);
    assert.equal(status, 500);
    assert.doesNotMatch(body, /inside/);
  });
  assert.equal(errors.length, 1);
});

Deno.test("/receipts?wait answers as soon as the receipt is complete, or the server closes", async () => {
  const plane = testPlane();
  plane.receipts.set(1, receipt(false));
  await served(plane.ports, async (base, server) => {
    const [, early] = await fetchText(`${base}/receipts/1?wait=1`);
    assert.equal(JSON.parse(early).complete, false);
    const waiting = fetchText(`${base}/receipts/1?wait=60000`);
    plane.receipts.set(1, receipt(true));
    assert.equal(JSON.parse((await waiting)[1]).complete, true);
    plane.receipts.set(1, receipt(false));
    const cut = fetchText(`${base}/receipts/1?wait=60000`);
    await fetchText(`${base}/healthy`);
    await server.close();
    assert.equal(JSON.parse((await cut)[1]).complete, false);
  });
});

Deno.test("a port in use is the listener's error", () => {
  const taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  try {
    assert.throws(
      () => serveApi({ hostname: "127.0.0.1", port: taken.addr.port }, testPlane().ports),
      Deno.errors.AddrInUse,
    );
  } finally {
    taken.close();
  }
});
