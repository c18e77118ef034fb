// A proxy's token as Envoy reads it from a file: for each stream anew, so that a new one needs no restart.

import type { JsonObject } from "../core/resource.ts";

/** Ours, in the body of POST /bootstrap: where the dp process keeps the file. Kuma passes it over. */
export const TOKEN_SECRET_FIELD = "ursaTokenSecretPath";

const NAME = "dataplane_token";

/** The content of the file: an answer of a secret discovery service. */
export function tokenSecret(token: string): string {
  return JSON.stringify({
    resources: [{
      "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
      name: NAME,
      genericSecret: { secret: { inlineString: token } },
    }],
  });
}

/** Filters of the cluster through which Envoy reaches the control plane. */
export function tokenFilters(path: string): readonly JsonObject[] {
  const type = "type.googleapis.com/envoy.extensions";
  return [
    {
      name: "envoy.filters.http.credential_injector",
      typedConfig: {
        "@type": `${type}.filters.http.credential_injector.v3.CredentialInjector`,
        overwrite: true,
        credential: {
          name: "envoy.http.injected_credentials.generic",
          typedConfig: {
            "@type": `${type}.http.injected_credentials.generic.v3.Generic`,
            header: "authorization",
            credential: {
              name: NAME,
              sdsConfig: { pathConfigSource: { path }, resourceApiVersion: "V3" },
            },
          },
        },
      },
    },
    {
      name: "envoy.filters.http.upstream_codec",
      typedConfig: { "@type": `${type}.filters.http.upstream_codec.v3.UpstreamCodec` },
    },
  ];
}
