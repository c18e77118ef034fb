// The sending side of one stream: what the peer was told, and what it is still owed.
//
// Per type: one response at a time; the peer's ACK or NACK is the pace.
//
//   unknown ──subscribe──▶ owed ──response (all of it, also none)──▶ in flight ──ACK/NACK──▶ settled
//                           ▲                                                                  │
//                           └──────────────────────── something changed ───────────────────────┘
//
// What does not fit in a message, or ended the peer's stream before, stays here and is told as
// withheld: one resource, or a type whose first response must be whole. Nothing else waits for it.

import { compareText } from "../core/resource.ts";
import { digestOf, type Standing, type Standings } from "./digest.ts";
import type { OfferBook } from "./offers.ts";
import {
  answeredWith,
  isKeptBack,
  isStopped,
  isSuspect,
  type KeptBack,
  newTrust,
  removedFrom,
  sessionEnded,
  type Trust,
} from "./trust.ts";
import { type KdsItem, type KdsRequest, type KdsResponse, MORE } from "./wire.ts";

/** What there is for this peer now: per type, by wire name. Owned and kept up to date by the caller. */
export type Offers = ReadonlyMap<string, ReadonlyMap<string, KdsItem>>;

interface SentType {
  /** Name to version: what the peer holds, as far as we told it, whether it liked it or not. */
  readonly sent: Map<string, string>;
  /** Names to compare at the next response. */
  readonly owed: Set<string>;
  /** Not everything was told yet on this stream: the first response is complete, even when empty. */
  first: boolean;
  /** Names that are not sent, with the reason; what the peer has of them is older. */
  readonly held: Map<string, string>;
  /** Names to what the peer said when it refused them. */
  readonly refused: Map<string, string>;
  /** How often they were sent again since something of the type was taken. */
  resends: number;
  resendDue: boolean;
  /** Why nothing of this type is sent. */
  stopped: string | null;
  inFlight: InFlight | null;
  /** The response that was answered last. */
  answered: string;
  /** Everything up to here is acknowledged or rejected. */
  settledRevision: number;
  /** Of a response that only removed, or said nothing; and what it removed. */
  lastError: string | null;
  unremoved: readonly string[];
}

interface InFlight {
  readonly nonce: string;
  readonly revision: number;
  readonly partial: boolean;
  /** It went out whatever there was to say. */
  readonly first: boolean;
  readonly items: readonly KdsItem[];
  readonly removed: readonly string[];
}

export interface Sender {
  readonly types: Map<string, SentType>;
  nonce: number;
  /** Responses that were acknowledged or rejected. */
  answered: number;
  /** Of the state that `offers` shows. */
  revision: number;
  /** Outlives the session. */
  readonly trust: Trust;
}

export interface SendOptions {
  readonly offers: Offers;
  readonly systemVersion: string;
  readonly controlPlane: string;
  /** What the peer takes as one message. */
  readonly bytesMax: number;
  /** The peer puts the first state of a type together from several responses. */
  readonly inParts: boolean;
}

/** Something that stays here, for the log: told once, when it begins. */
export interface Withheld {
  readonly typeUrl: string;
  readonly reason: string;
}

export interface Outgoing {
  readonly responses: readonly KdsResponse[];
  readonly withheld: readonly Withheld[];
}

/** A later response is cut here, and goes on after its ACK; for most peers the first must be whole. */
const PART_BYTES_MAX = 2 * 1024 * 1024;
const RESEND_FIRST_MS = 10_000;
const RESEND_MAX_MS = 600_000;
/** Version, type URL, tags and lengths around the bytes of a resource, and around all of them. */
const ITEM_BYTES = 160;
const MESSAGE_BYTES = 1024;
/** Types that a peer may subscribe to: real ones, and those it knows and we do not. */
const TYPES_MAX = 256;

export function openSender(trust: Trust = newTrust()): Sender {
  return { types: new Map(), nonce: 0, answered: 0, revision: 0, trust };
}

/** The peer ended the session; what is kept back from now on, for the log. */
export function endSession({ types, trust }: Sender): readonly KeptBack[] {
  const open = [...types].flatMap(([typeUrl, { inFlight }]) =>
    inFlight ? [{ typeUrl, items: inFlight.items }] : []
  );
  return sessionEnded(trust, { open, types: types.size });
}

export type SenderEvent =
  | { readonly event: "subscribed"; readonly typeUrl: string }
  | { readonly event: "acked"; readonly typeUrl: string }
  | { readonly event: "nacked"; readonly typeUrl: string; readonly message: string }
  | { readonly event: "ignored"; readonly typeUrl: string; readonly reason: string };

