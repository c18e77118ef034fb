// The links between zones: while global is gone, each zone hears from the others themselves which
// services they have. Who may speak, and where it is, global has told before.
//
//   followed ──global_lost──▶ waiting ──alone_due──▶ alone: dials, and listens over every link
//      ▲                         │                     │
//      └────── global_followed ──┴─────────────────────┘
//
// A zone answers the others at any time, also while its own global is there.

import { ORIGIN_LABEL } from "../../core/names.ts";
import type { ResourceDescriptor } from "../../core/resource.ts";
import { writeAhead } from "../../kds/ahead.ts";
import { goesToGlobal } from "../../kds/filter.ts";
import { applyChanges, emptyImage, type Image, replaceImage } from "../../kds/image.ts";
import { encodeUpward, enter, type OfferBook, openBook } from "../../kds/offers.ts";
import { isUnsubscription, type LinkCommand, unsubscription } from "../../kds/peer_wire.ts";
import {
  type Intaken,
  onWritten,
  responseOf,
  subscription,
  takeAgain,
  takeResponse,
} from "../../kds/receiver.ts";
import { advance, onRequest, owe, resend, takeResponses } from "../../kds/sender.ts";
import { isBetweenZones } from "../../kds/stamp.ts";
import {
  type KdsRequest,
  type KdsResponse,
  MESSAGE_BYTES_MAX,
  ownMetadata,
  parseSystemVersion,
  systemVersion,
  wireName,
} from "../../kds/wire.ts";
import { MESSAGE_CHARS_MAX } from "../../kds/zone_insight.ts";
import { readLink, type ZoneLink, zoneOfLink } from "../../kds/zone_link.ts";
import { oneChangeSet, type ResourcesChanged, toHub } from "../hub/messages.ts";
import {
  type Actor,
  cancel,
  command,
  type Context,
  count,
  type Effect,
  log,
  reply,
  send,
  timer,
  type Turn,
} from "../runtime/actor.ts";
import { UPLINK, type UplinkMsg } from "../uplink/messages.ts";
import { isAsked, type Link, listening, newLink, newPeer, type Peer, takesOver } from "./link.ts";
import type { PeersArgs, PeersMsg, PeersStatus } from "./messages.ts";
import { refusedBy } from "./refused.ts";

export type { PeersArgs };

interface State {
  readonly args: PeersArgs;
  /** Null until the hub's full state is here. */
  readonly image: Image | null;
  readonly revision: number;
  /** Of this zone's own, for whoever asks. */
  readonly book: OfferBook;
  readonly peers: ReadonlyMap<string, Peer>;
  readonly followed: boolean;
  readonly alone: boolean;
  readonly dials: number;
}

/** A global that restarts is back before the others are asked. */
const PATIENCE_MS = 2_000;
/** So that not every zone dials every other in one moment. */
const SPREAD_MS = 500;
/** The zone whose name comes later leaves dialling to the other, unless that does not come. */
const SECOND_MS = 1_500;
const BACKOFF_FIRST_MS = 250;
const BACKOFF_MAX_MS = 15_000;
const AGAIN_MS = 200;

