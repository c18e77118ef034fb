// One zone, on global: what it is owed and what it has taken, what it sends up, whether it is there.
//
// The zone has two streams, each with a session of its own. Nothing is sent, and nothing compared,
// before the hub's full state is here: an empty answer would make the zone delete everything.
//
//   offline ──stream_opened──▶ loading ──resources_changed(full)──▶ online
//      ▲                                                              │
//      └────────────────── both streams closed ──────────────────────┘

import { type JsonObject, keyText, type ResourceDescriptor } from "../../core/resource.ts";
import { TRAVEL } from "../../core/travel.ts";
import { isEnabled, type ZoneSpec } from "../../core/zone.ts";
import type { AdminKind } from "../../kds/admin.ts";
import { type Digests, mismatches } from "../../kds/digest.ts";
import { globalToZone, zoneToGlobal } from "../../kds/direction.ts";
import { EPOCHS_CONFIG, readEpochs } from "../../kds/epochs.ts";
import { CLUSTER_ID_CONFIG, goesToZone, zoneOf } from "../../kds/filter.ts";
import { applyChanges, emptyImage, type Image, replaceImage } from "../../kds/image.ts";
import { encodeDownward, enter, type OfferBook, openBook } from "../../kds/offers.ts";
import { concerned, type Quarantine, renderQuarantine } from "../../kds/quarantine.ts";
import {
  attemptNow,
  globalRules,
  heldVersions,
  type Intaken,
  onWritten,
  openReceiver,
  type Receiver,
  receiverStandings,
  subscription,
  takeAgain,
  takeRefused,
  takeResponse,
} from "../../kds/receiver.ts";
import {
  advance,
  endSession,
  onRequest,
  openSender,
  owe,
  rejections,
  resend,
  resendAfter,
  type Sender,
  type SenderEvent,
  senderStandings,
  settledRevision,
  takeResponses,
  type Withheld,
} from "../../kds/sender.ts";
import { forgive, type KeptBack, newTrust, tellsRefusal, type Trust } from "../../kds/trust.ts";
import {
  askToCompare,
  type Capacity,
  capacityOf,
  type GlobalIdentity,
  HASH_SUFFIX,
  isSync,
  ownMetadata,
  parseWireName,
  peerInfo,
  type ServerCommand,
  type ServerEvent,
  systemVersion,
  URSA_RECEIPTS,
  wireName,
  type ZoneReport,
} from "../../kds/wire.ts";
import { announcedLink, linkName, URSA_ZONE_LINKS, type ZoneLink } from "../../kds/zone_link.ts";
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
import {
  countFor,
  endSubscription,
  INSIGHT_FLUSH_MS,
  INSIGHT_STREAMS,
  MESSAGE_CHARS_MAX,
  openSubscription,
  pastSubscriptions,
  renderInsight,
  renderSubscription,
  type Subscription,
} from "../../kds/zone_insight.ts";
import { contend, type Holder } from "./fencing.ts";
import { keepLink, linksToReoffer } from "./link.ts";
import type { ZoneArgs, ZoneMsg, ZoneStatus } from "./messages.ts";
import { graceMs, isLeftOut, newReach, type Reach, swung } from "./reach.ts";

/** GlobalToZoneSync: we send. */
interface Down {
  readonly stream: string;
  readonly peer: string;
  readonly authorized: boolean;
  readonly openedAtMs: number;
  readonly sender: Sender;
  readonly book: OfferBook;
  /** Null until the first request says who it is. */
  readonly subscription: Subscription | null;
  readonly features: readonly string[];
  /** How other zones reach it without global, if it says so. */
  readonly link: ZoneLink | null;
  /** The zone will tell what its proxies make of what it is sent. */
  readonly reports: boolean;
  readonly takes: Capacity;
  /** Newest revision of a response that it has answered: of what concerns it not at all, a zone tells nothing. */
  readonly answeredRevision: number;
}

/** ZoneToGlobalSync: we receive. */
interface Up {
  readonly stream: string;
  readonly peer: string;
  readonly openedAtMs: number;
  readonly receiver: Receiver;
  readonly asked: boolean;
}

/** On which global asks about the zone's proxies; the edge does, this actor only knows of it. */
interface Admin {
  readonly stream: string;
  readonly openedAtMs: number;
}

