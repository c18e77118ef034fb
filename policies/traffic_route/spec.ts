// The spec of a TrafficRoute, and all that can be wrong with it. kuma@v2.13.10:pkg/core/resources/apis/mesh/traffic_route_validator.go.

import { isObject } from "../../core/json.ts";
import type { HttpMatch, HttpModify } from "../../core/proxy_draft.ts";
import {
  onlyServiceSelectors,
  selectorTags,
  serviceSelectors,
  someTag,
} from "../../core/selectors.ts";
import {
  all,
  bool,
  type Check,
  type Fields,
  integer,
  integerOf,
  join,
  keyed,
  list,
  map,
  matching,
  nonEmptyText,
  object,
  oneOf,
  onlyOneSet,
  type Report,
  text,
} from "../../core/shape.ts";
import type { Tags } from "../../core/tags.ts";
import type { ConnectionSpec } from "../match/connection.ts";

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

const destination = all(selectorTags, someTag);

const DESTINATIONS = {
  destination,
  split: list(
    object({ weight: integer({ min: 0, max: UINT32_MAX }), destination }, {
      required: ["weight", "destination"],
    }),
  ),
};

function checkDestinations(fields: Fields, path: string, report: Report): void {
  const split = Array.isArray(fields["split"]) ? fields["split"] : [];
  if ((fields["destination"] !== undefined) === split.length > 0) {
    report(path, 'must have exactly one of "destination" and "split"');
  }
  const weights = split.map((part) => isObject(part) ? integerOf(part["weight"]) : undefined);
  const known = weights.filter((weight) => weight !== undefined);
  const sum = known.reduce((total, weight) => total + weight, 0);
  if (split.length > 0 && known.length === split.length && sum === 0) {
    report(join(path, "split"), "the sum of weights must be greater than 0");
  }
  if (sum > UINT32_MAX) {
    report(join(path, "split"), `the sum of weights must be at most ${UINT32_MAX}`);
  }
}

/** Envoy's RE2 takes most of what ECMAScript takes; an inline flag group is the usual exception. */
const expression: Check = (value, path, report) => {
  nonEmptyText(value, path, report);
  if (typeof value !== "string") return;
  try {
    new RegExp(value.replace(/^\(\?[imsU]+\)/, ""));
  } catch {
    report(path, "must be a regular expression");
  }
};

const matcher = object({ prefix: nonEmptyText, exact: nonEmptyText, regex: expression }, {
  also: onlyOneSet(["prefix", "exact", "regex"]),
});

const headerMatchers: Check = (value, path, report) => {
  map(matcher)(value, path, report);
  if (isObject(value) && Object.hasOwn(value, "")) {
    report(keyed(path, ""), "header name must not be empty");
  }
};

const match = object({ method: matcher, path: matcher, headers: headerMatchers }, {
  also({ method, path, headers }, at, report) {
    const hasHeaders = isObject(headers) && Object.keys(headers).length > 0;
    if (method === undefined && path === undefined && !hasHeaders) {
      report(at, 'must have at least one of "method", "path" and "headers"');
    }
  },
});

const substitution = object({ pattern: expression, substitution: text }, { required: ["pattern"] });

const isHeaderName = matching(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/, "a header name");

/** Envoy refuses edits of Host and of pseudo headers. */
const headerName: Check = (value, path, report) => {
  if (typeof value === "string" && /^(host$|:)/i.test(value)) {
    report(path, "the Host header and headers that begin with : cannot be modified");
  } else isHeaderName(value, path, report);
};

const headerEdits = object({
  add: list(object({ name: headerName, value: text, append: bool }, {
    required: ["name", "value"],
  })),
  remove: list(object({ name: headerName }, { required: ["name"] })),
});

const modify = object({
  path: object({ rewritePrefix: nonEmptyText, regex: substitution }, {
    also: onlyOneSet(["rewritePrefix", "regex"]),
  }),
  host: object({ value: nonEmptyText, fromPath: substitution }, {
    also: onlyOneSet(["value", "fromPath"]),
  }),
  requestHeaders: headerEdits,
  responseHeaders: headerEdits,
});

const httpRule = object({ match, modify, ...DESTINATIONS }, {
  required: ["match"],
  also(fields, path, report) {
    checkDestinations(fields, path, report);
    if (has(fields["modify"], "path", "rewritePrefix") && !has(fields["match"], "path", "prefix")) {
      report(`${path}.modify.path.rewritePrefix`, "needs a match by path prefix");
    }
  },
});

function has(value: unknown, field: string, inner: string): boolean {
  return isObject(value) && isObject(value[field]) && value[field][inner] !== undefined;
}

const BALANCERS = {
  roundRobin: object({}),
  leastRequest: object({
    choiceCount(value, path, report) {
      integer({ min: 0, max: UINT32_MAX })(value, path, report);
      if (integerOf(value) === 1) report(path, "must be 2 or more");
    },
  }),
  ringHash: object({
    hashFunction: oneOf(["", "XX_HASH", "MURMUR_HASH_2"]),
    minRingSize: integer({ min: 0, max: RING_SIZE_MAX }),
    maxRingSize: integer({ min: 0, max: RING_SIZE_MAX }),
  }, {
    also({ minRingSize, maxRingSize }, path, report) {
      const [least, most] = [integerOf(minRingSize) ?? 0, integerOf(maxRingSize) ?? 0];
      if (most > 0 && least > most) {
        report(`${path}.minRingSize`, `must be at most maxRingSize, which is ${most}`);
      }
    },
  }),
  random: object({}),
  maglev: object({}),
};

const loadBalancer = object(BALANCERS, {
  also(fields, path, report) {
    const set = Object.keys(BALANCERS).filter((kind) => fields[kind] !== undefined);
    if (set.length > 1) report(path, `must have only one of ${set.join(", ")}`);
  },
});

export const trafficRoute = object({
  sources: serviceSelectors,
  destinations: onlyServiceSelectors,
  conf: object({ ...DESTINATIONS, loadBalancer, http: list(httpRule) }, {
    also: checkDestinations,
  }),
}, { required: ["sources", "destinations", "conf"] });
