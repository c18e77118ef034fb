// Modern policies about how traffic flows, in shape. kuma@v2.13.10:pkg/plugins/policies (validators and
// schemas): what those accept is accepted here, and paths are theirs.

import { isObject, listOf, objectsOf, textOf } from "../json.ts";
import {
  bool,
  type Check,
  duration,
  type Fields,
  join,
  list,
  map,
  matching,
  nonEmptyText,
  oneSet,
  positiveDuration,
  type Report,
  text,
} from "../shape.ts";
import {
  headerEdits,
  headerMatch,
  headerName,
  kindOf,
  lengthOf,
  oneOf,
  percent,
  ratio,
  record,
  strings,
  tagged,
  whole,
} from "./json_shape.ts";
import {
  includesGateways,
  needsOne,
  onlyMesh,
  policy,
  rulesAlone,
  WITH_GATEWAYS,
} from "./target_ref.ts";

const WITH_ROUTES = [...WITH_GATEWAYS, "MeshHTTPRoute"];
const SERVICES = ["Mesh", "MeshService", "MeshMultiZoneService"];
const positive = whole({ min: 1 });

function both(...checks: readonly ((spec: Fields, path: string, report: Report) => void)[]) {
  return (spec: Fields, path: string, report: Report): void =>
    checks.forEach((check) => check(spec, path, report));
}

/** Of services, and of everything outside where a gateway or a route is selected. */
const outbound = (top: string): readonly string[] =>
  top === "MeshGateway" || top === "MeshHTTPRoute"
    ? ["Mesh", "MeshExternalService"]
    : [...SERVICES, "MeshExternalService", "MeshHTTPRoute"];

// ---- MeshTimeout

const HTTP_TIMEOUTS = {
  requestTimeout: duration,
  streamIdleTimeout: duration,
  maxStreamDuration: duration,
  maxConnectionDuration: duration,
};
const timeouts = record({
  connectionTimeout: positiveDuration,
  idleTimeout: duration,
  http: record({ ...HTTP_TIMEOUTS, requestHeadersTimeout: duration }, {
    also: oneSet(
      Object.keys(HTTP_TIMEOUTS),
      "at least one timeout in this section should be configured",
    ),
  }),
}, {
  also: oneSet(
    ["connectionTimeout", "idleTimeout", "http"],
    "at least one timeout should be configured",
  ),
});

/** Of a route, only what is a route's. */
function checkRouteTimeouts(spec: Fields, path: string, report: Report): void {
  const kind = kindOf(spec["targetRef"]);
  if (["MeshHTTPRoute", "MeshGateway"].includes(kind) && lengthOf(spec["from"]) > 0) {
    report(join(path, "from"), "must not be defined");
  }
  if (kind !== "MeshHTTPRoute") return;
  const why = "can't be specified when top-level TargetRef is referencing MeshHTTPRoute";
  for (const field of ["to", "rules"]) {
    listOf(spec[field]).forEach((item, index) => {
      const conf = isObject(item) && isObject(item["default"]) ? item["default"] : {};
      const http = isObject(conf["http"]) ? conf["http"] : {};
      const at = `${join(path, field)}[${index}].default`;
      for (const name of ["connectionTimeout", "idleTimeout"]) {
        if (conf[name] !== undefined) report(`${at}.${name}`, why);
      }
      for (const name of ["maxStreamDuration", "maxConnectionDuration"]) {
        if (http[name] !== undefined) report(`${at}.http.${name}`, why);
      }
    });
  }
}

export const meshTimeout = policy({
  top: WITH_ROUTES,
  to: { kinds: outbound, fields: { default: timeouts }, required: ["default"] },
  from: { kinds: onlyMesh, fields: { default: timeouts }, required: ["default"] },
  rules: { default: timeouts },
  rulesRequired: ["default"],
  also: both(rulesAlone(["to", "from"]), needsOne(["from", "to", "rules"]), checkRouteTimeouts),
});

// ---- MeshCircuitBreaker

const consecutive = record({ consecutive: positive });
const DETECTORS = {
  totalFailures: consecutive,
  gatewayFailures: consecutive,
  localOriginFailures: consecutive,
  successRate: record({
    minimumHosts: positive,
    requestVolume: positive,
    standardDeviationFactor: ratio(Number.MIN_VALUE, Infinity),
  }),
  failurePercentage: record({
    minimumHosts: positive,
    requestVolume: positive,
    threshold: whole({ max: 100 }),
  }),
};
const circuitBreaker = record({
  connectionLimits: record({
    maxConnections: positive,
    maxConnectionPools: positive,
    maxPendingRequests: positive,
    maxRetries: positive,
    maxRequests: positive,
  }),
  outlierDetection: record({
    disabled: bool,
    interval: positiveDuration,
    baseEjectionTime: positiveDuration,
    maxEjectionPercent: whole({ max: 100 }),
    splitExternalAndLocalErrors: bool,
    healthyPanicThreshold: percent,
    detectors: record(DETECTORS, { also: oneSet(Object.keys(DETECTORS)) }),
  }, { required: ["detectors"] }),
}, {
  also: oneSet(
    ["connectionLimits", "outlierDetection"],
    "at least one of: 'connectionLimits' or 'outlierDetection' should be configured",
  ),
});

