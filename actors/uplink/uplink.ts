// The zone's link to global: connects for ever, takes what global sends, offers what the zone has.
//
//   loading ──full state──▶ waiting ──connect_due──▶ connecting ──connected──▶ up
//                              ▲                         │                     │
//                              └──────── backoff ────────┴──── disconnected ───┘
//
// The zone serves from its own store in every one of these states. Responses wait until it is known
// which global sends them: a stranger may add, but nothing is deleted or overwritten for it.

import { DISPLAY_NAME_LABEL, ORIGIN_LABEL } from "../../core/names.ts";
import { type JsonObject, keyText, type ResourceDescriptor } from "../../core/resource.ts";
import { TRAVEL } from "../../core/travel.ts";
import {
  acceptedOf,
  ADVICE,
  type Allegiance,
  GLOBAL_CONFIG,
  judge,
  lapseOf,
  NO_ALLEGIANCE,
  readAllegiance,
  writeAllegiance,
} from "../../kds/allegiance.ts";
import { decodeResource } from "../../kds/codec.ts";
import { type Digests, DIGESTS_MS } from "../../kds/digest.ts";
import { globalToZone, zoneToGlobal } from "../../kds/direction.ts";
import { CLUSTER_ID_CONFIG, goesToGlobal } from "../../kds/filter.ts";
import { ALTERED } from "../../kds/holdings.ts";
import { applyChanges, emptyImage, type Image, replaceImage } from "../../kds/image.ts";
import { encodeUpward, enter, type OfferBook, openBook } from "../../kds/offers.ts";
import { concerned, type Quarantine, renderQuarantine } from "../../kds/quarantine.ts";
import {
  attemptNow,
  heldVersions,
  type Intaken,
  onWritten,
  openReceiver,
  type Receiver,
  receiverStandings,
  responseOf,
  settle,
  subscription,
  takeAgain,
  takeRefused,
  takeResponse,
  zoneRules,
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
  senderStandings,
  takeResponses,
} from "../../kds/sender.ts";
import { isBetweenZones } from "../../kds/stamp.ts";
import { forgive, type KeptBack, newTrust, tellsRefusal, type Trust } from "../../kds/trust.ts";
import {
  asksToCompare,
  type Capacity,
  capacityOf,
  type ClientCommand,
  type ClientEvent,
  type GlobalIdentity,
  type KdsResponse,
  ownMetadata,
  parseSystemVersion,
  type PeerInfo,
  peerInfo,
  systemVersion,
  URSA_DIGESTS,
  URSA_RECEIPTS,
  wireName,
} from "../../kds/wire.ts";
import { countFor, INSIGHT_FLUSH_MS, MESSAGE_CHARS_MAX, timeOf } from "../../kds/zone_insight.ts";
import { URSA_ZONE_LINKS } from "../../kds/zone_link.ts";
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
  type ReplyTo,
  timer,
  type Turn,
} from "../runtime/actor.ts";
import { toPeers } from "../peers/messages.ts";
import type { AcceptGlobalAnswer, UplinkArgs, UplinkMsg, UplinkStatus } from "./messages.ts";
import { pauseMs } from "./backoff.ts";
import { aheadIn, overtaken } from "./ahead.ts";
import {
  NO_INSIGHT,
  type OwnInsight,
  readInsight,
  sessionKnown,
  sessionOver,
  writeInsight,
} from "./own_insight.ts";
import {
  noReports,
  noteAnswered,
  noteArrival,
  noteProgress,
  noteUntold,
  noteWrite,
  noteWritten,
  type Reports,
  reportsFor,
  takeNews,
} from "./reports.ts";

export type { UplinkArgs };

interface Session {
  readonly connection: string;
  readonly receiver: Receiver;
  readonly sender: Sender;
  readonly up: boolean;
  /** Which global this is; null until it has said so. */
  readonly global: GlobalIdentity | null;
  /** Responses that came before it said so. */
  readonly unattributed: readonly KdsResponse[];
  readonly wantsReports: boolean;
  readonly wantsDigests: boolean;
  readonly digestedAtMs: number;
  readonly takes: Capacity;
  readonly checking: boolean;
}

