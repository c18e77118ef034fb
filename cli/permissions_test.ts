import assert from "node:assert/strict";
import { allowingCommand } from "./permissions.ts";

Deno.test("allowingCommand() repeats what the set allows, and quotes for a shell", () => {
  assert.equal(
    allowingCommand(
      { set: "remote", read: ["/etc/ca.crt", ".ursa/x"], write: ["/var/lib/my ursa"] },
      ["remote", "--zone", "it's"],
      "main.ts",
    ),
    "deno run -q -P=remote --allow-read='.ursa,/etc/ca.crt,/var/lib/my ursa' " +
      "--allow-write='.ursa,/var/lib/my ursa' main.ts remote --zone 'it'\\''s'",
  );
});

Deno.test("allowingCommand() leaves reading alone where the set reads everything", () => {
  assert.equal(
    allowingCommand({ set: "dp", read: null, write: ["/run/dp"] }, ["dp", "run"], "main.ts"),
    "deno run -q -P=dp --allow-write=.ursa,/run/dp main.ts dp run",
  );
});
