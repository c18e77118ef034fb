// Versions go forward only, and bounds hold.

import assert from "node:assert/strict";
import type { KdsResponse } from "../../kds/wire.ts";
import { parseSystemVersion } from "../../kds/wire.ts";
import type { Check, World } from "../world.ts";

export function versionsGoForward(world: World): Check {
  const newest = new Map<string, number>();
  const forward = (what: string, version: number): void => {
    const before = newest.get(what) ?? 0;
    assert(version >= before, `${what} went from ${before} back to ${version}`);
    newest.set(what, version);
  };
  return {
    name: "versions go forward",
    started: ({ name }) => {
      for (const what of [...newest.keys()]) if (what.startsWith(`${name} `)) newest.delete(what);
    },
    turned(where, path, msg) {
      if (msg.tag !== "response_received") return;
      const { response, connection = "", stream = "" } = msg as unknown as {
        readonly response: KdsResponse;
        readonly connection?: string;
        readonly stream?: string;
      };
      const said = parseSystemVersion(response.systemVersion);
      if (!said) return;
      const session = `${where.name} ${path} ${connection}${stream} ${response.typeUrl}`;
      forward(session, said.revision);
    },
    tick() {
      for (const { name, kernel, site } of world.planes) {
        if (!kernel) continue;
        const hub = kernel.peek("hub") as { readonly published: number } | undefined;
        if (hub) forward(`${name} ${site.incarnation} published`, hub.published);
      }
      if (newest.size > 5_000) newest.clear();
    },
  };
}

/** What is refused or thrown away for want of room, though nobody floods. */
export function nothingOverflows(world: World): Check {
  return {
    name: "queues stay within their bounds",
    tick() {
      const lost = world.counts.get("ursa_mailbox_full_total") ?? 0;
      assert.equal(lost, 0, "messages refused or shed");
    },
  };
}
