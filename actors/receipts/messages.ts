// Everything that may be said to the receipts actor: who owes an answer to which change.

import type { ResourceKey } from "../../core/resource.ts";
import type { Path, ReplyTo } from "../runtime/actor.ts";

export const RECEIPTS: Path = "receipts";

/** What a proxy made of everything up to a revision. */
export type ProxyOutcome =
  /** Its configuration is the same as before. */
  | { readonly state: "unchanged" }
  /** Told; not answered yet. */
  | { readonly state: "pending" }
  | { readonly state: "acked" }
  | { readonly state: "nacked"; readonly typeUrl: string; readonly message: string }
  /** Not connected: it gets the newest state when it comes back. */
  | { readonly state: "offline" };

export type ReceiptsMsg =
  /** Durable; `audience` are the actors that were told and will announce whom it may concern. */
  | {
    readonly tag: "revision_committed";
    readonly revision: number;
    readonly keys: readonly ResourceKey[];
    readonly audience: readonly Path[];
  }
  /** All that `by` was told up to `revision` concerns at most these proxies. */
  | {
    readonly tag: "change_announced";
    readonly by: Path;
    readonly revision: number;
    readonly proxies: readonly Path[];
  }
  | {
    readonly tag: "proxy_progress";
    readonly proxy: Path;
    readonly revision: number;
    readonly outcome: ProxyOutcome;
  }
  /** Whoever is `at` this path has ended, and answers for nothing it was told. */
  | { readonly tag: "audience_left"; readonly at: Path }
  /** From the zone actors of a global: what a zone has taken over. */
  | {
    readonly tag: "zone_progress";
    readonly zone: string;
    /** This control plane's revision up to which the zone has answered for everything it wants. */
    readonly revision: number;
    /** Types of which it does not have all of that, with what it said. */
    readonly rejected?: Readonly<Record<string, string>>;
    /** Up to here, the zone tells what its proxies make of it, too; 0: of nothing. */
    readonly reportsThrough: number;
  }
  /** What a zone's proxies made of the revisions after `after`, up to `revision`. */
  | {
    readonly tag: "zone_report";
    readonly zone: string;
    readonly after: number;
    readonly revision: number;
    readonly proxies: ZoneProxies;
  }
  /** `online` at each new session: what the zone owed in the one before, it may have forgotten. */
  | {
    readonly tag: "zone_presence";
    readonly zone: string;
    readonly presence: "online" | "offline" | "deleted";
  }
  /** Answered when the receipt is complete; the asking edge sets the time limit. */
  | { readonly tag: "await_receipt"; readonly revision: number; readonly reply: ReplyTo };

/** What a zone's proxies made of a change of global's. */
export interface ZoneProxies {
  readonly affected: number;
  readonly acked: number;
  readonly nacked: number;
  readonly offline: number;
  /** Milliseconds from the change's arrival in the zone to the last ACK; null while some are pending. */
  readonly lastAckMs: number | null;
}
