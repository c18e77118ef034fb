// What control planes report of proxies and zones, in proto3 JSON: counters of 64 bits are text.

import type { JsonObject } from "./resource.ts";
import { list, type Report, violationsOf } from "./shape.ts";
import type { Violation } from "./violation.ts";
import { isObject } from "./json.ts";

/** kuma.mesh.v1alpha1.DataplaneInsight; ZoneIngressInsight is the same without `mTLS`. */
export interface ProxyInsightSpec {
  readonly subscriptions?: readonly DiscoverySubscription[];
  readonly mTLS?: {
    /** Times are RFC 3339, here and below. */
    readonly certificateExpirationTime?: string;
    readonly lastCertificateRegeneration?: string;
    readonly certificateRegenerations?: number;
    readonly issuedBackend?: string;
    readonly supportedBackends?: readonly string[];
  };
  /** Envoy's node metadata. */
  readonly metadata?: JsonObject;
}

/** One stream of one proxy. */
export interface DiscoverySubscription {
  readonly id?: string;
  readonly controlPlaneInstanceId?: string;
  readonly connectTime?: string;
  /** Absent while the stream is open. */
  readonly disconnectTime?: string;
  readonly status?: {
    readonly lastUpdateTime?: string;
    readonly total?: ResponseCounts;
    readonly cds?: ResponseCounts;
    readonly eds?: ResponseCounts;
    readonly lds?: ResponseCounts;
    readonly rds?: ResponseCounts;
  };
  readonly version?: JsonObject;
  readonly generation?: number;
}

export interface ResponseCounts {
  readonly responsesSent?: string;
  readonly responsesAcknowledged?: string;
  readonly responsesRejected?: string;
}

/** Control planes write these, and newer ones write more: only what readers stand on is checked. */
export function validateInsight(spec: unknown): readonly Violation[] {
  return violationsOf((value, path, report) => {
    if (!isObject(value)) return report(path, "must be an object");
    const { subscriptions } = value;
    if (subscriptions !== undefined) list(subscription)(subscriptions, "subscriptions", report);
  }, spec);
}

function subscription(value: unknown, path: string, report: Report): void {
  if (!isObject(value)) report(path, "must be an object");
}