interface State {
  readonly args: UplinkArgs;
  /** Null until the hub's full state is here. */
  readonly image: Image | null;
  readonly book: OfferBook;
  /** What is offered carries the revisions at which it was written: this global passes them on. */
  readonly stamps: boolean;
  readonly revision: number;
  readonly session: Session | null;
  readonly attempts: number;
  readonly connections: number;
  readonly allegiance: Allegiance;
  readonly reports: Reports;
  readonly insight: OwnInsight;
  /** What global survived; of the process that was there last. */
  readonly trust: Trust;
  readonly trustedInstance: string;
  /** What of global's could not be taken. */
  readonly quarantine: Quarantine;
  readonly lastError: string | null;
  /** Why global does not take this zone in, until it does: the connection alone says nothing. */
  readonly refusal: string | null;
}

/** Longer than an edge takes to give up. */
const CONNECT_MS_MAX = 20_000;
const AGAIN_MS = 200;
/** A global that started a moment ago hears from the other zones within their longest pause. */
const SETTLE_MS = 30_000;
/** Kuma's zones ask every 5 minutes unless global wants it otherwise. */
const HEALTH_INTERVAL_MS = 300_000;
const HEALTH_RETRY_MS = 30_000;
const NAMES_TOLD = 20;
/** Progress of many proxies is told at once. */
const REPORT_GAP_MS = 100;
/** gRPC statuses with which global says that it does not want this zone, not that it cannot. */
const REFUSALS = ["UNAUTHENTICATED", "PERMISSION_DENIED", "FAILED_PRECONDITION"];

export const uplink: Actor<State, UplinkMsg, UplinkArgs> = {
  mailbox: {
    capacity: 10_000,
    whenFull: "crash",
    ...oneChangeSet(),
  },

  init(args, at) {
    const state: State = {
      args,
      image: null,
      book: openBook(),
      stamps: false,
      revision: 0,
      session: null,
      attempts: 0,
      connections: 0,
      allegiance: NO_ALLEGIANCE,
      reports: noReports({ clusterId: "", revision: 0 }),
      insight: NO_INSIGHT,
      trust: newTrust(),
      trustedInstance: "",
      quarantine: new Map(),
      lastError: null,
      refusal: null,
    };
    const types = seen(args).map(({ name }) => name);
    return [state, [toHub({ tag: "subscribe", to: at.self, types })]];
  },

  receive(state, msg, at) {
    const [next, effects] = decide(state, msg, at);
    return [next, [...effects, ...tellPeers(state, next)]];
  },

  describe: (state) => ({ ...statusOf(state) }),
};

function decide(state: State, msg: UplinkMsg, at: Context): Turn<State> {
  switch (msg.tag) {
    case "resources_changed":
      return msg.full ? loaded(state, msg, at) : changed(state, msg, at);
    case "connect_due":
      return state.session?.up ? [state, []] : connect(state, at);
    case "connected":
      return ofSession(state, msg, (session) => connected(state, session, at));
    case "disconnected":
      return ofSession(state, msg, (session) => disconnected(state, session, msg, at));
    case "response_received":
      return ofSession(state, msg, (session) => responseReceived(state, session, msg, at));
    case "request_received":
      return ofSession(state, msg, (session) => requestReceived(state, session, msg, at));
    case "health_answered":
      return ofSession(state, msg, (session) => healthAnswered(state, session, msg));
    case "health_due":
    case "report_due":
      return checkHealth(state, msg.tag === "health_due", at);
    case "written":
      return written(state, msg, at);
    case "note_written":
      return [
        state,
        msg.value.ok ? [] : [
          log("error", "which global this zone belongs to could not be written down", {
            reason: msg.value.reason,
          }),
        ],
      ];
    case "insight_due":
      return insightNow(state, at);
    case "insight_written":
      return msg.value.ok
        ? [state, []]
        : [state, [log("warn", "zone insight not written", { reason: msg.value.reason })]];
    case "again_due":
      return !state.session || !state.image ? [state, []] : intaken(
        state,
        takeAgain(state.session.receiver, msg.typeUrl, state.image),
        at,
      );
    case "resend_due":
      return resendRefused(state, msg.typeUrl);
    case "attempt_due":
      return attempt(state, at);
    case "settle_due":
      return settled(state, at);
    case "accept_global":
      return acceptGlobal(state, msg.reply, at);
    case "report_progress":
      noteProgress(state.reports, msg.revision, msg);
      return reportSoon(state);
    case "peers_began":
      return [state, [toPeers(followsGlobal(state))]];
    case "describe":
      return [state, [reply(msg.reply, statusOf(state))]];
  }
}

/** Whether what global says holds here now; where it does not, other zones' own words do. */
function followsGlobal({ session, allegiance }: State): boolean {
  return session?.global !== null && session?.global !== undefined && !allegiance.held;
}

