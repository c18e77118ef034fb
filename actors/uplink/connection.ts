// The connection to global: made for ever again, later and later.

import { globalToZone } from "../../kds/direction.ts";
import { openReceiver, subscription, zoneRules } from "../../kds/receiver.ts";
import { endSession, openSender } from "../../kds/sender.ts";
import { capacityOf, type ClientEvent, ownMetadata, peerInfo } from "../../kds/wire.ts";
import { cancel, type Context, count, log, timer, type Turn } from "../runtime/actor.ts";
import { pauseMs } from "./backoff.ts";
import { aheadIn } from "./ahead.ts";
import { sessionOver } from "./own_insight.ts";
import { noteUntold } from "./reports.ts";
import type { Session, State } from "./state.ts";
import { SETTLE_MS } from "./settling.ts";
import { insightNow } from "./insight.ts";
import { checkHealth } from "./health.ts";
import { kds } from "./edge.ts";
import { tellKeptBack } from "../session/session.ts";
import { GLOBAL } from "./peer.ts";

/** Longer than an edge takes to give up. */
const CONNECT_MS_MAX = 20_000;

/** gRPC statuses with which global says that it does not want this zone, not that it cannot. */
const REFUSALS = ["UNAUTHENTICATED", "PERMISSION_DENIED", "FAILED_PRECONDITION"];

export function connect(state: State, at: Context): Turn<State> {
  const { args, connections, quarantine } = state;
  // Not the number alone: an event may come late from before a restart of this actor.
  const connection = `${at.nowMs.toString(36)}-${connections + 1}`;
  const { image } = state;
  const rules = zoneRules(globalToZone(args.descriptors), () => aheadIn(image!));
  // Of what was under way nobody knows whether it arrived.
  noteUntold(state.reports);
  const session: Session = {
    connection,
    receiver: openReceiver(connection, { rules, nodeId: args.zone, quarantine }),
    sender: openSender(state.trust),
    up: false,
    global: null,
    unattributed: [],
    wantsReports: false,
    wantsDigests: false,
    digestedAtMs: at.nowMs,
    takes: capacityOf(peerInfo(undefined)),
    checking: false,
  };
  const insight = sessionOver(state.insight, at);
  return [{ ...state, session, insight, connections: connections + 1 }, [
    kds({ do: "connect", connection, zone: args.zone }),
    // An edge that was not there yet heard nothing, and says nothing.
    timer("connect", CONNECT_MS_MAX, { tag: "connect_due" }),
  ]];
}

export function ofSession(
  state: State,
  { connection }: ClientEvent,
  then: (session: Session) => Turn<State>,
): Turn<State> {
  const { session } = state;
  return session?.connection === connection ? then(session) : [state, []];
}

export function connected(state: State, session: Session, at: Context): Turn<State> {
  const { args, revision } = state;
  session.sender.revision = revision;
  const metadata = ownMetadata(args);
  const questions = globalToZone(args.descriptors).map(({ name }) =>
    kds({
      do: "send",
      connection: session.connection,
      request: subscription(name, { nodeId: args.zone, metadata }),
    })
  );
  const { refusal } = state;
  const next = { ...state, session: { ...session, up: true }, lastError: refusal };
  const [checked, health] = checkHealth(next, true, at);
  const effects = [
    cancel("connect"),
    timer("settle", SETTLE_MS, { tag: "settle_due" }),
    ...(refusal === null ? [log("info", "connected to global")] : []),
  ];
  return [checked, [...effects, ...questions, ...health]];
}

export function disconnected(
  state: State,
  session: Session,
  { reason, refused }: ClientEvent & { readonly tag: "disconnected" },
  at: Context,
): Turn<State> {
  const attempts = state.attempts + 1;
  const afterMs = pauseMs({ attempts, answered: session.up, random: at.random });
  const [code = ""] = /^[A-Z_]+(?=: )/.exec(reason) ?? [];
  const isRefusal = REFUSALS.includes(code);
  const refusal = isRefusal ? reason : state.refusal;
  const over = sessionOver(state.insight, at);
  const ended = { ...state, session: null, attempts, insight: over, lastError: reason, refusal };
  const [next, insight] = insightNow(ended, at);
  return [next, [
    ...insight,
    ...(refused ? endSession(session.sender) : []).flatMap((one) => tellKeptBack(GLOBAL, one)),
    // Once per reason and refusal: what repeats is counted.
    ...(isRefusal
      ? state.refusal === reason ? [] : [log("error", "global refuses this zone", { reason })]
      : state.lastError !== reason
      ? [log("warn", "connection to global lost", { reason })]
      : []),
    ...(isRefusal ? [count("ursa_uplink_refused_total", { code })] : []),
    count("ursa_uplink_disconnects_total"),
    cancel("health"),
    cancel("report"),
    cancel("settle"),
    timer("connect", afterMs, { tag: "connect_due" }),
  ]];
}
