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

/** `proxy` is a Dataplane, ZoneIngress or ZoneEgress. Never rejects. */
export type EnvoyAdmin = (proxy: ResourceKey, question: EnvoyQuestion) => Promise<EnvoyAnswer>;
