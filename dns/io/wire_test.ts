import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import dnsPacket from "dns-packet";
import fc from "fast-check";
import { buildZoneTable } from "../zone_table.ts";
import { react, type Reaction, serverFailure } from "./wire.ts";

const LONG = [63, 63, 63, 55].map((length) => "x".repeat(length)).join(".");
const table = buildZoneTable(
  Object.entries({ web: "240.0.0.1", [LONG]: "240.0.0.2" }),
  { domain: "mesh", serial: 7 },
);
const udp = { forwards: false, transport: "udp" } as const;

interface QueryOptions {
  readonly type?: string;
  readonly additionals?: readonly unknown[];
  readonly flags?: number;
}

function query(
  name: string,
  { type = "A", additionals = [], flags = 0x100 }: QueryOptions = {},
): Buffer {
  return dnsPacket.encode({
    type: "query",
    id: 4711,
    flags,
    questions: [{ type, name }],
    additionals,
  });
}

const opt = (more: object = {}) => ({
  type: "OPT",
  name: ".",
  udpPayloadSize: 4096,
  flags: 0,
  ...more,
});

function answered(reaction: Reaction) {
  assert.equal(reaction.do, "send");
  const bytes = reaction.do === "send" ? reaction.bytes : new Uint8Array();
  return { bytes, ...dnsPacket.decode(Buffer.from(bytes)) };
}

Deno.test("react() gives the question back byte by byte, with id and flags", () => {
  const sent = query("wEb.MeSh");
  const answer = answered(react(sent, table, udp));
  assert.equal(answer.id, 4711);
  assert.equal(answer.flag_aa, true);
  assert.equal(answer.flag_rd, true);
  assert.equal(answer.flag_ra, false);
  assert.deepEqual(answer.questions, [{ name: "wEb.MeSh", type: "A", class: "IN" }]);
  assert.deepEqual(
    answer.answers.map(({ name, data }: { name: string; data: string }) => [name, data]),
    [
      ["wEb.MeSh", "240.0.0.1"],
    ],
  );
  assert.deepEqual(answer.bytes.subarray(12, sent.length), new Uint8Array(sent.subarray(12)));
});

Deno.test("react() answers EDNS with EDNS, and refuses versions that do not exist", () => {
  const plain = answered(react(query("web.mesh"), table, udp));
  assert.equal(plain.additionals.length, 0);
  const edns = answered(react(query("web.mesh", { additionals: [opt()] }), table, udp));
  assert.equal(edns.additionals[0].udpPayloadSize, 1232);
  const newer = { additionals: [opt({ ednsVersion: 1 })] };
  const bad = answered(react(query("web.mesh", newer), table, udp));
  assert.equal(bad.additionals[0].extendedRcode, 1);
  assert.equal(bad.answers.length, 0);
  const twice = answered(react(query("web.mesh", { additionals: [opt(), opt()] }), table, udp));
  assert.equal(twice.rcode, "FORMERR");
});

Deno.test("react() finds the OPT record behind others, and does not follow their names", () => {
  const header = "12670100000100000000000203776562046d6573680000010001";
  const opt = "0000291000000000000000";
  const cases: readonly (readonly [string, string, string])[] = [
    [
      "a name that points to the id",
      `c0000001000100000000000a000102030405060708 09${opt}`,
      "NOERROR",
    ],
    ["a name that points behind itself", `c0ff00010001000000000000${opt}`, "NOERROR"],
    ["a cut record", `0000010001000000000004${opt.slice(0, 6)}`, "FORMERR"],
    ["a name without an end", "3f6161", "FORMERR"],
    ["an OPT record with a name", `016100002910000000000000 00${opt}`, "FORMERR"],
  ];
  for (const [what, records, rcode] of cases) {
    const sent = Buffer.from((header + records).replaceAll(" ", ""), "hex");
    assert.equal(answered(react(sent, table, udp)).rcode, rcode, what);
  }
});

Deno.test("react() cuts what does not fit, and says so; EDNS or TCP give it room", () => {
  const name = `${LONG}.mesh`;
  const cut = answered(react(query(name), table, udp));
  assert.equal(cut.flag_tc, true);
  assert.equal(cut.answers.length, 0);
  assert.ok(cut.bytes.length <= 512);
  for (
    const [sent, transport] of [[query(name, { additionals: [opt()] }), "udp"], [
      query(name),
      "tcp",
    ]] as const
  ) {
    const whole = answered(react(sent, table, { forwards: false, transport }));
    assert.equal(whole.flag_tc, false);
    assert.equal(whole.answers[0].data, "240.0.0.2");
  }
});

