import assert from "node:assert/strict";
import { foldProtocols, protocolOf } from "./protocol.ts";

Deno.test("foldProtocols() finds the best that all instances can be treated as", () => {
  assert.equal(foldProtocols([]), "unknown");
  assert.equal(foldProtocols(["http", "http"]), "http");
  assert.equal(foldProtocols(["grpc", "http2"]), "http2");
  assert.equal(foldProtocols(["http", "http2"]), "tcp");
  assert.equal(foldProtocols(["http", "unknown"]), "unknown");
  assert.equal(foldProtocols(["kafka", "grpc"]), "tcp");
});

Deno.test("protocolOf() knows only known names", () => {
  assert.equal(protocolOf({ "kuma.io/protocol": "grpc" }), "grpc");
  assert.equal(protocolOf({ "kuma.io/protocol": "constructor" }), "unknown");
  assert.equal(protocolOf({}), "unknown");
});
