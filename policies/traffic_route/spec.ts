// The spec of a TrafficRoute, and all that can be wrong with it. kuma@v2.13.10:pkg/core/resources/apis/mesh/traffic_route_validator.go.

import { isObject } from "../../core/json.ts";
import type { HttpMatch, HttpModify } from "../../core/proxy_draft.ts";
import type { Tags } from "../../core/tags.ts";
import type { Violation } from "../../core/violation.ts";
import type { ConnectionSpec } from "../match/connection.ts";
import { checkSelectors, checkTags } from "../match/selectors.ts";
import { type Fields, Findings } from "../match/shape.ts";

export interface TrafficRouteSpec extends ConnectionSpec {
  readonly conf: Destinations & {
    readonly loadBalancer?: LoadBalancerSpec;
    readonly http?: readonly HttpRule[];
  };
}

/** Exactly one of the two is set. */
export interface Destinations {
  readonly destination?: Tags;
  readonly split?: readonly { readonly weight: number; readonly destination: Tags }[];
}

export interface HttpRule extends Destinations {
  readonly match: HttpMatch;
  readonly modify?: HttpModify;
}

/** A oneof: at most one is set. */
export interface LoadBalancerSpec {
  readonly roundRobin?: Record<string, never>;
  readonly leastRequest?: { readonly choiceCount?: number };
  readonly ringHash?: {
    readonly hashFunction?: string;
    readonly minRingSize?: string | number;
    readonly maxRingSize?: string | number;
  };
  readonly random?: Record<string, never>;
  readonly maglev?: Record<string, never>;
}

/** Envoy's bound for a table of a ring; larger ones only cost memory. */
const RING_SIZE_MAX = 8_388_608;
const UINT32_MAX = 4_294_967_295;

export function validate(spec: unknown): readonly Violation[] {
  const findings = new Findings();
  const fields = findings.object(spec, "");
  if (!fields) return findings.violations;
  checkSelectors(findings, { value: fields["sources"], path: "sources", rule: "has service" });
  checkSelectors(findings, {
    value: fields["destinations"],
    path: "destinations",
    rule: "only service",
  });
  checkConf(findings, fields["conf"]);
  return findings.violations;
}

function checkConf(findings: Findings, value: unknown): void {
  const conf = findings.object(value, "conf");
  if (!conf) return;
  checkDestinations(findings, conf, "conf");
  if (conf["loadBalancer"] !== undefined) checkLoadBalancer(findings, conf["loadBalancer"]);
  findings.list(conf["http"], "conf.http").forEach((rule, index) => {
    checkRule(findings, rule, `conf.http[${index}]`);
  });
}

function checkDestinations(findings: Findings, fields: Fields, path: string): void {
  const split = findings.list(fields["split"], `${path}.split`);
  const single = fields["destination"] !== undefined;
  if (single === split.length > 0) {
    findings.add(path, 'must have exactly one of "destination" and "split"');
  }
  if (single) {
    checkTags(findings, {
      value: fields["destination"],
      path: `${path}.destination`,
      values: "plain",
    });
  }
  if (split.length === 0) return;
  const weights = split.map((part, index) => checkPart(findings, part, `${path}.split[${index}]`));
  const known = weights.filter((weight) => weight !== undefined);
  const sum = known.reduce((total, weight) => total + weight, 0);
  if (known.length === weights.length && sum === 0) {
    findings.add(`${path}.split`, "the sum of weights must be greater than 0");
  }
  if (sum > UINT32_MAX) {
    findings.add(`${path}.split`, `the sum of weights must be at most ${UINT32_MAX}`);
  }
}

function checkPart(findings: Findings, value: unknown, path: string): number | undefined {
  const part = findings.object(value, path);
  if (!part) return undefined;
  const at = `${path}.destination`;
  checkTags(findings, { value: part["destination"], path: at, values: "plain" });
  return findings.integer(part["weight"], `${path}.weight`, { min: 0, max: UINT32_MAX });
}

