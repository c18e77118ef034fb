import assert from "node:assert/strict";
import { contentHash, sha256Hex } from "./version.ts";

Deno.test("contentHash() and sha256Hex() are SHA-256 in hexadecimal digits", () => {
  const expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  assert.equal(contentHash(new TextEncoder().encode("abc")), expected);
  assert.equal(sha256Hex("abc"), expected);
});
