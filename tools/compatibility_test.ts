import assert from "node:assert/strict";
import { allows, type Found, readAllowed } from "./compatibility.ts";
import { compare } from "./resource_difference.ts";

const RULES = readAllowed(`
| States | Resource | Path | Kind | Reason |
| --- | --- | --- | --- | --- |
| \`mtls*\` | \`cluster/*\` | \`connect_timeout\` | differs | a default |
| \`*\` | \`*\` | \`*\` | differs | everything |
| \`*\` | \`*\` | \`*\` | missing | everything |
| \`*\` | \`*\` | \`*\` | added | everything |
| \`*\` | \`listener/*\` | \`x\` | differs |  |
`);

function found(parts: Partial<Found>): Found {
  return {
    state: "mtls",
    resource: "cluster/a",
    path: "connect_timeout",
    kind: "differs",
    unrouted: false,
    ...parts,
  };
}

Deno.test("allows() finds the row that lists a difference", () => {
  assert.equal(allows(RULES, found({}))?.reason, "a default");
  assert.equal(allows(RULES.slice(0, 1), found({ state: "no-mtls" })), undefined);
  assert.equal(allows(RULES.slice(0, 1), found({ kind: "missing" })), undefined);
});

for (
  const path of [
    "transport_socket.typed_config.sni",
    "a.match_typed_subject_alt_names[0].matcher.exact",
    "filter_chains[0].filters[envoy.filters.network.rbac].typed_config.rules",
    "endpoints[east/0].lb_endpoints[x].load_balancing_weight",
    "filter_chains[b{mesh=m}]",
    "a.virtual_hosts[b].routes[0].route.cluster",
    "a.virtual_hosts[b].routes[0].route.weighted_clusters.clusters[b].weight",
    "a.virtual_hosts[b].routes[0].match.prefix",
    "a.virtual_hosts[b].routes[1]",
    "lb_subset_config",
    "a.typed_config.metadata_match",
    "transport_socket",
  ]
) {
  Deno.test(`allows() never allows ${path}`, () => {
    for (const kind of ["differs", "missing", "added"] as const) {
      assert.equal(allows(RULES, found({ path, kind })), undefined);
    }
  });
}

Deno.test("allows() lets a service that no route selects have more, and not less", () => {
  const chain = { resource: "listener/inbound:x", path: "filter_chains[b{mesh=m}]" };
  assert.ok(allows(RULES, found({ ...chain, kind: "added", unrouted: true })));
  assert.equal(allows(RULES, found({ ...chain, kind: "missing", unrouted: true })), undefined);
});

Deno.test("allows() takes no missing cluster, endpoint or listener of the mesh", () => {
  for (const resource of ["cluster/b", "endpoint/b", "listener/outbound:127.0.0.1:1"]) {
    assert.equal(allows(RULES, found({ resource, path: "", kind: "missing" })), undefined);
  }
});

Deno.test("compare() names each path, and matches lists by names", () => {
  const differences = compare(
    "listener/a",
    { filters: [{ name: "x", on: true }, { name: "y" }], same: "1.0s" },
    { filters: [{ name: "y" }, { name: "x", on: false, more: 1 }], same: "1s" },
  );
  assert.deepEqual(differences.map(({ path, kind }) => [path, kind]), [
    ["filters[x].on", "differs"],
    ["filters[x].more", "added"],
  ]);
});

Deno.test("compare() keeps the order of routes", () => {
  const route = (name: string) => ({ name, match: { prefix: `/${name}` } });
  const differences = compare("r", [route("a"), route("b")], [route("b"), route("a")]);
  assert.deepEqual(differences.map(({ path }) => path), [
    "[0].name",
    "[0].match.prefix",
    "[1].name",
    "[1].match.prefix",
  ]);
});
