import { deepEqual, equal } from "node:assert/strict";
import type { JsonObject } from "../core/resource.ts";
import { sha256Hex } from "../core/version.ts";
import { decode } from "../proto/mod.ts";
import * as example from "./example_mesh.ts";
import { generateDataplane } from "./generate.ts";
import { parseNode } from "./node.ts";
import { TYPES } from "./snapshot.ts";
import { buildMeshView } from "./topology.ts";

const NAMES = { web: "240.0.0.1", "pay_ments": "240.0.0.2" };

interface Given {
  readonly features?: readonly string[];
  readonly metadata?: JsonObject;
  readonly transparentProxying?: JsonObject;
}

// deno-lint-ignore no-explicit-any -- the tests read deep into messages
type Deep = any;

function listenersOf(
  { features = [], metadata = {}, transparentProxying }: Given,
): Map<string, Deep> {
  const inbound = [{ port: 8080, tags: { "kuma.io/service": "web" } }];
  const networking = {
    address: "10.0.0.1",
    inbound,
    ...(transparentProxying && { transparentProxying }),
  };
  const view = buildMeshView(example.input({
    mesh: example.mesh({}),
    dataplanes: [example.dataplane("web-1", networking)],
    vips: new Map(Object.entries(NAMES)),
  }));
  const node = parseNode({
    "dataplane.dns.port": "15054",
    workdir: "/tmp/dp",
    features: [...features],
    ...metadata,
  });
  const { snapshot } = generateDataplane(view, "web-1", { node, identity: null });
  const found = snapshot.resources.get(TYPES.listener) ?? new Map();
  return new Map(
    [...found].map((
      [name, { any }],
    ) => [name, decode("google.protobuf.Any", any, { snake: true })]),
  );
}

const redirected: JsonObject = { redirectPortInbound: 15006, redirectPortOutbound: 15001 };

Deno.test("Envoy answers for virtual addresses where connections are redirected", () => {
  const dns = listenersOf({ transparentProxying: redirected }).get("kuma:dns");
  deepEqual(dns.address.socket_address, {
    protocol: "UDP",
    address: "127.0.0.1",
    port_value: 15054,
  });
  const [{ typed_config }] = dns.listener_filters;
  const domains: readonly JsonObject[] =
    typed_config.server_config.inline_dns_table.virtual_domains;
  deepEqual(domains.map(({ name }) => name), ["pay.ments.mesh", "pay_ments.mesh", "web.mesh"]);
  deepEqual(domains[2]!["endpoint"], {
    address_list: { address: ["240.0.0.1", "::ffff:f000:1"] },
  });
});

Deno.test("Envoy answers IPv4 alone, and for reachable services alone, where that is wanted", () => {
  const dns = listenersOf({
    transparentProxying: { ...redirected, ipFamilyMode: "IPv4", reachableServices: ["web"] },
  }).get("kuma:dns");
  const [{ typed_config }] = dns.listener_filters;
  deepEqual(typed_config.server_config.inline_dns_table.virtual_domains, [{
    name: "web.mesh",
    endpoint: { address_list: { address: ["240.0.0.1"] } },
    answer_ttl: "30s",
  }]);
});

Deno.test("nobody answers for names that lead nowhere", () => {
  equal(listenersOf({}).has("kuma:dns"), false);
  equal(listenersOf({ features: ["feature-embedded-dns"] }).has("_kuma:dynamicconfig"), false);
  const without = { transparentProxying: redirected, metadata: { "dataplane.dns.port": "0" } };
  equal(listenersOf(without).has("kuma:dns"), false);
});

for (
  const given of [
    { transparentProxying: { ...redirected, ipFamilyMode: "IPv4" } },
    { features: ["feature-bind-outbounds"] },
  ]
) {
  Deno.test(`a dp process with a DNS server gets its names from Envoy: ${JSON.stringify(given)}`, () => {
    const features = ["feature-embedded-dns", ...given.features ?? []];
    const listeners = listenersOf({ ...given, features });
    equal(listeners.has("kuma:dns"), false);
    const config = listeners.get("_kuma:dynamicconfig");
    deepEqual(config.address, { pipe: { path: "/tmp/dp/kuma-mesh-metric-config.sock" } });
    const [{ filters: [{ typed_config }] }] = config.filter_chains;
    const [known, fresh] = typed_config.route_config.virtual_hosts[0].routes;
    const text = fresh.direct_response.body.inline_string;
    deepEqual(JSON.parse(text), {
      records: [
        { name: "pay.ments.mesh", ips: ["240.0.0.2"] },
        { name: "pay_ments.mesh", ips: ["240.0.0.2"] },
        { name: "web.mesh", ips: ["240.0.0.1"] },
      ],
      ttl: 30,
    });
    const etag = sha256Hex(text);
    deepEqual(fresh.response_headers_to_add, [{ header: { key: "Etag", value: etag } }]);
    deepEqual(known.match.headers, [{ name: "If-None-Match", string_match: { exact: etag } }]);
    equal(known.direct_response.status, 304);
    equal(typed_config.route_config.max_direct_response_body_size_bytes, text.length);
  });
}

Deno.test("redirection that the proxy tells of itself counts more than what was written", () => {
  const redirect = { inbound: { enabled: true, port: 16 }, outbound: { enabled: true, port: 17 } };
  const metadata = { transparentProxy: { ipFamilyMode: "ipv4", redirect } };
  const listeners = listenersOf({ transparentProxying: redirected, metadata });
  equal(listeners.get("inbound:passthrough:ipv4").address.socket_address.port_value, 16);
  equal(listeners.get("outbound:passthrough:ipv4").address.socket_address.port_value, 17);
  equal(listeners.has("inbound:passthrough:ipv6"), false);
  const off = { inbound: { enabled: false }, outbound: { enabled: false } };
  const none = listenersOf({ metadata: { transparentProxy: { redirect: off } } });
  equal(none.has("inbound:passthrough:ipv4"), false);
});
