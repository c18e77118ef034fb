// The kinds of Kuma that are kept, checked and passed on, and that no proxy notices yet.
// One that gets an effect moves: a policy into its folder, another to kinds.ts.

import type { PolicyFacts, ResourceDescriptor } from "./resource.ts";
import { type Check, checkedBy } from "./shape.ts";
import { DEFAULTS } from "./stored/defaults.ts";
import * as connection from "./stored/connection_policies.ts";
import { externalService, zoneEgress } from "./stored/egress.ts";
import { meshGateway, meshGatewayRoute } from "./stored/gateways.ts";
import { meshProxyPatch } from "./stored/mesh_proxy_patch.ts";
import * as resources from "./stored/modern_resources.ts";
import { proxyTemplate } from "./stored/proxy_template.ts";
import { meshHttpRoute, meshTcpRoute } from "./stored/route_policies.ts";
import * as security from "./stored/security_policies.ts";
import * as telemetry from "./stored/telemetry_policies.ts";
import * as traffic from "./stored/traffic_policies.ts";

/** In a mesh, and without effect. */
function stored(
  row: Omit<ResourceDescriptor, "scope" | "validate">,
  check: Check,
): ResourceDescriptor {
  return { scope: "Mesh", withoutEffect: true, ...checkedBy(check), ...row };
}

/** Selects by tags, and is a message of its own name. */
function classicPolicy(
  name: string,
  check: Check,
  words: { readonly singular: string; readonly plural: string; readonly path?: string },
  policy: PolicyFacts = {},
): ResourceDescriptor {
  const { singular, plural, path = plural } = words;
  return stored({
    name,
    plural: path,
    args: [singular, plural],
    kds: "global",
    message: `kuma.mesh.v1alpha1.${name}`,
    policy,
  }, check);
}

/** JSON on every wire. kumactl's words are the type and the path. */
function modern(
  name: string,
  check: Check,
  row: Pick<ResourceDescriptor, "plural" | "kds"> & Partial<ResourceDescriptor>,
): ResourceDescriptor {
  const defaults = DEFAULTS[name];
  return stored({
    name,
    args: [name.toLowerCase(), row.plural],
    ...(defaults && { defaults }),
    ...row,
  }, check);
}

function modernPolicy(
  name: string,
  check: Check,
  words: { readonly plural: string; readonly shortName: string },
  facts: Omit<PolicyFacts, "targetRef"> = {},
): ResourceDescriptor {
  return modern(name, check, { kds: "policy", policy: { targetRef: true, ...facts }, ...words });
}

const FROM_AS_RULES = { from: true, rules: true, fromAsRules: true } as const;

