// Who is asked about a proxy's Envoy: at global, the zone that the proxy is in.

import type { EnvoyAdmin } from "../core/envoy_admin.ts";
import { isObject } from "../core/json.ts";
import { keyInZone } from "../kds/admin.ts";
import { zoneOf } from "../kds/filter.ts";
import type { KdsServer } from "../kds/io/server.ts";
import type { Store } from "../store/store.ts";

/** For whoever is made before it is known how Envoys are asked. */
export interface LateEnvoyAdmin {
  readonly ask: EnvoyAdmin;
  open(admin: EnvoyAdmin): void;
}

export function lateEnvoyAdmin(): LateEnvoyAdmin {
  let open: EnvoyAdmin | null = null;
  return {
    ask: (proxy, question) =>
      open ? open(proxy, question) : Promise.resolve({
        ok: false,
        reason: "unreachable",
        detail: "this control plane cannot reach the proxy's Envoy",
      }),
    open(admin) {
      open = admin;
    },
  };
}

export function zonesEnvoys(
  store: Pick<Store, "get">,
  server: Pick<KdsServer, "ask">,
): EnvoyAdmin {
  return (proxy, question) => {
    const resource = store.get(proxy);
    const zone = resource && zoneOf(resource);
    if (!resource || zone === undefined) {
      return Promise.resolve({
        ok: false,
        reason: "unknown",
        detail: `there is no ${proxy.type} "${proxy.name}" that a zone has sent`,
      });
    }
    const kubernetes = storeTypeOf(store, zone) === "kubernetes";
    return server.ask(zone, {
      id: crypto.randomUUID(),
      proxy: keyInZone(resource, { kubernetes }),
      question,
    });
  };
}

/** As the zone's configuration says, which it sends when it connects; "" when it does not. */
function storeTypeOf(store: Pick<Store, "get">, zone: string): string {
  const { subscriptions } = store.get({ type: "ZoneInsight", mesh: "", name: zone })?.spec ?? {};
  const last = Array.isArray(subscriptions) ? subscriptions.at(-1) : undefined;
  if (!isObject(last) || typeof last.config !== "string") return "";
  try {
    const { store: kept } = JSON.parse(last.config);
    return typeof kept?.type === "string" ? kept.type : "";
  } catch {
    return "";
  }
}
