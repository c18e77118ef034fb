// Everything that may be said to the actor of one proxy.

import type { AdminTls } from "../../core/envoy_admin.ts";
import type { ProxyKey } from "../../core/proxy.ts";
import type { Draft, JsonObject } from "../../core/resource.ts";
import type { HealthReport } from "../../xds/health.ts";
import type { AdsRequest } from "../../xds/stream.ts";
import type { ResourcesChanged, WriteResult } from "../hub/messages.ts";
import type { IdentityIssued, IdentityPending } from "../identity/messages.ts";
import type { MeshChanged } from "../mesh/messages.ts";
import type { Path, ReplyTo } from "../runtime/actor.ts";
import { proxyText } from "../../core/proxy.ts";

export function dataplanePath(key: ProxyKey): Path {
  return `dataplanes/${proxyText(key)}`;
}

/** Commands to the port "xds": what becomes of a stream. */
export type XdsCommand =
  | { readonly do: "send"; readonly stream: string; readonly out: unknown }
  | {
    readonly do: "end";
    readonly stream: string;
    readonly code: number;
    readonly message: string;
  }
  /** What a stream of health is to be about. */
  | { readonly do: "probe"; readonly stream: string; readonly checks: Uint8Array }
  | { readonly do: "end_all"; readonly code: number; readonly message: string };

export type DataplaneMsg =
  | MeshChanged
  | ResourcesChanged
  | IdentityIssued
  | IdentityPending
  | {
    readonly tag: "stream_opened";
    readonly stream: string;
    readonly metadata: JsonObject;
    readonly dialect: "sotw" | "delta";
    readonly request: AdsRequest;
    /** What the proxy registers with; null when it relies on a resource that is already there. */
    readonly resource: Draft | null;
    /** Which run of the dp process it is; "" when the peer does not say. */
    readonly instance: string;
  }
  | { readonly tag: "stream_request"; readonly stream: string; readonly request: AdsRequest }
  | {
    readonly tag: "stream_closed";
    readonly stream: string;
    /** For how long nothing had come over its connection. */
    readonly silentMs: number;
  }
  /** Its Envoy offers to probe, with the metadata of its node. */
  | { readonly tag: "health_opened"; readonly stream: string; readonly metadata: JsonObject }
  /** News only: the same as before is not said again. */
  | { readonly tag: "health_reported"; readonly stream: string; readonly report: HealthReport }
  | { readonly tag: "health_closed"; readonly stream: string }
  | { readonly tag: "health_written"; readonly ref: string; readonly value: WriteResult }
  | { readonly tag: "health_due" }
  | {
    readonly tag: "leave";
    readonly instance: string;
    readonly how: "drain" | "deregister";
    readonly reply: ReplyTo;
  }
  /** Its token was revoked: it is nobody's endpoint from now on. */
  | {
    readonly tag: "barred";
    readonly stream: string;
    readonly code: number;
    readonly message: string;
  }
  /** The actor of a mesh has begun anew and knows no subscriber. */
  | { readonly tag: "mesh_started"; readonly mesh: string }
  | { readonly tag: "registered"; readonly ref: string; readonly value: WriteResult }
  | { readonly tag: "announced"; readonly ref: string; readonly value: WriteResult }
  | { readonly tag: "announce_due" }
  | { readonly tag: "left"; readonly ref: string; readonly value: WriteResult }
  /** A part of that lease is over. */
  | { readonly tag: "lease_due"; readonly serial: number };

export interface DataplaneArgs {
  readonly key: ProxyKey;
  readonly settings: DataplaneSettings;
  /** Its resource came from a proxy before this control plane started, so it goes if the proxy does not return. */
  readonly registered: boolean;
}

/** Marks resources that came with a stream and go with the proxy, so that a restart still knows. */
export const REGISTERED_BY_LABEL = "ursa.io/registered-by";
export const REGISTERED_BY_PROXY = "proxy";

/** What is the same for all proxies of a control plane. */
export interface DataplaneSettings {
  readonly instanceId: string;
  readonly vipPort: number;
  /** What Envoys' admin listeners present and trust; null: they have none. */
  readonly admin: AdminTls | null;
  /** How often Envoys report health; 0: they are not asked. */
  readonly healthReportMs: number;
  /** How long a proxy stays registered after its last sign of life. */
  readonly leaseMs: number;
  /** The same for those that this control plane finds registered when it starts. */
  readonly firstLeaseMs: number;
}
