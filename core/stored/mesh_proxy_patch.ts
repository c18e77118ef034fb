// MeshProxyPatch, in shape. What an Envoy resource inside it says is not judged: nothing reads it yet.
// kuma@v2.13.10:pkg/plugins/policies (validators and schemas).

import { isObject, textOf } from "../json.ts";
import {
  type Check,
  type Fields,
  list,
  map,
  nonEmptyList,
  onlyOneSet,
  type Report,
  text,
} from "../shape.ts";
import { anything, lengthOf, oneOf, record } from "./json_shape.ts";
import { policy, WITH_GATEWAYS } from "./target_ref.ts";

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
  const needsName = ["AddBefore", "AddAfter", "Patch"].includes(textOf(operation));
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
