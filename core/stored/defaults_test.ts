import assert from "node:assert/strict";
import { withDefaults } from "./defaults.ts";

Deno.test("withDefaults() fills in what was left out, where what leads to it is there", () => {
  const defaults = { state: "Unavailable", "ports[].appProtocol": "tcp", "tls.version.min": "any" };
  assert.deepEqual(withDefaults({ ports: [{ port: 1 }, { appProtocol: "http" }, 5] }, defaults), {
    state: "Unavailable",
    ports: [{ port: 1, appProtocol: "tcp" }, { appProtocol: "http" }, 5],
  });
  assert.deepEqual(withDefaults({ state: null, tls: { version: {} } }, defaults), {
    state: "Unavailable",
    tls: { version: { min: "any" } },
  });
  const whole = { state: "Available", ports: "none", tls: { version: { min: "TLS12" } } };
  assert.equal(withDefaults(whole, defaults), whole);
});
