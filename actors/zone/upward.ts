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
import { type Context, count, type Effect, log, timer, type Turn } from "../runtime/actor.ts";
import { MESSAGE_CHARS_MAX } from "../../kds/zone_insight.ts";
import type { ZoneMsg } from "./messages.ts";
import { AGAIN_MS, type State } from "./state.ts";
import { insightSoon } from "./insight.ts";
import { close, kds, unknownStream } from "./edge.ts";

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
  if (result.again !== null) {
    const { again } = result;
    effects.push(timer(`again ${again}`, AGAIN_MS, { tag: "again_due", typeUrl: again }));
  }
  if (result.answer) {
    effects.push(kds({ do: "send", stream, request: result.answer }));
  }
  if (result.attemptAfterMs !== null) {
    effects.push(timer("attempt", result.attemptAfterMs, { tag: "attempt_due" }));
  }
  if (result.out.length > 0) {
    effects.push(
      log("info", "resources of a zone out of quarantine", {
        zone: state.args.zone,
        names: [...result.out],
      }),
    );
  }
  if (result.rejected.length > 0) {
    effects.push(
      log("warn", "resources of a zone rejected", {
        zone: state.args.zone,
        type: result.typeUrl,
        reason: result.rejected.join("; ").slice(0, MESSAGE_CHARS_MAX),
      }),
      count("ursa_kds_refused_total", { peer: state.args.zone, type: result.typeUrl }),
    );
  }
  if (result.rejected.length + result.out.length === 0) return [state, effects];
  const [noted, insight] = insightSoon(state);
  return [noted, [...effects, ...insight]];
}

/** What was in the way of what is in quarantine may be gone. */
export function attempt(state: State, at: Context): Turn<State> {
  const { up } = state;
  if (!up) return [state, []];
  const afterMs = attemptNow(up.receiver);
  const again = afterMs === null ? [] : [timer("attempt", afterMs, { tag: "attempt_due" })];
  return attemptAt(state, { effects: again }, at);
}

export function attemptAt(
  state: State,
  { types, effects }: { readonly types?: readonly string[]; readonly effects: readonly Effect[] },
  at: Context,
): Turn<State> {
  const { up, image } = state;
  if (!up || !image) return [state, effects];
  return takeRefused(up.receiver, image, types).reduce<Turn<State>>(
    ([current, before], taken) => {
      const [next, after] = intaken(current, taken, at);
      return [next, [...before, ...after]];
    },
    [state, effects],
  );
}
