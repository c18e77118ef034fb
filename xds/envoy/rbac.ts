// Permissions as Envoy's RBAC filter. kuma@v2.13.10:pkg/xds/envoy/listeners/v3/network_rbac_configurer.go.

import type { Permission } from "../../core/proxy_draft.ts";
import type { JsonObject } from "../../core/resource.ts";
import { ANY, SERVICE_TAG, sortedEntries, type Tags } from "../../core/tags.ts";
import { statName } from "./names.ts";

/** Without a permission there is no policy, and nobody is allowed. */
export function rbacFilter(
  { mesh, listener, permission }: {
    readonly mesh: string;
    readonly listener: string;
    readonly permission: Permission | null;
  },
): JsonObject {
  const policies = permission && {
    [permission.name]: {
      permissions: [{ any: true }],
      principals: permission.sources.map((source) => principal(mesh, source)),
    },
  };
  return {
    name: "envoy.filters.network.rbac",
    typed_config: {
      "@type": "type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC",
      rules: { action: "ALLOW", ...(policies && { policies }) },
      stat_prefix: `${statName(listener)}.`,
    },
  };
}

/** A client has all tags of the selector when its certificate has all these names. */
function principal(mesh: string, source: Tags): JsonObject {
  const names = sortedEntries(source)
    .filter(([, value]) => value !== ANY)
    .map(([key, value]) =>
      key === SERVICE_TAG ? `spiffe://${mesh}/${value}` : `kuma://${key}/${value}`
    );
  const ids = names.map((exact) => ({ authenticated: { principal_name: { exact } } }));
  if (ids.length === 0) return { any: true };
  return ids.length === 1 ? ids[0]! : { and_ids: { ids } };
}
