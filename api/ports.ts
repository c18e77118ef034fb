// What the REST API needs of the control plane around it.

import type { EnvoyAdmin } from "../core/envoy_admin.ts";
import type { Inspection } from "../core/inspection.ts";
import type { KindTable } from "../core/kind_table.ts";
import type { InitialPolicies } from "../core/initial_resources.ts";
import type { Receipt } from "../core/receipt.ts";
import type { Draft, JsonObject, Resource, ResourceKey } from "../core/resource.ts";
import type { TokenOrder } from "../core/token.ts";
import type { Violation } from "../core/violation.ts";
import type { AccessRules, Authentication } from "./access.ts";

/** The read half of the store: memory only, and exactly what is durable. */
export interface ResourceView {
  readonly revision: number;
  get(key: ResourceKey): Resource | undefined;
  /** Sorted by mesh and name; `mesh` undefined: over all meshes. */
  list(type: string, mesh?: string): readonly Resource[];
}

export type Kinds = Pick<KindTable, "all" | "byName" | "byPlural">;

export type ControlPlaneMode = "global" | "remote" | "standalone";

export interface Joining {
  /** Where zones reach it; null when it listens everywhere and was told no name. */
  readonly url: string | null;
  /** `sha256:` and hex, of the root of its certificate; null when it has no TLS. */
  readonly caFingerprint: string | null;
  /** How they prove who they are. */
  readonly auth: "token" | "none";
}

export interface ControlPlane {
  readonly mode: ControlPlaneMode;
  /** A remote that has a global: it may write its own zone's kinds only. */
  readonly federated: boolean;
  /** "" at global. */
  readonly zone: string;
  readonly hostname: string;
  readonly instanceId: string;
  /** "" until it is known. */
  readonly clusterId: string;
  /** Port of virtual addresses, at which the names of services are reached. */
  readonly vipPort: number;
  /** Ursa's own version. */
  readonly version: string;
  /** How zones come to this control plane; null unless it is a global. */
  readonly joining: Joining | null;
  /** What a mesh begins with that is created here. */
  readonly newMesh: InitialPolicies;
  /** Effective configuration; secrets are masked on the way out. */
  readonly config: JsonObject;
}

export interface ActorInfo {
  readonly path: string;
  /** Messages waiting. */
  readonly mailbox: number;
  readonly turns: number;
  readonly restarts: number;
  readonly state?: JsonObject;
}

/** Everything that a pure handler may look at. */
export interface ApiView {
  readonly kinds: Kinds;
  readonly resources: ResourceView;
  readonly control: ControlPlane;
  /** Of the state that `resources` shows. */
  readonly inspection: Inspection;
  readonly authentication: Authentication;
  readonly access: AccessRules;
  actors(): readonly ActorInfo[];
  /** Prometheus text format. */
  metrics(): string;
  ready(): boolean;
}

/** One write; the store's Op fits, and is fit by it. */
export type WriteOp =
  | { readonly op: "put"; readonly resource: Draft; readonly expected?: number }
  | { readonly op: "delete"; readonly key: ResourceKey; readonly expected?: number };

/** The answer to a write, after it is durable; the hub's WriteResult fits. */
export type WriteAnswer =
  | { readonly ok: true; readonly revision: number }
  | {
    readonly ok: false;
    readonly reason: "conflict";
    readonly expected: number;
    readonly actual: number;
  }
  | { readonly ok: false; readonly reason: "invalid"; readonly violations: readonly Violation[] }
  | { readonly ok: false; readonly reason: "unavailable"; readonly error: string };

export type IssueAnswer =
  | { readonly ok: true; readonly token: string }
  | {
    readonly ok: false;
    readonly reason: "disabled" | "no_key" | "broken_key";
    readonly message: string;
  };

export interface AcceptGlobalAnswer {
  readonly accepted: boolean;
  /** What was accepted, or why nothing was: one sentence. */
  readonly message: string;
}

/** What the server does on behalf of handlers. */
export interface ApiPorts extends ApiView {
  /** As soon as the receipt is complete, or as it stands when time or patience is over. */
  awaitReceipt(
    revision: number,
    until: { readonly waitMs: number; readonly signal: AbortSignal },
  ): Promise<Receipt | undefined>;
  write(ops: readonly WriteOp[]): Promise<WriteAnswer>;
  /** Signs a token with the newest key of its kind. */
  issueToken(order: TokenOrder, by: string): IssueAnswer;
  /** In a zone: takes the global that is connected now for the right one. */
  acceptGlobal(): Promise<AcceptGlobalAnswer>;
  readonly envoyAdmin: EnvoyAdmin;
  /** Adds one to a counter of /metrics. */
  count?(metric: string, labels: Readonly<Record<string, string>>): void;
  /** A handler threw: a bug, for the log. */
  report?(error: unknown): void;
}
