// Which global the zone obeys: judged as soon as it says who it is, accepted by an operator.

import { ORIGIN_LABEL } from "../../core/names.ts";
import { TRAVEL } from "../../core/travel.ts";
import {
  acceptedOf,
  ADVICE,
  type Allegiance,
  judge,
  lapseOf,
  writeAllegiance,
} from "../../kds/allegiance.ts";
import { decodeResource } from "../../kds/codec.ts";
import { CLUSTER_ID_CONFIG } from "../../kds/filter.ts";
import { type GlobalIdentity, type KdsResponse, parseSystemVersion } from "../../kds/wire.ts";
import { toHub } from "../hub/messages.ts";
import {
  type Context,
  count,
  type Effect,
  log,
  reply,
  type ReplyTo,
  type Turn,
} from "../runtime/actor.ts";
import { toPeers } from "../peers/messages.ts";
import type { AcceptGlobalAnswer } from "./messages.ts";
import { noReports, reportsFor } from "./reports.ts";
import type { Session, State } from "./state.ts";
import { connect } from "./connection.ts";

/** Whether what global says holds here now; where it does not, other zones' own words do. */
export function followsGlobal({ session, allegiance }: State): boolean {
  return session?.global !== null && session?.global !== undefined && !allegiance.held;
}

export function tellPeers(before: State, after: State): readonly Effect[] {
  const follows = followsGlobal(after);
  return after.args.link === null || follows === followsGlobal(before) ? [] : [toPeers(follows)];
}

/** Ursa says it on every response; of Kuma we know it once its Config has come. */
export function globalOf(
  { args }: State,
  { global }: Session,
  response: KdsResponse,
): GlobalIdentity | null {
  const said = parseSystemVersion(response.systemVersion);
  if (said) return said;
  const descriptor = args.descriptors.find(({ name }) => name === "Config");
  if (response.typeUrl !== "Config" || !descriptor) return global;
  for (const item of response.resources) {
    const decoded = decodeResource(item, descriptor);
    if (!decoded.ok || decoded.draft.name !== CLUSTER_ID_CONFIG) continue;
    const { config } = decoded.draft.spec;
    if (typeof config === "string" && config !== "") {
      return { clusterId: config, revision: 0, epochs: [] };
    }
  }
  return global;
}

/** Decides whether this is the global that the zone obeys, and writes down when that changes. */
export function attributed(state: State, session: Session, global: GlobalIdentity): Turn<State> {
  const { accepted, held: heldBefore } = state.allegiance;
  // One that was behind may catch up with the number, but not with what happened meanwhile: not
  // in this session, nor in any later one.
  const lapse = lapseOf(state.allegiance, global);
  const held = heldBefore && state.session?.global
    ? heldBefore
    : judge({ ...state.allegiance, lapse }, global, accepted ? 0 : ownState(state));
  const seen = accepted?.clusterId === global.clusterId ? accepted.revision : 0;
  const { clusterId } = global;
  const reports = reportsFor(state.reports, { clusterId, revision: seen });
  const next = { ...state, session, reports };
  if (held) {
    if (heldBefore?.reason === held.reason) return [next, []];
    const allegiance = { accepted, held, lapse };
    const news = heldBefore?.by.clusterId !== held.by.clusterId;
    return [
      { ...next, allegiance },
      news
        ? [
          log("error", "another global: nothing is deleted or overwritten for it", {
            reason: held.reason,
            advice: ADVICE,
          }),
          count("ursa_uplink_held_total"),
          note(allegiance),
        ]
        : [],
    ];
  }
  const allegiance: Allegiance = { accepted: acceptedOf(global), held: null, lapse: null };
  if (accepted && !heldBefore) return [{ ...next, allegiance }, []];
  return [{ ...next, allegiance }, [
    log("info", heldBefore ? "the zone's own global is back" : "the zone has its first global", {
      clusterId: global.clusterId,
    }),
    note(allegiance),
  ]];
}

/** Resources of kinds that only global writes, but that did not come from one. */
function ownState({ args, image }: State): number {
  return args.descriptors.filter(({ kds, readOnly }) => !TRAVEL[kds].byZone && !readOnly).flatMap((
    { name },
  ) => [...image?.get(name)?.values() ?? []]).filter(({ labels }) =>
    labels[ORIGIN_LABEL] !== "global"
  ).length;
}

function note(allegiance: Allegiance): Effect {
  return toHub({
    tag: "write",
    ops: [{ op: "put", resource: writeAllegiance(allegiance) }],
    by: "kds",
    reply: { path: "uplink", tag: "note_written", ref: "" },
  });
}

export function tellUnnoted(reason: string): Effect {
  return log("error", "which global this zone belongs to could not be written down", { reason });
}

export function acceptGlobal(state: State, to: ReplyTo, at: Context): Turn<State> {
  const { session, allegiance } = state;
  const { held } = allegiance;
  if (!session?.global || !held) {
    const message = session?.global
      ? `Global ${session.global.clusterId} is accepted already.`
      : "No global is connected.";
    return [state, [answer(to, { accepted: false, message })]];
  }
  const accepted: Allegiance = { accepted: acceptedOf(session.global), held: null, lapse: null };
  const { clusterId, revision } = session.global;
  // Its revisions may be numbers that another history had: what was told of those says nothing.
  const reports = noReports({ clusterId, revision: 0 });
  const [next, effects] = connect({ ...state, allegiance: accepted, reports }, at);
  // What was held back is known no more: a new session compares everything.
  return [next, [
    log("warn", "another global was accepted for this zone", { clusterId }),
    note(accepted),
    answer(to, {
      accepted: true,
      message: `Global ${clusterId} at revision ${revision} is accepted; the zone follows it now.`,
    }),
    ...effects,
  ]];
}

function answer(to: ReplyTo, value: AcceptGlobalAnswer): Effect {
  return reply(to, value);
}
