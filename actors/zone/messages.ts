// Everything that may be said to the actor of one zone on global.

import type { JsonObject, ResourceDescriptor } from "../../core/resource.ts";
import type { ServerEvent } from "../../kds/wire.ts";
import type { ResourcesChanged, WriteResult } from "../hub/messages.ts";
import type { Path, ReplyTo } from "../runtime/actor.ts";

export function zonePath(zone: string): Path {
  return `zones/${zone}`;
}

export interface ZoneArgs {
  readonly zone: string;
  /** What was written about it before. */
  readonly insight: JsonObject | null;
  readonly descriptors: readonly ResourceDescriptor[];
  readonly instance: string;
  readonly version: string;
  readonly receipts: Path | null;
  /** A zone of which nothing is heard for so long is left out of the others; null: never. */
  readonly unreachableAfterMs: number | null;
}

export type ZoneMsg =
  | ServerEvent
  | ResourcesChanged
  | { readonly tag: "zone_deleted" }
  /** A write of what the zone sent. */
  | { readonly tag: "written"; readonly ref: string; readonly value: WriteResult }
  /** A write of how other zones reach it. */
  | { readonly tag: "link_written"; readonly ref: string; readonly value: WriteResult }
  | { readonly tag: "link_due" }
  | { readonly tag: "insight_written"; readonly ref: string; readonly value: WriteResult }
  | { readonly tag: "remains_deleted"; readonly ref: string; readonly value: WriteResult }
  | { readonly tag: "again_due"; readonly typeUrl: string }
  /** What the peer refused of a type is sent again. */
  | { readonly tag: "resend_due"; readonly typeUrl: string }
  /** What is in quarantine is tried again. */
  | { readonly tag: "attempt_due" }
  | { readonly tag: "insight_due" }
  /** Nothing has been heard of the zone for too long. */
  | { readonly tag: "unreachable_due" }
  | { readonly tag: "describe"; readonly reply: ReplyTo };

/** Answer to `describe`. */
export interface ZoneStatus {
  readonly zone: string;
  readonly online: boolean;
  /** Global's revision up to which the zone has answered for everything. */
  readonly revision: number;
  /** Type to message: what the zone said no to. */
  readonly rejected: Readonly<Record<string, string>>;
  /** By type, what of the zone's could not be taken (kds/quarantine.ts). */
  readonly refused: JsonObject;
  readonly peer: string;
}
