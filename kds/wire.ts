// What passes between global and a zone, as plain values: the dialect's messages, and the edges' events.

import { isObject } from "../core/json.ts";
import type { ProxyCounts } from "../core/receipt.ts";
import type { JsonObject } from "../core/resource.ts";
import type { AdminKind } from "./admin.ts";
import type { Digests } from "./digest.ts";
import { type Epoch, epochsText, parseEpochs } from "./epochs.ts";
import { linkMetadata, URSA_ZONE_LINKS, type ZoneLink } from "./zone_link.ts";

/** The two resource streams. In "zone_to_global" the gRPC client is the one that sends responses. */
export type SyncKind = "global_to_zone" | "zone_to_global";
/** All that a zone keeps open. */
export type StreamKind = SyncKind | AdminKind;

export function isSync(kind: StreamKind): kind is SyncKind {
  return kind === "global_to_zone" || kind === "zone_to_global";
}

/** DeltaDiscoveryRequest, without what KDS never uses. */
export interface KdsRequest {
  readonly typeUrl: string;
  /** Empty: a subscription. Otherwise the response that this ACKs, or NACKs when `error` is there. */
  readonly nonce: string;
  /** The zone's name in both directions. kuma@v2.13.10:pkg/kds/v2/client/stream.go */
  readonly nodeId: string;
  /** Only in the first request of each type. */
  readonly metadata?: JsonObject;
  readonly subscribe: readonly string[];
  /** What the client already holds, name to version; Kuma never sends it. */
  readonly initialVersions: Readonly<Record<string, string>>;
  readonly error?: string;
}

/** One resource of a response: a serialised kuma.mesh.v1alpha1.KumaResource. */
export interface KdsItem {
  /** `<name>.<mesh>`; informational, the identity is inside. */
  readonly name: string;
  readonly version: string;
  readonly bytes: Uint8Array;
  /** Set instead of usable bytes when the peer packed something else. */
  readonly wrongType?: string;
}

/** DeltaDiscoveryResponse. */
export interface KdsResponse {
  readonly typeUrl: string;
  readonly nonce: string;
  /** From Ursa as `systemVersion` writes it, with or without `MORE`; empty from Kuma. */
  readonly systemVersion: string;
  readonly controlPlane: string;
  readonly resources: readonly KdsItem[];
  /** `<name>.<mesh>` each. */
  readonly removed: readonly string[];
}

/** A response without a nonce asks the receiver to subscribe again, with the versions that it has. */
export function askToCompare(
  typeUrl: string,
  from: Pick<KdsResponse, "systemVersion" | "controlPlane">,
): KdsResponse {
  return { ...from, typeUrl, nonce: "", resources: [], removed: [] };
}

export function asksToCompare({ nonce }: KdsResponse): boolean {
  return nonce === "";
}

/** What a caller said of itself in the metadata of its call. */
export interface CallerInfo {
  readonly features: readonly string[];
  readonly version: string;
  readonly peer: string;
  /** Every authorization value that came along. */
  readonly authorization: readonly string[];
  /** Null when it does not say, as Kuma's do not. */
  readonly run: ZoneRun | null;
}

/** One run of a zone's control plane. */
export interface ZoneRun {
  readonly instance: string;
  readonly startedAtMs: number;
}

/** In call metadata too: names arrive hashed, so global must not prefix them. */
export const HASH_SUFFIX = "hash-suffix";
/** Reads HostnameGenerators that select MeshMultiZoneServices. */
export const MULTI_ZONE_SELECTOR = "hg-mz-selector";
/** Takes policies that another zone's producers wrote. */
export const PRODUCER_POLICIES = "producer-policy-flow";
/** Reads policies whose top-level targetRef is left out. */
export const OPTIONAL_TARGET_REF = "optional-top-level-target-ref";

/** The five that Kuma 2.13 sends. kuma@v2.13.10:pkg/kds/features.go */
export const KUMA_FEATURES = [
  "zone-token",
  HASH_SUFFIX,
  MULTI_ZONE_SELECTOR,
  PRODUCER_POLICIES,
  OPTIONAL_TARGET_REF,
] as const;

