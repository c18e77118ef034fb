import assert from "node:assert/strict";
import type { Resource } from "../../core/resource.ts";
import type { Tags } from "../../core/tags.ts";
import { type ConnectionSpec, matchInbound, matchOutbound } from "./connection.ts";

function policy(
  name: string,
  [source, destination]: readonly [Tags, Tags],
  creationTime = "2026-01-01T00:00:00Z",
): Resource<ConnectionSpec> {
  return {
    type: "Any",
    mesh: "default",
    name,
    labels: {},
    spec: { sources: [{ match: source }], destinations: [{ match: destination }] },
    version: 1,
    creationTime,
    modificationTime: creationTime,
  };
}

const ANY = { "kuma.io/service": "*" };
const WEB = { "kuma.io/service": "web" };
const API = { "kuma.io/service": "api" };
const V1 = { ...API, version: "v1" };

const cases: readonly {
  readonly name: string;
  readonly policies: readonly Resource<ConnectionSpec>[];
  readonly inbound?: string | undefined;
  readonly outbound?: string | undefined;
}[] = [
  { name: "nothing", policies: [] },
  { name: "any", policies: [policy("any", [ANY, ANY])], inbound: "any", outbound: "any" },
  {
    name: "an exact value before a wildcard",
    policies: [policy("any", [ANY, ANY]), policy("api", [ANY, API])],
    inbound: "api",
    outbound: "api",
  },
  {
    name: "source and destination together for outbounds, the destination alone for inbounds",
    policies: [policy("api", [ANY, API]), policy("web", [WEB, ANY])],
    inbound: "api",
    outbound: "api",
  },
  {
    name: "more tags first, which outbounds cannot have in destinations",
    policies: [policy("api", [WEB, API]), policy("v1", [WEB, V1])],
    inbound: "v1",
    outbound: "api",
  },
  {
    name: "other services not at all",
    policies: [policy("web", [API, WEB])],
  },
  {
    name: "the newer of equals",
    policies: [
      policy("old", [ANY, API], "2026-01-01T00:00:00Z"),
      policy("new", [ANY, API], "2026-01-01T00:00:00.5Z"),
      policy("older", [ANY, API], "2025-12-31T23:59:59.999Z"),
    ],
    inbound: "new",
    outbound: "new",
  },
  {
    name: "the first name of equals of one age",
    policies: [policy("b", [ANY, API]), policy("a", [ANY, API]), policy("c", [ANY, API])],
    inbound: "a",
    outbound: "a",
  },
];

for (const { name, policies, inbound, outbound } of cases) {
  Deno.test(`matching takes ${name}`, () => {
    for (const order of [policies, [...policies].reverse()]) {
      assert.equal(matchInbound(order, V1)?.name, inbound);
      const connection = { sources: [WEB], sourcesText: "web", destination: V1 };
      assert.equal(matchOutbound(order, connection)?.name, outbound);
    }
  });
}
