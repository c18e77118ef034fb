// Everything that may be said to the links between zones.

import type { ResourceDescriptor } from "../../core/resource.ts";
import type { LinkEvent } from "../../kds/peer_wire.ts";
import type { ResourcesChanged, WriteResult } from "../hub/messages.ts";
import { type Effect, type Path, type ReplyTo, send } from "../runtime/actor.ts";

export const PEERS: Path = "peers";

export interface PeersArgs {
  readonly zone: string;
  /** Of every kind there is. */
  readonly descriptors: readonly ResourceDescriptor[];
  readonly version: string;
  readonly instance: string;
}

export type PeersMsg =
  | LinkEvent
  | ResourcesChanged
  /** What global says holds from now on. */
  | { readonly tag: "global_followed" }
  /** It says nothing, or nothing that holds. */
  | { readonly tag: "global_lost" }
  /** Global has been gone for so long that the other zones are asked. */
  | { readonly tag: "alone_due" }
  | { readonly tag: "dial_due"; readonly peer: string }
  /** A write of what another zone said. */
  | { readonly tag: "written"; readonly ref: string; readonly value: WriteResult }
  | { readonly tag: "again_due"; readonly peer: string; readonly typeUrl: string }
  /** The other zone may take by now what it refused. */
  | { readonly tag: "resend_due"; readonly peer: string; readonly typeUrl: string }
  | { readonly tag: "describe"; readonly reply: ReplyTo };

export const toPeers = (follows: boolean): Effect =>
  send<PeersMsg>(PEERS, { tag: follows ? "global_followed" : "global_lost" });

/** How it stands with one other zone. */
export interface PeerStatus {
  readonly zone: string;
  /** Null: there is no link now. */
  readonly linkedSince: string | null;
  /** This zone hears the other over the link. */
  readonly hears: boolean;
  /** The other zone hears this one. */
  readonly tells: boolean;
  /** Why the last link ended, or did not come about. */
  readonly lastError: string | null;
  /** What the other zone said and may not, or what could not be written of it. */
  readonly rejected: string | null;
}

/** Answer to `describe`. */
export interface PeersStatus {
  /** Global is gone: other zones are heard themselves. */
  readonly alone: boolean;
  readonly peers: readonly PeerStatus[];
}
