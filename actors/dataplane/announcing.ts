// A proxy is offered to others once it listens.

import { TYPES } from "../../xds/snapshot.ts";
import { isSettled, rejectionsOf } from "../../xds/stream.ts";
import { toHub, type WriteResult } from "../hub/messages.ts";
import { type Context, log, timer, type Turn } from "../runtime/actor.ts";
import { samePlaces } from "./announcement.ts";
import { withHealth } from "./health.ts";
import { ownResource, type State } from "./state.ts";

const ANNOUNCE_AGAIN_MS = 1_000;

export function announceIfListening(state: State, at: Context): Turn<State> {
  const { announcement, stream, remarks, probing, health } = state;
  if (!announcement || announcement.underWay || remarks.waiting !== null) return [state, []];
  if (!stream?.listens || !isSettled(stream.ads)) return [state, []];
  // Whose Envoy tells of itself is offered when that says it serves.
  if (probing && !health?.envoy) return [state, []];
  // What it ACKs at first may be made from what an earlier run registered with: other ports.
  const own = ownResource(state);
  if (!own || !samePlaces(own.spec, announcement.draft.spec)) return [state, []];
  if (rejectionsOf(stream.ads).some(({ typeUrl }) => typeUrl === TYPES.listener)) {
    return [state, []];
  }
  const { draft } = announcement;
  const healthy = withHealth(draft, { health: state.health, declared: draft });
  return [{ ...state, announcement: { draft, underWay: true } }, [
    toHub({
      tag: "write",
      by: at.self,
      ops: [{ op: "put", resource: healthy }],
      reply: { path: at.self, tag: "announced", ref: stream.id },
    }),
  ]];
}

export function announced(state: State, ref: string, result: WriteResult): Turn<State> {
  if (!state.announcement || ref !== state.stream?.id) return [state, []];
  if (result.ok) return [{ ...state, announcement: null }, []];
  const announcement = { ...state.announcement, underWay: false };
  return [{ ...state, announcement }, [
    log("warn", "not offered to others yet; another try follows", { reason: result.reason }),
    timer("announce", ANNOUNCE_AGAIN_MS, { tag: "announce_due" }),
  ]];
}
