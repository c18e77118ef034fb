// Everything that may be said to the zone's link to global.

import type { ProxyCounts } from "../../core/receipt.ts";
import type { JsonObject, ResourceDescriptor } from "../../core/resource.ts";
import type { ClientEvent } from "../../kds/wire.ts";
import type { ZoneLink } from "../../kds/zone_link.ts";
import type { ResourcesChanged, WriteResult } from "../hub/messages.ts";
import type { Path, ReplyTo } from "../runtime/actor.ts";

export const UPLINK: Path = "uplink";

export interface UplinkArgs {
  readonly zone: string;
  /** Of every kind there is. */
  readonly descriptors: readonly ResourceDescriptor[];
  readonly version: string;
  readonly instance: string;
  /** This control plane's configuration as JSON text, secrets masked; Kuma reads `store.type` in it. */
  readonly config: string;
  /** How other zones reach this one without global; null: it wants no links. */
  readonly link: ZoneLink | null;
}

export type UplinkMsg =
  | ClientEvent
  | ResourcesChanged
  | { readonly tag: "connect_due" }
  /** A write of what global sent. */
  | { readonly tag: "written"; readonly ref: string; readonly value: WriteResult }
  /** A write of the zone's own note about its global. */
  | { readonly tag: "note_written"; readonly ref: string; readonly value: WriteResult }
  | { readonly tag: "insight_written"; readonly ref: string; readonly value: WriteResult }
  | { readonly tag: "insight_due" }
  | { readonly tag: "again_due"; readonly typeUrl: string }
  /** What the peer refused of a type is sent again. */
  | { readonly tag: "resend_due"; readonly typeUrl: string }
  /** What is in quarantine is tried again. */
  | { readonly tag: "attempt_due" }
  /** Global has had time to hear from every zone. */
  | { readonly tag: "settle_due" }
  | { readonly tag: "health_due" }
  | { readonly tag: "report_due" }
  /** Takes the global that is connected for the right one; answered with AcceptGlobalAnswer. */
  | { readonly tag: "accept_global"; readonly reply: ReplyTo }
  /** How far this zone's proxies have come with one of its own revisions. */
  | {
    readonly tag: "report_progress";
    readonly revision: number;
    readonly proxies: ProxyCounts;
    readonly lastAckMs: number | null;
  }
  /** The actor of the links between zones begins, and wants to hear of global. */
  | { readonly tag: "peers_began" }
  | { readonly tag: "describe"; readonly reply: ReplyTo };

export interface AcceptGlobalAnswer {
  readonly accepted: boolean;
  /** What was accepted, or why nothing was: one sentence. */
  readonly message: string;
}

/** Answer to `describe`. */
export interface UplinkStatus {
  readonly connected: boolean;
  /** Failed attempts since the last connection that worked. */
  readonly attempts: number;
  readonly clusterId: string;
  /** Global's revision that this zone has taken over. */
  readonly revision: number;
  /** Why nothing is deleted or overwritten; null when all is well. */
  readonly held: string | null;
  readonly lastError: string | null;
  /** Type to message: what global said no to, and what it could not be told. */
  readonly rejected: Readonly<Record<string, string>>;
  /** By type, what of global's could not be taken (kds/quarantine.ts). */
  readonly refused: JsonObject;
}
