// A server's GOAWAY on an idle connection can abort a Deno client: not one behind the relay, which
// then dials anew.

import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { startGuardedRelay } from "../../h2/io/guarded_socket.ts";
import { within } from "./ads_fixture.ts";
import {
  ACK,
  eachFrame,
  END_HEADERS,
  END_STREAM,
  frame,
  goaway,
  literal,
  PREFACE,
  TYPE,
} from "./guard_frames.ts";

const IDLE_MS = 500;
const CLIENTS = 6;
/** What grpc-go sends first when it is stopped gracefully. */
const LAST_STREAM_OF_ALL = 2 ** 31 - 1;
// :status 200 is in the static table of HPACK.
const HEADERS = Uint8Array.from([0x88, ...literal("content-type", "application/grpc")]);
const TRAILERS = Uint8Array.from(literal("grpc-status", "0"));

/** Answers every call with an empty message, and says GOAWAY when it had nothing to do for a while. */
function leavingServer(socket: Socket): void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  socket.on("error", () => {});
  socket.on("close", () => clearTimeout(timer));
  socket.write(frame({ type: TYPE.settings }));
  socket.on(
    "data",
    eachFrame(PREFACE.length, ({ type, flags, stream }) => {
      if (type === TYPE.settings && flags === 0) {
        socket.write(frame({ type: TYPE.settings, flags: ACK }));
      }
      if (type > TYPE.headers || (flags & END_STREAM) === 0) return;
      clearTimeout(timer);
      timer = setTimeout(() => socket.write(goaway(LAST_STREAM_OF_ALL)), IDLE_MS);
      const payload = new Uint8Array(5);
      socket.write(frame({ type: TYPE.headers, flags: END_HEADERS, stream, payload: HEADERS }));
      socket.write(frame({ type: TYPE.data, stream, payload }));
      const last = END_HEADERS | END_STREAM;
      socket.write(frame({ type: TYPE.headers, flags: last, stream, payload: TRAILERS }));
    }),
  );
}

Deno.test("clients behind the relay outlive a server's GOAWAY and dial anew", async () => {
  let connections = 0;
  const server = createServer((socket) => {
    connections++;
    leavingServer(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const folder = await Deno.makeTempDir();
  const client = new URL("guard_relay_client.ts", import.meta.url).pathname;
  const outputs = await within(
    120_000,
    "the clients",
    Promise.all(Array.from({ length: CLIENTS }, (_, index) =>
      new Deno.Command(Deno.execPath(), {
        args: [
          ...["run", "--quiet", "-P=test", client],
          ...[String(port), `${folder}/${index}`, String(IDLE_MS)],
        ],
      }).output())),
  );
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  for (const { code, stdout, stderr } of outputs) {
    assert.deepEqual({ code, stdout: text(stdout) }, { code: 0, stdout: "done\n" }, text(stderr));
  }
  assert.equal(connections, 3 * CLIENTS);
  server.close();
  await Deno.remove(folder, { recursive: true });
});

Deno.test("a peer that cannot be reached is reported, and the channel's connection closed", async () => {
  const folder = await Deno.makeTempDir();
  const free = createServer().listen(0, "127.0.0.1");
  await once(free, "listening");
  const { port } = free.address() as AddressInfo;
  free.close();
  await once(free, "close");
  const errors: string[] = [];
  const relay = await startGuardedRelay({
    socketPath: `${folder}/relay`,
    connect: () => connect(port, "127.0.0.1"),
    onBreach: (breach) => errors.push(breach),
    onPeerError: ({ message }) => errors.push(message),
  });
  assert.equal(relay.target, `unix:${folder}/relay`);
  const near = connect(`${folder}/relay`);
  near.on("error", () => {});
  await within(20_000, "the relay to close", once(near, "close"));
  assert.match(errors.join(), /ECONNREFUSED/);
  await relay.close();
  await Deno.remove(folder, { recursive: true });
});
