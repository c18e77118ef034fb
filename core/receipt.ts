// What became of one change: which proxies it affects, and what they said to it.

/** Where one proxy stands with one revision. `offline`: it has no stream now, so nothing is owed to it. */
export type ProxyProgress = "acked" | "nacked" | "pending" | "offline";

export interface ProxyCounts {
  readonly affected: number;
  readonly acked: number;
  readonly nacked: number;
  readonly pending: number;
  readonly offline: number;
}

export interface ProxyReceipt {
  /** Text form of the proxy's key: `dataplane/default/web-1`. */
  readonly proxy: string;
  readonly state: ProxyProgress;
  /** From the commit to the answer; null while there is none. */
  readonly ms: number | null;
}

export interface NackReceipt {
  readonly proxy: string;
  readonly typeUrl: string;
  /** Envoy's own words. */
  readonly message: string;
}

/** At global: one zone's part in the change. */
export interface ZoneReceipt {
  readonly zone: string;
  /** The zone acknowledged the resources of this revision. */
  readonly delivered: boolean;
  /** From the commit to the zone's answer; null while there is none. */
  readonly ms: number | null;
  /** What it said of resources that it did not take, which may be others of the same type. */
  readonly rejected?: string;
  /** It has no connection now, so nothing is waited for: it gets the newest state when it is back. */
  readonly offline?: true;
  /** Its answer, or what its proxies say, is still to come. */
  readonly awaited?: true;
  /** Known for zones that report it: summed over the zone's proxies. */
  readonly proxies?: ProxyCounts;
  readonly lastAckMs?: number | null;
}

/** Kept for a bounded number of revisions, in memory: it tells about now, it is not a log. */
export interface Receipt {
  readonly revision: number;
  readonly atMs: number;
  /** "" when the change concerns several meshes or none. */
  readonly mesh: string;
  /** Nobody is pending any more: every affected proxy, and every zone, has answered or is offline. */
  readonly complete: boolean;
  readonly proxies: ProxyCounts;
  /** From the commit to the last ACK so far; null when nobody acknowledged. */
  readonly lastAckMs: number | null;
  readonly nacks: readonly NackReceipt[];
  readonly perProxy: readonly ProxyReceipt[];
  /** Present at global only. */
  readonly zones?: readonly ZoneReceipt[];
}
