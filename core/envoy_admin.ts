// What may be asked of a proxy's Envoy, and what it answers: the zone asks Envoy, global asks the zone.

import type { ResourceKey } from "./resource.ts";

/** kuma@v2.13.10:pkg/envoy/admin/admin.go: the three questions that leave a zone. */
export type EnvoyQuestion =
  | { readonly kind: "xds"; readonly includeEds: boolean }
  /** `usedOnly` leaves out counters that never counted. */
  | { readonly kind: "stats"; readonly format: AdminFormat; readonly usedOnly: boolean }
  | { readonly kind: "clusters"; readonly format: AdminFormat };

export type AdminFormat = "text" | "json";

export type EnvoyAnswer =
  /** As Envoy wrote it, with credentials taken out. */
  | { readonly ok: true; readonly body: Uint8Array }
  /** One sentence for an operator: what is missing, and where. */
  | { readonly ok: false; readonly reason: EnvoyRefusal; readonly detail: string };

export type EnvoyRefusal =
  /** There is no such proxy. */
  | "unknown"
  /** It is another zone's, or has no admin interface, or nobody is connected who could ask. */
  | "unreachable"
  /** Asked, and no useful answer came. */
  | "failed";

/** The control plane's name in its certificate; listeners that Kuma made ask for the same. */
export const ADMIN_CLIENT = "kuma-cp";
/** The admin listeners' name in theirs, wherever they are. */
export const ADMIN_SERVER = "envoy-admin";

/** What one end of the connection to an admin listener has, in PEM. */
export interface AdminTls {
  readonly certificateChain: string;
  readonly privateKey: string;
  readonly trustedCa: string;
}

/** Where Envoy's admin API is when a resource does not say. kuma@v2.13.10:pkg/config (bootstrapServer.params.adminPort). */
export const ADMIN_PORT = 9901;

/** `proxy` is a Dataplane, ZoneIngress or ZoneEgress. Never rejects. */
export type EnvoyAdmin = (proxy: ResourceKey, question: EnvoyQuestion) => Promise<EnvoyAnswer>;
