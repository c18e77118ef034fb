// One link with another zone: both ends of the dialect over it.

import { openReceiver, type Receiver } from "../../kds/receiver.ts";
import { peerRules } from "../../kds/peer_rules.ts";
import { openSender, type Sender } from "../../kds/sender.ts";
import type { ZoneRun } from "../../kds/wire.ts";
import type { ZoneLink } from "../../kds/zone_link.ts";
import type { PeersArgs } from "./messages.ts";

export interface Link {
  readonly id: string;
  readonly dialled: boolean;
  readonly beganAtMs: number;
  /** Null while it is dialled. */
  readonly openedAtMs: number | null;
  /** Of who dialled us. */
  readonly run: ZoneRun | null;
  /** What the other zone is owed, once it has asked. */
  readonly sender: Sender;
  /** Null while global's word holds here. */
  readonly receiver: Receiver | null;
}

export interface Peer {
  readonly zone: string;
  readonly reach: ZoneLink;
  readonly link: Link | null;
  /** Since the last link that brought something. */
  readonly attempts: number;
  readonly lastError: string | null;
  readonly rejected: string | null;
}

export function newPeer(zone: string, reach: ZoneLink): Peer {
  return { zone, reach, link: null, attempts: 0, lastError: null, rejected: null };
}

export function newLink(
  part: Pick<Link, "id" | "dialled" | "beganAtMs" | "openedAtMs" | "run">,
): Link {
  return { ...part, sender: openSender(), receiver: null };
}

/** From now on the peer's word is taken. */
export function listening(link: Link, peer: string, { descriptors, zone }: PeersArgs): Link {
  const rules = peerRules(descriptors, peer);
  return { ...link, receiver: openReceiver(link.id, { rules, nodeId: zone }) };
}

/** The peer has asked, and did not take it back. */
export function isAsked({ sender }: Link): boolean {
  return sender.types.size > 0;
}

/** Two zones that dial each other at once: as long as the two may cross. */
const CROSSING_MS = 5_000;

/**
 * Whether a link that the other zone has dialled takes the place of the one that is there. Most often
 * that one is the half of a connection that is gone; but of two that crossed, both ends keep the one
 * that the zone whose name comes first has dialled.
 */
export function takesOver(
  { dialled, beganAtMs }: Link,
  { zone, peer, nowMs }: { readonly zone: string; readonly peer: string; readonly nowMs: number },
): boolean {
  if (!dialled || zone > peer) return true;
  return nowMs >= beganAtMs + CROSSING_MS || nowMs < beganAtMs;
}
