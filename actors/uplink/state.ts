// What a zone knows of its link to global.

import type { Allegiance } from "../../kds/allegiance.ts";
import type { Image } from "../../kds/image.ts";
import type { OfferBook } from "../../kds/offers.ts";
import type { Quarantine } from "../../kds/quarantine.ts";
import type { Receiver } from "../../kds/receiver.ts";
import type { Sender } from "../../kds/sender.ts";
import type { Trust } from "../../kds/trust.ts";
import type { Capacity, GlobalIdentity, KdsResponse } from "../../kds/wire.ts";
import type { UplinkArgs } from "./messages.ts";
import type { OwnInsight } from "./own_insight.ts";
import type { Reports } from "./reports.ts";

export interface Session {
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

export interface State {
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
