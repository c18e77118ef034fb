// A proxy as a peer of the control plane: who it is, what its node metadata says, what it is given.

import type { JsonObject } from "./resource.ts";

export type ProxyType = "dataplane" | "ingress";

/** Identity of a proxy. `mesh` is "" for zone proxies; Envoy's node id is `<mesh>.<name>`. */
export interface ProxyKey {
  readonly type: ProxyType;
  readonly mesh: string;
  readonly name: string;
}

/** What generators read from node metadata (spec: numbers are strings on the wire, parsed here). */
export interface ProxyNode {
  readonly adminPort: number;
  readonly adminAddress: string;
  readonly readinessPort: number;
  /** Where Envoy is to answer questions for names. */
  readonly dnsPort: number;
  readonly workdir: string;
  readonly features: readonly string[];
  /** Absent in metadata means true. */
  readonly ipv6Enabled: boolean;
  /** Redirect ports when the proxy carries its transparent proxy configuration in metadata. */
  readonly transparentProxy?: JsonObject;
}

/** PEM texts that a proxy needs for mutual TLS. Equal material is the same object. */
export interface IdentityMaterial {
  readonly backend: string;
  readonly certificateChain: string;
  readonly privateKey: string;
  /** Roots of all trusted backends, PEM, joined. */
  readonly trustedCa: string;
  /** Epoch milliseconds. */
  readonly issuedAtMs: number;
  readonly expiresAtMs: number;
}

/** Text form, also the actor's id: `dataplane/default/web-1`, `ingress//east-ingress`. */
export function proxyText(key: ProxyKey): string {
  return `${key.type}/${key.mesh}/${key.name}`;
}
