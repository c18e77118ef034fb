import { deepEqual, equal, match, ok } from "node:assert/strict";
import fc from "fast-check";
import { parse } from "yaml";
import { type BootstrapContext, handleBootstrap } from "./bootstrap.ts";
import { instanceOf } from "./node.ts";

const pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";

const context: BootstrapContext = {
  host: "127.0.0.1",
  port: 5678,
  caCert: pem,
  accept: "application/json",
  covers: () => true,
  faultOfRoot: (text) => text.startsWith("-----BEGIN CERTIFICATE-----") ? null : "caCert: is not",
  reloadableTokens: false,
  reportsHealth: true,
  mesh: (name) => name === "default" ? {} : undefined,
  validate: () => [],
};

const resource = JSON.stringify({
  type: "Dataplane",
  mesh: "default",
  name: "web-1",
  networking: {
    address: "127.0.1.9",
    admin: { port: 9911 },
    inbound: [{ port: 80, servicePort: 8080, tags: { "kuma.io/service": "web" } }],
  },
});

function bootstrapOf(
  request: Record<string, unknown>,
  changes: Partial<BootstrapContext> = {},
  // deno-lint-ignore no-explicit-any -- the tests read deep into a document
): any {
  const answer = handleBootstrap(request, { ...context, ...changes });
  equal(answer.status, 200, answer.body);
  equal(answer.contentType, "application/json");
  return parse(atob(JSON.parse(answer.body).bootstrap));
}

Deno.test("handleBootstrap() describes the node as its resource says", () => {
  const { node, admin } = bootstrapOf({ dataplaneResource: resource, readinessPort: 9902 });
  equal(node.id, "default.web-1");
  equal(node.cluster, "web");
  equal(node.metadata["dataplane.admin.port"], "9911");
  equal(node.metadata["dataplane.readinessReporter.port"], "9902");
  equal(node.metadata["dataplane.resource"], resource);
  equal(node.metadata["dataplane.proxyType"], "dataplane");
  deepEqual(admin.address.socketAddress, { address: "127.0.0.1", portValue: 9911 });
});

Deno.test("handleBootstrap() hands on the instance id", () => {
  const { node } = bootstrapOf({
    dataplaneResource: resource,
    dynamicMetadata: { "ursa.instance": "a-1" },
  });
  equal(instanceOf(node.metadata), "a-1");
  equal(instanceOf({}), "");
  equal(instanceOf({ dynamicMetadata: [1] }), "");
});

Deno.test("handleBootstrap() dials the host by which the proxy came, and verifies that name", () => {
  const byAddress = bootstrapOf({ dataplaneResource: resource });
  equal(byAddress.staticResources.clusters[1].type, "STATIC");
  const byName = bootstrapOf({ dataplaneResource: resource }, { host: "cp.example", port: 15678 });
  const [, cluster] = byName.staticResources.clusters;
  equal(cluster.type, "STRICT_DNS");
  equal(cluster.transportSocket.typedConfig.sni, "cp.example");
  deepEqual(cluster.loadAssignment.endpoints[0].lbEndpoints[0].endpoint.address.socketAddress, {
    address: "cp.example",
    portValue: 15678,
  });
  const [secret] = byName.staticResources.secrets;
  equal(secret.validationContext.matchTypedSubjectAltNames[0].matcher.exact, "cp.example");
  equal(atob(secret.validationContext.trustedCa.inlineBytes), pem);
});

Deno.test("handleBootstrap() speaks delta when the proxy can", () => {
  const plain = bootstrapOf({ dataplaneResource: resource });
  equal(plain.dynamicResources.adsConfig.apiType, "GRPC");
  const delta = bootstrapOf({ dataplaneResource: resource, features: ["feature-delta-grpc"] });
  equal(delta.dynamicResources.adsConfig.apiType, "DELTA_GRPC");
  deepEqual(delta.node.metadata.features, ["feature-delta-grpc"]);
});

Deno.test("handleBootstrap() sends the token as it is", () => {
  const { dynamicResources } = bootstrapOf({ dataplaneResource: resource, dataplaneToken: "t" });
  deepEqual(dynamicResources.adsConfig.grpcServices[0].initialMetadata, [
    { key: "authorization", value: "t" },
  ]);
});

Deno.test("handleBootstrap() answers plain YAML to whoever does not ask for JSON", () => {
  const answer = handleBootstrap({ dataplaneResource: resource }, { ...context, accept: "*/*" });
  equal(answer.contentType, "text/x-yaml");
  equal(parse(answer.body).node.id, "default.web-1");
});

