import assert from "node:assert/strict";
import type { Resource } from "../../core/resource.ts";
import { destinationsOf, loadBalancerOf, routesOf } from "./apply.ts";
import policy from "./policy.ts";
import type { TrafficRouteSpec } from "./spec.ts";

const BACKEND = { "kuma.io/service": "backend" };
const V1 = { ...BACKEND, version: "v1" };
const V2 = { ...BACKEND, version: "v2" };

function spec(conf: TrafficRouteSpec["conf"], parts: Partial<TrafficRouteSpec> = {}) {
  return {
    sources: [{ match: { "kuma.io/service": "*" } }],
    destinations: [{ match: BACKEND }],
    conf,
    ...parts,
  };
}

const VIOLATIONS: readonly (readonly [string, unknown, readonly string[]])[] = [
  ["no conf", spec(undefined as never), ["conf"]],
  ["neither destination nor split", spec({}), ["conf"]],
  ["both", spec({ destination: V1, split: [{ weight: 1, destination: V1 }] }), ["conf"]],
  ["an empty split", spec({ split: [] }), ["conf"]],
  ["a destination without tags", spec({ destination: {} }), ["conf.destination"]],
  [
    "weights that are missing, negative or no numbers",
    spec({
      split: [{ destination: V1 }, { weight: -1, destination: V1 }, {
        weight: "x",
        destination: V2,
      }],
    } as never),
    ["conf.split[0].weight", "conf.split[1].weight", "conf.split[2].weight"],
  ],
  ["weights of zero", spec({ split: [{ weight: 0, destination: V1 }] }), ["conf.split"]],
  [
    "sources without a service, destinations with more than it",
    spec({ destination: V1 }, {
      sources: [{ match: { team: "a" } }],
      destinations: [{ match: V1 }],
    }),
    ["sources[0].match", "destinations[0].match"],
  ],
  [
    "an http rule that matches nothing and leads nowhere",
    spec({ destination: V1, http: [{ match: {} }] }),
    ["conf.http[0].match", "conf.http[0]"],
  ],
  [
    "matchers of no and of two kinds",
    spec({
      destination: V1,
      http: [{
        match: { path: {}, method: { exact: "GET", prefix: "G" }, headers: { x: { exact: "" } } },
        destination: V1,
      }],
    } as never),
    [
      "conf.http[0].match.path",
      "conf.http[0].match.method",
      'conf.http[0].match.headers["x"].exact',
    ],
  ],
  [
    "a broken regular expression",
    spec({ destination: V1, http: [{ match: { path: { regex: "(" } }, destination: V1 }] }),
    ["conf.http[0].match.path.regex"],
  ],
  [
    "edits that Envoy refuses",
    spec({
      destination: V1,
      http: [{
        match: { path: { exact: "/a" } },
        modify: {
          path: { rewritePrefix: "/" },
          host: { value: "a", fromPath: { pattern: "a", substitution: "b" } },
          requestHeaders: {
            add: [{ name: "Host", value: "x" }, { name: "", value: "x" }],
            remove: [{ name: ":path" }],
          },
        },
        destination: V1,
      }],
    }),
    [
      "conf.http[0].modify.host",
      "conf.http[0].modify.requestHeaders.add[0].name",
      "conf.http[0].modify.requestHeaders.add[1].name",
      "conf.http[0].modify.requestHeaders.remove[0].name",
      "conf.http[0].modify.path.rewritePrefix",
    ],
  ],
  [
    "load balancers that cannot be",
    spec({ destination: V1, loadBalancer: { leastRequest: { choiceCount: 1 }, random: {} } }),
    ["conf.loadBalancer.leastRequest.choiceCount", "conf.loadBalancer"],
  ],
  [
    "a ring that is smaller than it may be",
    spec({
      destination: V1,
      loadBalancer: { ringHash: { hashFunction: "MD5", minRingSize: "9", maxRingSize: 8 } },
    }),
    ["conf.loadBalancer.ringHash.hashFunction", "conf.loadBalancer.ringHash.minRingSize"],
  ],
];

