import assert from "node:assert/strict";
import { nearest } from "./nearest.ts";

Deno.test("nearest() names what was meant, and is silent when that is anybody's guess", () => {
  const known = ["mtls", "routing", "networking", "metrics"];
  assert.equal(nearest("mlts", known), "mtls");
  assert.equal(nearest("Networkin", known), "networking");
  assert.equal(nearest("metric", known), "metrics");
  assert.equal(nearest("zone", known), undefined);
  assert.equal(nearest("", known), undefined);
  assert.equal(nearest("x".repeat(100_000), known), undefined);
});