export const meshCircuitBreaker = policy({
  top: WITH_GATEWAYS,
  to: { kinds: () => SERVICES, fields: { default: circuitBreaker }, required: ["default"] },
  from: { kinds: onlyMesh, fields: { default: circuitBreaker }, required: ["default"] },
  rules: { default: circuitBreaker },
  rulesRequired: ["default"],
  also: both(rulesAlone(["to", "from"]), needsOne(["from", "to", "rules"])),
});

// ---- MeshRetry

const backOff = record({ baseInterval: duration, maxInterval: duration }, {
  also: oneSet(["baseInterval", "maxInterval"], "must not be empty"),
});
const rateLimitedBackOff = record({
  maxInterval: positiveDuration,
  resetHeaders: list(
    record({ name: headerName, format: oneOf(["Seconds", "UnixTimestamp"]) }, {
      required: ["name", "format"],
    }),
  ),
}, { required: ["resetHeaders"] });
const RETRY = {
  numRetries: whole(),
  perTryTimeout: duration,
  backOff,
  rateLimitedBackOff,
};
const HTTP_RETRY_ON = new RegExp(
  "^(5xx|GatewayError|Reset|Retriable4xx|ConnectFailure|EnvoyRatelimited|RefusedStream|" +
    "Http3PostConnectFailure|HttpMethod(Connect|Delete|Get|Head|Options|Patch|Post|Put|Trace)|" +
    "[1-5]\\d\\d)$",
);
const GRPC_RETRY_ON = [
  ...["Canceled", "DeadlineExceeded", "Internal", "ResourceExhausted", "Unavailable"],
];
const predicate = record({
  predicate: oneOf(["OmitPreviousHosts", "OmitHostsWithTags", "OmitPreviousPriorities"]),
  tags: map(text),
  updateFrequency: whole(),
}, {
  required: ["predicate"],
  also({ predicate, tags, updateFrequency }, path, report) {
    if (predicate === "OmitHostsWithTags" && tags === undefined) {
      report(`${path}.tags`, "must be defined");
    }
    if (predicate === "OmitPreviousPriorities" && updateFrequency === 0) {
      report(`${path}.updateFrequency`, "must be defined and greater than zero");
    }
  },
});
const HTTP_RETRY = {
  ...RETRY,
  retryOn: list(matching(HTTP_RETRY_ON, "a condition such as 5xx, Reset or a status")),
  retriableRequestHeaders: list(headerMatch),
  retriableResponseHeaders: list(headerMatch),
  hostSelection: list(predicate),
};
const GRPC_RETRY = { ...RETRY, retryOn: list(oneOf(GRPC_RETRY_ON)) };
const retry = record({
  tcp: record({ maxConnectAttempt: positive }, { required: ["maxConnectAttempt"] }),
  http: record({
    ...HTTP_RETRY,
    hostSelectionMaxAttempts: whole({ min: -(2 ** 53), max: 2 ** 53 }),
  }, {
    also: oneSet(Object.keys(HTTP_RETRY), "must not be empty"),
  }),
  grpc: record(GRPC_RETRY, { also: oneSet(Object.keys(GRPC_RETRY), "must not be empty") }),
}, {
  also: oneSet(
    ["tcp", "http", "grpc"],
    "at least one of the 'tcp', 'http', 'grpc' must be specified",
  ),
});

export const meshRetry = policy({
  top: WITH_ROUTES,
  to: { kinds: outbound, fields: { default: retry }, required: ["default"] },
  also(spec, path, report) {
    if (lengthOf(spec["to"]) === 0) report(join(path, "to"), "needs at least one item");
  },
});

// ---- MeshHealthCheck