Deno.test("a field that nobody here reads is noted, with the one that was meant", () => {
  const value = spec({ destination: V1, htp: [] } as never);
  assert.deepEqual(policy.resource.validate(value), []);
  assert.match(policy.resource.notes?.(value)[0]?.message ?? "", /did you mean http/);
});

for (const [name, value, paths] of VIOLATIONS) {
  Deno.test(`validate() finds ${name}`, () => {
    assert.deepEqual(policy.resource.validate(value).map(({ path }) => path), paths);
  });
}

Deno.test("routesOf() puts http rules first, drops weight 0 and merges equal destinations", () => {
  const routes = routesOf(
    spec({
      http: [{ match: { path: { prefix: "/a" } }, destination: { version: "v1" } }],
      split: [
        { weight: 1, destination: V1 },
        { weight: 0, destination: { ...BACKEND, version: "v3" } },
        { weight: 2, destination: V1 },
        { weight: 1, destination: V2 },
      ],
    }),
    BACKEND,
  );
  assert.deepEqual(routes.map(({ split }) => split), [
    [{ weight: 1, tags: V1 }],
    [{ weight: 3, tags: V1 }, { weight: 1, tags: V2 }],
  ]);
  assert.deepEqual(routes.map(({ match }) => match === null), [false, true]);
});

Deno.test("routesOf() fills destinations from the outbound, and forgets wildcards", () => {
  const [{ split } = { split: [] }] = routesOf(
    spec({ destination: { "kuma.io/service": "*", version: "*" } }),
    V1,
  );
  assert.deepEqual(split, [{ weight: 1, tags: V1 }]);
});

Deno.test("loadBalancerOf() has Kuma's defaults", () => {
  const of = (loadBalancer: TrafficRouteSpec["conf"]["loadBalancer"]) =>
    loadBalancerOf(spec({ destination: V1, ...(loadBalancer && { loadBalancer }) }));
  assert.deepEqual(of(undefined), { kind: "round_robin" });
  assert.deepEqual(of({ leastRequest: {} }), { kind: "least_request", choiceCount: 2 });
  assert.deepEqual(of({ ringHash: {} }), { kind: "ring_hash", hashFunction: "XX_HASH" });
  assert.deepEqual(of({ maglev: {} }), { kind: "maglev" });
  assert.deepEqual(of({ random: {} }), { kind: "random" });
});

function resource(value: TrafficRouteSpec): Resource<TrafficRouteSpec> {
  return {
    type: "TrafficRoute",
    mesh: "default",
    name: "r",
    labels: {},
    spec: value,
    version: 1,
    creationTime: "",
    modificationTime: "",
  };
}

Deno.test("destinationsOf() has weight 0 and http rules, and the service alone unless all goes elsewhere", () => {
  const all = spec({
    http: [{ match: { path: { prefix: "/" } }, destination: V2 }],
    split: [{ weight: 1, destination: V1 }, { weight: 0, destination: { ...V1, zone: "w" } }],
  });
  const tags = [{ ...V1, zone: "w" }, V1, V2];
  const sorted = (value: TrafficRouteSpec) =>
    destinationsOf([resource(value)], "backend").map((one) => JSON.stringify(one)).sort();
  assert.deepEqual(sorted(all), tags.map((one) => JSON.stringify(one)).sort());
  const some = { ...all, sources: [{ match: { "kuma.io/service": "web" } }] };
  assert.deepEqual(sorted(some), [BACKEND, ...tags].map((one) => JSON.stringify(one)).sort());
  assert.deepEqual(destinationsOf([resource(all)], "other"), [{ "kuma.io/service": "other" }]);
});

Deno.test("destinationsOf() knows a service that another one's traffic is sent to", () => {
  const moved = spec({ destination: { "kuma.io/service": "next", version: "v9" } });
  assert.deepEqual(destinationsOf([resource(moved)], "next"), [
    { "kuma.io/service": "next" },
    { "kuma.io/service": "next", version: "v9" },
  ]);
});