export const peers: Actor<State, PeersMsg, PeersArgs> = {
  mailbox: {
    capacity: 4_096,
    whenFull: "refuse",
    ...oneChangeSet(),
  },

  init(args, at) {
    const state: State = {
      args,
      image: null,
      revision: 0,
      book: openBook(),
      peers: new Map(),
      followed: false,
      alone: false,
      dials: 0,
    };
    const began: UplinkMsg = { tag: "peers_began" };
    return [state, [
      // Links of an earlier life end.
      links({ do: "trust", peers: [] }),
      toHub({ tag: "subscribe", to: at.self, types: seen(args).map(({ name }) => name) }),
      send(UPLINK, began),
    ]];
  },

  receive(state, msg, at) {
    switch (msg.tag) {
      case "resources_changed":
        return resourcesChanged(state, msg, at);
      case "global_lost":
        return globalLost(state, at);
      case "global_followed":
        return globalFollowed(state);
      case "alone_due":
        return goAlone(state, at);
      case "dial_due":
        return dial(state, msg.peer, at);
      case "link_opened":
        return linkOpened(state, msg, at);
      case "link_closed":
        return ofLink(state, msg.link, (peer) => linkClosed(state, peer, msg, at));
      case "link_request":
        return ofLink(
          state,
          msg.link,
          (peer, link) => asked(state, { peer, link, request: msg.request }, at),
        );
      case "link_response":
        return ofLink(state, msg.link, (peer, link) => told(state, peer, link, msg.response));
      case "written":
        return written(state, msg);
      case "again_due":
        return again(state, msg);
      case "resend_due":
        return resendRefused(state, msg);
      case "describe":
        return [state, [reply(msg.reply, statusOf(state))]];
    }
  },

  describe: (state) => ({
    ...statusOf(state),
    peers: statusOf(state).peers.map((it) => ({ ...it })),
  }),
};

function seen({ descriptors }: PeersArgs): readonly ResourceDescriptor[] {
  return descriptors.filter((one) => isBetweenZones(one) || one.name === "Config");
}

// Who the others are, and what this zone has

function resourcesChanged(state: State, msg: ResourcesChanged, at: Context): Turn<State> {
  if (!state.image && !msg.full) return [state, []];
  const image = state.image ?? emptyImage(seen(state.args));
  if (msg.full) replaceImage(image, msg.changes);
  else applyChanges(image, msg.changes);
  const next = { ...state, image, revision: msg.revision };
  for (const { link } of next.peers.values()) if (link) advance(link.sender, msg.revision);
  const own = next.args.descriptors.filter(isBetweenZones);
  for (const descriptor of own) {
    const names = msg.full
      ? [...image.get(descriptor.name)!.keys()]
      : msg.changes.filter(({ key }) => key.type === descriptor.name).map(({ key }) =>
        wireName(key)
      );
    for (const local of names) offer(next, descriptor, local);
  }
  const known = msg.full || msg.changes.some(({ key }) => key.type === "Config");
  const [trusting, effects] = known ? trust(next, at) : [next, []];
  return pump(trusting, effects);
}

function offer({ args, image, book, peers }: State, descriptor: ResourceDescriptor, local: string) {
  const resource = image!.get(descriptor.name)?.get(local);
  const encoded = resource && goesToGlobal(resource, descriptor)
    ? encodeUpward(resource, { descriptor, zone: args.zone, stamps: true })
    : null;
  for (const name of enter(book, { type: descriptor.name, local, encoded })) {
    for (const { link } of peers.values()) if (link) owe(link.sender, descriptor.name, name);
  }
}

/** What global said last of the other zones holds: who is out there is no peer here either. */
function trust(state: State, at: Context): Turn<State> {
  const told = reaches(state);
  const peers = new Map([...told].map(([zone, reach]) => {
    const known = state.peers.get(zone);
    return [zone, known ? { ...known, reach } : newPeer(zone, reach)] as const;
  }));
  const certificates = (map: ReadonlyMap<string, ZoneLink>) =>
    JSON.stringify([...map].map(([zone, { certificate }]) => [zone, certificate]).sort());
  const before = new Map([...state.peers].map(([zone, { reach }]) => [zone, reach]));
  const next = { ...state, peers };
  if (certificates(told) === certificates(before)) return [next, []];
  const lost = [...state.peers.values()].filter(({ zone }) => !peers.has(zone));
  const trusted = [...told].map(([zone, { certificate }]) => ({ zone, certificate }));
  const fresh = [...peers.values()].filter(({ zone }) => !state.peers.has(zone));
  return [next, [
    links({ do: "trust", peers: trusted }),
    ...lost.flatMap(({ zone, link }) => [
      cancel(`dial ${zone}`),
      ...(link ? [log("info", "link with a zone ended: global took it out", { zone })] : []),
    ]),
    ...(next.alone ? fresh.flatMap((peer) => dialSoon(next, peer, at)) : []),
  ]];
}

