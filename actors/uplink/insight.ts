// When a zone writes down how its link to global fares: at once when it comes or goes, else soon.

import type { JsonObject } from "../../core/resource.ts";
import { ADVICE } from "../../kds/allegiance.ts";
import { renderQuarantine } from "../../kds/quarantine.ts";
import { rejections } from "../../kds/sender.ts";
import { INSIGHT_FLUSH_MS } from "../../kds/zone_insight.ts";
import { cancel, type Context, timer, type Turn } from "../runtime/actor.ts";
import type { UplinkStatus } from "./messages.ts";
import { writeInsight } from "./own_insight.ts";
import type { State } from "./state.ts";

/** Statistics can wait; coming and going is written at once. */
export function insightSoon(state: State): Turn<State> {
  const { insight } = state;
  if (insight.dirty || !insight.current) return [state, []];
  return [{ ...state, insight: { ...insight, dirty: true } }, [
    timer("insight", INSIGHT_FLUSH_MS, { tag: "insight_due" }),
  ]];
}

export function insightNow(state: State, at: Context): Turn<State> {
  const { insight, args } = state;
  if (!insight.dirty) return [state, []];
  return [{ ...state, insight: { ...insight, dirty: false } }, [
    cancel("insight"),
    writeInsight(insight, { zone: args.zone, ...troubles(state) }, at),
  ]];
}

export function statusOf(state: State): UplinkStatus & JsonObject {
  const { session, attempts, allegiance, lastError } = state;
  const { accepted, held } = allegiance;
  return {
    connected: session?.up ?? false,
    attempts,
    clusterId: accepted?.clusterId ?? "",
    revision: accepted?.revision ?? 0,
    held: held ? `${held.reason}; ${ADVICE}` : null,
    lastError,
    ...troubles(state),
  };
}

/** What global said no to, and what it could not be told; and what of global's was not taken. */
function troubles(
  { session, book, quarantine }: State,
): Pick<UplinkStatus, "rejected" | "refused"> {
  return {
    rejected: session ? Object.fromEntries(rejections(session.sender, book)) : {},
    refused: renderQuarantine(quarantine),
  };
}
