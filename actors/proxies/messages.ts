// Everything that may be said to the proxies actor: the door through which streams come in.

import type { ProxyKey } from "../../core/proxy.ts";
import type { JsonObject } from "../../core/resource.ts";
import type { HealthReport } from "../../xds/health.ts";
import type { AdsRequest } from "../../xds/stream.ts";
import type { ResourcesChanged, WriteResult } from "../hub/messages.ts";
import type { IdentitiesHeld } from "../identity/messages.ts";
import type { Path, ReplyTo } from "../runtime/actor.ts";
import type { ChildReport } from "../runtime/tree.ts";

export const PROXIES: Path = "proxies";

export type ProxiesMsg =
  | ResourcesChanged
  | ChildReport
  | IdentitiesHeld
  | {
    readonly tag: "stream_opened";
    readonly stream: string;
    /** The node of the first request, in proto3 JSON. Hostile until proven otherwise. */
    readonly node: JsonObject;
    readonly dialect: "sotw" | "delta";
    readonly request: AdsRequest;
    /** The token that came along, as it was sent. */
    readonly credential: string | null;
  }
  | { readonly tag: "stream_request"; readonly stream: string; readonly request: AdsRequest }
  | { readonly tag: "stream_closed"; readonly stream: string; readonly silentMs: number }
  /** A stream of health: a proxy has it beside its own. */
  | {
    readonly tag: "health_opened";
    readonly stream: string;
    readonly node: JsonObject;
    readonly credential: string | null;
  }
  | { readonly tag: "health_reported"; readonly stream: string; readonly report: HealthReport }
  | { readonly tag: "health_closed"; readonly stream: string }
  /** From the dp process: take the proxy out of others' endpoints, or out of the mesh. */
  | {
    readonly tag: "leave";
    readonly proxy: ProxyKey;
    readonly instance: string;
    readonly how: "drain" | "deregister";
    readonly credential: string | null;
    readonly reply: ReplyTo;
  }
  /** Whether a token is good for this name, before anything is opened with it. */
  | {
    readonly tag: "vouch";
    readonly proxy: ProxyKey;
    readonly credential: string | null;
    readonly reply: ReplyTo;
  }
  /** The actor of a mesh knows no subscriber: it has begun, or was told to forget them all. */
  | { readonly tag: "mesh_started"; readonly mesh: string }
  | { readonly tag: "parked_due"; readonly path: Path }
  /** A proxy's actor has nothing left to do; `because`: its registration is over. */
  | { readonly tag: "proxy_gone"; readonly path: Path; readonly because: string | null };

/** The answer to `leave`. */
export type LeaveResult =
  | WriteResult
  | { readonly ok: false; readonly reason: "superseded" | "unknown" }
  | { readonly ok: false; readonly reason: "unauthorized"; readonly message: string };

/** The answer to `vouch`. */
export type VouchResult =
  | { readonly ok: true }
  /** `passing`: it may be right later. */
  | { readonly ok: false; readonly message: string; readonly passing: boolean };
