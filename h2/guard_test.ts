import assert from "node:assert/strict";
import fc from "fast-check";
import { type Breach, farewell, FrameGuard, GUARD_LIMITS } from "./guard.ts";

const PREFACE = new TextEncoder().encode("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
const [DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, CONTINUATION] = [0, 1, 3, 4, 6, 7, 9];
const END_STREAM = 1;

interface Frame {
  readonly type: number;
  readonly flags?: number;
  readonly stream?: number;
  readonly length?: number;
}

function frame({ type, flags = 0, stream = 0, length = 0 }: Frame): Uint8Array {
  const bytes = new Uint8Array(9 + length).fill(type + 1, 9);
  bytes.set([length >> 16, (length >> 8) & 255, length & 255, type, flags]);
  new DataView(bytes.buffer).setUint32(5, stream);
  return bytes;
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function cut(bytes: Uint8Array, sizes: readonly number[]): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  let at = 0;
  for (const size of sizes) {
    chunks.push(bytes.subarray(at, at + size));
    at += size;
  }
  return [...chunks, bytes.subarray(at)];
}

function read(guard: FrameGuard, chunks: readonly Uint8Array[], nowMs = 0) {
  const pass: Uint8Array[] = [];
  let breach: Breach | null = null;
  for (const chunk of chunks) {
    const result = guard.received(chunk, nowMs);
    pass.push(...result.pass.map((bytes) => bytes.slice()));
    breach = result.breach;
  }
  return { pass: join(pass), breach };
}

function server(): FrameGuard {
  const guard = new FrameGuard("server");
  guard.received(PREFACE, 0);
  return guard;
}

const someFrame = fc.record({
  type: fc.integer({ min: 0, max: 12 }),
  flags: fc.integer({ min: 0, max: 255 }),
  stream: fc.integer({ min: 0, max: 9 }),
  length: fc.oneof(fc.integer({ min: 0, max: 40 }), fc.constant(16_384), fc.constant(16_385)),
});

Deno.test("received() passes everything but GOAWAY unchanged, however it is cut", () => {
  fc.assert(fc.property(
    fc.constantFrom("server" as const, "client" as const),
    fc.array(someFrame, { maxLength: 30 }),
    fc.array(fc.integer({ min: 0, max: 60 }), { maxLength: 60 }),
    (role, frames, sizes) => {
      const preface = role === "server" ? [PREFACE] : [];
      const bytes = join([...preface, ...frames.map(frame)]);
      const whole = read(new FrameGuard(role), [bytes]);
      const pieces = read(new FrameGuard(role), cut(bytes, sizes));
      assert.deepEqual(pieces, whole);
      if (whole.breach) return;
      const kept = frames.filter(({ type }) => type !== GOAWAY);
      assert.deepEqual(whole.pass, join([...preface, ...kept.map(frame)]));
    },
  ));
});

Deno.test("received() never throws and holds nothing back for long, whatever the bytes", () => {
  fc.assert(fc.property(fc.array(fc.uint8Array({ maxLength: 100 })), (chunks) => {
    const guard = new FrameGuard("client");
    const all = join(chunks);
    const { pass, breach } = read(guard, chunks);
    if (!breach && !guard.leaving) assert(all.length - pass.length < 9);
    assert(pass.length <= all.length);
  }));
});

Deno.test("a breach passes the frames before it and nothing after", () => {
  const guard = server();
  const good = frame({ type: HEADERS, stream: 1, length: 5 });
  const bad = frame({ type: DATA, stream: 1, length: 16_385 });
  assert.deepEqual(read(guard, [join([good, bad, good])]), { pass: good, breach: "frame_size" });
  assert.deepEqual(read(guard, [good]), { pass: new Uint8Array(), breach: "frame_size" });
});

Deno.test("what is not HTTP/2 is refused at its first wrong byte", () => {
  const get = new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n");
  assert.equal(read(new FrameGuard("server"), [get]).breach, "bad_preface");
  assert.equal(read(new FrameGuard("server"), cut(get, [1, 1])).breach, "bad_preface");
  assert.equal(read(new FrameGuard("server"), [PREFACE.subarray(0, 10)]).breach, null);
});

for (
  const { name, type, breach, burst, perSecond } of [
    { name: "RST_STREAM", type: RST_STREAM, breach: "reset_rate", ...GUARD_LIMITS.reset },
    { name: "PING", type: PING, breach: "ping_rate", ...GUARD_LIMITS.ping },
    { name: "SETTINGS", type: SETTINGS, breach: "settings_rate", ...GUARD_LIMITS.settings },
  ]
) {
  Deno.test(`${name} frames: a burst and a steady rate pass, more is a breach`, () => {
    const guard = server();
    const one = frame({ type, length: 8 });
    for (let count = 0; count < burst; count++) assert.equal(read(guard, [one]).breach, null);
    for (let second = 1; second <= 3; second++) {
      for (let count = 0; count < perSecond; count++) {
        assert.equal(read(guard, [one], second * 1000).breach, null);
      }
    }
    assert.equal(read(guard, [one], 3000).breach, breach);
  });
}

Deno.test("each frame of ours pays for one PING, as bandwidth probes need", () => {
  const guard = server();
  for (let count = 0; count < 10 * GUARD_LIMITS.ping.burst; count++) {
    guard.sent(frame({ type: DATA, stream: 1, length: 10 }));
    assert.equal(read(guard, [frame({ type: PING, length: 8 })]).breach, null);
  }
});

Deno.test("CONTINUATION frames: only so many behind one another", () => {
  const one = frame({ type: CONTINUATION, stream: 1, length: 1 });
  const run = Array.from({ length: GUARD_LIMITS.continuationMax }, () => one);
  const head = frame({ type: HEADERS, stream: 1 });
  const guard = server();
  assert.equal(read(guard, [head, ...run, head, ...run]).breach, null);
  assert.equal(read(guard, [one]).breach, "continuation_run");
});

Deno.test("shouldEnd: after GOAWAY, once the server has answered or reset every stream", () => {
  const guard = server();
  read(guard, [1, 3, 5].map((stream) => frame({ type: HEADERS, flags: END_STREAM, stream })));
  read(guard, [frame({ type: GOAWAY, length: 8 })]);
  assert.equal(guard.leaving, true);
  assert.equal(guard.shouldEnd, false);
  guard.sent(frame({ type: HEADERS, flags: END_STREAM, stream: 1 }));
  guard.sent(frame({ type: RST_STREAM, stream: 3, length: 4 }));
  assert.equal(guard.shouldEnd, false);
  read(guard, [frame({ type: RST_STREAM, stream: 5, length: 4 })]);
  assert.equal(guard.shouldEnd, true);
});

Deno.test("a client that opens a stream after GOAWAY is cut off", () => {
  const guard = new FrameGuard("client");
  guard.sent(PREFACE);
  guard.sent(frame({ type: HEADERS, stream: 1 }));
  read(guard, [frame({ type: GOAWAY, length: 8 })]);
  assert.equal(guard.shouldEnd, false);
  assert.equal(guard.sent(frame({ type: HEADERS, stream: 3 })), "stream_after_goaway");
});

Deno.test("farewell() is one GOAWAY frame that names the reason", () => {
  const bytes = farewell("reset_rate");
  const guard = new FrameGuard("client");
  assert.equal(read(guard, [bytes]).pass.length, 0);
  assert.equal(guard.leaving, true);
  assert.match(new TextDecoder().decode(bytes), /reset_rate$/);
});
