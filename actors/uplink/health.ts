// Health checks of the zone: with news of its proxies, and with digests of what both sides hold.

import { type Digests, DIGESTS_MS } from "../../kds/digest.ts";
import { ALTERED } from "../../kds/holdings.ts";
import { heldVersions, receiverStandings, subscription } from "../../kds/receiver.ts";
import { senderStandings } from "../../kds/sender.ts";
import { type ClientEvent, originOf } from "../../kds/wire.ts";
import { type Context, count, log, timer, type Turn } from "../runtime/actor.ts";
import type { UplinkMsg } from "./messages.ts";
import { noteAnswered, noteProgress, noteUntold, takeNews } from "./reports.ts";
import type { Session, State } from "./state.ts";
import { kds } from "./edge.ts";

/** Kuma's zones ask every 5 minutes unless global wants it otherwise. */
const HEALTH_INTERVAL_MS = 300_000;

const HEALTH_RETRY_MS = 30_000;

const NAMES_TOLD = 20;

/** Before global, which did not take a report, hears it again. */
const UNTOLD_MS = 2_000;
/** Progress of many proxies is told at once. */
const REPORT_GAP_MS = 100;

/** `due`: also without news. One check at a time. */
export function checkHealth(state: State, due: boolean, at: Context): Turn<State> {
  const { session, args, reports } = state;
  if (!session?.up || session.checking) return [state, []];
  const news = session.wantsReports ? takeNews(reports, underWay(session)) : [];
  if (!due && news.length === 0) return [state, []];
  const { connection } = session;
  const digests = digestsDue(state, session, at);
  const digestedAtMs = digests ? at.nowMs : session.digestedAtMs;
  return [{ ...state, session: { ...session, checking: true, digestedAtMs } }, [
    kds({ do: "check_health", connection, zone: args.zone, reports: news, digests }),
  ]];
}

function digestsDue(
  { image, allegiance }: State,
  { receiver, sender, wantsDigests, digestedAtMs }: Session,
  { nowMs }: Context,
): Digests | null {
  const isEarly = nowMs >= digestedAtMs && nowMs < digestedAtMs + DIGESTS_MS;
  if (!wantsDigests || isEarly || !image || allegiance.held) return null;
  return { down: receiverStandings(receiver, image), up: senderStandings(sender) };
}

/** Global found that it holds something else of a type. */
export function compare(state: State, session: Session, typeUrl: string): Turn<State> {
  const { args, image, allegiance } = state;
  const held = image && !allegiance.held ? heldVersions(session.receiver, typeUrl, image) : null;
  if (!held) return [state, []];
  const altered = [...held].filter(([, version]) => version === ALTERED).map(([name]) => name);
  const request = subscription(typeUrl, { nodeId: args.zone, held });
  return [state, [
    log("warn", "copies of global's resources are not as they came: they are asked for again", {
      type: typeUrl,
      altered: altered.slice(0, NAMES_TOLD),
    }),
    count("ursa_kds_mismatches_total", { zone: args.zone, type: typeUrl }),
    kds({ do: "send", connection: session.connection, request }),
  ]];
}

export function healthAnswered(
  state: State,
  session: Session,
  { intervalMs, error }: ClientEvent & { readonly tag: "health_answered" },
): Turn<State> {
  const wanted = intervalMs > 0 ? intervalMs : HEALTH_INTERVAL_MS;
  // The sync streams say whether global is there; a failed check is only tried again.
  const afterMs = error === undefined ? wanted : HEALTH_RETRY_MS;
  const next = { ...state, session: { ...session, checking: false } };
  if (error === undefined) noteAnswered(state.reports);
  else noteUntold(state.reports);
  const [reporting, effects] = reportSoon(next, error === undefined ? REPORT_GAP_MS : UNTOLD_MS);
  return [reporting, [
    ...(error === undefined ? [] : [log("warn", "health check failed", { reason: error })]),
    timer("health", afterMs, { tag: "health_due" }),
    ...effects,
  ]];
}

/** Global's revisions of which something is not written yet. */
function underWay({ receiver }: Session): ReadonlySet<number> {
  return new Set([...receiver.intakes.values()].map(({ response }) => originOf(response)));
}

export function progressed(
  state: State,
  msg: UplinkMsg & { readonly tag: "report_progress" },
): Turn<State> {
  noteProgress(state.reports, msg.revision, msg);
  return reportSoon(state);
}

export function reportSoon(state: State, afterMs = REPORT_GAP_MS): Turn<State> {
  const { session, reports } = state;
  if (!session?.wantsReports || session.checking || reports.news.size === 0) return [state, []];
  return [state, [timer("report", afterMs, { tag: "report_due" })]];
}
