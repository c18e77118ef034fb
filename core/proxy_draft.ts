// The neutral proxy: what it listens on and where that leads, before anything is Envoy's. Policies edit it.

import type { Protocol } from "./mesh_view.ts";
import type { Tags } from "./tags.ts";

export interface ProxyDraft {
  readonly mesh: string;
  /** The tag sets by which policies know this proxy. */
  readonly tagSets: readonly Tags[];
  readonly inbounds: readonly InboundDraft[];
  readonly outbounds: readonly OutboundDraft[];
}

export interface InboundDraft {
  readonly address: string;
  readonly port: number;
  readonly workloadAddress: string;
  readonly workloadPort: number;
  readonly tags: Tags;
  readonly protocol: Protocol;
  /** Who may connect when the mesh has mutual TLS. Null: nobody. */
  permission: Permission | null;
}

export interface Permission {
  /** Names the rule in the proxy's statistics. */
  readonly name: string;
  /** A client that one of these selects is allowed. */
  readonly sources: readonly Tags[];
}

export interface OutboundDraft {
  readonly address: string;
  readonly port: number;
  /** False when connections come by redirection, not to the port itself. */
  readonly bindToPort: boolean;
  /** What the listener stands for; the service tag is always there. */
  readonly tags: Tags;
  /** In order of precedence; the last one has no match. */
  routes: readonly RouteDraft[];
  loadBalancer: LoadBalancer;
  /** Whether requests carry the tags of this proxy, for policies of the receiving side. */
  tellsTags: boolean;
}

export interface RouteDraft {
  /** Null takes every request, and every connection that is not HTTP. */
  readonly match: HttpMatch | null;
  readonly modify: HttpModify | null;
  readonly split: readonly WeightedDestination[];
}

export interface WeightedDestination {
  readonly weight: number;
  /** The service tag is always there, and no value is a wildcard. */
  readonly tags: Tags;
}

export type StringMatch =
  | { readonly prefix: string }
  | { readonly exact: string }
  | { readonly regex: string };

export interface HttpMatch {
  readonly method?: StringMatch;
  readonly path?: StringMatch;
  readonly headers?: Readonly<Record<string, StringMatch>>;
}

export interface Substitution {
  readonly pattern: string;
  readonly substitution: string;
}

export interface HeaderEdits {
  readonly add?: readonly {
    readonly name: string;
    readonly value: string;
    readonly append?: boolean;
  }[];
  readonly remove?: readonly { readonly name: string }[];
}

export interface HttpModify {
  readonly path?: { readonly rewritePrefix?: string; readonly regex?: Substitution };
  readonly host?: { readonly value?: string; readonly fromPath?: Substitution };
  readonly requestHeaders?: HeaderEdits;
  readonly responseHeaders?: HeaderEdits;
}

export type LoadBalancer =
  | { readonly kind: "round_robin" | "random" | "maglev" }
  | { readonly kind: "least_request"; readonly choiceCount: number }
  | {
    readonly kind: "ring_hash";
    readonly hashFunction: string;
    readonly minRingSize?: string;
    readonly maxRingSize?: string;
  };

export const ROUND_ROBIN: LoadBalancer = { kind: "round_robin" };
