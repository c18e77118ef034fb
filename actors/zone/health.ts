// A zone's health checks: what its proxies have made of what it was sent, and whether both sides hold
// the same.

import { type Digests, mismatches } from "../../kds/digest.ts";
import { heldVersions, receiverStandings, subscription } from "../../kds/receiver.ts";
import { senderStandings } from "../../kds/sender.ts";
import {
  askToCompare,
  type ServerCommand,
  type ServerEvent,
  systemVersion,
} from "../../kds/wire.ts";
import { type Context, count, type Effect, log, type Turn } from "../runtime/actor.ts";
import type { State } from "./state.ts";
import { identityOf } from "./identity.ts";
import { progressOf } from "./receipts.ts";
import { kds } from "./edge.ts";

/** What the zone has lost, and what of the zone's was lost here, is sent again. */
function compared(state: State, digests: Digests): readonly Effect[] {
  const { args: { zone }, down, up, image } = state;
  const own = identityOf(state);
  if (!down || !up || !image || !own) return [];
  const lost = mismatches(digests.down, senderStandings(down.sender));
  const missed = mismatches(digests.up, receiverStandings(up.receiver, image));
  const from = { systemVersion: systemVersion(own), controlPlane: "global" };
  return [
    ...lost.flatMap((typeUrl) => {
      const response = askToCompare(typeUrl, from);
      return toCompare(zone, typeUrl, { do: "send", stream: down.stream, response });
    }),
    ...missed.flatMap((typeUrl) => {
      const held = heldVersions(up.receiver, typeUrl, image) ?? new Map();
      const request = subscription(typeUrl, { nodeId: zone, held });
      return toCompare(zone, typeUrl, { do: "send", stream: up.stream, request });
    }),
  ];
}

function toCompare(zone: string, type: string, what: ServerCommand): readonly Effect[] {
  return [
    log("warn", "a zone and global do not hold the same: they compare", { zone, type }),
    count("ursa_kds_mismatches_total", { zone, type }),
    kds(what),
  ];
}

export function healthChecked(
  state: State,
  { check, reports, digests }: ServerEvent & { readonly tag: "health_checked" },
  at: Context,
): Turn<State> {
  return [{ ...state, healthAtMs: at.nowMs }, [
    kds({ do: "answer_health", check }),
    ...progressOf(state, reports),
    ...(digests ? compared(state, digests) : []),
  ]];
}
