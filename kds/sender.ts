// The sending side of one stream: what the peer was told, and what it is still owed.
//
// Per type: one response at a time; the peer's ACK or NACK is the pace.
//
//   unknown ──subscribe──▶ owed ──response (all of it, also none)──▶ in flight ──ACK/NACK──▶ settled
//                           ▲                                                                  │
//                           └──────────────────────── something changed ───────────────────────┘
//
// What does not fit in a message stays here, and is told as withheld: one resource, or a type whose
// first response must be whole. Nothing else waits for it.

import { compareText } from "../core/resource.ts";
import type { OfferBook } from "./offers.ts";
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
  /** Names that no message holds, with the reason; what the peer has of them is older. */
  readonly tooLong: Map<string, string>;
  /** Why nothing of this type is sent. */
  stopped: string | null;
  inFlight: InFlight | null;
  /** Everything up to here is acknowledged or rejected. */
  settledRevision: number;
  rejected: number;
  lastError: string | null;
}

interface InFlight {
  readonly nonce: string;
  readonly revision: number;
  readonly partial: boolean;
}

export interface Sender {
  readonly types: Map<string, SentType>;
  nonce: number;
  /** Responses that were acknowledged or rejected. */
  answered: number;
  /** Of the state that `offers` shows. */
  revision: number;
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
/** Version, type URL, tags and lengths around the bytes of a resource, and around all of them. */
const ITEM_BYTES = 160;
const MESSAGE_BYTES = 1024;
/** Types that a peer may subscribe to: real ones, and those it knows and we do not. */
const TYPES_MAX = 256;

export function openSender(): Sender {
  return { types: new Map(), nonce: 0, answered: 0, revision: 0 };
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
  if (!known.inFlight.partial) known.settledRevision = known.inFlight.revision;
  known.inFlight = null;
  sender.answered++;
  if (request.error === undefined) {
    known.lastError = null;
    return { event: "acked", typeUrl };
  }
  // What it has rejected counts as told: the same version again would be rejected again.
  known.rejected++;
  known.lastError = request.error;
  return { event: "nacked", typeUrl, message: request.error };
}

function subscribe(sender: Sender, request: KdsRequest, offers: Offers): SenderEvent {
  const { typeUrl } = request;
  if (!sender.types.has(typeUrl) && sender.types.size >= TYPES_MAX) {
    return { event: "ignored", typeUrl, reason: `more than ${TYPES_MAX} types` };
  }
  const sent = new Map(Object.entries(request.initialVersions));
  sender.types.set(typeUrl, {
    sent,
    owed: new Set([...sent.keys(), ...(offers.get(typeUrl)?.keys() ?? [])]),
    first: true,
    tooLong: new Map(),
    stopped: null,
    inFlight: null,
    settledRevision: 0,
    rejected: 0,
    lastError: null,
  });
  return { event: "subscribed", typeUrl };
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

/** What may go now: at most one response per type. */
export function takeResponses(sender: Sender, options: SendOptions): Outgoing {
  const responses: KdsResponse[] = [];
  const withheld: Withheld[] = [];
  for (const [typeUrl, type] of sender.types) {
    if (type.inFlight) continue;
    const next = { typeUrl, type, options };
    if (mustStop(next, withheld)) continue;
    const response = nextResponse(sender, next, withheld);
    if (response) responses.push(response);
  }
  return { responses, withheld };
}

interface Next {
  readonly typeUrl: string;
  readonly type: SentType;
  readonly options: SendOptions;
}

/** A first response that is not whole would make the peer delete the rest. */
function mustStop({ typeUrl, type, options }: Next, withheld: Withheld[]): boolean {
  const { offers, bytesMax, inParts } = options;
  if (!type.first || inParts) return false;
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

function nextResponse(
  sender: Sender,
  { typeUrl, type, options }: Next,
  withheld: Withheld[],
): KdsResponse | null {
  const { bytesMax, inParts } = options;
  const resources: KdsItem[] = [];
  const removed: string[] = [];
  const partMax = type.first && !inParts ? bytesMax : Math.min(bytesMax, PART_BYTES_MAX);
  let bytes = MESSAGE_BYTES;
  for (const [name, item] of owedItems(type, options.offers.get(typeUrl))) {
    if (item && !fits(item, bytesMax)) {
      withhold(type, item, bytesMax, (reason) => withheld.push({ typeUrl, reason }));
      continue;
    }
    const size = item ? sizeOf(item) : name.length + ITEM_BYTES;
    // One that is longer than a part goes alone.
    if (bytes > MESSAGE_BYTES && bytes + size > partMax) break;
    bytes += size;
    type.owed.delete(name);
    type.tooLong.delete(name);
    if (item) {
      type.sent.set(name, item.version);
      resources.push(item);
    } else {
      type.sent.delete(name);
      removed.push(name);
    }
  }
  if (!type.first && resources.length === 0 && removed.length === 0) return null;
  const partial = type.owed.size > 0;
  const more = type.first && partial;
  type.first = more;
  sender.nonce++;
  const nonce = String(sender.nonce);
  type.inFlight = { nonce, revision: sender.revision, partial };
  return {
    typeUrl,
    nonce,
    systemVersion: more ? options.systemVersion + MORE : options.systemVersion,
    controlPlane: options.controlPlane,
    resources: resources.sort((a, b) => compareText(a.name, b.name)),
    removed: removed.sort(compareText),
  };
}

/** What is to be told, the vanished without an item; names that need not be told are crossed out. */
function* owedItems(
  type: SentType,
  offered: ReadonlyMap<string, KdsItem> | undefined,
): Generator<readonly [string, KdsItem | undefined]> {
  for (const name of type.owed) {
    const item = offered?.get(name);
    const told = item ? type.sent.get(name) === item.version : !type.sent.has(name);
    if (told) {
      type.owed.delete(name);
      type.tooLong.delete(name);
    } else {
      yield [name, item];
    }
  }
}

/** It is owed again when it changes. */
function withhold(
  type: SentType,
  item: KdsItem,
  bytesMax: number,
  tell: (reason: string) => void,
): void {
  const reason = `${item.name} is ${item.bytes.length} bytes, and the peer takes messages of at ` +
    `most ${bytesMax} bytes`;
  type.owed.delete(item.name);
  if (type.tooLong.get(item.name) !== reason) tell(reason);
  type.tooLong.set(item.name, reason);
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
  for (const [typeUrl, { lastError, tooLong, stopped }] of sender.types) {
    const unsent = [...refused.get(typeUrl) ?? []].map(([name, reason]) => `${name}: ${reason}`);
    const reasons = [lastError, stopped, ...unsent, ...tooLong.values()]
      .filter((reason) => reason !== null);
    if (reasons.length > 0) found.set(typeUrl, reasons.join("; "));
  }
  return found;
}
