// What is known of the CAs of meshes, and of who holds certificates of them.

import type { MeshSpec, SecretSpec } from "../../core/mesh.ts";
import type { IdentityMaterial, ProxyKey } from "../../core/proxy.ts";
import type { Resource } from "../../core/resource.ts";
import type { CaState, KeyPair, Signer } from "../../identity/ca.ts";
import type { Path } from "../runtime/actor.ts";

export interface IdentityArgs {
  /** True on a global and on a zone without one. A federated zone's CAs come from global. */
  readonly mayCreateCas: boolean;
  /** How long a new root is spread before anything is signed with it; default 5 s. */
  readonly trustLeadMs?: number;
}

export interface MeshCas {
  resource: Resource<MeshSpec> | null;
  readonly secrets: Map<string, Resource<SecretSpec>>;
  states: readonly CaState[];
  trusted: string;
  signer: Signer | null;
}

/** A certificate in use, and what it was made from. */
export interface Leaf {
  readonly backend: string;
  readonly caCert: string;
  readonly uris: string;
  readonly pair: KeyPair;
  /** What the backend asked for then. */
  readonly lifetimeMs: number;
  readonly issuedAtMs: number;
  readonly expiresAtMs: number;
  readonly renewAtMs: number;
}

export interface Holder {
  readonly proxy: ProxyKey;
  readonly mesh: string;
  readonly uris: readonly string[];
  readonly to: Path;
  leaf: Leaf | null;
  material: IdentityMaterial | null;
  /** The reason that it was told last. */
  pending: string | null;
}

interface Creation {
  /** The revision that holds its secrets; null until it is durable. */
  readonly writtenAt: number | null;
}

export interface Job {
  readonly proxy: string;
  readonly backend: string;
  readonly caCert: string;
  readonly uris: string;
  readonly lifetimeMs: number;
  readonly issuedAtMs: number;
}

export interface IdentityState {
  readonly args: Required<IdentityArgs>;
  readonly meshes: Map<string, MeshCas>;
  readonly holders: Map<string, Holder>;
  /** Proxies that need a certificate, in the order of asking. */
  readonly queue: Set<string>;
  readonly jobs: Map<string, Job>;
  readonly failed: Set<string>;
  /** `mesh/backend` of CAs being made, until their secrets are seen. */
  readonly creating: Map<string, Creation>;
  /** Changes up to this revision were seen. */
  seenRevision: number;
  loaded: boolean;
  jobNumber: number;
  renewalSetForMs: number;
}