/** kuma@v2.13.10:pkg/core/resources/apis, pkg/plugins/policies (descriptors). */
export const STORED_KINDS: readonly ResourceDescriptor[] = [
  classicPolicy("TrafficLog", connection.trafficLog, {
    singular: "traffic-log",
    plural: "traffic-logs",
  }),
  classicPolicy("TrafficTrace", connection.trafficTrace, {
    singular: "traffic-trace",
    plural: "traffic-traces",
  }),
  classicPolicy("HealthCheck", connection.healthCheck, {
    singular: "healthcheck",
    plural: "healthchecks",
    path: "health-checks",
  }),
  classicPolicy("CircuitBreaker", connection.circuitBreaker, {
    singular: "circuit-breaker",
    plural: "circuit-breakers",
  }),
  classicPolicy("FaultInjection", connection.faultInjection, {
    singular: "fault-injection",
    plural: "fault-injections",
  }),
  classicPolicy("Retry", connection.retry, { singular: "retry", plural: "retries" }),
  classicPolicy("Timeout", connection.timeout, { singular: "timeout", plural: "timeouts" }),
  classicPolicy("RateLimit", connection.rateLimit, {
    singular: "rate-limit",
    plural: "rate-limits",
  }),
  classicPolicy("ProxyTemplate", proxyTemplate, {
    singular: "proxytemplate",
    plural: "proxytemplates",
  }),
  classicPolicy(
    "VirtualOutbound",
    connection.virtualOutbound,
    { singular: "virtual-outbound", plural: "virtual-outbounds" },
    { uninspectable: true },
  ),
  classicPolicy(
    "MeshGatewayRoute",
    meshGatewayRoute,
    { singular: "meshgatewayroute", plural: "meshgatewayroutes" },
    { uninspectable: true },
  ),
  stored({
    name: "MeshGateway",
    plural: "meshgateways",
    args: ["meshgateway", "meshgateways"],
    kds: "both",
    message: "kuma.mesh.v1alpha1.MeshGateway",
    shortName: "mgw",
  }, meshGateway),
  stored({
    name: "ExternalService",
    plural: "external-services",
    args: ["external-service", "external-services"],
    kds: "global",
    message: "kuma.mesh.v1alpha1.ExternalService",
  }, externalService),
  {
    ...stored({
      name: "ZoneEgress",
      plural: "zoneegresses",
      args: ["zoneegress", "zoneegresses"],
      kds: "zone",
      message: "kuma.mesh.v1alpha1.ZoneEgress",
      shortName: "ze",
    }, zoneEgress),
    scope: "Global",
  },

  modernPolicy(
    "MeshAccessLog",
    telemetry.meshAccessLog,
    { plural: "meshaccesslogs", shortName: "mal" },
    { to: true, ...FROM_AS_RULES },
  ),
  modernPolicy(
    "MeshCircuitBreaker",
    traffic.meshCircuitBreaker,
    { plural: "meshcircuitbreakers", shortName: "mcb" },
    { to: true, ...FROM_AS_RULES },
  ),
  modernPolicy(
    "MeshFaultInjection",
    traffic.meshFaultInjection,
    { plural: "meshfaultinjections", shortName: "mfi" },
    { to: true, from: true, rules: true },
  ),
  modernPolicy("MeshHealthCheck", traffic.meshHealthCheck, {
    plural: "meshhealthchecks",
    shortName: "mhc",
  }, { to: true }),
  modernPolicy("MeshHTTPRoute", meshHttpRoute, { plural: "meshhttproutes", shortName: "mhttpr" }, {
    to: true,
  }),
  modernPolicy(
    "MeshLoadBalancingStrategy",
    traffic.meshLoadBalancingStrategy,
    { plural: "meshloadbalancingstrategies", shortName: "mlbs" },
    { to: true },
  ),
  modernPolicy("MeshMetric", telemetry.meshMetric, { plural: "meshmetrics", shortName: "mm" }),
  modernPolicy("MeshPassthrough", security.meshPassthrough, {
    plural: "meshpassthroughs",
    shortName: "mp",
  }),
  modernPolicy("MeshProxyPatch", meshProxyPatch, {
    plural: "meshproxypatches",
    shortName: "mpp",
  }),
  modernPolicy(
    "MeshRateLimit",
    traffic.meshRateLimit,
    { plural: "meshratelimits", shortName: "mrl" },
    { to: true, ...FROM_AS_RULES },
  ),
  modernPolicy("MeshRetry", traffic.meshRetry, { plural: "meshretries", shortName: "mr" }, {
    to: true,
  }),
  modernPolicy("MeshTCPRoute", meshTcpRoute, { plural: "meshtcproutes", shortName: "mtcpr" }, {
    to: true,
  }),
  modernPolicy(
    "MeshTimeout",
    traffic.meshTimeout,
    { plural: "meshtimeouts", shortName: "mt" },
    { to: true, ...FROM_AS_RULES },
  ),
  modernPolicy(
    "MeshTLS",
    security.meshTls,
    { plural: "meshtlses", shortName: "mtls" },
    FROM_AS_RULES,
  ),
  modernPolicy("MeshTrace", telemetry.meshTrace, { plural: "meshtraces", shortName: "mtr" }),
  modernPolicy(
    "MeshTrafficPermission",
    security.meshTrafficPermission,
    { plural: "meshtrafficpermissions", shortName: "mtp" },
    { from: true, rules: true },
  ),

  modern("MeshService", resources.meshService, {
    plural: "meshservices",
    kds: "across",
    shortName: "msvc",
    hasStatus: true,
  }),
  modern("MeshMultiZoneService", resources.meshMultiZoneService, {
    plural: "meshmultizoneservices",
    kds: "global",
    shortName: "mzsvc",
    hasStatus: true,
  }),
  modern("MeshExternalService", resources.meshExternalService, {
    plural: "meshexternalservices",
    kds: "both",
    shortName: "extsvc",
    hasStatus: true,
  }),
  modern("MeshIdentity", resources.meshIdentity, {
    plural: "meshidentities",
    kds: "both",
    shortName: "mid",
    hasStatus: true,
  }),
  modern("MeshTrust", resources.meshTrust, {
    plural: "meshtrusts",
    kds: "both",
    shortName: "mtrust",
    hasStatus: true,
  }),
  modern("Workload", resources.workload, {
    plural: "workloads",
    kds: "zone",
    shortName: "wl",
    hasStatus: true,
  }),
  {
    ...modern("HostnameGenerator", resources.hostnameGenerator, {
      plural: "hostnamegenerators",
      kds: "both",
      shortName: "hg",
    }),
    scope: "Global",
  },
];