function checkRule(findings: Findings, value: unknown, path: string): void {
  const rule = findings.object(value, path);
  if (!rule) return;
  const prefix = checkMatch(findings, rule["match"], `${path}.match`);
  if (rule["modify"] !== undefined) {
    checkModify(findings, rule["modify"], { path: `${path}.modify`, prefix });
  }
  checkDestinations(findings, rule, path);
}

/** Whether the path is matched by prefix. */
function checkMatch(findings: Findings, value: unknown, path: string): boolean {
  const match = findings.object(value, path);
  if (!match) return false;
  const headers = match["headers"] ?? {};
  const hasHeaders = isObject(headers) && Object.keys(headers).length > 0;
  if (match["method"] === undefined && match["path"] === undefined && !hasHeaders) {
    findings.add(path, 'must have at least one of "method", "path" and "headers"');
  }
  if (match["method"] !== undefined) checkString(findings, match["method"], `${path}.method`);
  if (match["path"] !== undefined) checkString(findings, match["path"], `${path}.path`);
  if (!isObject(headers)) findings.add(`${path}.headers`, "must be an object");
  else {
    for (const [name, matcher] of Object.entries(headers)) {
      const at = `${path}.headers[${JSON.stringify(name)}]`;
      if (name === "") findings.add(at, "header name must not be empty");
      checkString(findings, matcher, at);
    }
  }
  return isObject(match["path"]) && match["path"]["prefix"] !== undefined;
}

function checkString(findings: Findings, value: unknown, path: string): void {
  const matcher = findings.object(value, path);
  if (!matcher) return;
  const kinds = Object.keys(matcher).filter((key) => ["prefix", "exact", "regex"].includes(key));
  if (kinds.length !== 1) {
    findings.add(path, 'must have exactly one of "prefix", "exact" and "regex"');
  }
  for (const kind of kinds) {
    const text = findings.text(matcher[kind], `${path}.${kind}`);
    if (kind === "regex" && text !== undefined) checkRegex(findings, text, `${path}.${kind}`);
  }
}

/** Envoy's RE2 takes most of what ECMAScript takes; an inline flag group is the usual exception. */
function checkRegex(findings: Findings, text: string, path: string): void {
  try {
    new RegExp(text.replace(/^\(\?[imsU]+\)/, ""));
  } catch {
    findings.add(path, "must be a regular expression");
  }
}

function checkModify(
  findings: Findings,
  value: unknown,
  { path, prefix }: { readonly path: string; readonly prefix: boolean },
): void {
  const modify = findings.object(value, path);
  if (!modify) return;
  if (modify["path"] !== undefined) {
    checkOneOf(findings, modify["path"], { path: `${path}.path`, text: "rewritePrefix" });
    const rewrites = isObject(modify["path"]) && modify["path"]["rewritePrefix"] !== undefined;
    if (rewrites && !prefix) {
      findings.add(`${path}.path.rewritePrefix`, "needs a match by path prefix");
    }
  }
  if (modify["host"] !== undefined) {
    checkOneOf(findings, modify["host"], { path: `${path}.host`, text: "value" });
  }
  for (const side of ["requestHeaders", "responseHeaders"]) {
    if (modify[side] !== undefined) checkHeaders(findings, modify[side], `${path}.${side}`);
  }
}

/** Either a text or a substitution, as the edits of path and host are. */
function checkOneOf(
  findings: Findings,
  value: unknown,
  { path, text }: { readonly path: string; readonly text: "rewritePrefix" | "value" },
): void {
  const substitution = text === "value" ? "fromPath" : "regex";
  const fields = findings.object(value, path);
  if (!fields) return;
  if ((fields[text] === undefined) === (fields[substitution] === undefined)) {
    findings.add(path, `must have exactly one of "${text}" and "${substitution}"`);
  }
  if (fields[text] !== undefined) findings.text(fields[text], `${path}.${text}`);
  if (fields[substitution] === undefined) return;
  const at = `${path}.${substitution}`;
  const parts = findings.object(fields[substitution], at);
  const pattern = parts && findings.text(parts["pattern"], `${at}.pattern`);
  if (pattern) checkRegex(findings, pattern, `${at}.pattern`);
  if (parts && typeof (parts["substitution"] ?? "") !== "string") {
    findings.add(`${at}.substitution`, "must be a string");
  }
}

