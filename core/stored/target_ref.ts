// targetRef: what a modern policy selects. kuma@v2.13.10:pkg/core/resources/apis/mesh/validators.go.

import { isObject, textOf } from "../json.ts";
import { selectorTags } from "../selectors.ts";
import {
  all,
  type Check,
  type Fields,
  list,
  map,
  matching,
  type Report,
  show,
  tags,
  text,
} from "../shape.ts";
import { kindOf, lengthOf, oneOf, record, whole } from "./json_shape.ts";

const KINDS = [
  ...["Mesh", "MeshSubset", "MeshGateway", "MeshService", "MeshExternalService"],
  ...["MeshMultiZoneService", "MeshServiceSubset", "MeshHTTPRoute", "Dataplane"],
];

/** Kinds that stand for proxies with a Dataplane, and how policies say so at their top. */
export const PROXIES = ["Mesh", "MeshSubset", "MeshService", "MeshServiceSubset", "Dataplane"];
export const WITH_GATEWAYS = [...PROXIES, "MeshGateway"];
export const onlyMesh = (): readonly string[] => ["Mesh"];

/** What kinds do not take. */
const FORBIDDEN: Readonly<Record<string, readonly string[]>> = {
  Mesh: ["name", "mesh", "tags", "labels", "namespace", "sectionName"],
  MeshSubset: ["name", "mesh", "labels", "namespace", "sectionName"],
  Dataplane: ["tags", "mesh", "proxyTypes"],
  MeshService: ["mesh", "tags", "proxyTypes"],
  MeshServiceSubset: ["mesh", "proxyTypes", "labels", "namespace", "sectionName"],
  MeshGateway: ["mesh", "proxyTypes", "labels", "namespace", "sectionName"],
  MeshHTTPRoute: ["mesh", "tags", "proxyTypes", "sectionName"],
  MeshExternalService: ["mesh", "tags", "proxyTypes", "sectionName"],
};
const BY_NAME_OR_LABELS = ["MeshService", "MeshHTTPRoute", "MeshExternalService"];
const BY_NAME = ["MeshServiceSubset", "MeshGateway"];
/** What Gateway API's routes name when their backend cannot be found. */
const UNRESOLVED = "kuma.io/unresolved-backend";

const name: Check = (value, path, report) => {
  if (value !== UNRESOLVED) {
    matching(/^[0-9a-z.\-_]*$/, 'lower-case letters, digits, and "-", ".", "_"')(
      value,
      path,
      report,
    );
  }
};

const FIELDS = {
  kind: oneOf(KINDS),
  name: text,
  namespace: text,
  mesh: text,
  sectionName: text,
  tags: map(text),
  labels: map(text),
  proxyTypes: list(oneOf(["Sidecar", "Gateway"])),
};

export interface TargetRefRules {
  readonly kinds: readonly string[];
  readonly gatewayTags?: boolean;
  /** Whether one inbound may be selected. */
  readonly inbound?: boolean;
}

export function targetRef(
  rules: TargetRefRules,
  more: Readonly<Record<string, Check>> = {},
): Check {
  return record({ ...FIELDS, ...more }, {
    required: ["kind"],
    also: (fields, path, report) => checkKind(fields, { rules, path, report }),
  });
}

interface At {
  readonly rules: TargetRefRules;
  readonly path: string;
  readonly report: Report;
}

function checkKind(fields: Fields, at: At): void {
  const { rules, path, report } = at;
  const kind = textOf(fields["kind"]);
  if (!KINDS.includes(kind)) return;
  if (!rules.kinds.includes(kind)) {
    return report(`${path}.kind`, `value ${show(kind)} is not supported here`);
  }
  for (const field of FORBIDDEN[kind] ?? []) {
    if (isGiven(fields[field])) report(`${path}.${field}`, `cannot be used with kind ${kind}`);
  }
  checkName(kind, fields, at);
  if (isGiven(fields["tags"])) checkTags(kind, fields["tags"], at);
  const { proxyTypes, sectionName } = fields;
  if (kind.startsWith("Mesh") && Array.isArray(proxyTypes) && proxyTypes.length === 0) {
    report(`${path}.proxyTypes`, "must be undefined or have at least one element");
  }
  if (kind === "Dataplane" && isGiven(sectionName) && !rules.inbound) {
    report(`${path}.sectionName`, "can only be used with inbound policies");
  }
}

function checkName(kind: string, fields: Fields, { path, report }: At): void {
  const byLabels = isGiven(fields["labels"]);
  const isNamed = isGiven(fields["name"]);
  if (kind === "Dataplane" || BY_NAME_OR_LABELS.includes(kind)) {
    if (byLabels && (isNamed || isGiven(fields["namespace"]))) {
      report(`${path}.labels`, "either labels or name and namespace must be specified");
    }
  }
  const needsName = BY_NAME.includes(kind) || (BY_NAME_OR_LABELS.includes(kind) && !byLabels);
  if (needsName && !isNamed) report(`${path}.name`, `must be set with kind ${kind}`);
  if (isNamed && [...BY_NAME, ...BY_NAME_OR_LABELS].includes(kind)) {
    name(fields["name"], `${path}.name`, report);
  }
}

