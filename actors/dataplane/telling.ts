// What is told of a proxy: to those who wait for receipts, and to its insight.

import type { JsonObject } from "../../core/resource.ts";
import { timeOf } from "../../xds/proxy_insight.ts";
import { INSIGHTS, type InsightsMsg } from "../insights/messages.ts";
import { type ProxyOutcome, RECEIPTS, type ReceiptsMsg } from "../receipts/messages.ts";
import { type Context, type Effect, send } from "../runtime/actor.ts";
import * as leases from "./lease.ts";
import type { State } from "./state.ts";

export function progress({ revision }: State, outcome: ProxyOutcome, at: Context): Effect {
  return send<ReceiptsMsg>(RECEIPTS, { tag: "proxy_progress", proxy: at.self, revision, outcome });
}

export function tellInsight(state: State, urgent: boolean): Effect {
  return send<InsightsMsg>(INSIGHTS, {
    tag: "proxy_seen",
    proxy: state.args.key,
    urgent,
    seen: {
      subscriptions: state.subscriptions,
      lease: leases.renderLease(state.lease),
      controlPlane: state.args.settings.instanceId,
      metadata: state.metadata,
      remarks: state.remarks,
      mtls: mtlsInsight(state),
    },
  });
}

function mtlsInsight({ identity, views, args, certificates }: State): JsonObject | null {
  const mtls = views.get(args.key.mesh)?.mtls;
  if (!identity || !mtls) return null;
  return {
    certificateExpirationTime: timeOf(identity.expiresAtMs),
    lastCertificateRegeneration: timeOf(identity.issuedAtMs),
    certificateRegenerations: certificates,
    issuedBackend: identity.backend,
    supportedBackends: [...mtls.trusted],
  };
}