export function onRequest(sender: Sender, request: KdsRequest, offers: Offers): SenderEvent {
  const { typeUrl } = request;
  const known = sender.types.get(typeUrl);
  if (request.nonce === "") return subscribe(sender, request, offers);
  if (!known?.inFlight || known.inFlight.nonce !== request.nonce) {
    return { event: "ignored", typeUrl, reason: `nonce ${request.nonce} is not in flight` };
  }
  const { items, removed, partial, first, revision } = known.inFlight;
  if (!partial) known.settledRevision = revision;
  known.inFlight = null;
  known.answered = request.nonce;
  sender.answered++;
  answeredWith(sender.trust, { typeUrl, items });
  removedFrom(sender.trust, typeUrl, removed);
  const { error } = request;
  // An ACK of something else does not take it back; `resend` asks again.
  if (items.length === 0 || first && error === undefined) {
    known.lastError = error ?? null;
    known.unremoved = known.lastError === null ? [] : removed;
  }
  for (const name of removed) known.refused.delete(name);
  // What it has refused counts as told, until it changes or `resend` says otherwise.
  // One message speaks for all; where it names some of them, it is about these.
  const named = items.filter(({ name }) => error?.includes(`${name}: `));
  const refused = new Set(named.length > 0 || error === undefined ? named : items);
  for (const item of items) {
    if (error !== undefined && refused.has(item)) known.refused.set(item.name, error);
    else known.refused.delete(item.name);
  }
  if (known.lastError === null && known.refused.size === 0) known.resends = 0;
  return error === undefined
    ? { event: "acked", typeUrl }
    : { event: "nacked", typeUrl, message: error };
}

function subscribe(sender: Sender, request: KdsRequest, offers: Offers): SenderEvent {
  const { typeUrl } = request;
  if (!sender.types.has(typeUrl) && sender.types.size >= TYPES_MAX) {
    return { event: "ignored", typeUrl, reason: `more than ${TYPES_MAX} types` };
  }
  const sent = new Map(Object.entries(request.initialVersions));
  // Of what the peer was told on this stream and does not mention, nobody knows whether it has it.
  for (const name of sender.types.get(typeUrl)?.sent.keys() ?? []) {
    if (!sent.has(name)) sent.set(name, "");
  }
  sender.types.set(typeUrl, {
    sent,
    owed: new Set([...sent.keys(), ...(offers.get(typeUrl)?.keys() ?? [])]),
    first: true,
    held: new Map(),
    refused: new Map(),
    resends: 0,
    resendDue: false,
    stopped: null,
    inFlight: null,
    answered: "",
    settledRevision: 0,
    lastError: null,
    unremoved: [],
  });
  return { event: "subscribed", typeUrl };
}

/** What the peer should hold, of every type of which it has answered everything. */
export function senderStandings({ types }: Sender): Standings {
  return Object.fromEntries(
    [...types].flatMap(([typeUrl, type]): [string, Standing][] => {
      const { sent, refused, first, inFlight, answered: nonce } = type;
      if (first || inFlight || type.stopped !== null) return [];
      const versions = new Map([...sent].filter(([name]) => !refused.has(name)));
      return [[typeUrl, { nonce, digest: digestOf(versions) }]];
    }),
  );
}

/** The offers are about to show a newer revision; what follows is said by `owe`. */
export function advance(sender: Sender, revision: number): void {
  for (const type of sender.types.values()) {
    if (isSettled(type)) type.settledRevision = sender.revision;
  }
  sender.revision = revision;
}

/** The offer of this name changed, came or went. */
export function owe(sender: Sender, typeUrl: string, name: string): void {
  sender.types.get(typeUrl)?.owed.add(name);
}

/** When to send again what the peer refused of a type; null: nothing, or that is known already. */
export function resendAfter(sender: Sender, typeUrl: string): number | null {
  const type = sender.types.get(typeUrl);
  if (!type || type.resendDue) return null;
  if (type.refused.size === 0 && type.lastError === null) return null;
  type.resendDue = true;
  return Math.min(RESEND_MAX_MS, RESEND_FIRST_MS * 2 ** type.resends);
}