function tellPeers(before: State, after: State): readonly Effect[] {
  const follows = followsGlobal(after);
  return after.args.link === null || follows === followsGlobal(before) ? [] : [toPeers(follows)];
}

/** And what an earlier life of this actor wrote down. */
function seen(args: UplinkArgs): readonly ResourceDescriptor[] {
  return [...kinds(args), ...args.descriptors.filter(({ name }) => name === "ZoneInsight")];
}

function kinds({ descriptors }: UplinkArgs): readonly ResourceDescriptor[] {
  return [...new Set([...globalToZone(descriptors), ...zoneToGlobal(descriptors)])];
}

// The connection

function connect(state: State, at: Context): Turn<State> {
  const { args, connections, quarantine } = state;
  // Not the number alone: an event may come late from before a restart of this actor.
  const connection = `${at.nowMs.toString(36)}-${connections + 1}`;
  const { image } = state;
  const rules = zoneRules(globalToZone(args.descriptors), () => aheadIn(image!));
  // Of what was under way nobody knows whether it arrived.
  noteUntold(state.reports);
  const session: Session = {
    connection,
    receiver: openReceiver(connection, { rules, nodeId: args.zone, quarantine }),
    sender: openSender(state.trust),
    up: false,
    global: null,
    unattributed: [],
    wantsReports: false,
    wantsDigests: false,
    digestedAtMs: at.nowMs,
    takes: capacityOf(peerInfo(undefined)),
    checking: false,
  };
  const insight = sessionOver(state.insight, at);
  return [{ ...state, session, insight, connections: connections + 1 }, [
    kds({ do: "connect", connection, zone: args.zone }),
    // An edge that was not there yet heard nothing, and says nothing.
    timer("connect", CONNECT_MS_MAX, { tag: "connect_due" }),
  ]];
}

function ofSession(
  state: State,
  { connection }: ClientEvent,
  then: (session: Session) => Turn<State>,
): Turn<State> {
  const { session } = state;
  return session?.connection === connection ? then(session) : [state, []];
}

function connected(state: State, session: Session, at: Context): Turn<State> {
  const { args, revision } = state;
  session.sender.revision = revision;
  const metadata = ownMetadata(args);
  const questions = globalToZone(args.descriptors).map(({ name }) =>
    kds({
      do: "send",
      connection: session.connection,
      request: subscription(name, { nodeId: args.zone, metadata }),
    })
  );
  const { refusal } = state;
  const next = { ...state, session: { ...session, up: true }, lastError: refusal };
  const [checked, health] = checkHealth(next, true, at);
  const effects = [
    cancel("connect"),
    timer("settle", SETTLE_MS, { tag: "settle_due" }),
    ...(refusal === null ? [log("info", "connected to global")] : []),
  ];
  return [checked, [...effects, ...questions, ...health]];
}

function disconnected(
  state: State,
  session: Session,
  { reason, refused }: ClientEvent & { readonly tag: "disconnected" },
  at: Context,
): Turn<State> {
  const attempts = state.attempts + 1;
  const afterMs = pauseMs({ attempts, answered: session.up, random: at.random });
  const [code = ""] = /^[A-Z_]+(?=: )/.exec(reason) ?? [];
  const isRefusal = REFUSALS.includes(code);
  const refusal = isRefusal ? reason : state.refusal;
  const over = sessionOver(state.insight, at);
  const ended = { ...state, session: null, attempts, insight: over, lastError: reason, refusal };
  const [next, insight] = insightNow(ended, at);
  return [next, [
    ...insight,
    ...(refused ? endSession(session.sender) : []).flatMap(tellKeptBack),
    // Once per reason and refusal: what repeats is counted.
    ...(isRefusal
      ? state.refusal === reason ? [] : [log("error", "global refuses this zone", { reason })]
      : state.lastError !== reason
      ? [log("warn", "connection to global lost", { reason })]
      : []),
    ...(isRefusal ? [count("ursa_uplink_refused_total", { code })] : []),
    count("ursa_uplink_disconnects_total"),
    cancel("health"),
    cancel("report"),
    cancel("settle"),
    timer("connect", afterMs, { tag: "connect_due" }),
  ]];
}

function tellKeptBack({ typeUrl, names }: KeptBack): readonly Effect[] {
  return [
    log("error", "kept back: global ended the stream on it, twice", {
      type: typeUrl,
      names: names.join(", ").slice(0, MESSAGE_CHARS_MAX),
    }),
    count("ursa_kds_withheld_total", { peer: "global", type: typeUrl }),
  ];
}