function reaches({ args, image }: State): ReadonlyMap<string, ZoneLink> {
  const found = new Map<string, ZoneLink>();
  for (const resource of image!.get("Config")?.values() ?? []) {
    const zone = zoneOfLink(resource);
    const reach = zone === null || zone === args.zone ? null : readLink(resource);
    if (reach && resource.labels[ORIGIN_LABEL] === "global") found.set(zone!, reach);
  }
  return found;
}

// Global comes and goes

function globalLost(state: State, at: Context): Turn<State> {
  const afterMs = PATIENCE_MS + Math.round(at.random() * SPREAD_MS);
  return [{ ...state, followed: false }, [timer("alone", afterMs, { tag: "alone_due" })]];
}

function goAlone(state: State, at: Context): Turn<State> {
  if (state.followed) return [state, []];
  const { args } = state;
  const effects: Effect[] = [];
  const peers = new Map([...state.peers].map(([zone, peer]) => {
    if (!peer.link?.openedAtMs) {
      effects.push(...dialSoon(state, peer, at));
      return [zone, peer];
    }
    const link = listening(peer.link, zone, args);
    effects.push(...subscribe(link, args));
    return [zone, { ...peer, link }];
  }));
  return [{ ...state, alone: true, peers }, effects];
}

function globalFollowed(state: State): Turn<State> {
  const effects: Effect[] = [cancel("alone")];
  const peers = new Map([...state.peers].map(([zone, peer]) => {
    const { link } = peer;
    effects.push(cancel(`dial ${zone}`));
    if (!link) return [zone, { ...peer, attempts: 0 }];
    effects.push(...leave({ ...link, receiver: null }, state.args));
    return [zone, { ...peer, attempts: 0, link: { ...link, receiver: null } }];
  }));
  return [{ ...state, followed: true, alone: false, peers }, effects];
}

/** Whoever needs the link last closes it. */
function leave(link: Link, { descriptors, zone }: PeersArgs): readonly Effect[] {
  if (!isAsked(link)) {
    return [links({ do: "close", link: link.id, reason: "global is there again" })];
  }
  return descriptors.filter(isBetweenZones).map(({ name }) =>
    links({ do: "send", link: link.id, request: unsubscription(name, zone) })
  );
}

// Links

function dialSoon({ args }: State, { zone }: Peer, at: Context): readonly Effect[] {
  const turnMs = args.zone < zone ? 0 : SECOND_MS;
  const afterMs = turnMs + Math.round(at.random() * SPREAD_MS);
  return [timer(`dial ${zone}`, afterMs, { tag: "dial_due", peer: zone })];
}

function dial(state: State, zone: string, at: Context): Turn<State> {
  const peer = state.peers.get(zone);
  if (!state.alone || !peer || peer.link || peer.reach.host === "") return [state, []];
  const { host, port } = peer.reach;
  // Not the number alone: an event may come late from before a restart of this actor.
  const id = `${at.nowMs.toString(36)}-${state.dials + 1}`;
  const link = newLink({
    id,
    dialled: true,
    beganAtMs: at.nowMs,
    openedAtMs: null,
    run: null,
  });
  const next = withPeer({ ...state, dials: state.dials + 1 }, { ...peer, link });
  return [next, [links({ do: "dial", link: id, peer: zone, host, port })]];
}

function ofLink(
  state: State,
  id: string,
  then: (peer: Peer, link: Link) => Turn<State>,
): Turn<State> {
  const peer = [...state.peers.values()].find(({ link }) => link?.id === id);
  return peer?.link ? then(peer, peer.link) : [state, []];
}

