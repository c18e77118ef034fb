import { deepEqual, doesNotMatch, equal, match, throws } from "node:assert/strict";
import type { JsonObject, Resource } from "../core/resource.ts";
import { adminPath, adminPlace, withoutTokens } from "./envoy_admin.ts";

const proxy = (type: string, networking: JsonObject): Resource => ({
  type,
  mesh: "default",
  name: "web-1",
  labels: {},
  spec: { networking },
  version: 1,
  creationTime: "",
  modificationTime: "",
});

Deno.test("adminPlace() is where others reach the proxy, on the port that it was given", () => {
  deepEqual(adminPlace(proxy("Dataplane", { address: "10.0.0.1" })), {
    address: "10.0.0.1",
    port: 9901,
    plain: false,
  });
  deepEqual(
    adminPlace(proxy("Dataplane", {
      address: "10.0.0.1",
      advertisedAddress: "192.0.2.1",
      admin: { port: 9911 },
    })),
    { address: "192.0.2.1", port: 9911, plain: false },
  );
  equal(adminPlace(proxy("Dataplane", { address: "127.0.0.1" }))?.plain, true);
  // Where other zones find an ingress is not where its own control plane does.
  const ingress = { address: "10.0.0.1", advertisedAddress: "192.0.2.1", advertisedPort: 1 };
  equal(adminPlace(proxy("ZoneIngress", ingress))?.address, "10.0.0.1");
  equal(adminPlace(proxy("ZoneIngress", { port: 1 })), null);
});

Deno.test("adminPath() asks Envoy for what was asked for", () => {
  equal(adminPath({ kind: "xds", includeEds: false }), "/config_dump");
  equal(adminPath({ kind: "xds", includeEds: true }), "/config_dump?include_eds");
  equal(adminPath({ kind: "stats", format: "text", usedOnly: false }), "/stats");
  equal(
    adminPath({ kind: "stats", format: "json", usedOnly: true }),
    "/stats?format=json&usedonly",
  );
  equal(adminPath({ kind: "clusters", format: "text" }), "/clusters");
  equal(adminPath({ kind: "clusters", format: "json" }), "/clusters?format=json");
});

const dump = (token: string) =>
  JSON.stringify({
    configs: [{
      bootstrap: {
        node: { metadata: { note: `it is ${token}` } },
        hds_config: {
          grpc_services: [{ initial_metadata: [{ key: "authorization", value: "other.token" }] }],
        },
        dynamic_resources: {
          ads_config: {
            grpc_services: [{ initial_metadata: [{ key: "authorization", value: token }] }],
          },
        },
      },
    }],
  });

Deno.test("withoutTokens() takes a token out wherever it stands", () => {
  for (const token of ["a.b.c", 'with "quotes" and \\']) {
    const seen = withoutTokens(dump(token));
    doesNotMatch(seen, /other\.token|a\.b\.c|quotes/);
    match(seen, /it is \[redacted\]/);
  }
});

Deno.test("withoutTokens() leaves a dump without tokens as it is, and refuses what it cannot read", () => {
  const plain = '{"configs": [ ]}';
  equal(withoutTokens(plain), plain);
  equal(withoutTokens(dump("")).includes("[redacted]"), true);
  throws(() => withoutTokens("not JSON"), SyntaxError);
});

Deno.test("withoutTokens() takes no answer that would keep it busy", () => {
  const many = Array.from(
    { length: 100_000 },
    (_, i) => ({ key: "authorization", value: `t${i}` }),
  );
  throws(() => withoutTokens(JSON.stringify({ initial_metadata: many })), /has 100000 tokens/);
  const deep = `{"a":`.repeat(100_000) + "1" + "}".repeat(100_000);
  throws(() => withoutTokens(deep));
});
