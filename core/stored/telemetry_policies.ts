// Modern policies about logs, metrics and traces, in shape.
// kuma@v2.13.10:pkg/plugins/policies (validators and schemas).

import {
  bool,
  duration,
  list,
  matching,
  nonEmptyList,
  nonEmptyText,
  onlyOneSet,
  text,
} from "../shape.ts";
import { anything, lengthOf, oneOf, percent, portNumber, record, tagged } from "./json_shape.ts";
import { needsOne, onlyMesh, policy, rulesAlone, WITH_GATEWAYS } from "./target_ref.ts";

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