function linkOpened(
  state: State,
  msg: PeersMsg & { readonly tag: "link_opened" },
  at: Context,
): Turn<State> {
  const { link: id, dialled, run } = msg;
  const peer = state.peers.get(msg.peer);
  const refuse = (
    reason: string,
  ): Turn<State> => [state, [links({ do: "close", link: id, reason })]];
  if (!peer || dialled && peer.link?.id !== id) return refuse("this link is not wanted any more");
  const nowMs = at.nowMs;
  const there = peer.link;
  const is = { zone: state.args.zone, peer: peer.zone, nowMs };
  if (!dialled && there && !takesOver(there, is)) return refuse("another link is there");
  const opened = there && dialled
    ? { ...there, openedAtMs: nowMs }
    : newLink({ id, dialled, run, beganAtMs: nowMs, openedAtMs: nowMs });
  const link = state.alone ? listening(opened, peer.zone, state.args) : opened;
  advance(link.sender, state.revision);
  return [withPeer(state, { ...peer, link, lastError: null }), [
    ...(there && !dialled
      ? [links({ do: "close", link: there.id, reason: "superseded by a newer link" })]
      : []),
    cancel(`dial ${peer.zone}`),
    log("info", "linked with another zone", { zone: peer.zone, dialled }),
    count("ursa_zone_links_total", { zone: peer.zone, event: "opened" }),
    ...(state.alone ? subscribe(link, state.args) : []),
    ...(dialled && !state.alone ? leave(link, state.args) : []),
  ]];
}

function subscribe({ id }: Link, { zone, ...own }: PeersArgs): readonly Effect[] {
  const metadata = ownMetadata({ ...own, config: "", link: "told" });
  return own.descriptors.filter(isBetweenZones).map(({ name }) =>
    links({ do: "send", link: id, request: subscription(name, { nodeId: zone, metadata }) })
  );
}

function linkClosed(
  state: State,
  peer: Peer,
  { reason }: { readonly reason: string },
  at: Context,
): Turn<State> {
  const attempts = peer.attempts + 1;
  const ceiling = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** (attempts - 1));
  const afterMs = Math.round(at.random() * ceiling);
  const { zone } = peer;
  const next = withPeer(state, { ...peer, link: null, attempts, lastError: reason });
  return [next, [
    // Once per reason: what repeats is counted.
    ...(state.alone && peer.lastError !== reason
      ? [log("warn", "no link with another zone", { zone, reason })]
      : []),
    count("ursa_zone_links_total", { zone, event: "closed" }),
    ...(state.alone ? [timer(`dial ${zone}`, afterMs, { tag: "dial_due", peer: zone })] : []),
  ]];
}

// What this zone tells

function asked(
  state: State,
  { peer, link, request }: {
    readonly peer: Peer;
    readonly link: Link;
    readonly request: KdsRequest;
  },
  at: Context,
): Turn<State> {
  const descriptor = state.args.descriptors.find(({ name }) => name === request.typeUrl);
  if (!descriptor || !isBetweenZones(descriptor)) {
    const reason = `zones do not tell each other of "${request.typeUrl}"`;
    return [state, [links({ do: "close", link: link.id, reason })]];
  }
  if (isUnsubscription(request)) {
    link.sender.types.delete(request.typeUrl);
    return [state, link.receiver ? [] : leave(link, state.args)];
  }
  const said = onRequest(link.sender, request, state.book.offers);
  const effects = said.event === "nacked"
    ? refusedBy(peer.zone, said, { sender: link.sender, nowMs: at.nowMs })
    : [];
  return pump(state, effects);
}

function resendRefused(
  state: State,
  { peer, typeUrl }: PeersMsg & { readonly tag: "resend_due" },
): Turn<State> {
  const link = state.peers.get(peer)?.link;
  if (link) resend(link.sender, typeUrl);
  return pump(state, []);
}

