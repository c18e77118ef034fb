// MeshHTTPRoute and MeshTCPRoute, in shape. kuma@v2.13.10:pkg/plugins/policies/meshhttproute and
// meshtcproute (validators and schemas).

import { isObject, listOf, objectsOf } from "../json.ts";
import { isResourceName } from "../names.ts";
import { isIp } from "../address.ts";
import {
  bool,
  type Check,
  type Fields,
  list,
  nonEmptyList,
  nonEmptyText,
  oneSet,
  type Report,
  show,
  text,
} from "../shape.ts";
import {
  few,
  header,
  headerMatch,
  kindOf,
  lengthOf,
  oneOf,
  percent,
  portNumber,
  record,
  strings,
  tagged,
} from "./json_shape.ts";
import { backendRef, mirrorRef, policy } from "./target_ref.ts";

const TOP = ["Mesh", "MeshSubset", "MeshService", "MeshServiceSubset", "Dataplane", "MeshGateway"];
const SERVICES = ["MeshService", "MeshExternalService", "MeshMultiZoneService"];
const METHODS = ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"];
const toOf = (top: string) => top === "MeshGateway" ? ["Mesh"] : SERVICES;

const path = record({
  type: oneOf(["Exact", "PathPrefix", "RegularExpression"]),
  value: nonEmptyText,
}, {
  required: ["type", "value"],
  also({ type, value }, path, report) {
    if (typeof value !== "string" || type === "RegularExpression" || value === "") return;
    if (!value.startsWith("/")) report(`${path}.value`, "must be an absolute path");
    if (type === "PathPrefix" && value !== "/" && value.endsWith("/")) {
      report(`${path}.value`, "does not need a trailing slash: whole segments are matched");
    }
  },
});

const queryParams: Check = (value, path, report) => {
  list(record({
    type: oneOf(["Exact", "RegularExpression"]),
    name: nonEmptyText,
    value: text,
  }, { required: ["type", "name", "value"] }))(value, path, report);
  const names = listOf(value).map((one) => isObject(one) ? one["name"] : undefined);
  names.forEach((name, index) => {
    if (name !== undefined && names.indexOf(name) !== index) {
      report(`${path}[${index}].name`, `multiple entries for name ${name}`);
    }
  });
};

const match = record({ path, method: oneOf(METHODS), headers: list(headerMatch), queryParams });

const hostname: Check = (value, path, report) => {
  if (typeof value !== "string" || !isResourceName(value) || isIp(value)) {
    report(path, `must be a host name in lower case, is ${show(value)}`);
  }
};

const pathEdit = record({
  type: oneOf(["ReplaceFullPath", "ReplacePrefixMatch"]),
  replaceFullPath: text,
  replacePrefixMatch: text,
}, { required: ["type"] });

const headerModifier = record({ set: few(header), add: few(header), remove: few(text) }, {
  also(fields, path, report) {
    oneSet(["set", "add", "remove"])(fields, path, report);
    const names = new Set<unknown>();
    for (const field of ["set", "add", "remove"]) {
      listOf(fields[field]).forEach((one, index) => {
        const name = isObject(one) ? one["name"] : one;
        if (names.has(name)) report(`${path}.${field}[${index}].name`, "duplicate header name");
        names.add(name);
      });
    }
  },
});

const filter = record({
  type: oneOf([
    ...["RequestHeaderModifier", "ResponseHeaderModifier", "RequestRedirect", "URLRewrite"],
    "RequestMirror",
  ]),
  requestHeaderModifier: headerModifier,
  responseHeaderModifier: headerModifier,
  requestRedirect: record({
    scheme: oneOf(["http", "https"]),
    hostname,
    port: portNumber,
    path: pathEdit,
    statusCode: (value, path, report) => {
      if (![301, 302, 303, 307, 308].includes(value as number)) {
        report(path, `must be one of 301, 302, 303, 307, 308, is ${show(value)}`);
      }
    },
  }),
  urlRewrite: record({ hostname, path: pathEdit, hostToBackendHostname: bool }),
  requestMirror: record({ backendRef: mirrorRef, percentage: percent }, {
    required: ["backendRef"],
  }),
}, {
  required: ["type"],
  also: tagged({
    RequestHeaderModifier: "requestHeaderModifier",
    ResponseHeaderModifier: "responseHeaderModifier",
    RequestRedirect: "requestRedirect",
    URLRewrite: "urlRewrite",
    RequestMirror: "requestMirror",
  }),
});