// What global sends

function responseReceived(
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
  return [...session.unattributed, response].reduce<Turn<State>>(
    ([current, before], one) => {
      const { image, allegiance } = current;
      const taken = takeResponse(current.session!.receiver, one, {
        image: image!,
        hold: allegiance.held && `${allegiance.held.reason}; ${ADVICE}`,
      });
      noteArrival(current.reports, originOf(one));
      const [next, after] = intaken(current, taken, at);
      return [next, [...before, ...after]];
    },
    [judged, effects],
  );
}

/** Ursa says it on every response; of Kuma we know it once its Config has come. */
function globalOf(
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
function attributed(state: State, session: Session, global: GlobalIdentity): Turn<State> {
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

function written(
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

/** What other zones wrote, and global does not know even now, is gone. */
function settled(state: State, at: Context): Turn<State> {
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
  if (result.again !== null) {
    const { again } = result;
    effects.push(timer(`again ${again}`, AGAIN_MS, { tag: "again_due", typeUrl: again }));
  }
  if (result.attemptAfterMs !== null) {
    effects.push(timer("attempt", result.attemptAfterMs, { tag: "attempt_due" }));
  }
  if (result.out.length > 0) {
    effects.push(log("info", "resources of global out of quarantine", { names: [...result.out] }));
  }
  if (result.rejected.length > 0) {
    effects.push(
      // That it holds on was told once; that it does so of every type is for whoever looks closely.
      log(allegiance.held ? "debug" : "warn", "resources of global rejected", {
        type: result.typeUrl,
        reason: result.rejected.join("; ").slice(0, MESSAGE_CHARS_MAX),
      }),
      count("ursa_kds_refused_total", { peer: "global", type: result.typeUrl }),
    );
  }
  const isNews = result.rejected.length + result.out.length > 0;
  const [told, insight] = isNews ? insightSoon(state) : [state, []];
  effects.push(...insight);
  if (!result.answer) return [told, effects];
  effects.push(kds({ do: "send", connection, request: result.answer }));
  if (state.refusal !== null) effects.push(log("info", "global takes this zone again"));
  // A session that got this far works: the next one need not wait.
  const [next, report] = reportSoon({ ...told, attempts: 0, refusal: null, lastError: null });
  return [next, [...effects, ...report]];
}

/** What was in the way of what is in quarantine may be gone. */
function attempt(state: State, at: Context): Turn<State> {
  const { session } = state;
  if (!session) return [state, []];
  const afterMs = attemptNow(session.receiver);
  const again = afterMs === null ? [] : [timer("attempt", afterMs, { tag: "attempt_due" })];
  return attemptAt(state, { effects: again }, at);
}

function attemptAt(
  state: State,
  { types, effects }: { readonly types?: readonly string[]; readonly effects: readonly Effect[] },
  at: Context,
): Turn<State> {
  const { session, image, allegiance } = state;
  if (!session || !image || allegiance.held) return [state, effects];
  return takeRefused(session.receiver, image, types).reduce<Turn<State>>(
    ([current, before], taken) => {
      const [next, after] = intaken(current, taken, at);
      return [next, [...before, ...after]];
    },
    [state, effects],
  );
}

function acceptGlobal(state: State, to: ReplyTo, at: Context): Turn<State> {
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

// What the zone has

function loaded(state: State, msg: ResourcesChanged, at: Context): Turn<State> {
  const image = state.image ?? emptyImage(seen(state.args));
  replaceImage(image, msg.changes);
  const stored = image.get("Config")?.get(wireName({ mesh: "", name: GLOBAL_CONFIG }));
  const first = state.image === null;
  const allegiance = first ? readAllegiance(stored) : state.allegiance;
  const own = image.get("ZoneInsight")?.get(wireName({ mesh: "", name: state.args.zone }));
  const insight = first ? readInsight(own, at) : state.insight;
  const next = { ...state, image, allegiance, insight, revision: msg.revision };
  const effects = zoneToGlobal(state.args.descriptors).flatMap((descriptor) =>
    [...image.get(descriptor.name)?.keys() ?? []].flatMap((local) => offer(next, descriptor, local))
  );
  if (!first) return pump(next, effects);
  const [connecting, dial] = connect(next, at);
  const [written, insightWrite] = insightNow(connecting, at);
  return [written, [...effects, ...dial, ...insightWrite]];
}

function changed(state: State, msg: ResourcesChanged, at: Context): Turn<State> {
  if (!state.image) return [state, []];
  applyChanges(state.image, msg.changes);
  const next = { ...state, revision: msg.revision };
  if (next.session) advance(next.session.sender, msg.revision);
  const up = zoneToGlobal(state.args.descriptors);
  const effects = msg.changes.flatMap(({ key }) => {
    const descriptor = up.find(({ name }) => name === key.type);
    return descriptor ? offer(next, descriptor, wireName(key)) : [];
  });
  const [pumped, sent] = pump(next, effects);
  const types = concerned(state.quarantine, msg.changes.map(({ key }) => key));
  return types.length > 0 ? attemptAt(pumped, { types, effects: sent }, at) : [pumped, sent];
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
  return [
    log("error", "resource cannot be sent to global", {
      type: descriptor.name,
      name: resource?.labels[DISPLAY_NAME_LABEL] ?? local,
      reason: encoded.reason,
    }),
    count("kds_delta_generation_errors"),
  ];
}

/** Offered anew when this global passes stamps on and the one before did not, or the other way. */
function stampedFor(state: State, { features }: PeerInfo): Turn<State> {
  const stamps = state.args.link !== null && features.includes(URSA_ZONE_LINKS);
  if (stamps === state.stamps) return [state, []];
  const next = { ...state, stamps };
  const effects = zoneToGlobal(state.args.descriptors).filter(isBetweenZones).flatMap((
    descriptor,
  ) =>
    [...state.image!.get(descriptor.name)?.keys() ?? []].flatMap((local) =>
      offer(next, descriptor, local)
    )
  );
  return [next, effects];
}

function requestReceived(
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
  if (said.event === "acked" || said.event === "nacked") {
    effects.push(
      count("kds_delta_requests_received", {
        type_url: said.typeUrl,
        confirmation: said.event === "acked" ? "ACK" : "NACK",
      }),
    );
  }
  if (said.event === "nacked") {
    if (tellsRefusal(state.trust, said.typeUrl, at.nowMs)) {
      effects.push(
        log("warn", "global rejected resources of this zone", {
          type: said.typeUrl,
          reason: said.message.slice(0, MESSAGE_CHARS_MAX),
        }),
      );
    }
    effects.push(
      count("kds_nack_total", { zone_name: state.args.zone, resource_type: said.typeUrl }),
    );
    const afterMs = resendAfter(session.sender, said.typeUrl);
    const again = { tag: "resend_due", typeUrl: said.typeUrl } as const;
    if (afterMs !== null) effects.push(timer(`resend ${said.typeUrl}`, afterMs, again));
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

function resendRefused(state: State, typeUrl: string): Turn<State> {
  if (state.session) resend(state.session.sender, typeUrl);
  return pump(state, []);
}

/** Statistics can wait; coming and going is written at once. */
function insightSoon(state: State): Turn<State> {
  const { insight } = state;
  if (insight.dirty || !insight.current) return [state, []];
  return [{ ...state, insight: { ...insight, dirty: true } }, [
    timer("insight", INSIGHT_FLUSH_MS, { tag: "insight_due" }),
  ]];
}

function insightNow(state: State, at: Context): Turn<State> {
  const { insight, args } = state;
  if (!insight.dirty) return [state, []];
  return [{ ...state, insight: { ...insight, dirty: false } }, [
    cancel("insight"),
    writeInsight(insight, { zone: args.zone, ...troubles(state) }, at),
  ]];
}

function pump(state: State, before: readonly Effect[]): Turn<State> {
  const { session, book, args, revision } = state;
  if (!session?.up) return [state, before];
  const { responses, withheld } = takeResponses(session.sender, {
    offers: book.offers,
    systemVersion: systemVersion({ clusterId: args.zone, revision, epochs: [] }),
    controlPlane: args.zone,
    ...session.takes,
  });
  const { connection } = session;
  for (const { typeUrl } of responses) {
    if (state.insight.current) countFor(state.insight.current, typeUrl, "sent");
  }
  const [noted, insight] = withheld.length > 0 ? insightSoon(state) : [state, []];
  return [noted, [
    ...before,
    ...insight,
    ...responses.flatMap((response) => [
      kds({ do: "send", connection, response }),
      count("kds_delta_responses_sent", { type_url: response.typeUrl }),
    ]),
    ...withheld.flatMap(({ typeUrl, reason }) => [
      log("error", "not sent to global", { type: typeUrl, reason }),
      count("ursa_kds_withheld_total", { peer: "global", type: typeUrl }),
    ]),
  ]];
}

// Health and receipts

/** `due`: also without news. One check at a time. */
function checkHealth(state: State, due: boolean, at: Context): Turn<State> {
  const { session, args, reports } = state;
  if (!session?.up || session.checking) return [state, []];
  const news = session.wantsReports ? takeNews(reports, underWay(session)) : [];
  if (!due && news.length === 0) return [state, []];
  const { connection } = session;
  const digests = digestsDue(state, session, at);
  const digestedAtMs = digests ? at.nowMs : session.digestedAtMs;
  return [{ ...state, session: { ...session, checking: true, digestedAtMs } }, [
    kds({ do: "check_health", connection, zone: args.zone, reports: news, digests }),
  ]];
}

function digestsDue(
  { image, allegiance }: State,
  { receiver, sender, wantsDigests, digestedAtMs }: Session,
  { nowMs }: Context,
): Digests | null {
  const isEarly = nowMs >= digestedAtMs && nowMs < digestedAtMs + DIGESTS_MS;
  if (!wantsDigests || isEarly || !image || allegiance.held) return null;
  return { down: receiverStandings(receiver, image), up: senderStandings(sender) };
}

/** Global found that it holds something else of a type. */
function compare(state: State, session: Session, typeUrl: string): Turn<State> {
  const { args, image, allegiance } = state;
  const held = image && !allegiance.held ? heldVersions(session.receiver, typeUrl, image) : null;
  if (!held) return [state, []];
  const altered = [...held].filter(([, version]) => version === ALTERED).map(([name]) => name);
  const request = subscription(typeUrl, { nodeId: args.zone, held });
  return [state, [
    log("warn", "copies of global's resources are not as they came: they are asked for again", {
      type: typeUrl,
      altered: altered.slice(0, NAMES_TOLD),
    }),
    count("ursa_kds_mismatches_total", { zone: args.zone, type: typeUrl }),
    kds({ do: "send", connection: session.connection, request }),
  ]];
}

function healthAnswered(
  state: State,
  session: Session,
  { intervalMs, error }: ClientEvent & { readonly tag: "health_answered" },
): Turn<State> {
  const wanted = intervalMs > 0 ? intervalMs : HEALTH_INTERVAL_MS;
  // The sync streams say whether global is there; a failed check is only tried again.
  const afterMs = error === undefined ? wanted : HEALTH_RETRY_MS;
  const next = { ...state, session: { ...session, checking: false } };
  if (error === undefined) noteAnswered(state.reports);
  else noteUntold(state.reports);
  const [reporting, effects] = reportSoon(next);
  return [reporting, [
    ...(error === undefined ? [] : [log("warn", "health check failed", { reason: error })]),
    timer("health", afterMs, { tag: "health_due" }),
    ...effects,
  ]];
}

/** Global's revisions of which something is not written yet. */
function underWay({ receiver }: Session): ReadonlySet<number> {
  return new Set([...receiver.intakes.values()].map(({ response }) => originOf(response)));
}

/** Global's revision that a response shows; 0: it does not say. */
function originOf(response: KdsResponse | undefined): number {
  return parseSystemVersion(response?.systemVersion ?? "")?.revision ?? 0;
}

function reportSoon(state: State): Turn<State> {
  const { session, reports } = state;
  if (!session?.wantsReports || session.checking || reports.news.size === 0) return [state, []];
  return [state, [timer("report", REPORT_GAP_MS, { tag: "report_due" })]];
}

function statusOf(state: State): UplinkStatus & JsonObject {
  const { session, attempts, allegiance, lastError } = state;
  const { accepted, held } = allegiance;
  return {
    connected: session?.up ?? false,
    attempts,
    clusterId: accepted?.clusterId ?? "",
    revision: accepted?.revision ?? 0,
    held: held ? `${held.reason}; ${ADVICE}` : null,
    lastError,
    ...troubles(state),
  };
}

/** What global said no to, and what it could not be told; and what of global's was not taken. */
function troubles(
  { session, book, quarantine }: State,
): Pick<UplinkStatus, "rejected" | "refused"> {
  return {
    rejected: session ? Object.fromEntries(rejections(session.sender, book)) : {},
    refused: renderQuarantine(quarantine),
  };
}

function kds(what: ClientCommand): Effect {
  return command("kds", what);
}
