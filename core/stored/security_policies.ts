// Modern policies about who may talk, how safely, and with whom outside the mesh, in shape.
// kuma@v2.13.10:pkg/plugins/policies (validators and schemas).

import { isIp } from "../address.ts";
import { isObject, listOf, objectsOf, textOf } from "../json.ts";
import {
  type Check,
  type Fields,
  integerOf,
  join,
  list,
  type Report,
  show,
  text,
} from "../shape.ts";
import { kindOf, lengthOf, oneOf, portNumber, record } from "./json_shape.ts";
import { needsOne, onlyMesh, policy, PROXIES, rulesAlone } from "./target_ref.ts";
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
    const [from, to] = [VERSIONS.indexOf(textOf(min)), VERSIONS.indexOf(textOf(max))];
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
    if (isWild && port === undefined && L7_PROTOCOLS.includes(textOf(protocol))) {
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
    if (differs && [...L7_PROTOCOLS, "mysql"].includes(textOf(protocol))) {
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
