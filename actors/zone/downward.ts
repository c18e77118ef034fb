// Down: what the zone is owed, and what it says to that.

import type { JsonObject } from "../../core/resource.ts";
import {
  advance,
  onRequest,
  rejections,
  resend,
  settledRevision,
  takeResponses,
} from "../../kds/sender.ts";
import { forgive } from "../../kds/trust.ts";
import {
  capacityOf,
  peerInfo,
  type ServerEvent,
  systemVersion,
  URSA_RECEIPTS,
  wireName,
} from "../../kds/wire.ts";
import { announcedLink } from "../../kds/zone_link.ts";
import type { ResourcesChanged } from "../hub/messages.ts";
import { type Context, type Effect, send, type Turn } from "../runtime/actor.ts";
import { countFor, openSubscription, timeOf } from "../../kds/zone_insight.ts";
import { keepLink } from "./link.ts";
import type { Down, State } from "./state.ts";
import { offerAll, reoffer, reofferZone } from "./offers.ts";
import { identityOf } from "./identity.ts";
import { insightNow, insightSoon } from "./insight.ts";
import { kds, unknownStream } from "./edge.ts";
import { countAnswer, refused, sendAll, tellWithheld } from "../session/session.ts";
import { peerOf } from "./peer.ts";

export function requestReceived(
  state: State,
  { stream, request }: ServerEvent & { readonly tag: "request_received" },
  at: Context,
): Turn<State> {
  const { down } = state;
  if (down?.stream !== stream) return [state, [unknownStream(stream)]];
  const [known, insight] = down.subscription ? [state, []] : introduced(state, request, at);
  const { sender, book, subscription, answeredRevision } = known.down!;
  const inFlight = sender.types.get(request.typeUrl)?.inFlight?.revision ?? 0;
  const said = onRequest(sender, request, book.offers);
  const effects: Effect[] = [...insight];
  let next = known;
  if (said.event === "acked" || said.event === "nacked") {
    countFor(subscription!, said.typeUrl, said.event === "acked" ? "acked" : "rejected");
    effects.push(countAnswer(said));
    subscription!.lastUpdateTime = timeOf(at.nowMs);
    const newest = Math.max(answeredRevision, inFlight);
    const down = { ...known.down!, answeredRevision: newest };
    const [dirty, flush] = insightSoon({ ...known, down });
    next = dirty;
    effects.push(...flush);
  }
  if (said.event === "nacked") {
    const { zone } = state.args;
    effects.push(...refused(peerOf(zone), said, { sender, zone, nowMs: at.nowMs }));
  }
  const [pumped, more] = pump(next);
  return [pumped, [...effects, ...more]];
}

export function resendRefused(state: State, typeUrl: string): Turn<State> {
  if (state.down) resend(state.down.sender, typeUrl);
  return pump(state);
}

/** The first request says what the peer is able to read: names, and kinds of policies. */
function introduced(
  state: State,
  request: { readonly metadata?: JsonObject },
  at: Context,
): Turn<State> {
  const down = state.down!;
  const peer = peerInfo(request.metadata);
  const subscription = openSubscription({
    id: down.stream,
    globalInstance: state.args.instance,
    zoneInstance: peer.instance,
    connectTime: timeOf(down.openedAtMs),
    authorized: down.authorized,
  }, { peer, own: state.args.version });
  const known: Down = {
    ...down,
    subscription,
    features: peer.features,
    link: announcedLink(request.metadata),
    reports: peer.features.includes(URSA_RECEIPTS),
    takes: capacityOf(peer),
  };
  if (peer.instance !== state.trustedInstance) forgive(state.trust);
  const next = { ...state, down: known, trustedInstance: peer.instance };
  const effects = state.image ? [...offerAll(next), ...linkNow(next, at)] : [];
  const [flushed, insight] = insightNow(next, at);
  return [flushed, [...effects, ...insight]];
}

export function linkNow({ args: { zone }, down, image }: State, at: Context): readonly Effect[] {
  return down?.subscription && image ? keepLink({ zone, image, said: down.link }, at) : [];
}

/** Sends what may be sent, and tells how far the zone has come. */
export function pump(state: State): Turn<State> {
  const { down, args } = state;
  const own = identityOf(state);
  if (!down?.subscription || !own) return [state, []];
  const { responses, withheld } = takeResponses(down.sender, {
    offers: down.book.offers,
    systemVersion: systemVersion(own),
    controlPlane: "global",
    ...down.takes,
  });
  const { stream } = down;
  const sends = [
    ...sendAll(responses, down.subscription, (response) => kds({ do: "send", stream, response })),
    ...withheld.flatMap((one) => tellWithheld(peerOf(args.zone), one)),
  ];
  const [noted, insight] = withheld.length > 0 ? insightSoon(state) : [state, []];
  sends.push(...insight);
  const settled = settledRevision(down.sender);
  if (settled <= state.reportedRevision) return [noted, sends];
  const rejected = [...rejections(down.sender, down.book)];
  const progress = args.receipts === null ? [] : [
    send(args.receipts, {
      tag: "zone_progress",
      zone: args.zone,
      revision: settled,
      reportsThrough: down.reports ? down.answeredRevision : 0,
      ...(rejected.length > 0 && { rejected: Object.fromEntries(rejected) }),
    }),
  ];
  return [{ ...noted, reportedRevision: settled }, [...sends, ...progress]];
}

export function offerChanged(
  next: State,
  msg: ResourcesChanged,
  zones: readonly string[],
): Turn<State> {
  if (!next.down?.subscription) return [next, []];
  advance(next.down.sender, msg.revision);
  const offered = [
    ...msg.changes.flatMap(({ key }) => reoffer(next, key.type, wireName(key))),
    ...zones.flatMap((local) => reofferZone(next, local)),
  ];
  const [pumped, responses] = pump(next);
  return [pumped, [...offered, ...responses]];
}