Deno.test("handleBootstrap() has Envoy read its token from the file, where that is wanted", () => {
  const request = {
    dataplaneResource: resource,
    dataplaneToken: "t",
    dataplaneTokenPath: "/run/token",
  };
  const inline = bootstrapOf(request);
  equal(inline.dynamicResources.adsConfig.grpcServices[0].googleGrpc, undefined);
  const { dynamicResources, staticResources } = bootstrapOf(request, {
    reloadableTokens: true,
    host: "::1",
  });
  const [{ googleGrpc, initialMetadata }] = dynamicResources.adsConfig.grpcServices;
  equal(googleGrpc.targetUri, "[::1]:5678");
  equal(googleGrpc.callCredentials[0].fromPlugin.typedConfig.secretData.filename, "/run/token");
  equal(initialMetadata, undefined);
  deepEqual(staticResources.clusters.map(({ name }: { name: string }) => name), [
    "access_log_sink",
  ]);
});

Deno.test("handleBootstrap() has Envoy report health, unless it is ursa dp's and probes nothing", () => {
  const probed = JSON.parse(resource);
  probed.networking.inbound[0].serviceProbe = { tcp: {} };
  const dynamicMetadata = { "ursa.instance": "a-1" };
  const token = "t";
  const { hdsConfig } = bootstrapOf({ dataplaneResource: resource, dataplaneToken: token });
  equal(hdsConfig.apiType, "GRPC");
  equal(hdsConfig.grpcServices[0].initialMetadata[0].value, token);
  const ours = (text: string) => bootstrapOf({ dataplaneResource: text, dynamicMetadata });
  equal(ours(resource).hdsConfig, undefined);
  ok(ours(JSON.stringify(probed)).hdsConfig);
  equal(
    bootstrapOf({ dataplaneResource: resource }, { reportsHealth: false }).hdsConfig,
    undefined,
  );
});

Deno.test("handleBootstrap() names the socket on which access logs are collected", () => {
  const { staticResources } = bootstrapOf({ dataplaneResource: resource, workdir: "/tmp/dp" });
  const [{ name, type, loadAssignment }] = staticResources.clusters;
  deepEqual([name, type], ["access_log_sink", "STATIC"]);
  deepEqual(loadAssignment.endpoints[0].lbEndpoints[0].endpoint.address, {
    pipe: { path: "/tmp/dp/kuma-al-web-1-default.sock" },
  });
});

Deno.test("handleBootstrap() keeps a builtin gateway from taking more than it can carry", () => {
  const gateway = {
    type: "Dataplane",
    mesh: "default",
    name: "edge",
    networking: {
      address: "127.0.1.9",
      gateway: { type: "BUILTIN", tags: { "kuma.io/service": "edge" } },
    },
  };
  const { overloadManager } = bootstrapOf({
    dataplaneResource: JSON.stringify(gateway),
    resources: { maxHeapSizeBytes: 1024 },
  });
  equal(overloadManager.resourceMonitors.length, 2);
  equal(overloadManager.resourceMonitors[1].typedConfig.maxHeapSizeBytes, "1024");
  equal(bootstrapOf({ dataplaneResource: resource }).overloadManager, undefined);
});

Deno.test("handleBootstrap() tells which metrics of the workload to serve", () => {
  const answer = handleBootstrap({ dataplaneResource: resource }, {
    ...context,
    mesh: () => ({
      metrics: {
        enabledBackend: "prom",
        backends: [{
          name: "prom",
          type: "prometheus",
          conf: { aggregate: [{ name: "app", port: 8080, path: "/metrics" }] },
        }],
      },
    }),
  });
  deepEqual(JSON.parse(answer.body).kumaSidecarConfiguration, {
    networking: { corefileTemplate: "", address: "127.0.1.9" },
    metrics: {
      aggregate: [{ name: "app", address: "127.0.1.9", port: 8080, path: "/metrics" }],
    },
  });
});

Deno.test("handleBootstrap() takes a zone ingress", () => {
  const { node } = bootstrapOf({
    proxyType: "ingress",
    name: "in-1",
    dataplaneResource: "{type: ZoneIngress, name: in-1, networking: {port: 10001}}",
  });
  equal(node.id, ".in-1");
  equal(node.cluster, "ingress");
  equal(node.metadata["dataplane.admin.port"], "9901");
});