function pump(state: State, before: readonly Effect[]): Turn<State> {
  const { args, book, revision, image } = state;
  if (!image) return [state, before];
  const effects = [...state.peers.values()].flatMap(({ link }) => {
    if (!link || !isAsked(link)) return [];
    const { responses } = takeResponses(link.sender, {
      offers: book.offers,
      systemVersion: systemVersion({ clusterId: args.zone, revision, epochs: [] }),
      controlPlane: args.zone,
      bytesMax: MESSAGE_BYTES_MAX,
      inParts: true,
    });
    return responses.map((response) => links({ do: "send", link: link.id, response }));
  });
  return [state, [...before, ...effects]];
}

// What other zones tell

function told(state: State, peer: Peer, link: Link, response: KdsResponse): Turn<State> {
  // Of what came too late nothing is acknowledged: it is asked for anew when it is wanted.
  if (!link.receiver || !state.image) return [state, []];
  return intaken(state, peer, {
    link,
    taken: takeResponse(link.receiver, response, { image: state.image, hold: null }),
  });
}

function written(
  state: State,
  { ref, value }: PeersMsg & { readonly tag: "written" },
): Turn<State> {
  return ofLink(state, ref.slice(0, ref.lastIndexOf("#")), (peer, link) => {
    if (!link.receiver || !state.image) return [state, []];
    const { image } = state;
    return intaken(state, peer, {
      link,
      taken: onWritten(link.receiver, ref, { result: value, image }),
    });
  });
}

function again(
  state: State,
  { peer: zone, typeUrl }: PeersMsg & { readonly tag: "again_due" },
): Turn<State> {
  const peer = state.peers.get(zone);
  const { link } = peer ?? {};
  if (!peer || !link?.receiver || !state.image) return [state, []];
  const taken = takeAgain(link.receiver, typeUrl, state.image);
  return intaken(state, peer, { link, taken });
}

function intaken(
  state: State,
  peer: Peer,
  { link, taken }: { readonly link: Link; readonly taken: Intaken },
): Turn<State> {
  const { zone } = peer;
  const effects: Effect[] = taken.writes.map(({ ref, ops }) => {
    const said = parseSystemVersion(responseOf(link.receiver!, ref)?.systemVersion ?? "");
    // As durable as what it is about: global's older word must not undo it after a restart either.
    const note = writeAhead(zone, said?.revision ?? 0);
    return toHub({
      tag: "write",
      ops: [...ops, { op: "put", resource: note }],
      by: `kds/${zone}`,
      reply: { path: "peers", tag: "written", ref },
    });
  });
  if (taken.again !== null) {
    const due: PeersMsg = { tag: "again_due", peer: zone, typeUrl: taken.again };
    effects.push(timer(`again ${zone} ${taken.again}`, AGAIN_MS, due));
  }
  if (!taken.answer) return [state, effects];
  if (taken.out.length > 0) {
    const names = [...taken.out];
    effects.push(log("info", "what another zone told is out of quarantine", { zone, names }));
  }
  effects.push(links({ do: "send", link: link.id, request: taken.answer }));
  if (taken.rejected.length > 0) {
    effects.push(
      log("warn", "what another zone told was rejected", {
        zone,
        reason: taken.rejected.join("; ").slice(0, MESSAGE_CHARS_MAX),
      }),
      count("ursa_zone_link_rejected_total", { zone }),
    );
  }
  const rejected = taken.answer.error?.slice(0, MESSAGE_CHARS_MAX) ?? null;
  return [withPeer(state, { ...peer, attempts: 0, rejected }), effects];
}

function statusOf({ alone, peers }: State): PeersStatus {
  return {
    alone,
    peers: [...peers.values()].map(({ zone, link, lastError, rejected }) => ({
      zone,
      linkedSince: link?.openedAtMs ? new Date(link.openedAtMs).toISOString() : null,
      hears: link?.receiver !== null && link?.receiver !== undefined,
      tells: link !== null && isAsked(link),
      lastError,
      rejected,
    })),
  };
}

function withPeer(state: State, peer: Peer): State {
  return { ...state, peers: new Map(state.peers).set(peer.zone, peer) };
}

function links(what: LinkCommand): Effect {
  return command("links", what);
}
