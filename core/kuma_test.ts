import assert from "node:assert/strict";
import { isCompatible } from "./kuma.ts";

Deno.test("isCompatible() takes the same major, two minors apart, and what is no version", () => {
  const own = "2.13.10";
  for (const other of ["2.13.0", "2.11.0", "2.15.9", "v2.12.1", "dev-1", "1.0.0-preview.v1"]) {
    assert.ok(isCompatible(own, other), other);
  }
  for (const other of ["2.10.9", "2.16.0", "1.13.10", "3.0.0"]) {
    assert.ok(!isCompatible(own, other), other);
  }
});