interface State {
  readonly args: ZoneArgs;
  readonly down: Down | null;
  readonly up: Up | null;
  readonly admin: ReadonlyMap<AdminKind, Admin>;
  /** Null: not loaded, since nobody is there. */
  readonly image: Image | null;
  readonly revision: number;
  readonly reportedRevision: number;
  readonly past: readonly JsonObject[];
  readonly healthAtMs: number | null;
  /** What the zone survived; of the process that last came. */
  readonly trust: Trust;
  readonly trustedInstance: string;
  /** What of the zone's could not be taken. */
  readonly quarantine: Quarantine;
  readonly takeoversAtMs: readonly number[];
  /** Whose the name is, as far as that is told. */
  readonly holder: Holder | null;
  /** Another control plane that wants the name, and was refused. */
  readonly rival: { readonly message: string; readonly atMs: number } | null;
  readonly insightDirty: boolean;
  readonly reach: Reach;
  readonly deleted: boolean;
}

const AGAIN_MS = 200;
/** More takeovers than this in a minute: two control planes use one zone name. */
const TAKEOVERS_ALARM = 3;
const TAKEOVERS_WINDOW_MS = 60_000;
/** What says that the zone is there. */
const FROM_ZONE: ReadonlySet<ZoneMsg["tag"]> = new Set([
  "stream_opened",
  "request_received",
  "response_received",
  "health_checked",
]);
/** A zone that is refused comes back within this. */
const RIVAL_MS = 60_000;

export const zone: Actor<State, ZoneMsg, ZoneArgs> = {
  // One response per type is in flight: more than this is a flood, and ends this zone's sessions.
  mailbox: {
    capacity: 4096,
    whenFull: "crash",
    ...oneChangeSet(),
  },

  init(args, at) {
    const { past, closed } = pastSubscriptions(args.insight, timeOf(at.nowMs));
    const state: State = {
      args,
      down: null,
      up: null,
      admin: new Map(),
      image: null,
      revision: 0,
      reportedRevision: 0,
      past,
      healthAtMs: null,
      trust: newTrust(),
      trustedInstance: "",
      quarantine: new Map(),
      takeoversAtMs: [],
      holder: null,
      rival: null,
      insightDirty: false,
      reach: newReach(args.insight, at.nowMs),
      deleted: false,
    };
    // A subscription of an earlier life may still point here.
    const unsubscribe = toHub({ tag: "unsubscribe", to: at.self });
    // So may streams: a zone that has nothing to say would wait on them for ever.
    const orphans: ServerCommand = { do: "end_all", to: at.self };
    return [state, [
      unsubscribe,
      command("kds", orphans),
      ...presence(state, "offline"),
      ...awaitReturn(state, at),
      ...(closed ? [writeInsight(state, at)] : []),
    ]];
  },

  receive(state, msg, at) {
    if (FROM_ZONE.has(msg.tag)) state.reach.heardAtMs = at.nowMs;
    switch (msg.tag) {
      case "unreachable_due":
        return unreachable(state, at);
      case "stream_opened":
        return streamOpened(state, msg, at);
      case "stream_closed":
        return streamClosed(state, msg, at);
      case "request_received":
        return requestReceived(state, msg, at);
      case "response_received":
        return responseReceived(state, msg, at);
      case "resources_changed":
        return resourcesChanged(state, msg, at);
      case "written":
        return written(state, msg, at);
      case "again_due":
        return !state.up || !state.image ? [state, []] : intaken(
          state,
          takeAgain(state.up.receiver, msg.typeUrl, state.image),
          at,
        );
      case "resend_due":
        return resendRefused(state, msg.typeUrl);
      case "attempt_due":
        return attempt(state, at);
      case "health_checked":
        return [{ ...state, healthAtMs: at.nowMs }, [
          answerHealth(msg.check),
          ...progressOf(state, msg.reports),
          ...(msg.digests ? compared(state, msg.digests) : []),
        ]];
      case "link_written":
        return [
          state,
          msg.value.ok ? [] : [timer("link", AGAIN_MS, { tag: "link_due" })],
        ];
      case "link_due":
        return [state, linkNow(state, at)];
      case "insight_due":
        return [{ ...state, insightDirty: false }, [writeInsight(state, at)]];
      case "insight_written":
        return msg.value.ok
          ? [state, []]
          : [state, [log("warn", "zone insight not written", { reason: msg.value.reason })]];
      case "zone_deleted":
        return zoneDeleted(state, at);
      case "remains_deleted":
        return [
          state,
          msg.value.ok
            ? [{ do: "stop", path: at.self }]
            : [timer("remains", AGAIN_MS, { tag: "zone_deleted" })],
        ];
      case "describe":
        return [state, [reply(msg.reply, statusOf(state))]];
    }
  },

  describe: (state) => ({ ...statusOf(state) }),
};