const httpRule = record({
  matches: nonEmptyList(match),
  default: record({ filters: list(filter), backendRefs: list(backendRef) }),
}, { required: ["matches", "default"], also: checkPrefixes });

/** A prefix can be replaced where there is one. */
function checkPrefixes({ matches, default: conf }: Fields, path: string, report: Report): void {
  const others = listOf(matches).some((one) =>
    !(isObject(one) && isObject(one["path"]) && one["path"]["type"] === "PathPrefix")
  );
  const filters = isObject(conf) ? listOf(conf["filters"]) : [];
  filters.filter(isObject).forEach((filter, index) => {
    for (const field of ["requestRedirect", "urlRewrite"]) {
      const edit = filter[field];
      const inner = isObject(edit) && isObject(edit["path"]) ? edit["path"] : {};
      if (others && inner["replacePrefixMatch"] !== undefined) {
        const at = `${path}.default.filters[${index}].${field}.path.replacePrefixMatch`;
        report(at, "can only appear if all matches match a path prefix");
      }
    }
  });
}

/** Hosts and rewritten ones are a gateway's, and a gateway leads somewhere. */
function checkGateway(spec: Fields, path: string, report: Report): void {
  const isGateway = kindOf(spec["targetRef"]) === "MeshGateway";
  objectsOf(spec["to"]).forEach(({ hostnames, rules }, index) => {
    const at = `${path === "" ? "" : `${path}.`}to[${index}]`;
    if (!isGateway && lengthOf(hostnames) > 0) report(`${at}.hostnames`, "must not be defined");
    objectsOf(rules).forEach(({ default: conf }, rule) => {
      if (!isObject(conf)) return;
      const filters = objectsOf(conf["filters"]);
      const redirects = filters.some(({ type }) => type === "RequestRedirect");
      if (isGateway && !redirects && lengthOf(conf["backendRefs"]) === 0) {
        report(`${at}.rules[${rule}].default.backendRefs`, "must not be empty");
      }
      filters.forEach(({ urlRewrite }, filter) => {
        if (!isObject(urlRewrite) || urlRewrite["hostToBackendHostname"] !== true) return;
        const where = `${at}.rules[${rule}].default.filters[${filter}].urlRewrite`;
        if (!isGateway) {
          report(`${where}.hostToBackendHostname`, "can only be set with MeshGateway");
        }
        if (urlRewrite["hostname"] !== undefined) {
          report(`${where}.hostToBackendHostname`, "cannot be set together with hostname");
        }
      });
    });
  });
}

export const meshHttpRoute = policy({
  top: TOP,
  to: {
    kinds: toOf,
    fields: { hostnames: strings, rules: list(httpRule) },
    required: ["rules"],
  },
  also: checkGateway,
});

const tcpRule = record({
  default: record({ backendRefs: nonEmptyList(backendRef) }, { required: ["backendRefs"] }),
}, { required: ["default"] });

const oneRule: Check = (value, path, report) => {
  list(tcpRule)(value, path, report);
  if (lengthOf(value) > 1) report(path, "must have at most 1 item");
};

export const meshTcpRoute = policy({
  top: TOP,
  to: { kinds: toOf, fields: { rules: oneRule }, required: ["rules"] },
  also(spec, path, report) {
    if (Array.isArray(spec["to"]) && spec["to"].length === 0) {
      report(path === "" ? "to" : `${path}.to`, "must have at least 1 item");
    }
  },
});