function checkTags(kind: string, value: unknown, { rules, path, report }: At): void {
  if (kind === "MeshSubset") tags(value, `${path}.tags`, report);
  if (BY_NAME.includes(kind)) selectorTags(value, `${path}.tags`, report);
  if (kind === "MeshGateway" && !rules.gatewayTags) {
    report(`${path}.tags`, `cannot be used with kind ${kind}`);
  }
}

function isGiven(value: unknown): boolean {
  if (typeof value === "object" && value !== null) return Object.keys(value).length > 0;
  return value !== undefined && value !== null && value !== "";
}

const BACKENDS = [
  "MeshService",
  "MeshServiceSubset",
  "MeshExternalService",
  "MeshMultiZoneService",
];

const withPort: Check = (value, path, report) => {
  if (isObject(value) && value["kind"] === "MeshMultiZoneService" && value["port"] === undefined) {
    report(`${path}.port`, "must be defined with kind MeshMultiZoneService");
  }
};

/** Where a route sends its traffic. */
export const backendRef: Check = all(
  targetRef({ kinds: BACKENDS }, { port: whole({ max: 2 ** 32 - 1 }), weight: whole() }),
  withPort,
);

export const mirrorRef: Check = targetRef({ kinds: ["MeshService", "MeshServiceSubset"] }, {
  port: whole({ max: 2 ** 32 - 1 }),
  weight: whole(),
});

// ---- policies as a whole

export interface ItemShape {
  readonly kinds: (top: string) => readonly string[];
  /** Beside targetRef. */
  readonly fields: Readonly<Record<string, Check>>;
  readonly required?: readonly string[];
}

export interface PolicyShape {
  readonly top: readonly string[];
  readonly gatewayTags?: boolean;
  readonly to?: ItemShape;
  readonly from?: ItemShape;
  readonly rules?: Readonly<Record<string, Check>>;
  readonly rulesRequired?: readonly string[];
  readonly default?: Check;
  readonly required?: readonly string[];
  readonly also?: (spec: Fields, path: string, report: Report) => void;
}

/** A policy selects proxies at the top, and traffic under to, from or rules. */
export function policy(shape: PolicyShape): Check {
  const { top, gatewayTags = true, to, from, rules } = shape;
  return (value, path, report) => {
    const spec = isObject(value) ? value : {};
    const inbound = lengthOf(spec["from"]) > 0 || lengthOf(spec["rules"]) > 0;
    const kind = kindOf(spec["targetRef"]) || "Mesh";
    const items = (item: ItemShape) =>
      list(record({ targetRef: targetRef({ kinds: item.kinds(kind) }), ...item.fields }, {
        required: ["targetRef", ...item.required ?? []],
      }));
    record({
      targetRef: targetRef({ kinds: top, gatewayTags, inbound }),
      ...(to && { to: items(to) }),
      ...(from && { from: items(from) }),
      ...(rules && { rules: list(record(rules, { required: shape.rulesRequired ?? [] })) }),
      ...(shape.default && { default: shape.default }),
    }, { required: shape.required ?? [], ...(shape.also && { also: shape.also }) })(
      value,
      path,
      report,
    );
  };
}

/** What `rules` say, `to` and `from` cannot say as well. */
export function rulesAlone(others: readonly ("to" | "from")[]) {
  return (spec: Fields, path: string, report: Report): void => {
    if (lengthOf(spec["rules"]) === 0) return;
    if (others.some((name) => lengthOf(spec[name]) > 0)) {
      const names = others.map((name) => `'${name}'`).join(" and ");
      report(path, `${names} must be empty when 'rules' is defined`);
    }
  };
}

export function needsOne(names: readonly string[]) {
  return (spec: Fields, path: string, report: Report): void => {
    if (names.every((name) => lengthOf(spec[name]) === 0)) {
      report(
        path,
        `at least one of ${names.map((name) => `'${name}'`).join(", ")} has to be defined`,
      );
    }
  };
}

/** Whether the policy is for gateways too. kuma@v2.13.10:api/common/v1alpha1/targetref.go (IncludesGateways). */
export function includesGateways(top: unknown): boolean {
  const kind = kindOf(top) || "Mesh";
  const proxyTypes = isObject(top) && Array.isArray(top["proxyTypes"]) ? top["proxyTypes"] : [];
  return kind === "MeshGateway" || kind === "MeshHTTPRoute" ||
    (["Mesh", "MeshSubset"].includes(kind) &&
      (proxyTypes.length === 0 || proxyTypes.includes("Gateway")));
}