// Streams

function streamOpened(
  state: State,
  msg: ServerEvent & { readonly tag: "stream_opened" },
  at: Context,
): Turn<State> {
  if (state.deleted) {
    return [state, [close(msg.stream, "unavailable", "the zone is being deleted")]];
  }
  const { stream, caller } = msg;
  const contest = contend(state.args.zone, state.holder, {
    run: caller.run,
    live: hasStream(state),
    nowMs: at.nowMs,
  });
  if (!contest.ok) return rivalRefused(state, { stream, peer: caller.peer, ...contest }, at);
  return streamTaken({ ...state, holder: contest.holder }, msg, at);
}

function hasStream({ down, up, admin }: State): boolean {
  return down !== null || up !== null || admin.size > 0;
}

/** Told once; counted each time that it comes back. */
function rivalRefused(
  state: State,
  { stream, peer, message }: {
    readonly stream: string;
    readonly peer: string;
    readonly message: string;
  },
  at: Context,
): Turn<State> {
  const { zone } = state.args;
  const isNews = rivalNow(state, at) === null;
  const next = { ...state, rival: { message, atMs: at.nowMs } };
  const effects: Effect[] = [
    close(stream, "failed_precondition", message),
    count("ursa_zone_name_conflicts_total", { zone }),
    // Until it has been quiet for a while.
    timer("rival", RIVAL_MS, { tag: "insight_due" }),
  ];
  if (!isNews) return [next, effects];
  const [told, insight] = insightNow(next, at);
  const reason = { zone, peer, reason: message };
  return [told, [
    ...effects,
    log("error", "two control planes use one zone name", reason),
    ...insight,
  ]];
}

function rivalNow({ rival }: State, at: Context): State["rival"] {
  return rival && at.nowMs < rival.atMs + RIVAL_MS ? rival : null;
}

function streamTaken(
  state: State,
  msg: ServerEvent & { readonly tag: "stream_opened" },
  at: Context,
): Turn<State> {
  const { kind, stream, caller } = msg;
  if (!isSync(kind)) return adminOpened(state, { stream, kind }, at);
  const old = kind === "global_to_zone" ? state.down : state.up;
  const [taken, takeover] = old ? takenOver(state, { old, by: caller.peer }, at) : [state, []];
  const next: State = kind === "global_to_zone"
    ? { ...endDown(taken, at), down: openDown(taken.trust, msg, at) }
    : { ...taken, up: openUp(taken, msg, at) };
  const admit: ServerCommand = { do: "admit", stream, to: at.self };
  const effects: Effect[] = [
    ...takeover,
    command("kds", admit),
    log("info", "zone stream opened", { zone: msg.zone, kind, peer: caller.peer }),
    ...(kind === "global_to_zone" ? presence(next, "online") : []),
  ];
  if (!next.image && !state.down && !state.up) effects.push(subscribe(next, at));
  const [asked, questions] = ask(next);
  const wasLeftOut = state.reach.leftOutSinceMs !== null;
  state.reach.leftOutSinceMs = null;
  if (wasLeftOut) {
    effects.push(log("info", "zone is no longer left out of others", { zone: msg.zone }));
  }
  const [noted, insight] = wasLeftOut ? insightNow(asked, at) : insightSoon(asked);
  return [noted, [...effects, ...questions, ...insight]];
}

function adminOpened(
  state: State,
  { stream, kind }: { readonly stream: string; readonly kind: AdminKind },
  at: Context,
): Turn<State> {
  const old = state.admin.get(kind);
  const admin = new Map(state.admin).set(kind, { stream, openedAtMs: at.nowMs });
  const [next, insight] = insightSoon({ ...state, admin });
  const admit: ServerCommand = { do: "admit", stream, to: at.self };
  return [next, [
    ...(old ? [close(old.stream, "aborted", "superseded by a newer stream of this zone")] : []),
    command("kds", admit),
    ...insight,
  ]];
}

function adminClosed(state: State, closed: string): Turn<State> {
  const left = [...state.admin].filter(([, { stream }]) => stream !== closed);
  if (left.length === state.admin.size) return [state, []];
  return insightSoon({ ...state, admin: new Map(left) });
}

