// What a Mesh says of logs, traces and metrics, in shape. kuma@v2.13.10:pkg/core/resources/apis/mesh/mesh_validator.go.

import {
  bool,
  type Check,
  type Fields,
  integer,
  list,
  map,
  matching,
  nonEmptyText,
  object,
  oneOf,
  percentage,
  port,
  type Report,
  show,
  text,
} from "./shape.ts";
import { isObject, listOf, textOf } from "./json.ts";

/** Backends by name, one of which may be the default. */
function backends(backend: Check, chosen: "defaultBackend" | "enabledBackend"): Check {
  return object({ [chosen]: text, backends: list(backend) }, {
    also(fields, path, report) {
      const names = listOf(fields["backends"]).map((one) => isObject(one) ? one["name"] : "");
      names.forEach((name, index) => {
        if (names.indexOf(name) !== index) {
          report(`${path}.backends[${index}].name`, `${show(name)} is already used`);
        }
      });
      const wanted = fields[chosen];
      if (wanted && !names.some((name) => name === wanted)) {
        report(`${path}.${chosen}`, "has to be set to one of the backends in the mesh");
      }
    },
  });
}

const anyObject: Check = (value, path, report) => {
  if (!isObject(value)) report(path, `must be an object, is ${show(value)}`);
};

/** `conf` is a Struct, and what belongs in it depends on the type. */
function backend(
  confs: Readonly<Record<string, Check>>,
  more: Readonly<Record<string, Check>> = {},
): Check {
  const types = Object.keys(confs);
  return object({ name: nonEmptyText, type: oneOf(types), conf: anyObject, ...more }, {
    required: ["name", "type"],
    also({ type, conf = {} }, path, report) {
      const name = textOf(type);
      if (Object.hasOwn(confs, name)) confs[name]!(conf, `${path}.conf`, report);
    },
  });
}

export const logging: Check = backends(
  backend({
    tcp: object({ address: matching(/^(\[[^\]]+\]|[^:]+):[^:]+$/, "HOST:PORT") }, {
      required: ["address"],
    }),
    file: object({ path: nonEmptyText }, { required: ["path"] }),
  }, { format: text }),
  "defaultBackend",
);

export const tracing: Check = backends(
  backend({
    zipkin: object({
      url: matching(/^\w+:\/\/(\[[^\]]+\]|[^/:]+):\d+(\/|$)/, "a URL with a port"),
      traceId128bit: bool,
      apiVersion: oneOf(["", "httpJsonV1", "httpJson", "httpProto"]),
      sharedSpanContext: bool,
    }, { required: ["url"] }),
    datadog: object({ address: nonEmptyText, port, splitService: bool }, {
      required: ["address", "port"],
    }),
  }, { sampling: percentage }),
  "defaultBackend",
);

const count = integer({ min: 0 });
const aggregate = object({
  name: text,
  port: count,
  path: text,
  enabled: bool,
  address: text,
});

const prometheus = object({
  port: count,
  path: text,
  tags: map(text),
  skipMTLS: bool,
  aggregate: list(aggregate),
  envoy: object({ filterRegex: text, usedOnly: bool }),
  tls: object({ mode: oneOf(["activeMTLSBackend", "providedTLS", "disabled"]) }),
}, { also: checkPrometheus });

function checkPrometheus({ skipMTLS, tls, aggregate }: Fields, path: string, report: Report): void {
  const names = listOf(aggregate).map((one) => isObject(one) ? one["name"] : "");
  names.forEach((name, index) => {
    if (names.indexOf(name) !== index) {
      report(`${path}.aggregate[${index}].name`, `duplicate entry: ${show(name)}`);
    }
  });
  if (skipMTLS === undefined || !isObject(tls)) return;
  const wanted = skipMTLS === true ? "disabled" : "activeMTLSBackend";
  if ((tls["mode"] ?? "activeMTLSBackend") !== wanted) {
    report(path, "skipMTLS and tls configuration cannot be defined together");
  }
}

export const metrics: Check = backends(backend({ prometheus }), "enabledBackend");