function checkHeaders(findings: Findings, value: unknown, path: string): void {
  const edits = findings.object(value, path);
  if (!edits) return;
  findings.list(edits["add"], `${path}.add`).forEach((item, index) => {
    const at = `${path}.add[${index}]`;
    const header = findings.object(item, at);
    if (!header) return;
    checkHeaderName(findings, header["name"], `${at}.name`);
    if (typeof header["value"] !== "string") findings.add(`${at}.value`, "must be a string");
    if (typeof (header["append"] ?? false) !== "boolean") {
      findings.add(`${at}.append`, "must be true or false");
    }
  });
  findings.list(edits["remove"], `${path}.remove`).forEach((item, index) => {
    const at = `${path}.remove[${index}]`;
    const header = findings.object(item, at);
    if (header) checkHeaderName(findings, header["name"], `${at}.name`);
  });
}

/** Envoy refuses edits of Host and of pseudo headers. */
function checkHeaderName(findings: Findings, value: unknown, path: string): void {
  const name = findings.text(value, path);
  if (name === undefined) return;
  if (name.toLowerCase() === "host" || name.startsWith(":")) {
    findings.add(path, "the Host header and headers that begin with : cannot be modified");
  } else if (!/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name)) {
    findings.add(path, `must be a header name, is ${JSON.stringify(name)}`);
  }
}

function checkLoadBalancer(findings: Findings, value: unknown): void {
  const path = "conf.loadBalancer";
  const kinds = ["roundRobin", "leastRequest", "ringHash", "random", "maglev"];
  const fields = findings.object(value, path);
  if (!fields) return;
  const set = kinds.filter((kind) => fields[kind] !== undefined);
  if (set.length > 1) findings.add(path, `must have only one of ${set.join(", ")}`);
  for (const kind of ["roundRobin", "random", "maglev"]) {
    if (fields[kind] !== undefined) findings.object(fields[kind], `${path}.${kind}`);
  }
  if (fields["leastRequest"] !== undefined) {
    checkLeastRequest(findings, fields["leastRequest"], `${path}.leastRequest`);
  }
  if (fields["ringHash"] !== undefined) {
    checkRingHash(findings, fields["ringHash"], `${path}.ringHash`);
  }
}

function checkLeastRequest(findings: Findings, value: unknown, path: string): void {
  const fields = findings.object(value, path);
  if (fields?.["choiceCount"] === undefined) return;
  const range = { min: 0, max: UINT32_MAX };
  const count = findings.integer(fields["choiceCount"], `${path}.choiceCount`, range);
  if (count === 1) findings.add(`${path}.choiceCount`, "must be 2 or more");
}

function checkRingHash(findings: Findings, value: unknown, path: string): void {
  const fields = findings.object(value, path);
  if (!fields) return;
  const hash = fields["hashFunction"] ?? "";
  if (!["", "XX_HASH", "MURMUR_HASH_2"].includes(hash as string)) {
    findings.add(`${path}.hashFunction`, "must be XX_HASH or MURMUR_HASH_2");
  }
  const range = { min: 0, max: RING_SIZE_MAX };
  const size = (key: "minRingSize" | "maxRingSize") =>
    fields[key] === undefined ? 0 : findings.integer(fields[key], `${path}.${key}`, range) ?? 0;
  const [least, most] = [size("minRingSize"), size("maxRingSize")];
  if (most > 0 && least > most) {
    findings.add(`${path}.minRingSize`, `must be at most maxRingSize, which is ${most}`);
  }
}
