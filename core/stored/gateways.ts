// MeshGateway and MeshGatewayRoute, in shape. kuma@v2.13.10:pkg/core/resources/apis/mesh/gateway_validator.go
// and gateway_route_validator.go.

import { isObject, listOf, objectsOf, textOf } from "../json.ts";
import { destination, selectorTags, serviceSelectors } from "../selectors.ts";
import {
  bool,
  type Check,
  type Fields,
  integer,
  integerOf,
  join,
  keyed,
  list,
  matching,
  nonEmptyList,
  nonEmptyText,
  object,
  oneOf,
  oneSet,
  onlyOneSet,
  percentage,
  port,
  type Report,
  text,
} from "../shape.ts";
import { PROTOCOL_TAG, SERVICE_TAG, ZONE_TAG } from "../tags.ts";
import { httpMethod } from "./connection_policies.ts";
import { dataSource } from "./data_source.ts";

const OWN_TAGS = ["kuma.io/external-service-name", PROTOCOL_TAG, SERVICE_TAG, ZONE_TAG];

/** Tags by which routes choose gateways and listeners, beside those of the proxies themselves. */
const gatewayTags: Check = (value, path, report) => {
  selectorTags(value, path, report);
  for (const name of OWN_TAGS) {
    if (isObject(value) && value[name] !== undefined) {
      report(keyed(path, name), "is a tag of dataplanes, and cannot be given here");
    }
  }
};

const DOMAIN = "[a-zA-Z0-9]([-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?";
const hostname = matching(
  new RegExp(`^(|\\*|(\\*\\.)?${DOMAIN}(\\.${DOMAIN})*)$`),
  "a host name, *.domain or *",
);

/** Number 2 is nobody's. */
const PROTOCOLS = ["NONE", "TCP", "", "TLS", "HTTP", "HTTPS"];

const listener = object({
  hostname,
  port,
  protocol: oneOf(PROTOCOLS, { NONE: "it is none", "": "it is none" }),
  tls: object({
    mode: oneOf(["NONE", "TERMINATE", "PASSTHROUGH"]),
    certificates: list(dataSource),
    options: object({}),
  }),
  tags: gatewayTags,
  crossMesh: bool,
  resources: object({ connectionLimit: integer({ min: 0 }) }),
}, { required: ["port", "protocol"], also: checkTls });

function checkTls({ protocol, tls, crossMesh }: Fields, path: string, report: Report): void {
  const mode = isObject(tls) ? tls["mode"] ?? "NONE" : undefined;
  const certificates = isObject(tls) ? listOf(tls["certificates"]).length : 0;
  if (crossMesh === true) {
    if (protocol === "HTTPS") report(`${path}.protocol`, "is not supported with crossMesh");
    if (mode !== undefined && (mode !== "NONE" || certificates > 0)) {
      report(`${path}.tls`, "must be empty with crossMesh");
    }
    return;
  }
  if (protocol === "HTTPS" && mode === undefined) report(`${path}.tls`, "cannot be empty");
  if (protocol === "HTTPS" && mode === "PASSTHROUGH") {
    report(`${path}.tls.mode`, "is not supported on HTTPS listeners");
  }
  if (mode === "NONE") report(`${path}.tls.mode`, "cannot be empty");
  if (mode === "TERMINATE" && certificates === 0) {
    report(`${path}.tls.certificates`, "cannot be empty in TLS termination mode");
  }
  if (mode === "TERMINATE" && certificates > 2) {
    report(`${path}.tls.certificates`, "cannot have more than 2 certificates");
  }
}

/** Listeners of one port are one listener in Envoy. */
function checkPorts({ listeners }: Fields, path: string, report: Report): void {
  const all = objectsOf(listeners).map((fields, index) => ({
    port: integerOf(fields["port"]),
    protocol: fields["protocol"],
    hostname: fields["hostname"] || "*",
    limit: isObject(fields["resources"])
      ? integerOf(fields["resources"]["connectionLimit"]) || undefined
      : undefined,
    at: `${join(path, "listeners")}[${index}]`,
  }));
  for (const one of all) {
    const others = all.filter((other) => other !== one && other.port === one.port);
    if (others.some(({ protocol }) => protocol !== one.protocol)) {
      report(one.at, "protocol conflicts with other listeners on this port");
    }
    if (others.some(({ hostname }) => hostname === one.hostname)) {
      report(one.at, "multiple listeners for hostname on this port");
    }
    if (one.limit && others.some(({ limit }) => limit && limit !== one.limit)) {
      report(`${one.at}.resources.connectionLimit`, "conflicting values for this port");
    }
  }
}

