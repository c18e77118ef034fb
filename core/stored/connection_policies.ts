// The classic policies that are kept without effect, in shape. kuma@v2.13.10:pkg/core/resources/apis/mesh
// (validators): what those accept is accepted here, and paths are theirs.

import { isObject, listOf, objectsOf } from "../json.ts";
import {
  anySelectors,
  httpSelectors,
  onlyServiceSelectors,
  serviceSelectors,
} from "../selectors.ts";
import {
  bool,
  type Check,
  decimal,
  duration,
  type Fields,
  integer,
  isAbsent,
  list,
  matching,
  nonEmptyText,
  object,
  oneOf,
  oneSet,
  percentage,
  positiveDuration,
  type Report,
  text,
} from "../shape.ts";
import { SERVICE_TAG } from "../tags.ts";
import { DNS_NAME } from "./dns_name.ts";

const positive = integer({ min: 1 });
const count = integer({ min: 0 });

/** From services to services. */
function betweenServices(conf: Check, required: readonly string[] = ["conf"]): Check {
  return object({ sources: serviceSelectors, destinations: onlyServiceSelectors, conf }, {
    required: ["sources", "destinations", ...required],
  });
}

const backend = object({ backend: text });

export const trafficLog = betweenServices(backend, []);

export const trafficTrace = object({ selectors: anySelectors, conf: backend }, {
  required: ["selectors"],
});

export const healthCheck = betweenServices(object({
  interval: positiveDuration,
  timeout: positiveDuration,
  unhealthyThreshold: positive,
  healthyThreshold: positive,
  initialJitter: positiveDuration,
  intervalJitter: positiveDuration,
  intervalJitterPercent: count,
  noTrafficInterval: positiveDuration,
  healthyPanicThreshold: percentage,
  failTrafficOnPanic: bool,
  eventLogPath: text,
  alwaysLogHealthCheckFailures: bool,
  reuseConnection: bool,
  tcp: object({ send: text, receive: list(text) }),
  http: object({
    path: nonEmptyText,
    requestHeadersToAdd: list(
      object({
        header: object({ key: nonEmptyText, value: text }, { required: ["key"] }),
        append: bool,
      }, { required: ["header"] }),
    ),
    expectedStatuses: list(integer({ min: 100, max: 599 })),
  }, { required: ["path"] }),
}, {
  required: ["interval", "timeout", "unhealthyThreshold", "healthyThreshold"],
  also({ tcp, http }, path, report) {
    if (tcp !== undefined && http !== undefined) {
      report(path, "http and tcp cannot be defined at the same time");
    }
  },
}));

const errors = object({ consecutive: count });
const detectors = {
  totalErrors: errors,
  gatewayErrors: errors,
  localErrors: errors,
  standardDeviation: object({ requestVolume: count, minimumHosts: count, factor: decimal() }),
  failure: object({
    requestVolume: count,
    minimumHosts: count,
    threshold: integer({ min: 0, max: 100 }),
  }),
};
const thresholds = {
  maxConnections: count,
  maxPendingRequests: count,
  maxRetries: count,
  maxRequests: count,
};

export const circuitBreaker = betweenServices(object({
  interval: duration,
  baseEjectionTime: duration,
  maxEjectionPercent: integer({ min: 0, max: 100 }),
  splitExternalAndLocalErrors: bool,
  detectors: object(detectors, { also: oneSet(Object.keys(detectors), "can't be empty") }),
  thresholds: object(thresholds, { also: oneSet(Object.keys(thresholds), "can't be empty") }),
}, {
  also: oneSet(
    ["detectors", "thresholds"],
    "must have at least one of the detector or threshold configured",
  ),
}));

/** What the faults are about is needed, unless they are empty, which says nothing. */
function fault(what: Readonly<Record<string, Check>>): Check {
  const whole = object({ percentage, ...what }, { required: ["percentage", ...Object.keys(what)] });
  return (value, path, report) => {
    if (!isObject(value) || Object.keys(value).length > 0) whole(value, path, report);
  };
}

export const faultInjection: Check = object({
  sources: anySelectors,
  destinations: httpSelectors,
  conf: object({
    delay: fault({ value: duration }),
    abort: fault({ httpStatus: integer({ min: 100, max: 599 }) }),
    responseBandwidth: fault({ limit: matching(/\d*\s?[gmk]bps/, "in kbps, mbps or gbps") }),
  }, {
    also(faults, path, report) {
      const given = Object.values(faults).filter((one) =>
        isObject(one) && Object.keys(one).length > 0
      );
      if (given.length === 0) report(path, "must have at least one of the faults configured");
    },
  }),
}, { required: ["sources", "destinations", "conf"] });

const backOff = object({ baseInterval: positiveDuration, maxInterval: positiveDuration }, {
  required: ["baseInterval"],
});

const METHODS = ["NONE", "CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"];
export const httpMethod = oneOf([...METHODS, "TRACE"]);
const HTTP_RETRY_ON = [
  ...["all_5xx", "gateway_error", "reset", "connect_failure", "envoy_ratelimited"],
  ...["retriable_4xx", "refused_stream", "retriable_status_codes", "retriable_headers"],
  "http3_post_connect_failure",
];
const GRPC_RETRY_ON = [
  ...["cancelled", "deadline_exceeded", "internal", "resource_exhausted", "unavailable"],
];