const PROTOCOLS = {
  tcp: record({ disabled: bool, send: text, receive: strings }),
  http: record({
    disabled: bool,
    path: nonEmptyText,
    requestHeadersToAdd: headerEdits,
    expectedStatuses: list(whole({ min: 100, max: 599 })),
  }),
  grpc: record({ disabled: bool, serviceName: text, authority: text }),
};
const healthCheck = record({
  interval: positiveDuration,
  timeout: positiveDuration,
  unhealthyThreshold: positive,
  healthyThreshold: positive,
  initialJitter: positiveDuration,
  intervalJitter: positiveDuration,
  intervalJitterPercent: whole({ max: 100 }),
  healthyPanicThreshold: percent,
  failTrafficOnPanic: bool,
  eventLogPath: matching(/^\//, "a path"),
  alwaysLogHealthCheckFailures: bool,
  noTrafficInterval: positiveDuration,
  reuseConnection: bool,
  ...PROTOCOLS,
}, { also: oneSet(Object.keys(PROTOCOLS)) });

export const meshHealthCheck = policy({
  top: WITH_GATEWAYS,
  to: { kinds: () => SERVICES, fields: { default: healthCheck }, required: ["default"] },
});

// ---- MeshRateLimit

/** More than 50 ms: Envoy's filter takes no less. */
const rateInterval: Check = (value, path, report) => {
  positiveDuration(value, path, report);
  const [, amount, unit] = /^(\d+(?:\.\d+)?)(ms|us|µs|ns)$/.exec(textOf(value)) ?? [];
  if (unit !== undefined && (unit !== "ms" || Number(amount) <= 50)) {
    report(path, "must be greater than: 50ms");
  }
};
const rate = record({ num: positive, interval: rateInterval }, { required: ["num", "interval"] });
const HTTP_LIMIT = {
  disabled: bool,
  requestRate: rate,
  onRateLimit: record({ status: positive, headers: headerEdits }),
};
const TCP_LIMIT = { disabled: bool, connectionRate: rate };
const rateLimit = record({
  local: record({
    http: record(HTTP_LIMIT, { also: oneSet(Object.keys(HTTP_LIMIT)) }),
    tcp: record(TCP_LIMIT, { also: oneSet(Object.keys(TCP_LIMIT)) }),
  }, { also: oneSet(["tcp", "http"]) }),
}, { required: ["local"] });

/** Gateways have no inbounds, and other proxies are limited there alone. */
function eitherSide(fields: readonly string[]) {
  return (spec: Fields, path: string, report: Report): void => {
    const gateways = includesGateways(spec["targetRef"]);
    if (gateways) {
      for (const field of fields) {
        if (lengthOf(spec[field]) > 0) {
          report(join(path, field), "must not be defined when the scope includes a Gateway");
        }
      }
    } else if (lengthOf(spec["to"]) > 0) report(join(path, "to"), "must not be defined");
  };
}

export const meshRateLimit = policy({
  top: WITH_ROUTES,
  to: { kinds: onlyMesh, fields: { default: rateLimit }, required: ["default"] },
  from: { kinds: onlyMesh, fields: { default: rateLimit }, required: ["default"] },
  rules: { default: rateLimit },
  rulesRequired: ["default"],
  also: both(rulesAlone(["to", "from"]), eitherSide(["from", "rules"])),
});

// ---- MeshFaultInjection

const faults = record({
  http: list(record({
    abort: record({ httpStatus: whole({ min: 100, max: 599 }), percentage: percent }, {
      required: ["httpStatus", "percentage"],
    }),
    delay: record({ value: duration, percentage: percent }, { required: ["value", "percentage"] }),
    responseBandwidth: record({
      limit: matching(/^\d*\s?[GMkgm]?bps$/i, "in kbps, Mbps or Gbps"),
      percentage: percent,
    }, { required: ["limit", "percentage"] }),
  })),
});

/** Who, by SPIFFE id. */
export const spiffeMatch: Check = record({
  spiffeID: record({
    type: oneOf(["Exact", "Prefix"]),
    value: matching(/^spiffe:\/\/[a-z0-9.\-_]+(\/[a-zA-Z0-9.\-_]+)*$/, "a SPIFFE id"),
  }, { required: ["type", "value"] }),
});

const CLIENTS = ["Mesh", "MeshSubset", "MeshService", "MeshServiceSubset"];

export const meshFaultInjection = policy({
  top: WITH_GATEWAYS,
  to: { kinds: onlyMesh, fields: { default: faults } },
  from: { kinds: () => CLIENTS, fields: { default: faults } },
  rules: { default: faults, matches: list(spiffeMatch) },
  rulesRequired: ["default"],
  also: both(rulesAlone(["from"]), eitherSide(["from"])),
});

// ---- MeshLoadBalancingStrategy

const hashPolicy = record({
  type: oneOf(["Header", "Cookie", "Connection", "SourceIP", "QueryParameter", "FilterState"]),
  terminal: bool,
  header: record({ name: nonEmptyText }, { required: ["name"] }),
  cookie: record({
    name: nonEmptyText,
    ttl: duration,
    path: matching(/^\//, "an absolute path"),
  }, { required: ["name"] }),
  connection: record({ sourceIP: bool }),
  queryParameter: record({ name: nonEmptyText }, { required: ["name"] }),
  filterState: record({ key: nonEmptyText }, { required: ["key"] }),
}, {
  required: ["type"],
  also: tagged({
    Header: "header",
    Cookie: "cookie",
    Connection: "connection",
    SourceIP: "connection",
    QueryParameter: "queryParameter",
    FilterState: "filterState",
  }),
});
const hashPolicies = list(hashPolicy);
const ringSize = whole({ min: 1, max: 8_000_000 });
const loadBalancer = record({
  type: oneOf(["RoundRobin", "LeastRequest", "RingHash", "Random", "Maglev"]),
  roundRobin: record({}),
  random: record({}),
  leastRequest: record({ choiceCount: whole({ min: 2 }), activeRequestBias: ratio(0, Infinity) }),
  ringHash: record({
    hashFunction: oneOf(["XXHash", "MurmurHash2"]),
    minRingSize: ringSize,
    maxRingSize: ringSize,
    hashPolicies,
  }),
  maglev: record({ tableSize: whole({ min: 1, max: 5_000_011 }), hashPolicies }),
}, { required: ["type"] });

const failoverTo = record({ type: oneOf(["None", "Only", "Any", "AnyExcept"]), zones: strings }, {
  required: ["type"],
  also({ type, zones }, path, report) {
    const isNamed = lengthOf(zones) > 0;
    if ((type === "Any" || type === "None") && isNamed) {
      report(`${path}.zones`, `must be empty when type is ${type}`);
    }
    if ((type === "Only" || type === "AnyExcept") && !isNamed) {
      report(`${path}.zones`, `must not be empty when type is ${type}`);
    }
  },
});
const localityAwareness = record({
  disabled: bool,
  localZone: record({
    affinityTags: list(record({ key: nonEmptyText, weight: positive }, { required: ["key"] })),
  }, {
    also({ affinityTags }, path, report) {
      const tags = objectsOf(affinityTags);
      const weighed = tags.filter(({ weight }) => weight !== undefined).length;
      if (weighed > 0 && weighed < tags.length) {
        report(`${path}.affinityTags`, "all or none affinity tags should have weight");
      }
    },
  }),
  crossZone: record({
    failover: list(record({
      from: record({ zones: list(nonEmptyText) }, {
        required: ["zones"],
        also({ zones }, path, report) {
          if (lengthOf(zones) === 0) report(`${path}.zones`, "must not be empty");
        },
      }),
      to: failoverTo,
    }, { required: ["to"] })),
    failoverThreshold: record({ percentage: ratio(Number.MIN_VALUE, 100) }, {
      required: ["percentage"],
    }),
  }),
});
const balancing = record({ localityAwareness, loadBalancer, hashPolicies }, {
  also({ loadBalancer, hashPolicies }, path, report) {
    for (const name of ["ringHash", "maglev"]) {
      const inner = isObject(loadBalancer) ? loadBalancer[name] : undefined;
      if (hashPolicies !== undefined && isObject(inner) && inner["hashPolicies"] !== undefined) {
        const at = `${path}.loadBalancer.${name}.hashPolicies`;
        report(at, "hashPolicies already specified in the root level");
      }
    }
  },
});

function checkBalancing(spec: Fields, path: string, report: Report): void {
  if (lengthOf(spec["to"]) === 0) report(join(path, "to"), "needs at least one item");
  listOf(spec["to"]).forEach((item, index) => {
    const { targetRef, default: conf } = isObject(item) ? item : {};
    if (!isObject(targetRef) || !isObject(conf)) return;
    const at = `${join(path, "to")}[${index}].default`;
    if (targetRef["kind"] === "MeshHTTPRoute") {
      for (const name of ["loadBalancer", "localityAwareness"]) {
        if (conf[name] !== undefined) report(`${at}.${name}`, "is not allowed for a MeshHTTPRoute");
      }
    }
    const locality = conf["localityAwareness"];
    const crosses = isObject(locality) && locality["crossZone"] !== undefined;
    const isOne = targetRef["sectionName"] || isObject(targetRef["labels"]);
    if (targetRef["kind"] === "MeshService" && isOne && crosses) {
      report(`${at}.localityAwareness.crossZone`, "must not be set: MeshService traffic is local");
    }
  });
}

export const meshLoadBalancingStrategy = policy({
  top: WITH_GATEWAYS,
  to: {
    kinds: (top) => top === "MeshGateway" ? SERVICES : [...SERVICES, "MeshHTTPRoute"],
    fields: { default: balancing },
  },
  also: checkBalancing,
});
