// Selectors: tags of which a value may be `*`. kuma@v2.13.10:pkg/core/resources/apis/mesh/validators.go.

import { all, type Check, keyed, matching, nonEmptyList, object, oneOf, show } from "./shape.ts";
import { ANY, PROTOCOL_TAG, SELECTOR_VALUE, SERVICE_TAG, TAG_NAME } from "./tags.ts";
import { isObject } from "./json.ts";

const tagName = matching(TAG_NAME, "a tag of letters, digits, and . - _ : / only");
const selectorValue = matching(SELECTOR_VALUE, "letters, digits, and . - _ : / only, or *");

export const selectorTags: Check = (value, path, report) => {
  if (!isObject(value)) return report(path, `must be an object of tags, is ${show(value)}`);
  for (const [name, tag] of Object.entries(value)) {
    tagName(name, keyed(path, name), report);
    if (tag !== ANY) selectorValue(tag, keyed(path, name), report);
  }
};

export const someTag: Check = (value, path, report) => {
  if (isObject(value) && Object.keys(value).length === 0) {
    report(path, "must have at least one tag");
  }
};

const hasService: Check = (value, path, report) => {
  if (isObject(value) && value[SERVICE_TAG] === undefined) {
    report(path, `mandatory tag "${SERVICE_TAG}" is missing`);
  }
};

const onlyService: Check = (value, path, report) => {
  if (!isObject(value)) return;
  const [only, ...others] = Object.keys(value);
  if (only !== SERVICE_TAG || others.length > 0) {
    report(path, `must consist of exactly one tag "${SERVICE_TAG}"`);
  }
};

const HTTP = oneOf(["http", "http2", "grpc"]);

const speaksHttp: Check = (value, path, report) => {
  if (!isObject(value)) return;
  if (value[PROTOCOL_TAG] === undefined) report(path, "protocol must be specified");
  else HTTP(value[PROTOCOL_TAG], keyed(path, PROTOCOL_TAG), report);
};

function selector(...checks: readonly Check[]): Check {
  return object({ match: all(selectorTags, someTag, ...checks) }, { required: ["match"] });
}

function selectors(...checks: readonly Check[]): Check {
  return nonEmptyList(selector(...checks));
}

export const anySelectors: Check = selectors();
export const serviceSelectors: Check = selectors(hasService);
/** For those who may select nothing. */
export const serviceSelector: Check = selector(hasService);
export const onlyServiceSelectors: Check = selectors(onlyService);
export const httpSelectors: Check = selectors(speaksHttp);

/** Where traffic goes: at least the service. */
export const destination: Check = all(selectorTags, someTag, hasService);
