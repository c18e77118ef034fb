// What health checks make of a Dataplane: an inbound whose workload does not answer takes no traffic.

import { type DataplaneSpec, type Inbound, isReady } from "../../core/dataplane.ts";
import type { Draft, JsonObject } from "../../core/resource.ts";
import { type HealthReport, probeNames } from "../../xds/health.ts";
import { inboundsOf, samePlace } from "./announcement.ts";

/**
 * The same draft, its inbounds ready or not as the report says; the very same where nothing
 * changes. What the proxy itself `declares` to take no traffic stays so; where it declares nothing,
 * only reports count, as in kuma@v2.13.10:pkg/hds/tracker/callbacks.go. What nobody reported yet
 * is not ready if it is probed.
 */
export function withHealth<Known extends Draft>(
  draft: Known,
  { health, declared }: { readonly health: HealthReport | null; readonly declared: Draft | null },
): Known {
  const before = inboundsOf(draft.spec);
  const names = probeNames(draft.spec as unknown as DataplaneSpec);
  const wants = declared && inboundsOf(declared.spec);
  const inbound = before.map((one, index) => {
    if (one.state === "Ignored") return one;
    const name = names[index] ?? null;
    const serves = name === null || health?.workloads[name] === true;
    const wanted = name !== null || !wants ||
      isReady(wants.find((own) => samePlace(own, one)) ?? one);
    return turned(one, wanted && serves && (health?.envoy ?? true));
  });
  if (inbound.every((one, index) => one === before[index])) return draft;
  const networking = draft.spec["networking"] as JsonObject;
  return {
    ...draft,
    spec: { ...draft.spec, networking: { ...networking, inbound: inbound as never } },
  };
}

/** Whether an inbound takes traffic in the one that takes none in the other. */
export function offersMore(after: Draft, before: Draft): boolean {
  const former = inboundsOf(before.spec);
  return inboundsOf(after.spec).some((one, index) => isReady(one) && !isReady(former[index]!));
}

/** In both spellings: `health` is what Kuma's zones before 2.6 read. */
function turned(inbound: Inbound, ready: boolean): Inbound {
  if (isReady(inbound) === ready) return inbound;
  return { ...inbound, state: ready ? "Ready" : "NotReady", health: { ready } };
}
