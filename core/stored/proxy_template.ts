// ProxyTemplate, in shape. What an Envoy resource inside it says is not judged: nothing reads it yet.

import { isObject, textOf } from "../json.ts";
import { selectorTags, serviceSelector } from "../selectors.ts";
import {
  type Check,
  type Fields,
  list,
  nonEmptyText,
  object,
  oneOf,
  onlyOneSet,
  type Report,
  text,
} from "../shape.ts";

const ADD = ["add", "remove", "patch"];
const INSERT = ["addFirst", "addLast", "addBefore", "addAfter", "remove", "patch"];

/** kuma@v2.13.10:pkg/core/resources/apis/mesh/proxytemplate_validator.go. */
function modification(
  operations: readonly string[],
  match: Readonly<Record<string, Check>>,
  also: (modification: Fields, path: string, report: Report) => void,
): Check {
  return object({
    operation: oneOf(operations),
    match: object({ origin: text, name: text, ...match }),
    value: text,
  }, {
    required: ["operation"],
    also(fields, path, report) {
      if (fields["operation"] !== "remove" && !fields["value"]) {
        report(`${path}.value`, "must be an Envoy resource");
      }
      also(fields, path, report);
    },
  });
}

function addsWithoutMatch({ operation, match }: Fields, path: string, report: Report): void {
  if (operation === "add" && match !== undefined) report(`${path}.match`, "cannot be defined");
}

function addsWithoutName({ operation, match }: Fields, path: string, report: Report): void {
  if (operation === "add" && isObject(match) && match["name"]) {
    report(`${path}.match.name`, "cannot be defined");
  }
}

function findsByName({ operation, match }: Fields, path: string, report: Report): void {
  const needsName = ["addBefore", "addAfter", "patch"].includes(textOf(operation));
  if (needsName && !(isObject(match) && match["name"])) {
    report(`${path}.match.name`, "cannot be empty");
  }
}

const IN_LISTENER = { listenerName: text, listenerTags: selectorTags };
const modifications = {
  cluster: modification(ADD, {}, addsWithoutMatch),
  listener: modification(ADD, { tags: selectorTags }, addsWithoutMatch),
  networkFilter: modification(INSERT, IN_LISTENER, findsByName),
  httpFilter: modification(INSERT, IN_LISTENER, findsByName),
  virtualHost: modification(ADD, { routeConfigurationName: text }, addsWithoutName),
};

/** kuma@v2.13.10:pkg/core/resources/apis/mesh (profiles of ProxyTemplate). */
const PROFILES = ["default-proxy", "egress-proxy", "gateway-proxy", "ingress-proxy"];

const rawResource = object({
  name: nonEmptyText,
  version: nonEmptyText,
  resource: nonEmptyText,
}, { required: ["name", "version", "resource"] });

export const proxyTemplate: Check = object({
  selectors: list(serviceSelector),
  conf: object({
    imports: list(oneOf(PROFILES)),
    resources: list(rawResource),
    modifications: list(object(modifications, { also: onlyOneSet(Object.keys(modifications)) })),
  }),
});
