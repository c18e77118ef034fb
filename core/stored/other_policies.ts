// Modern policies about who may talk, what is told of it, and raw Envoy configuration, in shape.
// kuma@v2.13.10:pkg/plugins/policies (validators and schemas).

import { isIp } from "../address.ts";
import { isObject, listOf, objectsOf } from "../json.ts";
import {
  bool,
  type Check,
  duration,
  type Fields,
  integerOf,
  join,
  list,
  map,
  matching,
  nonEmptyList,
  nonEmptyText,
  onlyOneSet,
  type Report,
  show,
  text,
} from "../shape.ts";
import {
  anything,
  kindOf,
  lengthOf,
  oneOf,
  percent,
  portNumber,
  record,
  tagged,
} from "./json_shape.ts";
import { needsOne, onlyMesh, policy, PROXIES, rulesAlone, WITH_GATEWAYS } from "./target_ref.ts";
import { spiffeMatch } from "./traffic_policies.ts";
import { DNS_NAME } from "./dns_name.ts";

// ---- MeshTrafficPermission

const permissions = record({
  action: oneOf(["Allow", "Deny", "AllowWithShadowDeny"]),
}, { required: ["action"] });
const matches = list(spiffeMatch);
const VERDICTS = { allow: matches, deny: matches, allowWithShadowDeny: matches };
const verdicts = record(VERDICTS, {
  also(fields, path, report) {
    if (Object.keys(VERDICTS).every((name) => lengthOf(fields[name]) === 0)) {
      report(path, "at least one of 'allow', 'allowWithShadowDeny', 'deny' has to be defined");
    }
  },
});

export const meshTrafficPermission = policy({
  top: PROXIES,
  from: {
    kinds: () => ["Mesh", "MeshSubset", "MeshService", "MeshServiceSubset"],
    fields: { default: permissions },
    required: ["default"],
  },
  rules: { default: verdicts },
  rulesRequired: ["default"],
  also(spec, path, report) {
    rulesAlone(["from"])(spec, path, report);
    needsOne(["from", "rules"])(spec, path, report);
  },
});

// ---- MeshTLS

const VERSIONS = ["TLSAuto", "TLS10", "TLS11", "TLS12", "TLS13"];

/** From one version to another. */
export const tlsVersion: Check = record({ min: oneOf(VERSIONS), max: oneOf(VERSIONS) }, {
  also({ min, max }, path, report) {
    const [from, to] = [VERSIONS.indexOf(String(min)), VERSIONS.indexOf(String(max))];
    if (from > 0 && to > 0 && from > to) report(`${path}.min`, "min must be lower than max");
  },
});

const CIPHERS = ["ECDSA", "RSA"].flatMap((key) =>
  ["AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305"].map((one) =>
    `ECDHE-${key}-${one}`
  )
);
const tls = record({
  mode: oneOf(["Permissive", "Strict"]),
  tlsVersion,
  tlsCiphers: list(oneOf(CIPHERS)),
});

/** A part of the mesh cannot agree with the rest on other versions. */
function wholeMesh(spec: Fields, path: string, report: Report): void {
  const kind = kindOf(spec["targetRef"]) || "Mesh";
  if (kind === "Mesh") return;
  for (const field of ["from", "rules"]) {
    listOf(spec[field]).forEach((item, index) => {
      const conf = isObject(item) && isObject(item["default"]) ? item["default"] : {};
      for (const name of ["tlsVersion", "tlsCiphers"]) {
        if (conf[name] === undefined || (name === "tlsCiphers" && lengthOf(conf[name]) === 0)) {
          continue;
        }
        const at = `${join(path, field)}[${index}].default.${name}`;
        report(at, `${name} can only be defined with top level targetRef kind: Mesh`);
      }
    });
  }
}

export const meshTls = policy({
  top: ["Mesh", "MeshSubset", "Dataplane"],
  from: { kinds: onlyMesh, fields: { default: tls } },
  rules: { default: tls },
  also(spec, path, report) {
    rulesAlone(["from"])(spec, path, report);
    wholeMesh(spec, path, report);
  },
});

// ---- MeshAccessLog