export const ZONE_PING_HEALTH = "zone-ping-health";
/** Ours: the sender understands progress reports in the metadata of health checks. */
export const URSA_RECEIPTS = "ursa-receipts";
/** Ours: the sender puts the first state of a type together from responses that end with `MORE`. */
const URSA_PARTS = "ursa-parts";
/** Ours: the sender compares the digests of zones (digest.ts). */
export const URSA_DIGESTS = "ursa-digests";
/** At the end of a system version: more of the first state follows. */
export const MORE = ":more";

/**
 * What the proxies of a zone made of one revision of global. Changes that travelled together are
 * answered for together: it speaks for those after `after`, up to `revision`.
 */
export interface ZoneReport {
  readonly revision: number;
  /** The newest revision that the zone had seen before this one. */
  readonly after: number;
  readonly proxies: ProxyCounts;
  /** Milliseconds from the zone's commit to the last ACK; null when nobody acknowledged. */
  readonly lastAckMs: number | null;
}

/**
 * Events of the server edge. The first two go to `global`, the others to the zone's own actor; the
 * end of a stream to both.
 */
export type ServerEvent =
  | {
    readonly tag: "stream_opened";
    readonly stream: string;
    readonly kind: StreamKind;
    readonly zone: string;
    readonly caller: CallerInfo;
  }
  | {
    readonly tag: "health_checked";
    /** What the answer names; a check that nobody answers ends as one that failed. */
    readonly check: string;
    readonly zone: string;
    readonly caller: CallerInfo;
    readonly reports: readonly ZoneReport[];
    readonly digests: Digests | null;
  }
  | { readonly tag: "request_received"; readonly stream: string; readonly request: KdsRequest }
  | { readonly tag: "response_received"; readonly stream: string; readonly response: KdsResponse }
  | {
    readonly tag: "stream_closed";
    readonly stream: string;
    readonly reason: string;
    /** The peer said that it was done, on purpose; not a line that was cut. */
    readonly byPeer?: boolean;
  };

/** Commands to the server edge. Until it is admitted, nothing of a stream is read. */
export type ServerCommand =
  | { readonly do: "admit"; readonly stream: string; readonly to: string }
  /** Ends whatever `to` has admitted: it begins anew, and knows nothing of it. */
  | { readonly do: "end_all"; readonly to: string }
  /** Without a refusal what came with the check is taken: the zone will not tell it again. */
  | {
    readonly do: "answer_health";
    readonly check: string;
    readonly refusal?: { readonly code: CloseCode; readonly message: string };
  }
  | { readonly do: "send"; readonly stream: string; readonly request: KdsRequest }
  | { readonly do: "send"; readonly stream: string; readonly response: KdsResponse }
  | {
    readonly do: "close";
    readonly stream: string;
    readonly code: CloseCode;
    readonly message: string;
  };

export type CloseCode =
  | "canceled"
  | "invalid_argument"
  | "unavailable"
  | "aborted"
  | "internal"
  | "unauthenticated"
  | "permission_denied"
  | "failed_precondition";

/** Events of the client edge, all to `uplink`. An event of an earlier connection comes too late. */
export type ClientEvent =
  | { readonly tag: "connected"; readonly connection: string }
  | {
    readonly tag: "response_received";
    readonly connection: string;
    readonly response: KdsResponse;
  }
  | { readonly tag: "request_received"; readonly connection: string; readonly request: KdsRequest }
  | {
    readonly tag: "disconnected";
    readonly connection: string;
    readonly reason: string;
    /** Global refused to go on with what this zone sends; not a line that was cut. */
    readonly refused?: boolean;
  }
  | {
    readonly tag: "health_answered";
    readonly connection: string;
    /** What global wants between two checks; 0: as the zone likes. */
    readonly intervalMs: number;
    readonly error?: string;
  };

export type ClientCommand =
  /** Replaces the connection that is there. */
  | { readonly do: "connect"; readonly connection: string; readonly zone: string }
  | { readonly do: "send"; readonly connection: string; readonly request: KdsRequest }
  | { readonly do: "send"; readonly connection: string; readonly response: KdsResponse }
  | {
    readonly do: "check_health";
    readonly connection: string;
    readonly zone: string;
    readonly reports: readonly ZoneReport[];
    readonly digests: Digests | null;
  }
  | { readonly do: "close"; readonly connection: string };

/** What a peer's node metadata says, in whatever state it comes. */
export interface PeerInfo {
  readonly features: readonly string[];
  /** kuma.system.v1alpha1.Version in JSON. */
  readonly version: JsonObject;
  readonly config: string;
  readonly instance: string;
}