/** What was in the peer's way may be gone: a peer may not say so, nor try again by itself. */
export function resend(sender: Sender, typeUrl: string): void {
  const type = sender.types.get(typeUrl);
  if (!type?.resendDue) return;
  type.resendDue = false;
  type.resends++;
  for (const name of type.refused.keys()) {
    if (type.sent.has(name)) type.sent.set(name, "");
    type.owed.add(name);
  }
  for (const name of type.unremoved) {
    if (!type.sent.has(name)) type.sent.set(name, "");
    type.owed.add(name);
  }
  // Also when there is nothing to say any more: the peer's last word was no.
  if (type.lastError !== null) type.first = true;
}

/** What may go now: at most one response per type, or of all types when the peer is not trusted. */
export function takeResponses(sender: Sender, options: SendOptions): Outgoing {
  const responses: KdsResponse[] = [];
  const withheld: Withheld[] = [];
  for (const [typeUrl, type] of sender.types) {
    // Of most types there is nothing to say most of the time.
    if (type.inFlight || !type.first && type.owed.size === 0) continue;
    if (sender.trust.cautious && hasInFlight(sender)) break;
    const next = { typeUrl, type, options, trust: sender.trust };
    if (mustStop(next, withheld)) continue;
    const response = nextResponse(sender, next, withheld);
    if (response) responses.push(response);
  }
  relax(sender);
  return { responses, withheld };
}

function hasInFlight({ types }: Sender): boolean {
  return [...types.values()].some(({ inFlight }) => inFlight !== null);
}

/** Everything is answered that was asked for in the session that ended badly. */
function relax({ trust, types }: Sender): void {
  if (trust.cautious && types.size >= trust.types && [...types.values()].every(isSettled)) {
    trust.cautious = false;
  }
}

interface Next {
  readonly typeUrl: string;
  readonly type: SentType;
  readonly options: SendOptions;
  readonly trust: Trust;
}

/** A first response that is not whole would make the peer delete the rest. */
function mustStop({ typeUrl, type, options, trust }: Next, withheld: Withheld[]): boolean {
  const { offers, bytesMax, inParts } = options;
  if (!type.first) return false;
  if (isStopped(trust, typeUrl, offers.get(typeUrl))) {
    type.stopped = "the peer ended its stream on this type, twice; it is tried again when one of " +
      `these changes: ${[...trust.stopped.get(typeUrl)?.keys() ?? []].sort().join(", ")}`;
    return true;
  }
  type.stopped = inParts ? null : type.stopped;
  if (inParts) return false;
  const items = [...offers.get(typeUrl)?.values() ?? []].filter((item) => fits(item, bytesMax));
  const bytes = items.reduce((sum, item) => sum + sizeOf(item), MESSAGE_BYTES);
  const stopped = bytes > bytesMax;
  if (stopped && type.stopped === null) {
    type.stopped = `${items.length} resources are ${bytes} bytes, and the peer takes the first ` +
      `state of a type only whole, in a message of at most ${bytesMax} bytes; the largest are ` +
      largest(items);
    withheld.push({ typeUrl, reason: type.stopped });
  } else if (!stopped) {
    type.stopped = null;
  }
  return stopped;
}

function largest(items: readonly KdsItem[]): string {
  return [...items].sort((a, b) => b.bytes.length - a.bytes.length).slice(0, 3)
    .map(({ name, bytes }) => `${name} (${bytes.length})`).join(", ");
}

function sizeOf({ name, bytes }: KdsItem): number {
  return bytes.length + name.length + ITEM_BYTES;
}

function fits(item: KdsItem, bytesMax: number): boolean {
  return MESSAGE_BYTES + sizeOf(item) <= bytesMax;
}

function nextResponse(sender: Sender, next: Next, withheld: Withheld[]): KdsResponse | null {
  const { typeUrl, type, options } = next;
  const { bytesMax, inParts } = options;
  const partMax = type.first && !inParts ? bytesMax : Math.min(bytesMax, PART_BYTES_MAX);
  const items: KdsItem[] = [];
  const removed: string[] = [];
  let bytes = MESSAGE_BYTES;
  // Owed, but not to be told with the others.
  let waiting = 0;
  for (const [name, offered] of owedItems(type, options.offers.get(typeUrl))) {
    const word = wordOn(next, { name, offered }, (reason) => withheld.push({ typeUrl, reason }));
    if (word === "nothing") continue;
    if (word === "later" || word.alone && bytes > MESSAGE_BYTES) {
      waiting++;
      continue;
    }
    const { item } = word;
    const size = item ? sizeOf(item) : name.length + ITEM_BYTES;
    // One that is longer than a part goes by itself.
    if (bytes > MESSAGE_BYTES && bytes + size > partMax) break;
    bytes += size;
    if (word.more) waiting++;
    else type.owed.delete(name);
    if (item) {
      type.sent.set(name, item.version);
      items.push(item);
    } else {
      type.sent.delete(name);
      removed.push(name);
    }
    if (word.alone) break;
  }
  if (!type.first && items.length === 0 && removed.length === 0) return null;
  const { first } = type;
  type.first = first && inParts && type.owed.size > waiting;
  sender.nonce++;
  const nonce = String(sender.nonce);
  const partial = type.owed.size > 0;
  type.inFlight = { nonce, revision: sender.revision, partial, first, items, removed };
  return {
    typeUrl,
    nonce,
    systemVersion: type.first ? options.systemVersion + MORE : options.systemVersion,
    controlPlane: options.controlPlane,
    resources: items.sort((a, b) => compareText(a.name, b.name)),
    removed: removed.sort(compareText),
  };
}