function openDown(
  trust: Trust,
  { stream, caller }: ServerEvent & { readonly tag: "stream_opened" },
  at: Context,
): Down {
  return {
    stream,
    peer: caller.peer,
    authorized: caller.authorization.length === 1,
    openedAtMs: at.nowMs,
    sender: openSender(trust),
    book: openBook(),
    subscription: null,
    features: [],
    link: null,
    reports: false,
    takes: capacityOf(peerInfo(undefined)),
    answeredRevision: 0,
  };
}

function openUp(
  { args: { zone, descriptors }, quarantine }: State,
  { stream, caller }: ServerEvent & { readonly tag: "stream_opened" },
  at: Context,
): Up {
  const prefixNames = !caller.features.includes(HASH_SUFFIX);
  const rules = globalRules(zoneToGlobal(descriptors), { zone, prefixNames });
  return {
    stream,
    peer: caller.peer,
    openedAtMs: at.nowMs,
    receiver: openReceiver(stream, { rules, nodeId: zone, quarantine }),
    asked: false,
  };
}

/** The newer stream wins: the older is most often the half of a connection that is gone. */
function takenOver(
  state: State,
  { old, by }: { readonly old: Down | Up; readonly by: string },
  at: Context,
): Turn<State> {
  const { zone } = state.args;
  const recent = state.takeoversAtMs.filter((ms) => ms > at.nowMs - TAKEOVERS_WINDOW_MS);
  const takeoversAtMs = [...recent, at.nowMs];
  const effects: Effect[] = [
    close(old.stream, "aborted", "superseded by a newer connection of this zone"),
    log("warn", "zone stream superseded by a newer one", { zone, old: old.peer, new: by }),
    count("ursa_zone_takeovers_total", { zone }),
  ];
  if (takeoversAtMs.length > TAKEOVERS_ALARM) {
    effects.push(log("error", "two control planes seem to use one zone name", { zone }));
  }
  return [{ ...state, takeoversAtMs }, effects];
}

function streamClosed(
  before: State,
  { stream, reason, byPeer }: ServerEvent & { readonly tag: "stream_closed" },
  at: Context,
): Turn<State> {
  const { holder } = before;
  const state = { ...before, holder: holder && { ...holder, seenAtMs: at.nowMs } };
  const { zone } = state.args;
  const isDown = state.down?.stream === stream;
  // Only the current streams count: an old one may close late.
  if (!isDown && state.up?.stream !== stream) return adminClosed(state, stream);
  const next = isDown ? endDown(state, at) : { ...state, up: null };
  const effects: Effect[] = [
    log("info", "zone stream closed", { zone, reason }),
    ...(isDown && byPeer ? endSession(state.down!.sender) : []).flatMap((one) =>
      tellKeptBack(zone, one)
    ),
    ...(isDown ? presence(state, "offline") : []),
  ];
  const [flushed, insight] = insightNow(next, at);
  if (flushed.down || flushed.up || flushed.deleted) return [flushed, [...effects, ...insight]];
  // Nothing is kept up to date for a zone that is away; it gets the full state when it is back.
  effects.push(toHub({ tag: "unsubscribe", to: at.self }), ...awaitReturn(flushed, at));
  return [{ ...flushed, image: null }, [...effects, ...insight]];
}

/** For as long as the operator wants to go on sending others there. */
function awaitReturn(
  { args: { unreachableAfterMs }, reach }: State,
  at: Context,
): readonly Effect[] {
  if (unreachableAfterMs === null || reach.leftOutSinceMs !== null) return [];
  const afterMs = graceMs(reach, unreachableAfterMs, at.nowMs);
  return [timer("unreachable", afterMs, { tag: "unreachable_due" })];
}

function unreachable(state: State, at: Context): Turn<State> {
  const { down, up, deleted, reach, args: { zone } } = state;
  if (down || up || deleted) return [state, []];
  reach.leftOutSinceMs = at.nowMs;
  const [next, insight] = insightNow(state, at);
  return [next, [
    ...insight,
    log("warn", "nothing is heard of a zone: it is left out of the others", { zone }),
    count("ursa_zones_left_out_total", { zone }),
  ]];
}

function endDown(state: State, at: Context): State {
  const { down, past } = state;
  if (!down) return state;
  const ended = down.subscription &&
    endSubscription(renderSubscription(down.subscription), timeOf(at.nowMs));
  return { ...state, down: null, past: ended ? [...past, ended] : past };
}

