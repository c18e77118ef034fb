import assert from "node:assert/strict";
import { peerInfo } from "./wire.ts";
import { openSubscription, renderSubscription } from "./zone_insight.ts";

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
