// Mutual TLS as Envoy needs to know it: contexts, and the secrets they name. kuma@v2.13.10:pkg/xds/envoy/tls/v3/tls.go.

import type { AdminTls } from "../../core/envoy_admin.ts";
import type { IdentityMaterial } from "../../core/proxy.ts";
import type { JsonObject } from "../../core/resource.ts";
import { caSecretName, identitySecretName } from "./names.ts";

const TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3";
/** By this protocol name mesh proxies know each other. */
const ALPN = "kuma";

/** Any identity of the mesh may connect; RBAC decides which. */
export function downstreamSocket(mesh: string): JsonObject {
  return socket({
    "@type": `${TLS}.DownstreamTlsContext`,
    common_tls_context: commonContext(mesh, { prefix: `spiffe://${mesh}/` }),
    require_client_certificate: true,
  });
}

/**
 * For the admin listener: certificates stand in the listener itself, since it must not depend on
 * the mesh. Only whom the CA calls `client` may connect.
 */
export function adminSocket(tls: AdminTls, client: string): JsonObject {
  return socket({
    "@type": `${TLS}.DownstreamTlsContext`,
    common_tls_context: {
      tls_certificates: [{
        certificate_chain: { inline_bytes: base64(tls.certificateChain) },
        private_key: { inline_bytes: base64(tls.privateKey) },
      }],
      validation_context: {
        match_typed_subject_alt_names: [{ san_type: "DNS", matcher: { exact: client } }],
        trusted_ca: { inline_bytes: base64(tls.trustedCa) },
      },
    },
    require_client_certificate: true,
  });
}

/** The peer must be this service, wherever it is. */
export function upstreamSocket(
  { mesh, service, sni }: {
    readonly mesh: string;
    readonly service: string;
    readonly sni: string;
  },
): JsonObject {
  return socket({
    "@type": `${TLS}.UpstreamTlsContext`,
    common_tls_context: {
      ...commonContext(mesh, { exact: `spiffe://${mesh}/${service}` }),
      alpn_protocols: [ALPN],
    },
    sni,
  });
}

function socket(context: JsonObject): JsonObject {
  return { name: "envoy.transport_sockets.tls", typed_config: context };
}

function commonContext(mesh: string, peer: JsonObject): JsonObject {
  return {
    tls_certificate_sds_secret_configs: [secretReference(identitySecretName(mesh))],
    combined_validation_context: {
      default_validation_context: {
        match_typed_subject_alt_names: [{ san_type: "URI", matcher: peer }],
      },
      validation_context_sds_secret_config: secretReference(caSecretName(mesh)),
    },
  };
}

function secretReference(name: string): JsonObject {
  return { name, sds_config: { ads: {}, resource_api_version: "V3" } };
}

/** The proxy's own certificate and key. */
export function identitySecret(mesh: string, material: IdentityMaterial): JsonObject {
  return {
    name: identitySecretName(mesh),
    tls_certificate: {
      certificate_chain: { inline_bytes: base64(material.certificateChain) },
      private_key: { inline_bytes: base64(material.privateKey) },
    },
  };
}

/** The roots that peers may have. */
export function caSecret(mesh: string, trustedCa: string): JsonObject {
  return {
    name: caSecretName(mesh),
    validation_context: { trusted_ca: { inline_bytes: base64(trustedCa) } },
  };
}

/** PEM is ASCII. */
function base64(pem: string): string {
  return btoa(pem);
}