function subscribe({ args }: State, at: Context): Effect {
  const { descriptors } = args;
  const types = new Set(
    [...globalToZone(descriptors), ...zoneToGlobal(descriptors)].map(({ name }) => name),
  );
  return toHub({ tag: "subscribe", to: at.self, types: [...types, ...aboutZones(args)] });
}

// Down: what the zone is owed

function requestReceived(
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
    if (tellsRefusal(state.trust, said.typeUrl, at.nowMs)) {
      effects.push(
        log("warn", "zone rejected resources", {
          zone: state.args.zone,
          type: said.typeUrl,
          reason: said.message.slice(0, MESSAGE_CHARS_MAX),
        }),
      );
    }
    effects.push(
      count("kds_nack_total", { zone_name: state.args.zone, resource_type: said.typeUrl }),
    );
    const afterMs = resendAfter(sender, said.typeUrl);
    const again = { tag: "resend_due", typeUrl: said.typeUrl } as const;
    if (afterMs !== null) effects.push(timer(`resend ${said.typeUrl}`, afterMs, again));
  }
  const [pumped, more] = pump(next);
  return [pumped, [...effects, ...more]];
}

function resendRefused(state: State, typeUrl: string): Turn<State> {
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

function linkNow({ args: { zone }, down, image }: State, at: Context): readonly Effect[] {
  return down?.subscription && image ? keepLink({ zone, image, said: down.link }, at) : [];
}

function offerAll(state: State): readonly Effect[] {
  const { down, image, args, revision } = state;
  advance(down!.sender, revision);
  return globalToZone(args.descriptors).flatMap((descriptor) =>
    [
      ...new Set([
        ...image!.get(descriptor.name)?.keys() ?? [],
        ...down!.book.wireNames.get(descriptor.name)?.keys() ?? [],
      ]),
    ].flatMap((local) => offer(state, descriptor, local))
  );
}

/** Compares what is offered under a name with what is there now. */
function offer(state: State, descriptor: ResourceDescriptor, local: string): readonly Effect[] {
  const { down, image, args } = state;
  const resource = image!.get(descriptor.name)?.get(local);
  const { features } = down!;
  const to = {
    descriptor,
    zone: args.zone,
    features,
    isDisabled: (name: string) => isDisabled(state, name),
  };
  const encoded = resource && goesToZone(resource, to)
    ? encodeDownward(resource, {
      descriptor,
      hashNames: features.includes(HASH_SUFFIX),
      stamps: features.includes(URSA_ZONE_LINKS),
    })
    : null;
  for (const name of enter(down!.book, { type: descriptor.name, local, encoded })) {
    owe(down!.sender, descriptor.name, name);
  }
  if (!encoded || encoded.ok) return [];
  return [
    log("error", "resource cannot be sent to zones", {
      type: descriptor.name,
      name: local,
      reason: encoded.reason,
    }),
    count("kds_delta_generation_errors"),
  ];
}

/** By an operator, or since nothing is heard of it. */
function isDisabled({ image }: State, zone: string): boolean {
  const found = image?.get("Zone")?.get(wireName({ mesh: "", name: zone }));
  return found !== undefined && !isEnabled(found.spec as ZoneSpec) || isLeftOut(image, zone);
}

/** Sends what may be sent, and tells how far the zone has come. */
function pump(state: State): Turn<State> {
  const { down, args } = state;
  const own = identityOf(state);
  if (!down?.subscription || !own) return [state, []];
  const { responses, withheld } = takeResponses(down.sender, {
    offers: down.book.offers,
    systemVersion: systemVersion(own),
    controlPlane: "global",
    ...down.takes,
  });
  const sends = responses.flatMap((response): readonly Effect[] => {
    countFor(down.subscription!, response.typeUrl, "sent");
    const what: ServerCommand = { do: "send", stream: down.stream, response };
    return [
      command("kds", what),
      count("kds_delta_responses_sent", { type_url: response.typeUrl }),
    ];
  }).concat(withheld.flatMap((one) => tellWithheld(args.zone, one)));
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

function countAnswer(said: SenderEvent): Effect {
  const confirmation = said.event === "acked" ? "ACK" : "NACK";
  return count("kds_delta_requests_received", { type_url: said.typeUrl, confirmation });
}

function tellKeptBack(zone: string, { typeUrl, names }: KeptBack): readonly Effect[] {
  return [
    log("error", "kept back: the zone ended its stream on it, twice", {
      zone,
      type: typeUrl,
      names: names.join(", ").slice(0, MESSAGE_CHARS_MAX),
    }),
    count("ursa_kds_withheld_total", { peer: zone, type: typeUrl }),
  ];
}

function tellWithheld(zone: string, { typeUrl, reason }: Withheld): readonly Effect[] {
  return [
    log("error", "not sent to the zone", { zone, type: typeUrl, reason }),
    count("ursa_kds_withheld_total", { peer: zone, type: typeUrl }),
  ];
}

/** Null until both are written: a zone has to know who sends, and that it forgot nothing. */
function identityOf({ args, down, image, revision }: State): GlobalIdentity | null {
  const note = (name: string) => image?.get("Config")?.get(wireName({ mesh: "", name }));
  const clusterId = note(CLUSTER_ID_CONFIG)?.spec["config"];
  const epochs = readEpochs(note(EPOCHS_CONFIG));
  if (typeof clusterId !== "string" || clusterId === "") return null;
  if (epochs.at(-1)?.id !== args.instance) return null;
  // Who has answered has judged its past already.
  return { clusterId, revision, epochs: down?.answeredRevision ? epochs.slice(-1) : epochs };
}

function progressOf(state: State, reports: readonly ZoneReport[]): readonly Effect[] {
  const { receipts, zone } = state.args;
  if (receipts === null) return [];
  return reports.map(({ after, revision, proxies, lastAckMs }) =>
    send(receipts, {
      tag: "zone_report",
      zone,
      after,
      revision,
      proxies: {
        affected: proxies.affected,
        acked: proxies.acked,
        nacked: proxies.nacked,
        offline: proxies.offline,
        lastAckMs,
      },
    })
  );
}

/** What the zone has lost, and what of the zone's was lost here, is sent again. */
function compared(state: State, digests: Digests): readonly Effect[] {
  const { args: { zone }, down, up, image } = state;
  const own = identityOf(state);
  if (!down || !up || !image || !own) return [];
  const lost = mismatches(digests.down, senderStandings(down.sender));
  const missed = mismatches(digests.up, receiverStandings(up.receiver, image));
  const from = { systemVersion: systemVersion(own), controlPlane: "global" };
  return [
    ...lost.flatMap((typeUrl) => {
      const response = askToCompare(typeUrl, from);
      return toCompare(zone, typeUrl, { do: "send", stream: down.stream, response });
    }),
    ...missed.flatMap((typeUrl) => {
      const held = heldVersions(up.receiver, typeUrl, image) ?? new Map();
      const request = subscription(typeUrl, { nodeId: zone, held });
      return toCompare(zone, typeUrl, { do: "send", stream: up.stream, request });
    }),
  ];
}

function toCompare(zone: string, type: string, what: ServerCommand): readonly Effect[] {
  return [
    log("warn", "a zone and global do not hold the same: they compare", { zone, type }),
    count("ursa_kds_mismatches_total", { zone, type }),
    command("kds", what),
  ];
}

function presence(
  { args: { receipts, zone } }: State,
  presence: "online" | "offline" | "deleted",
): readonly Effect[] {
  return receipts === null ? [] : [send(receipts, { tag: "zone_presence", zone, presence })];
}

// Up: what the zone sends

/** Subscribes to everything that zones send, as soon as it can be compared with what is here. */
function ask(state: State): Turn<State> {
  const { up, image, args } = state;
  if (!up || up.asked || !image) return [state, []];
  const { version, instance } = args;
  const metadata = ownMetadata({ version, instance, config: "", link: "told" });
  const questions = zoneToGlobal(args.descriptors).map(({ name }): Effect => {
    const request = subscription(name, { nodeId: args.zone, metadata });
    const what: ServerCommand = { do: "send", stream: up.stream, request };
    return command("kds", what);
  });
  return [{ ...state, up: { ...up, asked: true } }, questions];
}

function responseReceived(
  state: State,
  { stream, response }: ServerEvent & { readonly tag: "response_received" },
  at: Context,
): Turn<State> {
  const { up, image } = state;
  if (up?.stream !== stream) return [state, [unknownStream(stream)]];
  if (!image) return [state, [close(stream, "internal", "a response that nobody asked for")]];
  return intaken(state, takeResponse(up.receiver, response, { image, hold: null }), at);
}

function written(
  state: State,
  { ref, value }: ZoneMsg & { readonly tag: "written" },
  at: Context,
): Turn<State> {
  const { up, image } = state;
  if (!up || !image) return [state, []];
  return intaken(state, onWritten(up.receiver, ref, { result: value, image }), at);
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
    const what: ServerCommand = { do: "send", stream, request: result.answer };
    effects.push(command("kds", what));
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
function attempt(state: State, at: Context): Turn<State> {
  const { up } = state;
  if (!up) return [state, []];
  const afterMs = attemptNow(up.receiver);
  const again = afterMs === null ? [] : [timer("attempt", afterMs, { tag: "attempt_due" })];
  return attemptAt(state, { effects: again }, at);
}

function attemptAt(
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

// Changes of global's own state

function resourcesChanged(state: State, msg: ResourcesChanged, at: Context): Turn<State> {
  if (state.deleted) return msg.full ? deleteRemains(state, msg, at) : [state, []];
  if (!state.down && !state.up) return [state, []];
  if (!state.image && !msg.full) return [state, []];
  return msg.full ? loaded(state, msg, at) : changed(state, msg, at);
}

function loaded(state: State, msg: ResourcesChanged, at: Context): Turn<State> {
  const image = state.image ?? imageFor(state.args);
  replaceImage(image, msg.changes);
  const next = { ...state, image, revision: msg.revision };
  const offered = next.down?.subscription ? offerAll(next) : [];
  const [asked, questions] = ask(next);
  const [pumped, responses] = pump(asked);
  return [pumped, [...offered, ...questions, ...responses, ...linkNow(next, at)]];
}

/** Kinds that say whether what a zone sends goes to the others. */
function aboutZones({ unreachableAfterMs }: ZoneArgs): readonly string[] {
  return unreachableAfterMs === null ? ["Zone"] : ["Zone", "ZoneInsight"];
}

function imageFor(args: ZoneArgs): Image {
  const { descriptors } = args;
  const zones = descriptors.filter(({ name }) => aboutZones(args).includes(name));
  return emptyImage([...globalToZone(descriptors), ...zoneToGlobal(descriptors), ...zones]);
}

function changed(state: State, msg: ResourcesChanged, at: Context): Turn<State> {
  const zones = swung(state.image!, msg);
  applyChanges(state.image!, msg.changes);
  const [next, effects] = offerChanged({ ...state, revision: msg.revision }, msg, zones);
  const types = concerned(state.quarantine, msg.changes.map(({ key }) => key));
  return types.length > 0 ? attemptAt(next, { types, effects }, at) : [next, effects];
}

function offerChanged(
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

function reoffer(state: State, type: string, local: string): readonly Effect[] {
  if (type === "Zone") return reofferZone(state, local);
  const descriptor = globalToZone(state.args.descriptors).find(({ name }) => name === type);
  return descriptor ? offer(state, descriptor, local) : [];
}

/** A zone was disabled or enabled: what it sends across leaves the others, or comes back. */
function reofferZone(state: State, zoneLocal: string): readonly Effect[] {
  const across = globalToZone(state.args.descriptors).filter(({ kds }) =>
    TRAVEL[kds].across !== "never"
  );
  const { args: { zone, descriptors }, image } = state;
  const config = descriptors.find(({ name }) => name === "Config");
  const links = linksToReoffer(image!, { zone, changed: parseWireName(zoneLocal).name });
  return [
    ...across.flatMap((descriptor) =>
      [...image!.get(descriptor.name) ?? []]
        .filter(([, resource]) => `${zoneOf(resource)}.` === zoneLocal)
        .flatMap(([local]) => offer(state, descriptor, local))
    ),
    ...(config ? links.flatMap((local) => offer(state, config, local)) : []),
  ];
}

// Deletion of the zone

function zoneDeleted(state: State, at: Context): Turn<State> {
  const effects = [state.down, state.up, ...state.admin.values()].flatMap((open) =>
    open ? [close(open.stream, "unavailable", "the zone was deleted")] : []
  );
  const next = { ...state, deleted: true, down: null, up: null, admin: new Map() };
  return [next, [
    ...effects,
    ...presence(state, "deleted"),
    cancel("insight"),
    cancel("unreachable"),
    subscribe(next, at),
  ]];
}

/** What it sent up goes with it, and by that leaves the other zones. */
function deleteRemains(state: State, { changes }: ResourcesChanged, at: Context): Turn<State> {
  const { zone, descriptors } = state.args;
  const kinds = new Set(zoneToGlobal(descriptors).map(({ name }) => name));
  const keys = [
    ...new Map(
      changes.filter(({ key, resource }) =>
        kinds.has(key.type) && resource && zoneOf(resource) === zone
      ).map(({ key: { type, mesh, name } }) => [
        keyText({ type, mesh, name }),
        { type, mesh, name },
      ]),
    ).values(),
    { type: "ZoneInsight", mesh: "", name: zone },
    { type: "Config", mesh: "", name: linkName(zone) },
  ];
  return [state, [
    toHub({ tag: "unsubscribe", to: at.self }),
    toHub({
      tag: "write",
      ops: keys.map((key) => ({ op: "delete", key })),
      by: `kds/${zone}`,
      reply: { path: at.self, tag: "remains_deleted", ref: "" },
    }),
  ]];
}

// The insight

function insightNow(state: State, at: Context): Turn<State> {
  if (state.deleted) return [state, []];
  return [{ ...state, insightDirty: false }, [cancel("insight"), writeInsight(state, at)]];
}

function insightSoon(state: State): Turn<State> {
  if (state.insightDirty || state.deleted) return [state, []];
  return [{ ...state, insightDirty: true }, [
    timer("insight", INSIGHT_FLUSH_MS, { tag: "insight_due" }),
  ]];
}

function writeInsight(state: State, at: Context): Effect {
  const { args, past, down, up, admin, healthAtMs } = state;
  if (down?.subscription) down.subscription.generation++;
  const spec = renderInsight({
    past,
    current: down?.subscription ?? null,
    instance: args.instance,
    streams: {
      ...(down?.subscription && { globalToZone: down.subscription.connectTime }),
      ...(up && { zoneToGlobal: timeOf(up.openedAtMs) }),
      ...Object.fromEntries(
        [...admin].map(([kind, { openedAtMs }]) => [INSIGHT_STREAMS[kind], timeOf(openedAtMs)]),
      ),
    },
    healthTime: healthAtMs === null ? null : timeOf(healthAtMs),
    ursa: ursaStatus(state, at),
  });
  return toHub({
    tag: "write",
    ops: [{
      op: "put",
      resource: { type: "ZoneInsight", mesh: "", name: args.zone, labels: {}, spec },
    }],
    by: `kds/${args.zone}`,
    reply: { path: at.self, tag: "insight_written", ref: "" },
  });
}

function ursaStatus(state: State, at: Context): JsonObject {
  const { down, takeoversAtMs, quarantine, reach: { leftOutSinceMs } } = state;
  const rival = rivalNow(state, at);
  const rejected = down
    ? [...rejections(down.sender, down.book)].map(([type, message]) => [
      type,
      message.slice(0, MESSAGE_CHARS_MAX),
    ])
    : [];
  const recent = takeoversAtMs.filter((ms) => ms > at.nowMs - TAKEOVERS_WINDOW_MS);
  return {
    ...(down && { revision: settledRevision(down.sender) }),
    ...(rejected.length > 0 && { rejected: Object.fromEntries(rejected) }),
    ...(quarantine.size > 0 && { refused: renderQuarantine(quarantine) }),
    ...(leftOutSinceMs !== null && { leftOutSince: timeOf(leftOutSinceMs) }),
    ...(rival && { alarm: rival.message }),
    ...(!rival && recent.length > TAKEOVERS_ALARM && {
      alarm: `${recent.length} takeovers within a minute: is this zone's name used twice?`,
    }),
  };
}

function statusOf({ args, down, up, quarantine }: State): ZoneStatus & JsonObject {
  return {
    zone: args.zone,
    online: down !== null,
    revision: down ? settledRevision(down.sender) : 0,
    rejected: down ? Object.fromEntries(rejections(down.sender, down.book)) : {},
    refused: renderQuarantine(quarantine),
    peer: (down ?? up)?.peer ?? "",
  };
}

function unknownStream(stream: string): Effect {
  return close(stream, "internal", "this session is over");
}

function answerHealth(check: string): Effect {
  const what: ServerCommand = { do: "answer_health", check };
  return command("kds", what);
}

function close(
  stream: string,
  code: (ServerCommand & { do: "close" })["code"],
  message: string,
): Effect {
  const what: ServerCommand = { do: "close", stream, code, message };
  return command("kds", what);
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString();
}