const keyValue = record({ key: nonEmptyText, value: nonEmptyText }, { required: ["key", "value"] });
const logFormat = record({
  type: oneOf(["Plain", "Json"]),
  plain: nonEmptyText,
  json: nonEmptyList(keyValue),
  omitEmptyValues: bool,
}, { required: ["type"], also: tagged({ Plain: "plain", Json: "json" }) });
const logBackend = record({
  type: oneOf(["Tcp", "File", "OpenTelemetry"]),
  tcp: record({ address: matching(/^[^\s/]+$/, "an address"), format: logFormat }, {
    required: ["address"],
  }),
  file: record({ path: matching(/^\//, "a path"), format: logFormat }, { required: ["path"] }),
  openTelemetry: record({
    endpoint: nonEmptyText,
    body: anything,
    attributes: list(record({ key: text, value: text }, { required: ["key", "value"] })),
  }, { required: ["endpoint"] }),
}, {
  required: ["type"],
  also: tagged({ Tcp: "tcp", File: "file", OpenTelemetry: "openTelemetry" }),
});
const logs = record({ backends: list(logBackend) }, { required: ["backends"] });

export const meshAccessLog = policy({
  top: WITH_GATEWAYS,
  to: {
    kinds: (top) =>
      top === "MeshGateway" ? ["Mesh"] : [
        ...["Mesh", "MeshService", "MeshExternalService", "MeshMultiZoneService"],
        "MeshHTTPRoute",
      ],
    fields: { default: logs },
    required: ["default"],
  },
  from: { kinds: onlyMesh, fields: { default: logs }, required: ["default"] },
  rules: { default: logs },
  rulesRequired: ["default"],
  also(spec, path, report) {
    rulesAlone(["to", "from"])(spec, path, report);
    needsOne(["from", "to", "rules"])(spec, path, report);
  },
});

// ---- MeshMetric

const metricSelector = record({
  type: oneOf(["Prefix", "Regex", "Exact", "Contains"]),
  match: text,
}, { required: ["type", "match"] });

export const meshMetric = policy({
  top: WITH_GATEWAYS,
  default: record({
    sidecar: record({
      includeUnused: bool,
      profiles: record({
        appendProfiles: list(record({ name: oneOf(["All", "Basic", "None"]) }, {
          required: ["name"],
        })),
        exclude: list(metricSelector),
        include: list(metricSelector),
      }),
    }),
    applications: list(record({ name: text, path: text, address: text, port: portNumber }, {
      required: ["port"],
    })),
    backends: list(record({
      type: oneOf(["Prometheus", "OpenTelemetry"]),
      prometheus: record({
        clientId: text,
        port: portNumber,
        path: text,
        tls: record({ mode: oneOf(["Disabled", "ProvidedTLS", "ActiveMTLSBackend"]) }),
      }),
      openTelemetry: record({
        endpoint: matching(/^(?!https?:\/\/)[^\s]+$/, "an address without a scheme"),
        refreshInterval: duration,
      }, { required: ["endpoint"] }),
    }, {
      required: ["type"],
      also: tagged({ Prometheus: "prometheus", OpenTelemetry: "openTelemetry" }),
    })),
  }),
});

// ---- MeshTrace

export const meshTrace = policy({
  top: WITH_GATEWAYS,
  gatewayTags: false,
  required: ["default"],
  default: record({
    backends: list(record({
      type: oneOf(["Zipkin", "Datadog", "OpenTelemetry"]),
      zipkin: record({
        url: matching(/^(https?:\/\/)?[^\s/:]+(:\d+)?(\/\S*)?$/, "a URL"),
        traceId128bit: bool,
        apiVersion: oneOf(["httpJson", "httpProto"]),
        sharedSpanContext: bool,
      }, { required: ["url"] }),
      datadog: record({
        url: matching(/^http:\/\/[^\s/:@]+:([1-9]\d{0,4})$/, "http://host:port, and no more"),
        splitService: bool,
      }, { required: ["url"] }),
      openTelemetry: record({ endpoint: nonEmptyText }, { required: ["endpoint"] }),
    }, {
      required: ["type"],
      also: tagged({ Zipkin: "zipkin", Datadog: "datadog", OpenTelemetry: "openTelemetry" }),
    })),
    sampling: record({ overall: percent, client: percent, random: percent }),
    tags: list(record({
      name: nonEmptyText,
      literal: text,
      header: record({ name: text, default: text }, { required: ["name"] }),
    }, { required: ["name"], also: onlyOneSet(["literal", "header"]) })),
  }, {
    required: ["backends"],
    also({ backends }, path, report) {
      if (lengthOf(backends) > 1) {
        report(`${path}.backends`, "must have zero or one backend defined");
      }
    },
  }),
});

// ---- MeshPassthrough

const L7_PROTOCOLS = ["http", "http2", "grpc"];

const place: Check = record({
  type: oneOf(["Domain", "IP", "CIDR"]),
  value: text,
  port: portNumber,
  protocol: oneOf(["tcp", "tls", "grpc", "http", "http2", "mysql"]),
}, {
  required: ["type", "value"],
  also({ type, value, port, protocol = "tcp" }, path, report) {
    if (protocol === "mysql" && port === undefined) {
      report(`${path}.port`, "port must be defined for Mysql protocol");
    }
    if (typeof value !== "string") return;
    if (type === "CIDR" && !isCidr(value)) {
      report(`${path}.value`, "provided CIDR has incorrect value");
    }
    if (type === "IP" && !isIp(value)) report(`${path}.value`, "provided IP has incorrect value");
    if (type !== "Domain") return;
    if (protocol === "tcp" || protocol === "mysql") {
      report(`${path}.protocol`, `protocol ${protocol} is not supported for a domain`);
    }
    const isWild = value.startsWith("*");
    if (isWild ? /^\*[^.]/.test(value) : !DNS_NAME.test(value)) {
      report(`${path}.value`, "provided DNS has incorrect value");
    }
    if (isWild && port === undefined && L7_PROTOCOLS.includes(String(protocol))) {
      report(`${path}.port`, "wildcard domains doesn't work for all ports and layer 7 protocol");
    }
  },
});

function isCidr(value: string): boolean {
  const [address = "", bits = "", ...rest] = value.split("/");
  const length = integerOf(bits);
  return rest.length === 0 && isIp(address) && length !== undefined &&
    length <= (address.includes(":") ? 128 : 32);
}

/** One port speaks one protocol, where Envoy has to read it, and each value stands once. */
function checkPlaces({ appendMatch }: Fields, path: string, report: Report): void {
  const protocols = new Map<unknown, unknown>();
  const seen = new Set<string>();
  objectsOf(appendMatch).forEach(({ port, protocol = "tcp", value }, index) => {
    if (port === undefined) return;
    const at = `${path}.appendMatch[${index}]`;
    const other = protocols.get(port);
    const differs = other !== undefined && other !== protocol;
    if (differs && [...L7_PROTOCOLS, "mysql"].includes(String(protocol))) {
      report(`${at}.port`, "using the same port in multiple matches requires the same protocol");
    } else protocols.set(port, protocol);
    const place = JSON.stringify([port, protocol, value]);
    if (seen.has(place)) report(`${at}.value`, `value ${show(value)} is already defined`);
    seen.add(place);
  });
}

export const meshPassthrough = policy({
  top: ["Mesh", "MeshSubset", "Dataplane"],
  default: record({
    passthroughMode: oneOf(["All", "Matched", "None"]),
    appendMatch: list(place),
  }, { also: checkPlaces }),
});

// ---- MeshProxyPatch

const jsonPatch = record({
  op: oneOf(["add", "remove", "replace", "move", "copy"]),
  path: text,
  from: text,
  value: anything,
}, {
  required: ["op", "path"],
  also({ op, value }, path, report) {
    if ((op === "add" || op === "replace") && value === undefined) {
      report(`${path}.value`, `must be set when op is ${op}`);
    }
  },
});
const ADD = ["Add", "Remove", "Patch"];
const INSERT = ["Remove", "Patch", "AddFirst", "AddBefore", "AddAfter", "AddLast"];

function modification(
  operations: readonly string[],
  match: Readonly<Record<string, Check>>,
  also: (fields: Fields, path: string, report: Report) => void,
): Check {
  return record({
    operation: oneOf(operations),
    match: record({ origin: text, name: text, ...match }),
    value: text,
    jsonPatches: list(jsonPatch),
  }, {
    required: ["operation"],
    also(fields, path, report) {
      checkValue(fields, path, report);
      also(fields, path, report);
    },
  });
}

function checkValue(fields: Fields, path: string, report: Report): void {
  const { operation, value, jsonPatches } = fields;
  if (operation === "Remove") {
    if (value !== undefined) report(`${path}.value`, "must not be defined");
  } else if (operation === "Patch") {
    if ((value !== undefined) === (lengthOf(jsonPatches) > 0)) {
      report(path, "must have exactly one of value, jsonPatches");
    }
  } else if (value === undefined) report(`${path}.value`, "must be defined");
}

function addsWithoutMatch({ operation, match }: Fields, path: string, report: Report): void {
  if (operation === "Add" && match !== undefined) report(`${path}.match`, "must not be defined");
}

function addsWithoutName({ operation, match }: Fields, path: string, report: Report): void {
  if (operation === "Add" && isObject(match) && match["name"] !== undefined) {
    report(`${path}.match.name`, "must not be defined");
  }
}

function findsByName({ operation, match }: Fields, path: string, report: Report): void {
  const needsName = ["AddBefore", "AddAfter", "Patch"].includes(String(operation));
  if (needsName && !(isObject(match) && match["name"] !== undefined)) {
    report(`${path}.match.name`, "must be defined");
  }
}

const IN_LISTENER = { listenerName: text, listenerTags: map(text) };
const MODIFICATIONS = {
  cluster: modification(ADD, {}, addsWithoutMatch),
  listener: modification(ADD, { tags: map(text) }, addsWithoutMatch),
  networkFilter: modification(INSERT, IN_LISTENER, findsByName),
  httpFilter: modification(INSERT, IN_LISTENER, findsByName),
  virtualHost: modification(ADD, { routeConfigurationName: text }, (fields, path, report) => {
    if (fields["match"] === undefined) report(`${path}.match`, "must be set");
    addsWithoutName(fields, path, report);
  }),
};

export const meshProxyPatch = policy({
  top: WITH_GATEWAYS,
  gatewayTags: false,
  required: ["default"],
  default: record({
    appendModifications: nonEmptyList(
      record(MODIFICATIONS, { also: onlyOneSet(Object.keys(MODIFICATIONS)) }),
    ),
  }, { required: ["appendModifications"] }),
});