/** What a peer takes at once. */
export interface Capacity {
  readonly bytesMax: number;
  readonly inParts: boolean;
}

/** Kuma's limit on both sides: kuma@v2.13.10:pkg/config/multizone (MaxMsgSize). */
export const MESSAGE_BYTES_MAX = 10 * 1024 * 1024;

/**
 * What is taken from a peer that was told to send more at once, compressed or not: to refuse it
 * would end the stream, and all its types with it.
 */
export const RECEIVED_BYTES_MAX = 64 * 1024 * 1024;

/** A zone of Kuma's tells its limit with its configuration. */
export function capacityOf({ features, config }: PeerInfo): Capacity {
  const told = maxMsgSizeOf(config);
  return {
    bytesMax: told > 0 && told < MESSAGE_BYTES_MAX ? told : MESSAGE_BYTES_MAX,
    inParts: features.includes(URSA_PARTS),
  };
}

function maxMsgSizeOf(config: string): number {
  try {
    const told = JSON.parse(config)?.multizone?.zone?.kds?.maxMsgSize;
    return typeof told === "number" ? told : 0;
  } catch {
    return 0;
  }
}

export function peerInfo(metadata: JsonObject | undefined): PeerInfo {
  const { features, version, config } = metadata ?? {};
  const instance = metadata?.["control-plane-id"];
  return {
    features: Array.isArray(features) ? features.filter((name) => typeof name === "string") : [],
    version: isObject(version) ? version : {},
    config: typeof config === "string" ? config : "",
    instance: typeof instance === "string" ? instance : "",
  };
}

/**
 * What we say of ourselves in the first request of each type. `link`: where others reach this zone;
 * "told": that links are understood here, though nobody is to be reached.
 */
export function ownMetadata(own: {
  readonly version: string;
  readonly instance: string;
  readonly config: string;
  readonly link?: ZoneLink | "told" | null;
}): JsonObject {
  const { link = null } = own;
  return {
    version: { kumaCp: { version: own.version, gitTag: "", gitCommit: "", buildDate: "" } },
    config: own.config,
    "control-plane-id": own.instance,
    features: [
      ...KUMA_FEATURES,
      URSA_RECEIPTS,
      URSA_PARTS,
      URSA_DIGESTS,
      ...(link === null ? [] : [URSA_ZONE_LINKS]),
    ],
    ...(link !== null && link !== "told" && linkMetadata(link)),
  };
}

/** `<name>.<mesh>`: global kinds end with the dot. */
export function wireName(key: { readonly mesh: string; readonly name: string }): string {
  return `${key.name}.${key.mesh}`;
}

/** Names may hold dots, meshes may not. kuma@v2.13.10:pkg/kds/v2/util (GetRemovedResourceKeys) */
export function parseWireName(text: string): { readonly mesh: string; readonly name: string } {
  const dot = text.lastIndexOf(".");
  return dot < 0
    ? { mesh: "", name: text }
    : { mesh: text.slice(dot + 1), name: text.slice(0, dot) };
}

/** Which global, and how far its store had come. */
export interface GlobalIdentity {
  readonly clusterId: string;
  readonly revision: number;
  /** Its runs, this one last; none: it does not say. */
  readonly epochs: readonly Epoch[];
}

/** `<cluster id>:<revision>`, then its runs as `;a@0,b@40`. */
export function systemVersion({ clusterId, revision, epochs }: GlobalIdentity): string {
  return `${clusterId}:${revision}${epochs.length > 0 ? `;${epochsText(epochs)}` : ""}`;
}

/** Undefined when the peer does not say. */
export function parseSystemVersion(text: string): GlobalIdentity | undefined {
  const match = /^([-0-9A-Za-z]+):([0-9]{1,15})(?:;([-\w.@,]*))?(:more)?$/.exec(text);
  if (!match) return undefined;
  const [, clusterId, revision, epochs = ""] = match;
  return { clusterId: clusterId!, revision: Number(revision), epochs: parseEpochs(epochs) };
}

/** Global's revision that a response shows; 0: it does not say. */
export function originOf(response: KdsResponse | undefined): number {
  return parseSystemVersion(response?.systemVersion ?? "")?.revision ?? 0;
}
