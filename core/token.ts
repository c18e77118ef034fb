// Tokens: who can hold one, and what it says about its holder.

/**
 * Whom a token speaks for: a proxy of a mesh, a zone's own proxies and control plane, somebody who
 * asks the REST API.
 */
export type TokenKind = "dataplane" | "zone" | "user";

/** Every field that is not empty narrows what the token is good for. */
export interface DataplaneClaims {
  readonly name: string;
  readonly mesh: string;
  /** Values that a proxy may have, for tags that it must have. */
  readonly tags: Readonly<Record<string, readonly string[]>>;
  /** "" is a dataplane's too. */
  readonly type: string;
  readonly workload: string;
}

export interface ZoneClaims {
  /** "": any zone. */
  readonly zone: string;
  readonly scope: readonly string[];
}

export interface UserClaims {
  readonly name: string;
  readonly groups: readonly string[];
}

export interface ClaimsOf {
  readonly dataplane: DataplaneClaims;
  readonly zone: ZoneClaims;
  readonly user: UserClaims;
}

/** kuma@v2.13.10:api/mesh/v1alpha1/dataplane_helpers.go (ProxyType). */
export const PROXY_TYPES: readonly string[] = ["dataplane", "ingress", "egress"];

/** Of a zone's control plane, which joins global with it; Kuma has but those of proxies. */
export const CONTROL_PLANE_SCOPE = "cp";

export const ZONE_SCOPES: readonly string[] = ["ingress", "egress", CONTROL_PLANE_SCOPE];

/** A token to be made, of whichever kind. */
export type TokenOrder = {
  readonly [Kind in TokenKind]: {
    readonly kind: Kind;
    readonly claims: ClaimsOf[Kind];
    readonly validForMs: number;
  };
}[TokenKind];
