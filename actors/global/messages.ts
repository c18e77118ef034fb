// Everything that may be said to the actor that admits zones.

import type { KeySources } from "../../identity/tokens/keyring.ts";
import type { ResourceDescriptor } from "../../core/resource.ts";
import type { ServerEvent } from "../../kds/wire.ts";
import type { ResourcesChanged, WriteResult } from "../hub/messages.ts";
import type { Path } from "../runtime/actor.ts";

export const GLOBAL: Path = "global";

export interface GlobalArgs {
  /** Of every kind there is. */
  readonly descriptors: readonly ResourceDescriptor[];
  /** Identity for a store that has none yet: a random UUID. */
  readonly newClusterId: string;
  /** This run of it; zones tell by it what they saw of which. */
  readonly instance: string;
  readonly version: string;
  /** Told `zone_progress`; null: nobody wants to know. */
  readonly receipts: Path | null;
  /** A zone of which nothing is heard for so long is left out of the others; null: never. */
  readonly unreachableAfterMs: number | null;
  /** How zones prove who they are. */
  readonly auth: "token" | "none";
  /** Zones that need not. */
  readonly exempt: readonly string[];
  /** What settings say of the keys of zone tokens; absent: the secrets' alone. */
  readonly keys?: KeySources;
}

export type GlobalMsg =
  | (ServerEvent & { readonly tag: "stream_opened" | "stream_closed" | "health_checked" })
  | ResourcesChanged
  | { readonly tag: "zone_written"; readonly ref: string; readonly value: WriteResult }
  | { readonly tag: "cluster_id_written"; readonly ref: string; readonly value: WriteResult }
  | { readonly tag: "cluster_id_due" }
  | { readonly tag: "epoch_written"; readonly ref: string; readonly value: WriteResult }
  | { readonly tag: "epoch_due" };