export const meshGateway: Check = object({
  selectors: serviceSelectors,
  tags: gatewayTags,
  conf: object({ listeners: nonEmptyList(listener) }, {
    required: ["listeners"],
    also: checkPorts,
  }),
}, {
  required: ["selectors", "conf"],
  also({ selectors, conf }, path, report) {
    const listeners = isObject(conf) ? listOf(conf["listeners"]) : [];
    const crossMesh = listeners.some((one) => isObject(one) && one["crossMesh"] === true);
    if (!crossMesh) return;
    listOf(selectors).slice(1).forEach((_, index) =>
      report(`${join(path, "selectors")}[${index + 1}]`, "there can be at most one selector")
    );
  },
});

const backend = object({ weight: integer({ min: 0 }), destination }, {
  required: ["destination"],
});

const absolutePath = ({ match = "EXACT", value = "" }: Fields, path: string, report: Report) => {
  if (match === "REGEX" || match === 2) {
    if (value === "") report(`${path}.value`, "cannot be empty");
  } else if (typeof value === "string" && !value.startsWith("/")) {
    report(`${path}.value`, "must be an absolute path");
  }
};

const header = object({
  match: oneOf(["EXACT", "REGEX", "ABSENT", "PRESENT"]),
  name: nonEmptyText,
  value: text,
}, {
  required: ["name"],
  also({ match, value }, path, report) {
    const isThere = ["ABSENT", "PRESENT"].includes(textOf(match));
    if (isThere && value) report(`${path}.value`, "cannot be set");
    if (!isThere && !value) report(`${path}.value`, "cannot be empty");
  },
});

const query = object({
  match: oneOf(["EXACT", "REGEX"]),
  name: nonEmptyText,
  value: nonEmptyText,
}, { required: ["name", "value"] });

const match = object({
  path: object({ match: oneOf(["EXACT", "PREFIX", "REGEX"]), value: text }, {
    also: absolutePath,
  }),
  method: httpMethod,
  headers: list(header),
  queryParameters: list(query),
}, { also: oneSet(["path", "method", "headers", "queryParameters"], "cannot be empty") });

const headers = list(
  object({ name: nonEmptyText, value: nonEmptyText }, { required: ["name", "value"] }),
);
const headerFilter = object({ set: headers, add: headers, remove: list(nonEmptyText) }, {
  also: oneSet(["set", "add", "remove"], "cannot be empty"),
});
const rewrite = object({
  replaceFull: text,
  replacePrefixMatch: text,
  hostToBackendHostname: bool,
});
const filters = {
  requestHeader: headerFilter,
  responseHeader: headerFilter,
  mirror: object({ backend, percentage }, { required: ["backend", "percentage"] }),
  redirect: object({
    scheme: text,
    hostname: text,
    port: integer({ min: 0, max: 65_535 }),
    statusCode: integer({ min: 300, max: 308 }),
    path: rewrite,
  }, { required: ["statusCode"] }),
  rewrite,
};

const rule = object({
  matches: nonEmptyList(match),
  filters: list(object(filters, { also: onlyOneSet(Object.keys(filters)) })),
  backends: list(backend),
}, { required: ["matches"], also: checkRule });

function checkRule({ matches, filters, backends }: Fields, path: string, report: Report): void {
  const given = objectsOf(filters);
  const redirects = given.some((filter) => filter["redirect"] !== undefined);
  if (redirects && given.length > 1) {
    return report(`${path}.filters`, "redirects cannot be used with other filters");
  }
  const count = listOf(backends).length;
  if (redirects && count > 0) {
    report(`${path}.backends`, "must be empty when using redirect filters");
  }
  if (!redirects && count === 0) report(`${path}.backends`, "cannot be empty");
  const byPrefix = listOf(matches).some((one) =>
    isObject(one) && isObject(one["path"]) && ["PREFIX", 1].includes(one["path"]["match"] as string)
  );
  given.forEach(({ rewrite }, index) => {
    if (!byPrefix && isObject(rewrite) && rewrite["replacePrefixMatch"] !== undefined) {
      const at = `${path}.filters[${index}].rewrite.replacePrefixMatch`;
      report(at, "cannot be used without a match on path prefix");
    }
  });
}

export const meshGatewayRoute: Check = object({
  selectors: serviceSelectors,
  conf: object({
    tcp: object({ rules: list(object({ backends: list(backend) })) }),
    http: object({ hostnames: list(text), rules: nonEmptyList(rule) }, { required: ["rules"] }),
  }, { also: onlyOneSet(["tcp", "http"]) }),
}, { required: ["selectors", "conf"] });
