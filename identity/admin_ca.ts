// The authority by which a zone's control plane and its proxies' admin listeners know each other.
//
// Not a mesh's: ingresses have no mesh, and a mesh may have no mutual TLS. A GlobalSecret that stays
// in its zone. kuma@v2.13.10:pkg/envoy/admin/tls/pki.go.

import type { SecretSpec } from "../core/mesh.ts";
import type { Draft, Resource, ResourceKey } from "../core/resource.ts";
import type { KeyPair } from "./ca.ts";

export const ADMIN_CA: ResourceKey = { type: "GlobalSecret", mesh: "", name: "envoy-admin-ca" };

/** Both halves one after the other, as Kuma has them. */
export function adminCaSecret({ cert, key }: KeyPair): Draft {
  return { ...ADMIN_CA, labels: {}, spec: { data: btoa(cert + key) } };
}

/** Null when the secret does not hold both halves. */
export function adminCaOf(secret: Resource | undefined): KeyPair | null {
  const text = pemOf((secret?.spec as SecretSpec | undefined)?.data ?? "");
  const cert = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n?/.exec(text)?.[0];
  const key = /-----BEGIN ([A-Z]+ )?PRIVATE KEY-----[^-]+-----END ([A-Z]+ )?PRIVATE KEY-----\n?/
    .exec(text)?.[0];
  return cert && key ? { cert, key } : null;
}

function pemOf(base64: string): string {
  try {
    return atob(base64);
  } catch {
    return ""; // Not base64.
  }
}
