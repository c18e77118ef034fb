// The DNS server over real loopback sockets.

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import dnsPacket from "dns-packet";
import { type DnsServer, serveDns } from "../../dns/io/server.ts";
import { buildZoneTable } from "../../dns/zone_table.ts";

const table = (vips: Readonly<Record<string, string>>) =>
  buildZoneTable(Object.entries(vips), { domain: "mesh", serial: 1 });

async function withServer(
  options: { readonly hostnames?: readonly string[]; readonly upstreams?: readonly string[] },
  run: (server: DnsServer) => Promise<void>,
): Promise<void> {
  const server = await serveDns({
    hostnames: ["127.0.0.1"],
    port: 0,
    upstreamTimeoutMs: 200,
    ...options,
  });
  try {
    server.publish(table({ web: "240.0.0.1" }));
    await run(server);
  } finally {
    await server.close();
  }
}

function question(name: string, type = "A", id = 1): Buffer {
  return dnsPacket.encode({
    type: "query",
    id,
    flags: dnsPacket.RECURSION_DESIRED,
    questions: [{ type, name }],
  });
}

/** Sends datagrams and gives back the first answer. */
async function udp(
  port: number,
  datagrams: readonly Uint8Array[],
  hostname = "127.0.0.1",
): Promise<Buffer> {
  const socket = createSocket(hostname.includes(":") ? "udp6" : "udp4");
  try {
    for (const datagram of datagrams) socket.send(datagram, port, hostname);
    const [answer] = await once(socket, "message", { signal: AbortSignal.timeout(10_000) });
    return answer;
  } finally {
    socket.close();
  }
}

/** Writes bytes to the TCP side, and gives back what comes until `count` messages or the end. */
async function tcp(
  port: number,
  chunks: readonly Uint8Array[],
  { count = 1, hostname = "127.0.0.1" } = {},
): Promise<readonly Buffer[]> {
  const socket = connect({ port, host: hostname, noDelay: true });
  let received = Buffer.alloc(0);
  const messages: Buffer[] = [];
  socket.on("connect", () => chunks.forEach((chunk) => socket.write(chunk)));
  try {
    for await (const chunk of socket) {
      received = Buffer.concat([received, chunk]);
      while (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
        const end = 2 + received.readUInt16BE(0);
        messages.push(received.subarray(2, end));
        received = received.subarray(end);
      }
      if (messages.length >= count) break;
    }
  } finally {
    socket.destroy();
  }
  return messages;
}

const framed = (message: Uint8Array) =>
  Buffer.concat([Buffer.from([message.length >> 8, message.length & 0xff]), message]);

const summary = (bytes: Buffer) => {
  const { id, rcode, answers } = dnsPacket.decode(bytes);
  return [id, rcode, ...answers.map(({ data }: { data: string }) => data)].join(" ");
};

Deno.test("DNS answers over UDP and TCP, on IPv4 and IPv6, at one port", async () => {
  await withServer({ hostnames: ["127.0.0.1", "::1"] }, async (server) => {
    for (const hostname of server.hostnames) {
      assert.equal(
        summary(await udp(server.port, [question("web.mesh", "A", 7)], hostname)),
        "7 NOERROR 240.0.0.1",
      );
      const [answer] = await tcp(server.port, [framed(question("web.mesh", "A", 8))], { hostname });
      assert.equal(answer && summary(answer), "8 NOERROR 240.0.0.1");
    }
    assert.equal(server.hostnames.length + server.skipped.length, 2);
  });
});

Deno.test("DNS follows the table at once, also for what it was asked before", async () => {
  await withServer({}, async (server) => {
    const ask = async (id: number) =>
      summary(await udp(server.port, [question("new.mesh", "A", id)]));
    assert.equal(await ask(1), "1 NXDOMAIN");
    assert.equal(await ask(2), "2 NXDOMAIN");
    server.publish(table({ new: "240.0.0.9" }));
    assert.equal(await ask(3), "3 NOERROR 240.0.0.9");
  });
});

Deno.test("DNS says SERVFAIL before it has a table, and REFUSED to other names without upstreams", async () => {
  const server = await serveDns({ hostnames: ["127.0.0.1"], port: 0 });
  try {
    assert.equal(summary(await udp(server.port, [question("web.mesh")])), "1 SERVFAIL");
    server.publish(table({}));
    assert.equal(summary(await udp(server.port, [question("example.com")])), "1 REFUSED");
  } finally {
    await server.close();
  }
});

Deno.test("garbage on the DNS port gets FORMERR or silence, a counter, and nothing else", async () => {
  await withServer({}, async (server) => {
    const garbage = Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    garbage[2] = 0; // Reads as a query rather than an answer, which is dropped.
    assert.equal(dnsPacket.decode(await udp(server.port, [garbage])).rcode, "FORMERR");
    const short = Buffer.from("x");
    const answer = Buffer.from(question("web.mesh"));
    answer[2] = 0x80;
    const good = question("web.mesh", "A", 9);
    assert.equal(summary(await udp(server.port, [short, answer, good])), "9 NOERROR 240.0.0.1");
    assert.deepEqual(server.counters(), {
      answers_formerr: 1,
      answers_noerror: 1,
      dropped: 2,
      queries_udp: 4,
    });
  });
});