Deno.test("handleBootstrap() finds a proxy that was created beforehand", () => {
  const { node } = bootstrapOf({ mesh: "default", name: "web-1" }, {
    find: ({ type, name }) =>
      type === "Dataplane" && name === "web-1" ? JSON.parse(resource) : undefined,
  });
  equal(node.cluster, "web");
  equal("dataplane.resource" in node.metadata, false);
});

const refusals: readonly {
  name: string;
  request: unknown;
  changes?: Partial<BootstrapContext>;
  status: number;
  body: string | RegExp;
}[] = [
  { name: "a body that is no object", request: [], status: 400, body: "" },
  { name: "an unknown proxy", request: { mesh: "default", name: "x" }, status: 404, body: "" },
  {
    name: "a mesh that does not exist",
    request: { dataplaneResource: resource },
    changes: { mesh: () => undefined },
    status: 422,
    body: 'mesh: mesh "default" does not exist',
  },
  {
    name: "every violation at once",
    request: { name: "other", dataplaneResource: resource },
    changes: { validate: () => [{ path: "networking.address", message: "must be an IP" }] },
    status: 422,
    body: 'name: must equal the resource\'s "web-1", is "other"\nnetworking.address: must be an IP',
  },
  {
    name: "a resource of another kind",
    request: { proxyType: "ingress", dataplaneResource: resource },
    status: 422,
    body: 'type: must be ZoneIngress, is "Dataplane"',
  },
  {
    name: "text that is not YAML",
    request: { dataplaneResource: "a: [" },
    status: 422,
    body: /is not YAML/,
  },
  {
    name: "a proxy type that is not there yet",
    request: { proxyType: "egress" },
    status: 422,
    body: /proxyType: "egress" is not supported/,
  },
  {
    name: "explicit outbounds beside transparent proxying",
    request: {
      dataplaneResource:
        "{type: Dataplane, mesh: default, name: a, networking: {address: 1.2.3.4, outbound: [{port: 1}], transparentProxying: {}}}",
    },
    status: 422,
    body: "outbound: should be empty since dataplane is in Transparent Proxying mode",
  },
  {
    name: "explicit outbounds beside redirection that the proxy asks for",
    request: {
      dataplaneConfig: { redirect: { inbound: { enabled: true, port: 15006 } } },
      dataplaneResource:
        "{type: Dataplane, mesh: default, name: a, networking: {address: 1.2.3.4, outbound: [{port: 1}]}}",
    },
    status: 422,
    body: "outbound: should be empty since dataplane is in Transparent Proxying mode",
  },
  {
    name: "a host that the certificate does not name",
    request: { dataplaneResource: resource },
    changes: { covers: (host) => host === "localhost" },
    status: 400,
    body: /^A data plane proxy is trying to connect to the control plane using "127.0.0.1"/,
  },
  {
    name: "a CA that is no certificate",
    request: { dataplaneResource: resource, caCert: "hello" },
    status: 400,
    body: "caCert: is not",
  },
];

for (const { name, request, changes, status, body } of refusals) {
  Deno.test(`handleBootstrap() refuses ${name}`, () => {
    const answer = handleBootstrap(request, { ...context, ...changes });
    equal(answer.status, status, answer.body);
    typeof body === "string" ? equal(answer.body, body) : match(answer.body, body);
  });
}

Deno.test("handleBootstrap() answers any JSON", () => {
  fc.assert(fc.property(fc.jsonValue(), (value) => {
    const answer = handleBootstrap(value, context);
    ok([200, 400, 404, 422].includes(answer.status));
  }));
  fc.assert(fc.property(
    fc.record({ dataplaneResource: fc.string(), caCert: fc.constant(pem), mesh: fc.string() }),
    (value) => ok(handleBootstrap(value, context).status >= 400),
  ));
});

Deno.test("a dp process that keeps the token in a file has Envoy read it there, and nowhere else", () => {
  const made = bootstrapOf({
    dataplaneResource: resource,
    dataplaneToken: "head.claims.signature",
    ursaTokenSecretPath: "/run/web-1/token.json",
  });
  const text = JSON.stringify(made);
  ok(text.includes('"envoy.filters.http.credential_injector"'));
  ok(text.includes('"pathConfigSource":{"path":"/run/web-1/token.json"}'));
  ok(!text.includes("head.claims.signature"));
});
