// Which streams and proxies there are, and what is known of them at the door.

import type { KindTable } from "../../core/kind_table.ts";
import type { ProxyKey } from "../../core/proxy.ts";
import type { DataplaneSettings } from "../dataplane/messages.ts";
import type { Path } from "../runtime/actor.ts";
import type { Draft, Resource } from "../../core/resource.ts";
import type { VerifiedToken } from "../../identity/tokens/verify.ts";
import type { ProxyKeySources, Vault } from "./credentials.ts";

export interface ProxiesArgs {
  readonly kinds: KindTable;
  readonly zone: string;
  readonly settings: DataplaneSettings;
  /** How proxies prove who they are. */
  readonly auth: "token" | "none";
  /** Under a global, which keeps the private halves of zone tokens' keys to itself. */
  readonly federated: boolean;
  /** What settings say of the keys of tokens; absent: the secrets' alone. */
  readonly keys?: ProxyKeySources;
}

export interface State {
  readonly args: ProxiesArgs;
  /** Owned tables, mutated in place. */
  readonly meshes: Set<string>;
  readonly streams: Map<string, Stream>;
  /** Streams of health, and whose they are. */
  readonly probes: Map<string, Holder>;
  /** The newest stream of each proxy. */
  readonly newest: Map<Path, string>;
  /** Null: nobody has to prove anything. */
  readonly vault: Vault | null;
  /** Dataplanes as they are stored; known only where tokens have to fit them. */
  readonly stored: Map<Path, Resource>;
  /** Other zones' ingresses: names that are nobody's to register here. */
  readonly foreign: Set<Path>;
  /** Why a node was refused last: said once, however often it comes back. */
  readonly refusals: Map<string, string>;
  /** Whose registration ended last, and why. */
  readonly departures: Departure[];
  readonly proxies: Map<Path, Member>;
  /** Their streams keep what they have; a new one is refused for a while, and then revives them. */
  readonly parked: Map<Path, Parked>;
}

export interface Holder {
  readonly path: Path;
  readonly key: ProxyKey;
  /** Null where none is asked for. */
  readonly token: VerifiedToken | null;
}

interface Stream extends Holder {
  readonly resource: Draft | null;
}

export interface Member {
  readonly key: ProxyKey;
  /** Its resource came with the proxy, so it goes with it. */
  readonly registered: boolean;
}

type Departure = { readonly proxy: string; readonly time: string; readonly because: string };

interface Parked extends Member {
  readonly reason: string;
  /** It may begin anew; a clock that was set back or forward does not change when. */
  over: boolean;
}