Deno.test("react() says NOTIMP to other operations, FORMERR to what it cannot read", () => {
  const cases: readonly (readonly [string, Buffer, string])[] = [
    ["STATUS", query("web.mesh", { flags: 2 << 11 }), "NOTIMP"],
    ["UPDATE", query("web.mesh", { flags: 5 << 11 }), "NOTIMP"],
    ["header only", query("web.mesh").subarray(0, 12), "FORMERR"],
    ["cut in the name", query("web.mesh").subarray(0, 15), "FORMERR"],
    ["cut in the type", query("web.mesh").subarray(0, 24), "FORMERR"],
    ["no question", Buffer.from("126700000000000000000000", "hex"), "FORMERR"],
    ["compressed name", Buffer.from("126700000001000000000000c00c00010001", "hex"), "FORMERR"],
    ["label of 64", Buffer.from("12670000000100000000000040616161", "hex"), "FORMERR"],
  ];
  for (const [what, bytes, rcode] of cases) {
    assert.equal(answered(react(bytes, table, udp)).rcode, rcode, what);
  }
});

Deno.test("react() drops what is too short or an answer, so that two servers never talk for ever", () => {
  assert.equal(react(Buffer.alloc(11), table, udp).do, "drop");
  const answer = answered(react(query("web.mesh"), table, udp)).bytes;
  assert.equal(react(Buffer.from(answer), table, udp).do, "drop");
});

Deno.test("react() does not take a dot inside a label for one between two", () => {
  const label = Buffer.from("web.mesh");
  const sent = Buffer.concat([
    Buffer.from("126700000001000000000000", "hex"),
    Buffer.from([label.length]),
    label,
    Buffer.from("0000010001", "hex"),
  ]);
  assert.equal(answered(react(sent, table, udp)).rcode, "REFUSED");
});

const looksLikeQuery = fc.uint8Array({ maxLength: 300 }).map((bytes) =>
  Buffer.concat([Buffer.from("126701000001000000000001", "hex"), bytes])
);
const mutated = fc.tuple(
  fc.constantFrom(
    query("web.mesh"),
    query("x.y.mesh", { additionals: [opt()] }),
    query("example.com"),
  ),
  fc.array(fc.tuple(fc.nat(60), fc.nat(255)), { maxLength: 8 }),
).map(([sent, changes]) => {
  const bytes = Buffer.from(sent);
  for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
  return bytes;
});

Deno.test("react() never throws, and what it sends is a readable answer of bounded size to that id", () => {
  const any = fc.oneof(
    fc.uint8Array({ maxLength: 600 }).map((b) => Buffer.from(b)),
    looksLikeQuery,
    mutated,
  );
  fc.assert(
    fc.property(any, fc.boolean(), (bytes, forwards) => {
      const before = Buffer.from(bytes);
      const reaction = react(bytes, table, { forwards, transport: "udp" });
      assert.deepEqual(bytes, before);
      if (reaction.do !== "send") return;
      assert.ok(reaction.bytes.length <= 1232);
      const answer = dnsPacket.decode(Buffer.from(reaction.bytes));
      assert.equal(answer.type, "response");
      assert.equal(answer.id, bytes.readUInt16BE(0));
      assert.ok(answer.questions.length <= 1);
      // No amplifier: a name, a record and the SOA at most.
      assert.ok(reaction.bytes.length <= 2 * bytes.length + 120);
    }),
    { numRuns: 3_000 },
  );
});

Deno.test("serverFailure() never throws, and keeps id and question", () => {
  fc.assert(fc.property(fc.uint8Array({ minLength: 12, maxLength: 200 }), (bytes) => {
    const before = Buffer.from(bytes);
    serverFailure(before);
    assert.deepEqual(before, Buffer.from(bytes));
  }));
  const sent = query("example.com", { additionals: [opt()] });
  const failure = dnsPacket.decode(Buffer.from(serverFailure(sent)));
  assert.equal(failure.rcode, "SERVFAIL");
  assert.equal(failure.id, 4711);
  assert.equal(failure.questions[0].name, "example.com");
});
