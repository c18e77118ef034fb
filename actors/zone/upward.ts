// Up: what the zone sends.

import { zoneToGlobal } from "../../kds/direction.ts";
import {
  attemptNow,
  type Intaken,
  onWritten,
  subscription,
  takeAgain,
  takeRefused,
  takeResponse,
} from "../../kds/receiver.ts";
import { ownMetadata, type ServerEvent } from "../../kds/wire.ts";
import { toHub } from "../hub/messages.ts";
import type { Context, Effect, Turn } from "../runtime/actor.ts";
import type { ZoneMsg } from "./messages.ts";
import type { State } from "./state.ts";
import { insightSoon } from "./insight.ts";
import { close, kds, unknownStream } from "./edge.ts";
import { attemptLater, inTurn, isNews, takeAgainSoon, tellTaken } from "../session/session.ts";
import { peerOf } from "./peer.ts";

/** Subscribes to everything that zones send, as soon as it can be compared with what is here. */
export function ask(state: State): Turn<State> {
  const { up, image, args } = state;
  if (!up || up.asked || !image) return [state, []];
  const { version, instance } = args;
  const metadata = ownMetadata({ version, instance, config: "", link: "told" });
  const questions = zoneToGlobal(args.descriptors).map(({ name }): Effect => {
    const request = subscription(name, { nodeId: args.zone, metadata });
    return kds({ do: "send", stream: up.stream, request });
  });
  return [{ ...state, up: { ...up, asked: true } }, questions];
}

export function responseReceived(
  state: State,
  { stream, response }: ServerEvent & { readonly tag: "response_received" },
  at: Context,
): Turn<State> {
  const { up, image } = state;
  if (up?.stream !== stream) return [state, [unknownStream(stream)]];
  if (!image) return [state, [close(stream, "internal", "a response that nobody asked for")]];
  return intaken(state, takeResponse(up.receiver, response, { image, hold: null }), at);
}

export function written(
  state: State,
  { ref, value }: ZoneMsg & { readonly tag: "written" },
  at: Context,
): Turn<State> {
  const { up, image } = state;
  if (!up || !image) return [state, []];
  return intaken(state, onWritten(up.receiver, ref, { result: value, image }), at);
}

export function takenAgain(state: State, typeUrl: string, at: Context): Turn<State> {
  const { up, image } = state;
  if (!up || !image) return [state, []];
  return intaken(state, takeAgain(up.receiver, typeUrl, image), at);
}

function intaken(state: State, result: Intaken, at: Context): Turn<State> {
  const { stream } = state.up!;
  const effects: Effect[] = result.writes.map(({ ref, ops }) =>
    toHub({
      tag: "write",
      ops,
      by: `kds/${state.args.zone}`,
      reply: { path: at.self, tag: "written", ref },
    })
  );
  effects.push(...takeAgainSoon(result));
  if (result.answer) effects.push(kds({ do: "send", stream, request: result.answer }));
  effects.push(
    ...attemptLater(result.attemptAfterMs),
    ...tellTaken(peerOf(state.args.zone), result, "warn"),
  );
  if (!isNews(result)) return [state, effects];
  const [noted, insight] = insightSoon(state);
  return [noted, [...effects, ...insight]];
}

/** What was in the way of what is in quarantine may be gone. */
export function attempt(state: State, at: Context): Turn<State> {
  const { up } = state;
  if (!up) return [state, []];
  const effects = attemptLater(attemptNow(up.receiver));
  return attemptAt(state, { effects }, at);
}

export function attemptAt(
  state: State,
  { types, effects }: { readonly types?: readonly string[]; readonly effects: readonly Effect[] },
  at: Context,
): Turn<State> {
  const { up, image } = state;
  if (!up || !image) return [state, effects];
  return inTurn(
    [state, effects],
    takeRefused(up.receiver, image, types),
    (current, taken) => intaken(current, taken, at),
  );
}
