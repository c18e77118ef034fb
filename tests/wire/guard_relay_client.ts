// A gRPC client in a process of its own that dials through the guarded relay: calls, lets the server
// say GOAWAY while nothing is open, and calls again. Arguments: port and socket path.

import { Client, credentials } from "@grpc/grpc-js";
import { Buffer } from "node:buffer";
import { connect } from "node:net";
import { startGuardedRelay } from "../../h2/io/guarded_socket.ts";

const [port, socketPath, idleMs] = Deno.args;
const relay = await startGuardedRelay({
  socketPath: socketPath!,
  connect: () => connect(Number(port), "127.0.0.1"),
  onBreach: (breach) => console.error(breach),
});
const client = new Client(relay.target, credentials.createInsecure(), {
  "grpc.default_authority": "localhost",
  "grpc.initial_reconnect_backoff_ms": 100,
});

function call(): Promise<void> {
  const bytes = (value: Uint8Array) => Buffer.from(value);
  return new Promise((resolve, reject) => {
    const deadline = new Date(Date.now() + 20_000);
    client.makeUnaryRequest("/t.T/Call", bytes, bytes, new Uint8Array(), { deadline }, (error) => {
      error ? reject(error) : resolve();
    });
  });
}

for (let round = 0; round < 3; round++) {
  for (let count = 0; count < 13; count++) await call();
  // The server says GOAWAY in between; no event of grpc-js says when.
  await new Promise((resolve) => setTimeout(resolve, 2 * Number(idleMs)));
}
client.close();
await relay.close();
console.log("done");
Deno.exit(0);