const httpRetry = {
  numRetries: positive,
  perTryTimeout: positiveDuration,
  backOff,
  retriableStatusCodes: list(count),
  retriableMethods: list(oneOf([...METHODS, "TRACE"], { NONE: "it is none" })),
  retryOn: list(oneOf(HTTP_RETRY_ON)),
};
const grpcRetry = {
  numRetries: positive,
  perTryTimeout: positiveDuration,
  backOff,
  retryOn: list(oneOf(GRPC_RETRY_ON)),
};
const PROTOCOLS = ["http", "grpc", "tcp"];

export const retry = betweenServices(object({
  http: object(httpRetry, {
    also(fields, path, report) {
      oneSet(Object.keys(httpRetry), "field cannot be empty")(fields, path, report);
      listOf(fields["retryOn"]).forEach((name, index) => {
        if (name === "retriable_status_codes" && isAbsent(fields["retriableStatusCodes"])) {
          report(`${path}.retryOn[${index}]`, "retriableStatusCodes must be set with this option");
        }
      });
    },
  }),
  grpc: object(grpcRetry, {
    also(fields, path, report) {
      oneSet(Object.keys(grpcRetry), "field cannot be empty")(fields, path, report);
      const names = listOf(fields["retryOn"]);
      for (const name of new Set(names.filter((one, index) => names.indexOf(one) !== index))) {
        report(`${path}.retryOn`, `repeated value "${name}"`);
      }
    },
  }),
  tcp: object({ maxConnectAttempts: positive }, { required: ["maxConnectAttempts"] }),
}, { also: oneSet(PROTOCOLS, "missing protocol [grpc|http|tcp] configuration") }));

const NO_TIMEOUT = "at least one timeout in section has to be defined";

export const timeout = betweenServices(object({
  connectTimeout: duration,
  tcp: object({ idleTimeout: positiveDuration }, { also: oneSet(["idleTimeout"], NO_TIMEOUT) }),
  http: object({
    requestTimeout: positiveDuration,
    idleTimeout: positiveDuration,
    streamIdleTimeout: duration,
    maxStreamDuration: duration,
  }, { also: oneSet(["requestTimeout", "idleTimeout"], NO_TIMEOUT) }),
  grpc: object({ streamIdleTimeout: positiveDuration, maxStreamDuration: positiveDuration }, {
    also: oneSet(["streamIdleTimeout", "maxStreamDuration"], NO_TIMEOUT),
  }),
}));

export const rateLimit: Check = object({
  sources: anySelectors,
  destinations: anySelectors,
  conf: object({
    http: object({
      requests: positive,
      interval: duration,
      onRateLimit: object({
        status: count,
        headers: list(object({ key: nonEmptyText, value: nonEmptyText, append: bool }, {
          required: ["key", "value"],
        })),
      }),
    }, { required: ["requests", "interval"] }),
  }),
}, { required: ["sources", "destinations", "conf"] });

const PARAMETER_NAME = matching(/^[a-zA-Z0-9]+$/, "letters and digits, to be used in templates");
const TAG_KEY = matching(/^[a-zA-Z0-9.\-_:/]*$/, "a valid tag name");

export const virtualOutbound: Check = object({
  selectors: anySelectors,
  conf: object({
    host: nonEmptyText,
    port: nonEmptyText,
    parameters: list(object({ name: PARAMETER_NAME, tagKey: TAG_KEY }, { required: ["name"] })),
  }, { required: ["host", "port"], also: checkTemplates }),
}, { required: ["selectors", "conf"] });

function checkTemplates(fields: Fields, path: string, report: Report): void {
  const parameters = objectsOf(fields["parameters"]);
  const names = parameters.map(({ name }) => name);
  names.forEach((name, index) => {
    if (names.indexOf(name) !== index) {
      report(`${path}.parameters[${index}].name`, "name is already used");
    }
  });
  if (!parameters.some(({ tagKey }) => tagKey === SERVICE_TAG)) {
    report(`${path}.parameters`, `must contain a parameter with ${SERVICE_TAG} as a tagKey`);
  }
  const host = evaluated(fields["host"], names, "dummy");
  if (host !== null && !DNS_NAME.test(host)) {
    report(`${path}.host`, `must become a DNS name, becomes "${host}"`);
  }
  const port = evaluated(fields["port"], names, "1");
  if (port !== null && !(/^\d+$/.test(port) && Number(port) >= 1 && Number(port) <= 65_535)) {
    report(`${path}.port`, `must become a port, becomes "${port}"`);
  }
}

/** With a value for each parameter; null for what is beyond plain parameters, and left to Go. */
function evaluated(
  template: unknown,
  names: readonly unknown[],
  value: string,
): string | null {
  if (typeof template !== "string" || template === "") return null;
  const filled = template.replace(
    /\{\{\s*\.(\w+)\s*\}\}/g,
    (whole, name: string) => names.includes(name) ? value : whole,
  );
  return /\{\{/.test(filled.replace(/\{\{\s*\.\w+\s*\}\}/g, "")) ? null : filled;
}
