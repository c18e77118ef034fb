// Everything that may be said to the identity actor, and what it says to proxies' actors.

import type { IdentityMaterial, ProxyKey } from "../../core/proxy.ts";
import type { Tags } from "../../core/tags.ts";
import type { KeyPair } from "../../identity/ca.ts";
import type { IssuedLeaf } from "../../identity/signing.ts";
import type { ResourcesChanged, WriteResult } from "../hub/messages.ts";
import type { Path, PortResult } from "../runtime/actor.ts";

export const IDENTITY: Path = "identity";

export type IdentityMsg =
  /** Answered now or as soon as possible, and again on renewal and rotation, until released. */
  | {
    readonly tag: "request_identity";
    readonly proxy: ProxyKey;
    readonly mesh: string;
    readonly tagSets: readonly Tags[];
    readonly to: Path;
  }
  | { readonly tag: "release_identity"; readonly proxy: ProxyKey }
  /** From who began anew, and does not know whom to release: answered with `identities_held`. */
  | { readonly tag: "tell_holders"; readonly to: Path }
  | ResourcesChanged
  | { readonly tag: "ca_created"; readonly ref: string; readonly result: PortResult<KeyPair> }
  | { readonly tag: "ca_written"; readonly ref: string; readonly value: WriteResult }
  | { readonly tag: "leaf_issued"; readonly ref: string; readonly result: PortResult<IssuedLeaf> }
  | { readonly tag: "renewal_due" }
  | { readonly tag: "switch_due"; readonly mesh: string }
  | { readonly tag: "retry_due" };

/** What a proxy is to present and to trust from now on. The same material is the same object. */
export interface IdentityIssued {
  readonly tag: "identity_issued";
  readonly proxy: ProxyKey;
  readonly material: IdentityMaterial;
}

/** There is nothing to give yet, and why. `identity_issued` follows when there is. */
export interface IdentityPending {
  readonly tag: "identity_pending";
  readonly proxy: ProxyKey;
  readonly reason: string;
}

/** Everybody who has asked and was not released. */
export interface IdentitiesHeld {
  readonly tag: "identities_held";
  readonly proxies: readonly ProxyKey[];
}
