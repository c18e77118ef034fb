// When global has been there for a while, what other zones wrote and it still does not know is gone.

import { keyText } from "../../core/resource.ts";
import { settle } from "../../kds/receiver.ts";
import { toHub } from "../hub/messages.ts";
import { type Context, log, timer, type Turn } from "../runtime/actor.ts";
import { overtaken } from "./ahead.ts";
import type { State } from "./state.ts";

/** A global that started a moment ago hears from the other zones within their longest pause. */
export const SETTLE_MS = 30_000;

/** What other zones wrote, and global does not know even now, is gone. */
export function settled(state: State, at: Context): Turn<State> {
  const { session, image, allegiance } = state;
  if (!session || !image || allegiance.held) return [state, []];
  const gone = settle(session.receiver, image);
  const writes = [...gone, ...overtaken(session.receiver, image)];
  if (writes.length === 0) return [state, []];
  return [state, [
    ...(gone.length === 0 ? [] : [
      log("info", "global does not know these of other zones any more", {
        resources: gone.map(({ resource }) => keyText(resource)),
      }),
    ]),
    ...writes.map(({ ref, ops }) =>
      toHub({ tag: "write", ops, by: "kds", reply: { path: at.self, tag: "written", ref } })
    ),
    timer("settle", SETTLE_MS, { tag: "settle_due" }),
  ]];
}