/** What is to be told, the vanished without an item; names that need not be told are crossed out. */
function* owedItems(
  type: SentType,
  offers: ReadonlyMap<string, KdsItem> | undefined,
): Generator<readonly [string, KdsItem | undefined]> {
  for (const name of type.owed) {
    const offered = offers?.get(name);
    const told = offered ? type.sent.get(name) === offered.version : !type.sent.has(name);
    if (told) type.owed.delete(name);
    if (told || !offered) type.held.delete(name);
    if (!told) yield [name, offered];
  }
}

/** What is said of a name now: an item, or (without one) that it is gone. */
interface Word {
  readonly item: KdsItem | undefined;
  /** In a response by itself. */
  readonly alone: boolean;
  /** Something newer is still to be said. */
  readonly more: boolean;
}

function wordOn(
  { typeUrl, type, options, trust }: Next,
  { name, offered }: { readonly name: string; readonly offered: KdsItem | undefined },
  tell: (reason: string) => void,
): Word | "nothing" | "later" {
  if (!offered) return { item: undefined, alone: false, more: false };
  const reason = reasonToHold(offered, { typeUrl, bytesMax: options.bytesMax, trust });
  const suspect = isSuspect(trust, typeUrl, offered);
  if (reason !== null) {
    if (type.held.get(name) !== reason) tell(reason);
    type.held.set(name, reason);
    type.owed.delete(name);
  } else {
    type.held.delete(name);
  }
  if (reason === null && !(suspect && type.first)) {
    return { item: offered, alone: suspect, more: false };
  }
  // In a first state, what is missing would be deleted: then the older one stands in.
  const older = type.first ? trust.answered.get(typeUrl)?.get(name) : undefined;
  if (older) return { item: older, alone: false, more: suspect };
  return suspect ? "later" : "nothing";
}

function reasonToHold(
  item: KdsItem,
  { typeUrl, bytesMax, trust }: {
    readonly typeUrl: string;
    readonly bytesMax: number;
    readonly trust: Trust;
  },
): string | null {
  if (isKeptBack(trust, typeUrl, item)) {
    return `${item.name} ended the peer's stream, twice; it is tried again when it changes`;
  }
  return fits(item, bytesMax)
    ? null
    : `${item.name} is ${item.bytes.length} bytes, and the peer takes messages of at most ` +
      `${bytesMax} bytes`;
}

/** The revision up to which the peer has answered for everything that it subscribed to. */
export function settledRevision(sender: Sender): number {
  if (sender.types.size === 0) return 0;
  let settled = sender.revision;
  for (const type of sender.types.values()) {
    if (!isSettled(type)) settled = Math.min(settled, type.settledRevision);
  }
  return settled;
}

/** A type that is stopped gets no answer before it changes: nothing waits for it. */
function isSettled({ inFlight, owed, first, stopped }: SentType): boolean {
  return stopped !== null || inFlight === null && owed.size === 0 && !first;
}

/** What the peer last said no to, and what it could not be told, by type. */
export function rejections(
  sender: Sender,
  { refused }: Pick<OfferBook, "refused">,
): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const [typeUrl, { lastError, refused: said, held, stopped }] of sender.types) {
    const isGood = lastError === null && stopped === null && said.size === 0 && held.size === 0;
    if (isGood && !refused.get(typeUrl)?.size) continue;
    const unsent = [...refused.get(typeUrl) ?? []].map(([name, reason]) => `${name}: ${reason}`);
    // One message speaks for all that came with what it is about.
    const reasons = new Set([lastError, ...said.values(), stopped, ...unsent, ...held.values()]);
    reasons.delete(null);
    if (reasons.size > 0) found.set(typeUrl, [...reasons].join("; "));
  }
  return found;
}
