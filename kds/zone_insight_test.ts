import assert from "node:assert/strict";
import { peerInfo } from "./wire.ts";
import { isCompatible, openSubscription, renderSubscription } from "./zone_insight.ts";

Deno.test("isCompatible() takes the same major, two minors apart, and what is no version", () => {
  const own = "2.13.10";
  for (const other of ["2.13.0", "2.11.0", "2.15.9", "v2.12.1", "dev-1", "1.0.0-preview.v1"]) {
    assert.ok(isCompatible(own, other), other);
  }
  for (const other of ["2.10.9", "2.16.0", "1.13.10", "3.0.0"]) {
    assert.ok(!isCompatible(own, other), other);
  }
});

Deno.test("renderSubscription() judges the peer's version itself", () => {
  const said = (version: string) => ({ kumaCp: { version, kumaCpGlobalCompatible: true } });
  const versionOf = (version: string) => {
    const peer = peerInfo({ version: said(version) });
    const opened = {
      id: "s-1",
      globalInstance: "g-1",
      zoneInstance: "z-1",
      connectTime: "2026-11-26T07:00:00Z",
      authorized: false,
    };
    return renderSubscription(openSubscription(opened, { peer, own: "2.13.10" }))["version"];
  };
  assert.deepEqual(versionOf("2.13.10"), said("2.13.10"));
  assert.deepEqual(versionOf("2.9.0"), { kumaCp: { version: "2.9.0" } });
});
