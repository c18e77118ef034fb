// What global knows of one zone: its streams, what of global's state it is owed, whose the name is.

import type { JsonObject } from "../../core/resource.ts";
import type { AdminKind } from "../../kds/admin.ts";
import type { Image } from "../../kds/image.ts";
import type { OfferBook } from "../../kds/offers.ts";
import type { Quarantine } from "../../kds/quarantine.ts";
import type { Receiver } from "../../kds/receiver.ts";
import type { Sender } from "../../kds/sender.ts";
import type { Trust } from "../../kds/trust.ts";
import type { Capacity } from "../../kds/wire.ts";
import type { ZoneLink } from "../../kds/zone_link.ts";
import type { Subscription } from "../../kds/zone_insight.ts";
import type { Holder, Rival } from "./fencing.ts";
import type { ZoneArgs } from "./messages.ts";
import type { Reach } from "./reach.ts";

/** GlobalToZoneSync: we send. */
export interface Down {
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
export interface Up {
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

export interface State {
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
  readonly rival: Rival | null;
  readonly insightDirty: boolean;
  readonly reach: Reach;
  readonly deleted: boolean;
}
