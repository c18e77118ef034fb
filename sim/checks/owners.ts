// Whose a proxy's name is: one stream's at a time, and for as long as that is open.

import assert from "node:assert/strict";
import { REGISTERED_BY_LABEL, REGISTERED_BY_PROXY } from "../../actors/dataplane/messages.ts";
import { known } from "../ads_messages.ts";
import type { Envoy } from "../envoy.ts";
import type { Check, World } from "../world.ts";
import { calmOf } from "./calm.ts";

/** Longer than a takeover takes, also in a process that is busy. */
const TAKEOVER_MS = 2_500;
/** Less than an absent proxy stays registered. */
const CONNECTED_MS = 8_000;

const nodeOf = ({ options: { key } }: Envoy) => `${key.mesh}.${key.name}`;

export function oneOwner(world: World): Check {
  const calm = calmOf(world);
  return {
    name: "a proxy has one owner",
    tick() {
      calm.tick();
      for (const zone of world.zones) {
        if (!zone.ads || zone.site.paused) continue;
        for (const [node, sinceMs] of zone.ads.openByNode()) {
          const second: number = sinceMs[1] ?? world.nowMs;
          assert(
            world.nowMs - second < TAKEOVER_MS || !calm.is(zone),
            `${sinceMs.length} streams are open as ${node} in ${zone.name}`,
          );
        }
      }
    },
    committed(where, { changes }) {
      if (!where.ads || !calm.is(where)) return;
      for (const { key, resource, previous } of changes) {
        if (key.type !== "Dataplane" || resource) continue;
        if (previous?.labels[REGISTERED_BY_LABEL] !== REGISTERED_BY_PROXY) continue;
        if (!where.disk.image.get({ type: "Mesh", mesh: "", name: key.mesh })) continue;
        const node = `${key.mesh}.${key.name}`;
        const leaves = world.envoysOf(where.name).some((envoy) =>
          nodeOf(envoy) === node && envoy.draining
        );
        const sinceMs: number = where.ads.openSince(node)[0] ?? world.nowMs;
        const forMs: number = world.nowMs - sinceMs;
        assert(
          leaves || forMs < CONNECTED_MS,
          `${node} of ${where.name} is deregistered, and has had a stream for ${forMs} ms`,
        );
      }
    },
  };
}

interface StreamSeen {
  readonly ads: {
    readonly types: ReadonlyMap<string, {
      readonly held: ReadonlyMap<
        string,
        {
          /** "" when a rejection leaves it uncertain. */
          readonly version: string;
          readonly resource: { readonly any: Uint8Array } | null;
        }
      >;
    }>;
  };
}

/** What the control plane takes for ACKed, a proxy of that name has taken. */
export function acksAreMeant(world: World): Check {
  return {
    name: "only what is ACKed counts as taken",
    turned(where, path, msg) {
      if (msg.tag !== "stream_request" || !path.startsWith("dataplanes/")) return;
      const { typeUrl } = (msg as unknown as { request: { typeUrl: string } }).request;
      const actor = where.kernel!.peek(path) as { readonly stream: StreamSeen | null } | undefined;
      const held = actor?.stream?.ads.types.get(typeUrl)?.held;
      if (!held) return;
      const owners = world.envoysNamed(where.name, path.slice("dataplanes/".length));
      for (const [resourceName, { version, resource }] of held) {
        if (!resource || version === "") continue;
        const taken = known(resource.any);
        if (taken && owners.some((envoy) => envoy.taken.has(taken))) continue;
        assert.fail(`${where.name} believes that ${path} has ${resourceName}, which it never took`);
      }
    },
  };
}
