// A gRPC server in a process of its own, guarded or not, for clients that leave with GOAWAY.
// Says its port on stdout; ends with status 0 when stdin ends.

import { type sendUnaryData, Server, ServerCredentials, type ServerUnaryCall } from "@grpc/grpc-js";
import { Buffer } from "node:buffer";
import { type AddressInfo, createServer } from "node:net";
import { GuardedSocket } from "../../h2/io/guarded_socket.ts";

const guarded = Deno.args[0] === "guarded";
const bytes = (value: Uint8Array) => Buffer.from(value);
const grpc = new Server();
grpc.addService({
  Call: {
    path: "/t.T/Call",
    requestStream: false,
    responseStream: false,
    requestSerialize: bytes,
    requestDeserialize: bytes,
    responseSerialize: bytes,
    responseDeserialize: bytes,
  },
}, {
  Call: (_: ServerUnaryCall<Uint8Array, Uint8Array>, answer: sendUnaryData<Uint8Array>) =>
    answer(null, new Uint8Array()),
});
const injector = grpc.createConnectionInjector(ServerCredentials.createInsecure());
const server = createServer((socket) => {
  socket.on("error", () => {});
  injector.injectConnection(
    guarded ? new GuardedSocket(socket, { onBreach: (breach) => console.error(breach) }) : socket,
  );
});
server.listen(0, "127.0.0.1", () => {
  console.log((server.address() as AddressInfo).port);
});
for await (const _ of Deno.stdin.readable);
Deno.exit(0);
