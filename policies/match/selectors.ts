// Validation of tag sets and of the selectors of connection policies. kuma@v2.13.10:pkg/core/resources/apis/mesh (selector validators).

import { isObject } from "../../core/json.ts";
import { ANY, SELECTOR_VALUE, SERVICE_TAG, TAG_NAME, TAG_VALUE } from "../../core/tags.ts";
import { type Findings } from "./shape.ts";

export type ServiceRule = "any tags" | "has service" | "only service";

/** A list of at least one selector, each of at least one tag. */
export function checkSelectors(
  findings: Findings,
  { value, path, rule }: {
    readonly value: unknown;
    readonly path: string;
    readonly rule: ServiceRule;
  },
): void {
  const selectors = findings.list(value, path);
  if (selectors.length === 0 && (value === undefined || Array.isArray(value))) {
    findings.add(path, "must have at least one element");
  }
  selectors.forEach((selector, index) => {
    const at = `${path}[${index}]`;
    const fields = findings.object(selector, at);
    if (fields) checkMatch(findings, { value: fields["match"], path: `${at}.match`, rule });
  });
}

function checkMatch(
  findings: Findings,
  { value, path, rule }: {
    readonly value: unknown;
    readonly path: string;
    readonly rule: ServiceRule;
  },
): void {
  checkTags(findings, { value, path, values: "selector" });
  if (!isObject(value) || rule === "any tags") return;
  const keys = Object.keys(value);
  if (keys.length > 0 && value[SERVICE_TAG] === undefined) {
    findings.add(path, `must have the tag "${SERVICE_TAG}"`);
  }
  if (rule === "only service" && keys.some((key) => key !== SERVICE_TAG)) {
    findings.add(path, `must have no other tag than "${SERVICE_TAG}"`);
  }
}

/** At least one tag, each with a legal name and value. */
export function checkTags(
  findings: Findings,
  { value, path, values }: {
    readonly value: unknown;
    readonly path: string;
    readonly values: "selector" | "plain";
  },
): void {
  if (!isObject(value)) {
    findings.add(path, value === undefined ? "must be set" : "must be an object of tags");
    return;
  }
  const entries = Object.entries(value);
  if (entries.length === 0) findings.add(path, "must have at least one tag");
  for (const [key, tag] of entries) {
    const at = `${path}[${JSON.stringify(key)}]`;
    if (!TAG_NAME.test(key)) {
      findings.add(at, "tag name must be of letters, digits and . - _ : /");
    }
    if (typeof tag !== "string" || tag === "") {
      findings.add(at, "tag value must be a non-empty string");
    } else if (tag === ANY ? false : !legalValue(tag, values)) {
      findings.add(at, `tag value must be of letters, digits and . - _ :, is "${tag}"`);
    }
  }
}

function legalValue(value: string, values: "selector" | "plain"): boolean {
  return (values === "selector" ? SELECTOR_VALUE : TAG_VALUE).test(value);
}
