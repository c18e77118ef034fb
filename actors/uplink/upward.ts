// Up: what the zone offers, and what global says to that.

import { DISPLAY_NAME_LABEL } from "../../core/names.ts";
import type { ResourceDescriptor } from "../../core/resource.ts";
import { zoneToGlobal } from "../../kds/direction.ts";
import { goesToGlobal } from "../../kds/filter.ts";
import { encodeUpward, enter } from "../../kds/offers.ts";
import { onRequest, owe, resend, takeResponses } from "../../kds/sender.ts";
import { isBetweenZones } from "../../kds/stamp.ts";
import { forgive } from "../../kds/trust.ts";
import {
  capacityOf,
  type ClientEvent,
  type KdsResponse,
  type PeerInfo,
  peerInfo,
  systemVersion,
  URSA_DIGESTS,
  URSA_RECEIPTS,
  wireName,
} from "../../kds/wire.ts";
import { countFor, timeOf } from "../../kds/zone_insight.ts";
import { URSA_ZONE_LINKS } from "../../kds/zone_link.ts";
import type { ResourcesChanged } from "../hub/messages.ts";
import type { Context, Effect, Turn } from "../runtime/actor.ts";
import { sessionKnown } from "./own_insight.ts";
import type { Session, State } from "./state.ts";
import { insightNow, insightSoon } from "./insight.ts";
import { kds } from "./edge.ts";
import { countAnswer, refused, sendAll, tellUnsendable, tellWithheld } from "../session/session.ts";
import { GLOBAL } from "./peer.ts";

export function offerAll(state: State, of: readonly ResourceDescriptor[]): readonly Effect[] {
  return of.flatMap((descriptor) =>
    [...state.image!.get(descriptor.name)?.keys() ?? []].flatMap((local) =>
      offer(state, descriptor, local)
    )
  );
}

function offer(state: State, descriptor: ResourceDescriptor, local: string): readonly Effect[] {
  const { args, image, book, session, stamps } = state;
  const resource = image!.get(descriptor.name)?.get(local);
  const encoded = resource && goesToGlobal(resource, descriptor)
    ? encodeUpward(resource, { descriptor, zone: args.zone, stamps })
    : null;
  for (const name of enter(book, { type: descriptor.name, local, encoded })) {
    if (session) owe(session.sender, descriptor.name, name);
  }
  if (!encoded || encoded.ok) return [];
  const name = resource?.labels[DISPLAY_NAME_LABEL] ?? local;
  return tellUnsendable(GLOBAL, { type: descriptor.name, name, reason: encoded.reason });
}

export function offerChanged(state: State, { changes }: ResourcesChanged): readonly Effect[] {
  const up = zoneToGlobal(state.args.descriptors);
  return changes.flatMap(({ key }) => {
    const descriptor = up.find(({ name }) => name === key.type);
    return descriptor ? offer(state, descriptor, wireName(key)) : [];
  });
}

/** Offered anew when this global passes stamps on and the one before did not, or the other way. */
function stampedFor(state: State, { features }: PeerInfo): Turn<State> {
  const stamps = state.args.link !== null && features.includes(URSA_ZONE_LINKS);
  if (stamps === state.stamps) return [state, []];
  const next = { ...state, stamps };
  const between = zoneToGlobal(state.args.descriptors).filter(isBetweenZones);
  return [next, offerAll(next, between)];
}

export function requestReceived(
  before: State,
  session: Session,
  { request }: ClientEvent & { readonly tag: "request_received" },
  at: Context,
): Turn<State> {
  // Only the first request of each type says who asks.
  const peer = request.metadata && peerInfo(request.metadata);
  const [state, reoffered] = peer ? stampedFor(before, peer) : [before, []];
  const said = onRequest(session.sender, request, state.book.offers);
  const wantsReports = session.wantsReports || !!peer?.features.includes(URSA_RECEIPTS);
  const wantsDigests = session.wantsDigests || !!peer?.features.includes(URSA_DIGESTS);
  const takes = peer ? capacityOf(peer) : session.takes;
  const trustedInstance = peer?.instance ?? state.trustedInstance;
  if (trustedInstance !== state.trustedInstance) forgive(state.trust);
  const effects: Effect[] = [...reoffered];
  if (said.event === "acked" || said.event === "nacked") effects.push(countAnswer(said));
  if (said.event === "nacked") {
    effects.push(
      ...refused(GLOBAL, said, {
        sender: session.sender,
        zone: state.args.zone,
        nowMs: at.nowMs,
      }),
    );
  }
  const { connection } = session;
  const known = state.insight.current || !peer
    ? state.insight
    : sessionKnown(state.insight, { connection, peer, args: state.args }, at);
  if (known.current && (said.event === "acked" || said.event === "nacked")) {
    countFor(known.current, said.typeUrl, said.event === "acked" ? "acked" : "rejected");
    known.current.lastUpdateTime = timeOf(at.nowMs);
  }
  const next = {
    ...state,
    insight: known,
    trustedInstance,
    session: { ...session, wantsReports, wantsDigests, takes },
  };
  const [pumped, sent] = pump(next, effects);
  const [noted, insight] = known === state.insight ? insightSoon(pumped) : insightNow(pumped, at);
  return [noted, [...sent, ...insight]];
}

export function resendRefused(state: State, typeUrl: string): Turn<State> {
  if (state.session) resend(state.session.sender, typeUrl);
  return pump(state, []);
}

export function pump(state: State, before: readonly Effect[]): Turn<State> {
  const { session, book, args, revision } = state;
  if (!session?.up) return [state, before];
  const { responses, withheld } = takeResponses(session.sender, {
    offers: book.offers,
    systemVersion: systemVersion({ clusterId: args.zone, revision, epochs: [] }),
    controlPlane: args.zone,
    ...session.takes,
  });
  const { connection } = session;
  const send = (response: KdsResponse) => kds({ do: "send", connection, response });
  const sends = sendAll(responses, state.insight.current, send);
  const [noted, insight] = withheld.length > 0 ? insightSoon(state) : [state, []];
  return [noted, [
    ...before,
    ...insight,
    ...sends,
    ...withheld.flatMap((one) => tellWithheld(GLOBAL, one)),
  ]];
}
