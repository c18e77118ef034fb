// What is told of a zone to those who wait for receipts.

import type { ZoneReport } from "../../kds/wire.ts";
import { type Effect, send } from "../runtime/actor.ts";
import type { State } from "./state.ts";

export function progressOf(state: State, reports: readonly ZoneReport[]): readonly Effect[] {
  const { receipts, zone } = state.args;
  if (receipts === null) return [];
  return reports.map(({ after, revision, proxies, lastAckMs }) =>
    send(receipts, {
      tag: "zone_report",
      zone,
      after,
      revision,
      proxies: {
        affected: proxies.affected,
        acked: proxies.acked,
        nacked: proxies.nacked,
        offline: proxies.offline,
        lastAckMs,
      },
    })
  );
}

export function presence(
  { args: { receipts, zone } }: State,
  presence: "online" | "offline" | "deleted",
): readonly Effect[] {
  return receipts === null ? [] : [send(receipts, { tag: "zone_presence", zone, presence })];
}