Deno.test("garbage on the TCP side ends that connection alone", async () => {
  await withServer({}, async (server) => {
    assert.deepEqual(await tcp(server.port, [Buffer.from([0, 1, 0x41])]), []);
    const [answer] = await tcp(server.port, [framed(question("web.mesh"))]);
    assert.equal(answer && summary(answer), "1 NOERROR 240.0.0.1");
    assert.equal(server.counters()["dropped"], 1);
  });
});

Deno.test("one TCP connection takes many questions, however they are cut", async () => {
  await withServer({}, async (server) => {
    const ids = Array.from({ length: 200 }, (_, index) => index + 1);
    const stream = Buffer.concat(ids.map((id) => framed(question("web.mesh", "A", id))));
    const chunks = [];
    for (let at = 0; at < stream.length; at += 7) chunks.push(stream.subarray(at, at + 7));
    const answers = await tcp(server.port, chunks, { count: ids.length });
    assert.deepEqual(answers.map(summary), ids.map((id) => `${id} NOERROR 240.0.0.1`));
  });
});

Deno.test("a DNS port in use is an error that names address and port", async () => {
  await withServer({}, async ({ port }) => {
    await assert.rejects(
      serveDns({ hostnames: ["127.0.0.1"], port }),
      (error: { code?: string }) => error.code === "EADDRINUSE",
    );
  });
});

/** An upstream over UDP that does with each query what `reply` says. */
async function upstream(
  reply: (query: Buffer, send: (answer: Uint8Array) => void) => void,
): Promise<{ readonly address: string; readonly socket: Socket; readonly queries: Buffer[] }> {
  const socket = createSocket("udp4");
  const queries: Buffer[] = [];
  socket.on("message", (query, from) => {
    queries.push(query);
    reply(query, (answer) => socket.send(answer, from.port, from.address));
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return { address: `127.0.0.1:${socket.address().port}`, socket, queries };
}

function answerTo(query: Buffer, data: string, flags = 0): Buffer {
  const { id, questions } = dnsPacket.decode(query);
  const [{ name }] = questions;
  return dnsPacket.encode({
    type: "response",
    id,
    flags,
    questions,
    answers: [{ type: "A", name, ttl: 1, data }],
  });
}

Deno.test("other names go to the upstreams: the next one when one is silent or fails", async () => {
  const silent = await upstream(() => {});
  const failing = await upstream((query, send) => send(answerTo(query, "192.0.2.1", 2)));
  const good = await upstream((query, send) => send(answerTo(query, "192.0.2.2")));
  try {
    const upstreams = [silent, failing, good].map(({ address }) => address);
    await withServer({ upstreams }, async (server) => {
      const answer = await udp(server.port, [question("example.com", "A", 5)]);
      assert.equal(summary(answer), "5 NOERROR 192.0.2.2");
      assert.equal(summary(await udp(server.port, [question("web.mesh")])), "1 NOERROR 240.0.0.1");
      assert.equal(good.queries.length, 1);
    });
  } finally {
    for (const { socket } of [silent, failing, good]) socket.close();
  }
});

Deno.test("an upstream's answer with another id or question is not believed", async () => {
  const lying = await upstream((query, send) => {
    const forged = answerTo(query, "192.0.2.66");
    forged.writeUInt16BE((forged.readUInt16BE(0) + 1) & 0xffff, 0);
    send(forged);
    const { id } = dnsPacket.decode(query);
    send(answerTo(question("evil.example", "A", id), "192.0.2.66"));
    send(answerTo(query, "192.0.2.3"));
  });
  try {
    await withServer({ upstreams: [lying.address] }, async (server) => {
      const answer = await udp(server.port, [question("example.com", "A", 6)]);
      assert.equal(summary(answer), "6 NOERROR 192.0.2.3");
    });
  } finally {
    lying.socket.close();
  }
});

Deno.test("without any upstream's answer the client gets SERVFAIL", async () => {
  const silent = await upstream(() => {});
  try {
    await withServer({ upstreams: [silent.address] }, async (server) => {
      assert.equal(summary(await udp(server.port, [question("example.com")])), "1 SERVFAIL");
      assert.equal(server.counters()["forwards_failed"], 1);
    });
  } finally {
    silent.socket.close();
  }
});

Deno.test("questions over TCP are forwarded over TCP", async () => {
  const listener = createServer((socket) => {
    socket.once(
      "data",
      (chunk: Buffer) => socket.end(framed(answerTo(chunk.subarray(2), "192.0.2.4"))),
    );
  });
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  try {
    const upstreams = [`127.0.0.1:${(listener.address() as AddressInfo).port}`];
    await withServer({ upstreams }, async (server) => {
      const [answer] = await tcp(server.port, [framed(question("example.com", "A", 3))]);
      assert.equal(answer && summary(answer), "3 NOERROR 192.0.2.4");
    });
  } finally {
    listener.close();
  }
});
