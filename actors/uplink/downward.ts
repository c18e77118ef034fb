// Down: what global sends, and what the zone takes of it.

import { ADVICE, writeAllegiance } from "../../kds/allegiance.ts";
import {
  attemptNow,
  type Intaken,
  onWritten,
  responseOf,
  takeAgain,
  takeRefused,
  takeResponse,
} from "../../kds/receiver.ts";
import { asksToCompare, type KdsResponse, originOf } from "../../kds/wire.ts";
import { toHub } from "../hub/messages.ts";
import { type Context, type Effect, log, type Turn } from "../runtime/actor.ts";
import type { UplinkMsg } from "./messages.ts";
import { noteArrival, noteWrite, noteWritten } from "./reports.ts";
import type { Session, State } from "./state.ts";
import { attributed, globalOf } from "./following.ts";
import { insightSoon } from "./insight.ts";
import { compare, reportSoon } from "./health.ts";
import { kds } from "./edge.ts";
import { attemptLater, inTurn, isNews, takeAgainSoon, tellTaken } from "../session/session.ts";
import { GLOBAL } from "./peer.ts";

export function responseReceived(
  state: State,
  session: Session,
  { response }: { readonly response: KdsResponse },
  at: Context,
): Turn<State> {
  if (asksToCompare(response)) return compare(state, session, response.typeUrl);
  const global = globalOf(state, session, response);
  if (!global) {
    const unattributed = [...session.unattributed, response];
    return [{ ...state, session: { ...session, unattributed } }, []];
  }
  const [judged, effects] = attributed(state, { ...session, global, unattributed: [] }, global);
  const responses = [...session.unattributed, response];
  return inTurn([judged, effects], responses, (current, one) => {
    const { image, allegiance } = current;
    const taken = takeResponse(current.session!.receiver, one, {
      image: image!,
      hold: allegiance.held && `${allegiance.held.reason}; ${ADVICE}`,
    });
    noteArrival(current.reports, originOf(one));
    return intaken(current, taken, at);
  });
}

export function written(
  state: State,
  { ref, value }: UplinkMsg & { readonly tag: "written" },
  at: Context,
): Turn<State> {
  const { session, image, reports } = state;
  // Also of a session that is over: its change is made all the same.
  noteWritten(reports, ref, value.ok && value.changes.length > 0 ? value.revision : null);
  if (!session || !image) return [state, []];
  return intaken(state, onWritten(session.receiver, ref, { result: value, image }), at);
}

export function takenAgain(state: State, typeUrl: string, at: Context): Turn<State> {
  const { session, image } = state;
  if (!session || !image) return [state, []];
  return intaken(state, takeAgain(session.receiver, typeUrl, image), at);
}

function intaken(state: State, result: Intaken, at: Context): Turn<State> {
  const { connection, receiver } = state.session!;
  const { allegiance, reports } = state;
  for (const { ref } of result.writes) noteWrite(reports, ref, originOf(responseOf(receiver, ref)));
  // The revision that a restored global may not fall behind is as durable as what it brought.
  const remember = allegiance.held
    ? []
    : [{ op: "put" as const, resource: writeAllegiance(allegiance) }];
  const effects: Effect[] = result.writes.map(({ ref, ops }) =>
    toHub({
      tag: "write",
      ops: [...ops, ...remember],
      by: "kds",
      reply: { path: at.self, tag: "written", ref },
    })
  );
  // That it holds on was told once; that it does so of every type is for whoever looks closely.
  const level = allegiance.held ? "debug" : "warn";
  effects.push(
    ...takeAgainSoon(result),
    ...attemptLater(result.attemptAfterMs),
    ...tellTaken(GLOBAL, result, level),
  );
  const [told, insight] = isNews(result) ? insightSoon(state) : [state, []];
  effects.push(...insight);
  if (!result.answer) return [told, effects];
  effects.push(kds({ do: "send", connection, request: result.answer }));
  if (state.refusal !== null) effects.push(log("info", "global takes this zone again"));
  // A session that got this far works: the next one need not wait.
  const [next, report] = reportSoon({ ...told, attempts: 0, refusal: null, lastError: null });
  return [next, [...effects, ...report]];
}

/** What was in the way of what is in quarantine may be gone. */
export function attempt(state: State, at: Context): Turn<State> {
  const { session } = state;
  if (!session) return [state, []];
  const effects = attemptLater(attemptNow(session.receiver));
  return attemptAt(state, { effects }, at);
}

export function attemptAt(
  state: State,
  { types, effects }: { readonly types?: readonly string[]; readonly effects: readonly Effect[] },
  at: Context,
): Turn<State> {
  const { session, image, allegiance } = state;
  if (!session || !image || allegiance.held) return [state, effects];
  return inTurn(
    [state, effects],
    takeRefused(session.receiver, image, types),
    (current, taken) => intaken(current, taken, at),
  );
}
