// The sending side of one stream: what the peer was told, and what it is still owed.
//
// Per type: one response at a time; the peer's ACK or NACK is the pace.
//
//   unknown ──subscribe──▶ owed ──response (all of it, also none)──▶ in flight ──ACK/NACK──▶ settled
//                           ▲                                                                  │
//                           └──────────────────────── something changed ───────────────────────┘

import { compareText } from "../core/resource.ts";
import type { KdsItem, KdsRequest, KdsResponse } from "./wire.ts";

/** What there is for this peer now: per type, by wire name. Owned and kept up to date by the caller. */
export type Offers = ReadonlyMap<string, ReadonlyMap<string, KdsItem>>;

interface SentType {
  /** Name to version: what the peer holds, as far as we told it, whether it liked it or not. */
  readonly sent: Map<string, string>;
  /** Names to compare at the next response. */
  readonly owed: Set<string>;
  /** No response yet on this stream: the first one is complete, even when it is empty. */
  first: boolean;
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
}

/** A later response is cut here, and goes on after its ACK; the first one must be whole. */
const LATER_BYTES_MAX = 2 * 1024 * 1024;
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
export function takeResponses(sender: Sender, options: SendOptions): readonly KdsResponse[] {
  const responses: KdsResponse[] = [];
  for (const [typeUrl, type] of sender.types) {
    if (type.inFlight) continue;
    const response = nextResponse(sender, { typeUrl, type, options });
    if (response) responses.push(response);
  }
  return responses;
}

function nextResponse(
  sender: Sender,
  { typeUrl, type, options }: {
    readonly typeUrl: string;
    readonly type: SentType;
    readonly options: SendOptions;
  },
): KdsResponse | null {
  const offered = options.offers.get(typeUrl);
  const resources: KdsItem[] = [];
  const removed: string[] = [];
  let bytes = 0;
  for (const name of type.owed) {
    if (!type.first && bytes >= LATER_BYTES_MAX) break;
    type.owed.delete(name);
    const item = offered?.get(name);
    if (item === undefined) {
      if (type.sent.delete(name)) removed.push(name);
    } else if (type.sent.get(name) !== item.version) {
      type.sent.set(name, item.version);
      resources.push(item);
      bytes += item.bytes.length;
    }
  }
  if (!type.first && resources.length === 0 && removed.length === 0) return null;
  type.first = false;
  sender.nonce++;
  const nonce = String(sender.nonce);
  type.inFlight = { nonce, revision: sender.revision, partial: type.owed.size > 0 };
  return {
    typeUrl,
    nonce,
    systemVersion: options.systemVersion,
    controlPlane: options.controlPlane,
    resources: resources.sort((a, b) => compareText(a.name, b.name)),
    removed: removed.sort(compareText),
  };
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

function isSettled({ inFlight, owed, first }: SentType): boolean {
  return inFlight === null && owed.size === 0 && !first;
}

/** What the peer last said no to, by type. */
export function rejections(sender: Sender): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const [typeUrl, { lastError }] of sender.types) {
    if (lastError !== null) found.set(typeUrl, lastError);
  }
  return found;
}
