// Everything that may be said to the insights actor: what proxies are seen to do.

import type { ProxyKey } from "../../core/proxy.ts";
import type { ProxySeen } from "../../xds/proxy_insight.ts";
import type { Path } from "../runtime/actor.ts";

export const INSIGHTS: Path = "insights";

export type InsightsMsg =
  /** What is newest of a proxy; null when the proxy is gone. */
  | {
    readonly tag: "proxy_seen";
    readonly proxy: ProxyKey;
    readonly seen: ProxySeen | null;
    /** Connected, disconnected, refused: written soon; counters can wait. */
    readonly urgent: boolean;
  }
  /** A proxy has no stream, whatever its insight says; without a name none has. */
  | { readonly tag: "proxy_silent"; readonly proxy?: ProxyKey }
  /** Its actor crashed too often: until it is revived, nobody else speaks for the proxy. */
  | { readonly tag: "proxy_parked"; readonly proxy: ProxyKey; readonly reason: string }
  /** `urgent`: of that alone. */
  | { readonly tag: "flush_due"; readonly urgent: boolean }
  | { readonly tag: "insights_written"; readonly ref: string; readonly value: unknown };
