// What a zone writes down of its sessions with global: the same ZoneInsight that global has of it.

import type { JsonObject, Resource } from "../../core/resource.ts";
import {
  endSubscription,
  INSIGHT_STREAMS,
  openSubscription,
  pastSubscriptions,
  renderInsight,
  renderSubscription,
  type Subscription,
  timeOf,
} from "../../kds/zone_insight.ts";
import type { PeerInfo } from "../../kds/wire.ts";
import { toHub } from "../hub/messages.ts";
import type { Context, Effect } from "../runtime/actor.ts";
import type { UplinkArgs, UplinkStatus } from "./messages.ts";

export interface OwnInsight {
  readonly past: readonly JsonObject[];
  /** Null until global has said who it is. */
  readonly current: Subscription | null;
  /** Something is not written yet. */
  readonly dirty: boolean;
}

export const NO_INSIGHT: OwnInsight = { past: [], current: null, dirty: false };

/** As it was written before; what was open then is over. */
export function readInsight(stored: Resource | undefined, at: Context): OwnInsight {
  const { past, closed } = pastSubscriptions(stored?.spec ?? null, timeOf(at.nowMs));
  return { past, current: null, dirty: closed };
}

/** A session's first word from global. */
export function sessionKnown(
  insight: OwnInsight,
  { connection, peer, args }: {
    readonly connection: string;
    readonly peer: PeerInfo;
    readonly args: UplinkArgs;
  },
  at: Context,
): OwnInsight {
  const current = openSubscription({
    id: connection,
    globalInstance: peer.instance,
    zoneInstance: args.instance,
    connectTime: timeOf(at.nowMs),
    authorized: false,
  }, { peer, own: args.version });
  return { ...insight, current, dirty: true };
}

export function sessionOver({ past, current, dirty }: OwnInsight, at: Context): OwnInsight {
  if (!current) return { past, current, dirty };
  const ended = endSubscription(renderSubscription(current), timeOf(at.nowMs));
  return { past: [...past, ended], current: null, dirty: true };
}

export function writeInsight(
  { past, current }: OwnInsight,
  { zone, rejected, refused }: Pick<UplinkStatus, "rejected" | "refused"> & {
    readonly zone: string;
  },
  at: Context,
): Effect {
  const spec = renderInsight({
    past,
    current,
    instance: current?.globalInstance ?? "",
    streams: current ? { [INSIGHT_STREAMS.zone_to_global]: current.connectTime } : {},
    healthTime: null,
    ursa: {
      ...(Object.keys(rejected).length > 0 && { rejected }),
      ...(Object.keys(refused).length > 0 && { refused }),
    },
  });
  return toHub({
    tag: "write",
    ops: [{
      op: "put",
      resource: { type: "ZoneInsight", mesh: "", name: zone, labels: {}, spec },
    }],
    by: "kds",
    reply: { path: at.self, tag: "insight_written", ref: "" },
  });
}
